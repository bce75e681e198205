//! A session: tables, functions and limits, and the queries that run under them.
//!
//! The facade is synchronous and speaks Arrow; DataFusion and its runtime stay inside. A session
//! only reads: statements that would define or change anything are refused.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, SchemaProvider, TableProvider};
use datafusion::common::config::Dialect;
use datafusion::common::tree_node::TreeNode;
use datafusion::datasource::ViewTable;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::execution::{SendableRecordBatchStream, SessionState, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::physical_plan::{ExecutionPlan, displayable, execute_stream};
use datafusion::prelude::{SQLOptions, SessionConfig, SessionContext};
use futures::StreamExt;

use super::adapt::{constant_function, scalar_function};
use super::catalog::{Entry, Tables};
use super::damage;
use super::failure::{self, Names, Struct};
use super::merge::{self, MergeJoins};
use super::provider::StoredTable;
use super::remote::Fetched;
use super::spread::SpreadKernels;
use super::table_function::{Planned, TABLE_FUNCTIONS, parse_name};
use super::{files, functions, models, share};
use crate::error::{Error, Result};
use crate::function::{Kernel, Signature};
use crate::store::manifest::MANIFEST;
use crate::store::mmap;
use crate::store::spill::SpillDir;
use crate::store::table::Table;

const CATALOG: &str = "hexapla";
const SCHEMA: &str = "main";

/// Rows per batch: a thousand web pages are some megabytes.
const BATCH_ROWS: usize = 1024;

/// What a session may use.
#[derive(Debug, Clone, Default)]
pub struct SessionOptions {
    /// Bytes that queries may hold; beyond it they spill or fail, and the allocator of the whole
    /// process is made to give large buffers back when they are freed. `None`: no limit.
    pub memory_limit: Option<usize>,
    /// Threads; `None` for as many as there are processors.
    pub threads: Option<usize>,
    /// Where spilled data goes; `None` for the system's temporary folder.
    pub temp: Option<PathBuf>,
    /// What the paths of models and lists are relative to; `None` for the current folder.
    pub dir: Option<PathBuf>,
}

/// The session's number of threads, which plans of one partition do not show.
pub(crate) struct Threads(pub usize);

/// The threads of the session that a plan runs in, whatever its partitions are.
pub(crate) fn threads(context: &TaskContext) -> usize {
    let config = context.session_config();
    config.get_extension::<Threads>().map_or_else(|| config.target_partitions(), |t| t.0)
}

/// Tables, functions and limits.
pub struct Session {
    runtime: Arc<tokio::runtime::Runtime>,
    settings: Settings,
    context: SessionContext,
    kernels: Vec<Arc<dyn Kernel>>,
    tables: BTreeMap<String, Arc<Entry>>,
}

#[derive(Clone)]
struct Settings {
    environment: Arc<RuntimeEnv>,
    threads: usize,
    partitions: usize,
    sort_reservation: usize,
    fetched: Arc<Fetched>,
    /// Held for the sake of its end.
    _spill: Option<Arc<SpillDir>>,
}

impl Session {
    /// A session with the functions of the registry and no tables. Its plans use all threads.
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
            mmap::return_freed();
        }
        if let Some(temp) = &options.temp {
            std::fs::create_dir_all(temp).map_err(|e| Error::io(temp, e))?;
        }
        let spill = SpillDir::create(options.temp.as_deref()).map(Arc::new);
        if let Some(path) = spill.as_ref().map(|s| s.path()).or(options.temp.as_deref()) {
            environment = environment.with_temp_file_path(path);
        }
        let environment =
            environment.build_arc().map_err(|e| failure::convert(e, &Names::default()))?;
        // A sort keeps this much aside for merging what it spilled.
        let sort_reservation = options.memory_limit.map_or(10 << 20, |l| (l / 16).min(10 << 20));
        let partitions = threads;
        let fetched = Arc::new(Fetched::default());
        let settings =
            Settings { environment, threads, partitions, sort_reservation, fetched, _spill: spill };
        let kernels = models::kernels(options.dir.as_deref().unwrap_or(Path::new(".")));
        Self::assemble(Arc::new(runtime), settings, kernels, BTreeMap::new())
    }

    /// The same session with plans of one partition: its rows come in an order that is a function
    /// of the query and the tables alone. `replace` puts other tables under some names.
    pub fn serial<'t>(
        &self,
        replace: impl IntoIterator<Item = (&'t str, Table)>,
    ) -> Result<Session> {
        let mut tables = self.tables.clone();
        for (name, table) in replace {
            let table = StoredTable::new(name, table)?;
            tables.insert(name.into(), Arc::new(Entry::Open(Arc::new(table))));
        }
        let settings = Settings { partitions: 1, ..self.settings.clone() };
        Self::assemble(self.runtime.clone(), settings, self.kernels.clone(), tables)
    }

    fn assemble(
        runtime: Arc<tokio::runtime::Runtime>,
        settings: Settings,
        kernels: Vec<Arc<dyn Kernel>>,
        tables: BTreeMap<String, Arc<Entry>>,
    ) -> Result<Self> {
        let context = context(&settings)?;
        for function in functions::all() {
            context.register_udf(constant_function(function));
        }
        for kernel in &kernels {
            context.register_udf(scalar_function(kernel.clone()));
        }
        for function in TABLE_FUNCTIONS {
            context.register_udtf(function.name, Arc::new(Planned(function)));
        }
        let session = Self { runtime, settings, context, kernels, tables };
        for (name, entry) in &session.tables {
            session.register(name, entry.clone())?;
        }
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
        let table =
            StoredTable::new(name, table).map_err(|e| e.within(format!("table `{name}`")))?;
        self.add(name, Entry::Open(Arc::new(table)))
    }

    /// Adds the table of the store in a folder, which is opened when a query first reads it: what
    /// is wrong with it is an error of that query.
    pub fn add_folder(&mut self, name: &str, dir: &Path) -> Result<()> {
        self.add(name, Entry::folder(name, dir))
    }

    /// Adds the name of a table that is not there yet; queries that read it are told the hint.
    pub fn add_unbuilt(&mut self, name: &str, hint: &str) -> Result<()> {
        self.add(name, Entry::Unbuilt { name: name.into(), hint: hint.into() })
    }

    /// Adds a query under a name; it is part of each query that reads it.
    pub fn add_view(&mut self, name: &str, sql: &str) -> Result<()> {
        let view = ViewTable::new(self.logical(sql)?, Some(sql.into()));
        self.add(name, Entry::Open(Arc::new(view)))
    }

    /// Adds a Parquet, JSON lines, CSV or TSV file (also `.gz`, `.zst`), a glob of them, a folder
    /// that holds a table, or the URL of any of these.
    pub fn add_file(&mut self, name: &str, path: &Path) -> Result<()> {
        let state = self.context.state();
        let path = path.to_string_lossy();
        let provider = self.runtime.block_on(files::open(&path, None, &state))?;
        self.add(name, Entry::Open(provider))
    }

    /// The names of the tables, sorted.
    pub fn tables(&self) -> Vec<String> {
        self.tables.iter().filter(|(_, e)| e.exists()).map(|(name, _)| name.clone()).collect()
    }

    /// The columns of a table, which is opened.
    pub fn table_schema(&self, name: &str) -> Result<SchemaRef> {
        let names = self.tables();
        let unknown = || Error::unknown("table", name, names.iter().map(String::as_str));
        Ok(self.tables.get(name).ok_or_else(unknown)?.open()?.schema())
    }

    /// The table of the store behind a name, if it is one that a query has read.
    pub fn stored(&self, name: &str) -> Option<&Table> {
        self.tables.get(name)?.opened()?.downcast_ref::<StoredTable>().map(StoredTable::table)
    }

    /// The scalar functions of hexapla in this session: the registry's, then those added.
    pub fn signatures(&self) -> Vec<&Signature> {
        // One that is added takes the place of the registry's.
        let added = |name: &str| self.kernels.iter().any(|k| k.signature().name == name);
        let registry = functions::all().map(|f| &f.signature).filter(|s| !added(s.name));
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
        let mut rows = self.rows(sql)?;
        let mut batches = rows.by_ref().collect::<Result<Vec<_>>>()?;
        if batches.is_empty() {
            batches.push(RecordBatch::new_empty(rows.schema()));
        }
        Ok(batches)
    }

    /// Hands the rows of a query to `each` as they come and returns their schema.
    pub fn stream(
        &self,
        sql: &str,
        each: &mut dyn FnMut(RecordBatch) -> Result<()>,
    ) -> Result<SchemaRef> {
        let mut rows = self.rows(sql)?;
        rows.by_ref().try_for_each(|batch| each(batch?))?;
        Ok(rows.schema())
    }

    /// The rows of a query as they come, batch by batch; the query may be bigger than memory. Rows
    /// that are only selected come in the order of their table; those of aggregates, windows and
    /// sorts are made by all threads and have the order that the query asks for.
    pub fn rows(&self, sql: &str) -> Result<Rows<'_>> {
        let plan = self.physical(sql)?;
        let _inside = self.runtime.enter();
        let stream = execute_stream(plan.clone(), self.context.task_ctx());
        Ok(Rows { session: self, plan, stream: stream.map_err(|e| self.failed(e))? })
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

    fn add(&mut self, name: &str, entry: Entry) -> Result<()> {
        let entry = Arc::new(entry);
        self.tables.insert(name.into(), entry.clone());
        self.register(name, entry)
    }

    fn register(&self, name: &str, entry: Arc<Entry>) -> Result<()> {
        let reference = parse_name(name).resolve(CATALOG, SCHEMA);
        let catalog = match self.context.catalog(CATALOG) {
            Some(catalog) => catalog,
            None => {
                let catalog: Arc<dyn CatalogProvider> = Arc::new(MemoryCatalogProvider::new());
                self.context.register_catalog(CATALOG, catalog.clone());
                catalog
            }
        };
        // DataFusion begins with an empty schema of its own kind, which opens nothing late.
        let ours = catalog.schema(&reference.schema).filter(|schema| schema.is::<Tables>());
        let schema = match ours {
            Some(schema) => schema,
            None => {
                let schema: Arc<dyn SchemaProvider> = Arc::new(Tables::default());
                let added = catalog.register_schema(&reference.schema, schema.clone());
                added.map_err(|e| self.failed(e))?;
                schema
            }
        };
        if let Some(tables) = schema.downcast_ref::<Tables>() {
            tables.put(&reference.table, entry);
        }
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
            for reference in &references {
                // Opened anew each time: the file may have changed since an earlier query.
                let name = reference.table();
                let known = self.tables.get(name).is_some_and(|entry| entry.exists());
                let folder = || Path::new(name).join(MANIFEST).is_file();
                if !known && reference.schema().is_none() && (files::is_path(name) || folder()) {
                    let provider = files::open(name, None, &state).await?;
                    self.register(name, Arc::new(Entry::Open(provider)))?;
                }
            }
            let plan = match state.statement_to_plan(statement).await {
                Ok(plan) => plan,
                Err(e) => {
                    let structs = self.structs(sql).await;
                    return Err(failure::convert(e, &Names { structs, ..self.names() }));
                }
            };
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
        let mut state = self.context.state();
        if !gathers(&logical).map_err(|e| self.failed(e))? {
            state.config_mut().options_mut().execution.target_partitions = 1;
        }
        let physical = self.runtime.block_on(share::physical_plan(&state, &logical));
        physical.map_err(|e| {
            // Some wrong names are found only when the plan is optimized.
            let structs = self.runtime.block_on(self.structs(sql));
            failure::convert(e, &Names { structs, ..self.names() })
        })
    }

    /// The name under which a table was added.
    pub(crate) fn name_of(&self, provider: &Arc<dyn TableProvider>) -> Option<String> {
        let is = |entry: &Entry| entry.opened().is_some_and(|p| Arc::ptr_eq(p, provider));
        self.tables.iter().find(|(_, entry)| is(entry)).map(|(name, _)| name.clone())
    }

    /// The threads that work on a query or on several parts at once.
    pub fn threads(&self) -> usize {
        self.settings.threads
    }

    pub(crate) fn failed(&self, error: datafusion::common::DataFusionError) -> Error {
        failure::convert(error, &self.names())
    }

    fn names(&self) -> Names {
        let state = self.context.state();
        let mut functions: Vec<String> = state.scalar_functions().keys().cloned().collect();
        functions.extend(state.aggregate_functions().keys().cloned());
        functions.extend(state.window_functions().keys().cloned());
        functions.sort();
        functions.dedup();
        Names {
            tables: self.tables(),
            unbuilt: self
                .tables
                .iter()
                .filter(|(_, e)| !e.exists())
                .map(|(n, _)| n.clone())
                .collect(),
            functions,
            table_functions: TABLE_FUNCTIONS.iter().map(|f| f.name.to_string()).collect(),
            structs: Vec::new(),
        }
    }

    /// The structs that a query can ask for a field: columns of its tables, results of its
    /// functions.
    async fn structs(&self, sql: &str) -> Vec<Struct> {
        let state = self.context.state();
        let statement = state.sql_to_statement(sql, &Dialect::Generic);
        let references = statement.and_then(|s| state.resolve_table_references(&s));
        let mut found = Vec::new();
        let mut see = |name: &str, ty: &DataType| {
            if let DataType::Struct(fields) = ty {
                found.push(Struct {
                    name: name.into(),
                    fields: fields.iter().map(|f| f.name().clone()).collect(),
                    mentioned: mentions(sql, name, ""),
                });
            }
        };
        for reference in references.unwrap_or_default() {
            let Ok(schema) = state.schema_for_ref(reference.clone()) else { continue };
            // A table that cannot be read has its own error.
            let Ok(Some(table)) = schema.table(reference.table()).await else { continue };
            table.schema().fields().iter().for_each(|f| see(f.name(), f.data_type()));
        }
        for signature in self.signatures().into_iter().filter(|s| calls(sql, s.name)) {
            see(signature.name, &(signature.returns)());
        }
        found
    }
}

/// The rows of a running query; empty batches are passed over.
pub struct Rows<'s> {
    session: &'s Session,
    plan: Arc<dyn ExecutionPlan>,
    stream: SendableRecordBatchStream,
}

impl Rows<'_> {
    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        self.stream.schema()
    }
}

impl Iterator for Rows<'_> {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            // Whoever takes the rows does so outside of the runtime and may use the session.
            match self.session.runtime.block_on(self.stream.next())? {
                Ok(batch) if batch.num_rows() == 0 => {}
                Ok(batch) => return Some(Ok(batch)),
                Err(e) => return Some(Err(self.session.failed(damage::located(e, &self.plan)))),
            }
        }
    }
}

/// A context with hexapla's settings and DataFusion's own functions.
fn context(settings: &Settings) -> Result<SessionContext> {
    let mut config = SessionConfig::new()
        .with_batch_size(BATCH_ROWS)
        .with_target_partitions(settings.partitions)
        .with_default_catalog_and_schema(CATALOG, SCHEMA)
        .with_information_schema(true)
        .with_extension(Arc::new(Threads(settings.threads)))
        .with_extension(settings.fetched.clone());
    let options = config.options_mut();
    // With it, a filter and two fields of a struct function evaluate the function three times.
    options.optimizer.enable_leaf_expression_pushdown = false;
    options.execution.sort_spill_reservation_bytes = settings.sort_reservation;
    let mut rules = PhysicalOptimizer::new().rules;
    let place = rules.iter().position(|r| r.name() == merge::BEFORE).ok_or_else(|| {
        Error::internal(format!("DataFusion has no rule `{}` any more", merge::BEFORE))
    })?;
    rules.insert(place, Arc::new(MergeJoins));
    rules.insert(0, Arc::new(SpreadKernels::Projections));
    rules.push(Arc::new(SpreadKernels::Filters));
    let state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(settings.environment.clone())
        .with_default_features()
        .with_physical_optimizer_rules(rules)
        .build();
    Ok(SessionContext::new_with_state(state))
}

/// Whether a plan gathers rows before it gives any: only then are threads worth an order.
fn gathers(plan: &LogicalPlan) -> datafusion::common::Result<bool> {
    plan.exists(|node| {
        Ok(matches!(
            node,
            LogicalPlan::Aggregate(_)
                | LogicalPlan::Sort(_)
                | LogicalPlan::Window(_)
                | LogicalPlan::Distinct(_)
        ))
    })
}

/// Whether a query's text calls a function: its name, as a word, before a parenthesis.
pub(crate) fn calls(sql: &str, name: &str) -> bool {
    mentions(sql, name, "(")
}

/// Whether a name stands in a query's text as a word, with `after` behind it.
fn mentions(sql: &str, name: &str, after: &str) -> bool {
    let sql = sql.to_ascii_lowercase();
    let word = |c: char| c.is_alphanumeric() || c == '_';
    sql.match_indices(name).any(|(i, _)| {
        let rest = &sql[i + name.len()..];
        !sql[..i].ends_with(word) && !rest.starts_with(word) && rest.trim_start().starts_with(after)
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
mod tests;
