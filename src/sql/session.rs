//! A session: tables, functions and limits, and the queries that run under them.
//!
//! The facade is synchronous and speaks Arrow; DataFusion and its runtime stay inside. A session
//! only reads: statements that would define or change anything are refused.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider};
use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::common::config::Dialect;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::execution::{SendableRecordBatchStream, SessionState};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::{ExecutionPlan, displayable, execute_stream};
use datafusion::prelude::{SQLOptions, SessionConfig, SessionContext};
use futures::StreamExt;

use super::adapt::{constant_function, scalar_function};
use super::failure::{self, Names};
use super::merge::{self, MergeJoins};
use super::provider::StoredTable;
use super::table_function::{Planned, TABLE_FUNCTIONS, parse_name};
use super::{files, functions, share};
use crate::error::{Error, Result};
use crate::function::{Kernel, Signature};
use crate::store::manifest::MANIFEST;
use crate::store::table::Table;

const CATALOG: &str = "hexapla";
const SCHEMA: &str = "main";

/// Rows per batch: a thousand web pages are some megabytes.
const BATCH_ROWS: usize = 1024;

/// What a session may use.
#[derive(Debug, Clone, Default)]
pub struct SessionOptions {
    /// Bytes that queries may hold; beyond it they spill or fail. `None`: no limit.
    pub memory_limit: Option<usize>,
    /// Threads; `None` for as many as there are processors.
    pub threads: Option<usize>,
    /// Where spilled data goes; `None` for the system's temporary folder.
    pub temp: Option<PathBuf>,
}

/// The session's number of threads, which plans of one partition do not show.
pub(crate) struct Threads(pub usize);

/// Tables, functions and limits.
pub struct Session {
    runtime: Arc<tokio::runtime::Runtime>,
    environment: Arc<RuntimeEnv>,
    context: SessionContext,
    threads: usize,
    partitions: usize,
    sort_reservation: usize,
    kernels: Vec<Arc<dyn Kernel>>,
    tables: BTreeMap<String, Arc<dyn TableProvider>>,
}

impl Session {
    /// A session with the functions of the registry and no tables. Its plans use all threads, so
    /// the order of rows is a query's own affair (`ORDER BY`).
    pub fn new(options: SessionOptions) -> Result<Self> {
        let available = || std::thread::available_parallelism().map_or(1, |n| n.get());
        let threads = options.threads.unwrap_or_else(available).clamp(1, 256);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            // Deep expressions are walked recursively.
            .thread_stack_size(8 << 20)
            .thread_name("sql")
            .enable_all()
            .build()
            .map_err(|e| Error::io("starting threads", e))?;
        let mut environment = RuntimeEnvBuilder::new().with_max_temp_directory_size(u64::MAX);
        if let Some(limit) = options.memory_limit {
            environment = environment.with_memory_pool(Arc::new(FairSpillPool::new(limit)));
        }
        if let Some(temp) = &options.temp {
            std::fs::create_dir_all(temp).map_err(|e| Error::io(temp, e))?;
            environment = environment.with_temp_file_path(temp);
        }
        let environment =
            environment.build_arc().map_err(|e| failure::convert(e, &Names::default()))?;
        // A sort keeps this much aside for merging what it spilled.
        let sort_reservation = options.memory_limit.map_or(10 << 20, |l| (l / 16).min(10 << 20));
        let mut session = Self {
            runtime: Arc::new(runtime),
            context: SessionContext::new(),
            environment,
            threads,
            partitions: threads,
            sort_reservation,
            kernels: Vec::new(),
            tables: BTreeMap::new(),
        };
        session.rebuild()?;
        Ok(session)
    }

    /// The same session with plans of one partition: its rows come in an order that is a function
    /// of the query and the tables alone. `replace` puts other tables under some names.
    pub fn serial<'t>(
        &self,
        replace: impl IntoIterator<Item = (&'t str, Table)>,
    ) -> Result<Session> {
        let mut session = Self {
            runtime: self.runtime.clone(),
            environment: self.environment.clone(),
            context: SessionContext::new(),
            threads: self.threads,
            partitions: 1,
            sort_reservation: self.sort_reservation,
            kernels: self.kernels.clone(),
            tables: self.tables.clone(),
        };
        for (name, table) in replace {
            session.tables.insert(name.into(), Arc::new(StoredTable::new(table)?));
        }
        session.rebuild()?;
        Ok(session)
    }

    /// Adds a function; one of the same name is replaced.
    pub fn add_kernel(&mut self, kernel: Arc<dyn Kernel>) {
        self.kernels.retain(|k| k.signature().name != kernel.signature().name);
        self.context.register_udf(scalar_function(kernel.clone()));
        self.kernels.push(kernel);
    }

    /// Adds a table of the store; `mix.main` becomes table `main` of schema `mix`.
    pub fn add_table(&mut self, name: &str, table: Table) -> Result<()> {
        let provider = StoredTable::new(table).map_err(|e| e.within(format!("table `{name}`")))?;
        self.add(name, Arc::new(provider))
    }

    /// Adds a Parquet, JSON lines, CSV or TSV file (also `.gz`, `.zst`), a glob of them, or a
    /// folder that holds a table.
    pub fn add_file(&mut self, name: &str, path: &Path) -> Result<()> {
        let state = self.context.state();
        let path = path.to_string_lossy();
        let provider = self.runtime.block_on(files::open(&path, None, &state))?;
        self.add(name, provider)
    }

    /// The names of the tables, sorted.
    pub fn tables(&self) -> Vec<String> {
        self.tables.keys().cloned().collect()
    }

    /// The columns of a table.
    pub fn table_schema(&self, name: &str) -> Result<SchemaRef> {
        let names = self.tables.keys().map(String::as_str);
        let table = self.tables.get(name).ok_or_else(|| Error::unknown("table", name, names))?;
        Ok(table.schema())
    }

    /// The table of the store behind a name, if it is one.
    pub fn stored(&self, name: &str) -> Option<&Table> {
        self.tables.get(name)?.downcast_ref::<StoredTable>().map(StoredTable::table)
    }

    /// The scalar functions of hexapla in this session: the registry's, then those added.
    pub fn signatures(&self) -> Vec<&Signature> {
        let registry = functions::all().map(|f| &f.signature);
        registry.chain(self.kernels.iter().map(|k| k.signature())).collect()
    }

    /// The functions and table functions of hexapla that a query calls, with their versions.
    ///
    /// ```
    /// use hexapla::sql::{Session, SessionOptions};
    /// let session = Session::new(SessionOptions::default())?;
    /// let found = session.functions_in("SELECT uniform(doc_id, $seed), sum(n) FROM documents");
    /// assert_eq!(found, [("uniform".to_string(), 1)]);
    /// # Ok::<(), hexapla::error::Error>(())
    /// ```
    pub fn functions_in(&self, sql: &str) -> Vec<(String, u32)> {
        let scalar = self.signatures().into_iter().map(|s| (s.name, s.version));
        let table = TABLE_FUNCTIONS.iter().map(|f| (f.name, f.version));
        let mut found: Vec<(String, u32)> = scalar
            .chain(table)
            .filter(|(name, _)| calls(sql, name))
            .map(|(name, version)| (name.to_string(), version))
            .collect();
        found.sort();
        found
    }

    /// The functions added to this session.
    pub fn kernels(&self) -> &[Arc<dyn Kernel>] {
        &self.kernels
    }

    /// All rows of a query; one empty batch when there are none, so that there is a schema.
    ///
    /// ```
    /// use hexapla::sql::{Session, SessionOptions};
    /// let session = Session::new(SessionOptions::default())?;
    /// let batches = session.query("SELECT char_length('Þingvellir') AS n")?;
    /// assert_eq!(batches[0].num_rows(), 1);
    /// # Ok::<(), hexapla::error::Error>(())
    /// ```
    pub fn query(&self, sql: &str) -> Result<Vec<RecordBatch>> {
        let mut batches = Vec::new();
        let schema = self.stream(sql, &mut |batch| {
            batches.push(batch);
            Ok(())
        })?;
        if batches.is_empty() {
            batches.push(RecordBatch::new_empty(schema));
        }
        Ok(batches)
    }

    /// Hands the rows of a query to `each` as they come and returns their schema.
    pub fn stream(
        &self,
        sql: &str,
        each: &mut dyn FnMut(RecordBatch) -> Result<()>,
    ) -> Result<SchemaRef> {
        let mut stream = self.start(sql)?;
        let schema = stream.schema();
        loop {
            // The callback runs outside of the runtime and may use the session itself.
            match self.runtime.block_on(stream.next()) {
                None => return Ok(schema),
                Some(Ok(batch)) if batch.num_rows() == 0 => {}
                Some(Ok(batch)) => each(batch)?,
                Some(Err(e)) => return Err(self.failed(e)),
            }
        }
    }

    /// The columns that a query gives, without running it.
    pub fn schema(&self, sql: &str) -> Result<SchemaRef> {
        let plan = self.logical(sql)?;
        Ok(Arc::new(plan.schema().as_arrow().clone()))
    }

    /// The physical plan of a query, one operator a line.
    pub fn plan(&self, sql: &str) -> Result<String> {
        Ok(displayable(self.physical(sql)?.as_ref()).indent(false).to_string())
    }

    /// The same with the columns of each operator's rows, `column:type` by `column:type`.
    pub fn plan_with_columns(&self, sql: &str) -> Result<String> {
        let plan = self.physical(sql)?;
        Ok(displayable(plan.as_ref()).set_show_schema(true).indent(false).to_string())
    }

    fn add(&mut self, name: &str, provider: Arc<dyn TableProvider>) -> Result<()> {
        self.tables.insert(name.into(), provider.clone());
        self.register(name, provider)
    }

    /// A context with this session's settings, functions and tables.
    fn rebuild(&mut self) -> Result<()> {
        let mut config = SessionConfig::new()
            .with_batch_size(BATCH_ROWS)
            .with_target_partitions(self.partitions)
            .with_default_catalog_and_schema(CATALOG, SCHEMA)
            .with_information_schema(true)
            .with_extension(Arc::new(Threads(self.threads)));
        let options = config.options_mut();
        // With it, a filter and two fields of a struct function evaluate the function three times.
        options.optimizer.enable_leaf_expression_pushdown = false;
        options.execution.sort_spill_reservation_bytes = self.sort_reservation;
        let mut rules = PhysicalOptimizer::new().rules;
        let place = rules.iter().position(|r| r.name() == merge::BEFORE).ok_or_else(|| {
            Error::internal(format!("DataFusion has no rule `{}` any more", merge::BEFORE))
        })?;
        rules.insert(place, Arc::new(MergeJoins));
        let state = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(self.environment.clone())
            .with_default_features()
            .with_physical_optimizer_rules(rules)
            .build();
        self.context = SessionContext::new_with_state(state);
        for function in functions::all() {
            self.context.register_udf(constant_function(function));
        }
        for kernel in &self.kernels {
            self.context.register_udf(scalar_function(kernel.clone()));
        }
        for function in TABLE_FUNCTIONS {
            self.context.register_udtf(function.name, Arc::new(Planned(function)));
        }
        for (name, provider) in self.tables.clone() {
            self.register(&name, provider)?;
        }
        Ok(())
    }

    fn register(&self, name: &str, provider: Arc<dyn TableProvider>) -> Result<()> {
        let reference = parse_name(name).resolve(CATALOG, SCHEMA);
        let catalog = match self.context.catalog(CATALOG) {
            Some(catalog) => catalog,
            None => {
                let catalog: Arc<dyn CatalogProvider> = Arc::new(MemoryCatalogProvider::new());
                self.context.register_catalog(CATALOG, catalog.clone());
                catalog
            }
        };
        let schema = match catalog.schema(&reference.schema) {
            Some(schema) => schema,
            None => {
                let schema: Arc<dyn SchemaProvider> = Arc::new(MemorySchemaProvider::new());
                let added = catalog.register_schema(&reference.schema, schema.clone());
                added.map_err(|e| self.failed(e))?;
                schema
            }
        };
        if schema.table_exist(&reference.table) {
            schema.deregister_table(&reference.table).map_err(|e| self.failed(e))?;
        }
        let added = schema.register_table(reference.table.to_string(), provider);
        added.map_err(|e| self.failed(e))?;
        Ok(())
    }

    /// The plan of a query before optimization, with the files it names opened.
    pub(crate) fn logical(&self, sql: &str) -> Result<LogicalPlan> {
        let state = self.context.state();
        self.runtime.block_on(async {
            let statement =
                state.sql_to_statement(sql, &Dialect::Generic).map_err(|e| self.failed(e))?;
            let references =
                state.resolve_table_references(&statement).map_err(|e| self.failed(e))?;
            for reference in references {
                let name = reference.table().to_string();
                let known = self.context.table_exist(reference.clone()).unwrap_or(true);
                let folder = || Path::new(&name).join(MANIFEST).is_file();
                if !known && reference.schema().is_none() && (files::is_path(&name) || folder()) {
                    let provider = files::open(&name, None, &state).await?;
                    self.register(&name, provider)?;
                } else if reference.schema().is_none() && !self.tables.contains_key(&name) {
                    // A path that an earlier query opened: the file may have changed.
                    if files::is_path(&name) && known {
                        let provider = files::open(&name, None, &state).await?;
                        self.register(&name, provider)?;
                    }
                }
            }
            let plan = state.statement_to_plan(statement).await.map_err(|e| self.failed(e))?;
            SQLOptions::new()
                .with_allow_ddl(false)
                .with_allow_dml(false)
                .with_allow_statements(false)
                .verify_plan(&plan)
                .map_err(|e| self.failed(e))?;
            Ok(plan)
        })
    }

    fn physical(&self, sql: &str) -> Result<Arc<dyn ExecutionPlan>> {
        let logical = self.logical(sql)?;
        let state = self.context.state();
        let physical = self.runtime.block_on(share::physical_plan(&state, &logical));
        physical.map_err(|e| self.failed(e))
    }

    fn start(&self, sql: &str) -> Result<SendableRecordBatchStream> {
        let plan = self.physical(sql)?;
        let _inside = self.runtime.enter();
        execute_stream(plan, self.context.task_ctx()).map_err(|e| self.failed(e))
    }

    /// The name under which a table was added.
    pub(crate) fn name_of(&self, provider: &Arc<dyn TableProvider>) -> Option<String> {
        let found = self.tables.iter().find(|(_, p)| Arc::ptr_eq(p, provider));
        found.map(|(name, _)| name.clone())
    }

    /// The threads that work on a query or on several parts at once.
    pub fn threads(&self) -> usize {
        self.threads
    }

    pub(crate) fn failed(&self, error: datafusion::common::DataFusionError) -> Error {
        let state = self.context.state();
        let mut functions: Vec<String> = state.scalar_functions().keys().cloned().collect();
        functions.extend(state.aggregate_functions().keys().cloned());
        functions.extend(state.window_functions().keys().cloned());
        functions.sort();
        functions.dedup();
        let names = Names {
            tables: self.tables(),
            functions,
            table_functions: TABLE_FUNCTIONS.iter().map(|f| f.name.to_string()).collect(),
        };
        failure::convert(error, &names)
    }
}

/// Whether a query's text calls a function: its name, as a word, before a parenthesis.
pub(crate) fn calls(sql: &str, name: &str) -> bool {
    let sql = sql.to_ascii_lowercase();
    let word = |c: char| c.is_alphanumeric() || c == '_';
    sql.match_indices(name).any(|(i, _)| {
        let after = sql[i + name.len()..].trim_start();
        after.starts_with('(') && !sql[..i].ends_with(word)
    })
}

/// The names of the tables in a state, as `Session::tables` gives them, sorted.
pub(crate) fn table_names(state: &SessionState) -> Vec<String> {
    let mut names = Vec::new();
    let Some(catalog) = state.catalog_list().catalog(CATALOG) else { return names };
    for schema_name in catalog.schema_names() {
        let Some(schema) = catalog.schema(&schema_name) else { continue };
        if schema_name == "information_schema" {
            continue;
        }
        for table in schema.table_names().into_iter().filter(|t| !files::is_path(t)) {
            match schema_name.as_str() {
                SCHEMA => names.push(table),
                schema => names.push(format!("{schema}.{table}")),
            }
        }
    }
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::super::testing::{cells, numbers, table};
    use super::*;

    fn session(dir: &Path, threads: usize) -> Session {
        let options = SessionOptions { threads: Some(threads), ..SessionOptions::default() };
        let mut session = Session::new(options).unwrap();
        session.add_table("documents", table(&dir.join("a"), &[&[1, 5, 6], &[8, 9]])).unwrap();
        session.add_table("mix.main", table(&dir.join("b"), &[&[5, 8, 11]])).unwrap();
        // Two parts whose ranges overlap.
        session.add_table("mixed", table(&dir.join("c"), &[&[2, 7, 12], &[1, 8, 9]])).unwrap();
        session
    }

    #[test]
    fn tables_are_found_by_their_names_and_read_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let session = session(dir.path(), 2).serial([]).unwrap();
        assert_eq!(session.tables(), ["documents", "mix.main", "mixed"]);
        let ids = |sql: &str| numbers(&session.query(sql).unwrap());
        assert_eq!(ids("SELECT doc_id FROM documents"), [1, 5, 6, 8, 9]);
        assert_eq!(ids("SELECT doc_id FROM mix.main"), [5, 8, 11]);
        assert_eq!(ids("SELECT doc_id, text FROM mixed"), [1, 2, 7, 8, 9, 12]);
        assert_eq!(ids("SELECT doc_id FROM mixed WHERE doc_id > 7"), [8, 9, 12]);
        assert_eq!(ids("SELECT doc_id FROM mixed WHERE lang = 'yor_Latn'"), [1, 7]);
        assert_eq!(ids("SELECT doc_id FROM documents LIMIT 2"), [1, 5]);
        assert_eq!(ids("SELECT count(*) FROM mixed"), [6]);
        for table in ["documents", "mixed"] {
            let plan = session.plan(&format!("SELECT doc_id FROM {table} ORDER BY doc_id"));
            assert!(!plan.as_ref().unwrap().contains("SortExec"), "{plan:?}");
        }
    }

    #[test]
    fn the_manifest_is_a_table() {
        let dir = tempfile::tempdir().unwrap();
        let session = session(dir.path(), 2);
        let sql = "SELECT rows FROM manifest('documents') ORDER BY first_id";
        assert_eq!(numbers(&session.query(sql).unwrap()), [3, 2]);
        let sql = "SELECT last_id FROM manifest('mix.main')";
        assert_eq!(numbers(&session.query(sql).unwrap()), [11]);
    }

    #[test]
    fn files_are_read_by_path() {
        let dir = tempfile::tempdir().unwrap();
        let session = session(dir.path(), 2);
        let write = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path.to_string_lossy().into_owned()
        };
        let jsonl = "{\"a\": 1, \"t\": \"þ\"}\n{\"a\": 2}\n";
        let zst = zstd::encode_all(jsonl.as_bytes(), 1).unwrap();
        for path in [
            write("x.jsonl", jsonl.as_bytes()),
            write("x.jsonl.zst", &zst),
            write("x y [1].csv", b"a,t\n1,\"two\nlines\"\n2,\n"),
            write("x.tsv", "a\tt\n1\tþ\n2\t\n".as_bytes()),
        ] {
            let ids = numbers(&session.query(&format!("SELECT a FROM '{path}'")).unwrap());
            assert_eq!(ids, [1, 2], "{path}");
            let sql = format!("SELECT count(t) FROM read('{path}') WHERE a < 2");
            assert_eq!(numbers(&session.query(&sql).unwrap()), [1], "{path}");
        }
        let glob = format!("SELECT doc_id FROM '{}/a/*.parquet' ORDER BY 1", dir.path().display());
        assert_eq!(numbers(&session.query(&glob).unwrap()), [1, 5, 6, 8, 9]);
        let folder = format!("SELECT doc_id FROM '{}/b'", dir.path().display());
        assert_eq!(numbers(&session.query(&folder).unwrap()), [5, 8, 11]);
        let path = dir.path().join("x.jsonl");
        std::fs::write(&path, "{\"a\": 7}\n").unwrap();
        let again = format!("SELECT a FROM '{}'", path.display());
        assert_eq!(numbers(&session.query(&again).unwrap()), [7]);
        assert_eq!(session.tables(), ["documents", "mix.main", "mixed"]);
        let error = session.query("SELECT * FROM 'nowhere.jsonl'").unwrap_err();
        assert_eq!(error.to_string(), "nowhere.jsonl: no such file");
    }

    #[test]
    fn a_session_only_reads() {
        let dir = tempfile::tempdir().unwrap();
        let session = session(dir.path(), 1);
        for sql in [
            "CREATE TABLE x AS SELECT 1",
            "DROP TABLE documents",
            "INSERT INTO documents VALUES (1, 'a', 'b')",
            "COPY documents TO 'x.parquet'",
            "SET datafusion.execution.batch_size = 1",
            "CREATE EXTERNAL TABLE x STORED AS CSV LOCATION 'x.csv'",
        ] {
            let error = session.query(sql).unwrap_err();
            assert!(error.to_string().starts_with("a query only reads"), "{sql}: {error}");
        }
        assert_eq!(session.tables(), ["documents", "mix.main", "mixed"]);
        session.query("SHOW TABLES").unwrap();
        session.query("EXPLAIN SELECT 1").unwrap();
    }

    #[test]
    fn a_callback_may_use_the_session() {
        let dir = tempfile::tempdir().unwrap();
        let session = session(dir.path(), 1);
        let mut inner = 0;
        let each = &mut |batch: RecordBatch| {
            let sql = format!("SELECT count(*) FROM documents LIMIT {}", batch.num_rows());
            inner += cells(&session.query(&sql)?).len();
            Ok(())
        };
        session.stream("SELECT * FROM mix.main", each).unwrap();
        assert_eq!(inner, 1);
    }
}
