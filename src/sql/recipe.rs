//! Query files: a header that says what a query reads, makes and may be told, then one `SELECT`.
//!
//! Parameters become typed literals in the syntax tree, never pasted text, so they also reach the
//! arguments of table functions. Nothing is executed here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use datafusion::sql::sqlparser::ast::{
    DictionaryField, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName,
    Statement, TableFactor, Value, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::files;
use super::params::{self, quoted};
use crate::error::{Error, Result};

pub use super::params::{Param, ParamType, ParamValue, Scalar};

macro_rules! queries {
    ($($name:literal),+ $(,)?) => {
        /// The built-in queries' files with their text, in the order of the flow.
        pub const QUERIES: &[(&str, &str)] = &[
            $((concat!($name, ".sql"), include_str!(concat!("../../queries/", $name, ".sql")))),+
        ];
    };
}

queries!(
    "measured",
    "kept",
    "signatures",
    "deduped",
    "pairs_measured",
    "pairs_kept",
    "pairs_signatures",
    "pairs_deduped",
    "contaminated",
    "split",
    "sized",
    "sizes",
    "selection",
);

/// A query with its header.
#[derive(Debug, Clone)]
pub struct Query {
    /// The table it makes.
    pub name: String,
    /// The tables it reads.
    pub inputs: Vec<String>,
    /// What it may be told.
    pub params: Vec<Param>,
    /// What the table is, in one sentence.
    pub doc: String,
    /// The `SELECT`, without the header; of a `-- run:` query, what its command is given.
    pub sql: String,
    /// The command of a `-- run:` query, which makes the table from those rows.
    pub run: Option<String>,
    /// The whole file.
    pub text: String,
    /// Where it comes from.
    pub origin: Origin,
    /// The queries below that it is a layer over, the nearest first.
    pub layers: Vec<Query>,
}

/// Where a query comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// It is part of hexapla.
    BuiltIn,
    /// It is a file of the project.
    Project(PathBuf),
}

impl Query {
    /// Reads a query file's text; `place` is named in errors.
    pub fn parse(text: &str, place: &str, origin: Origin) -> Result<Self> {
        let mut query = Query {
            name: String::new(),
            inputs: Vec::new(),
            params: Vec::new(),
            doc: String::new(),
            sql: String::new(),
            run: None,
            text: text.into(),
            origin,
            layers: Vec::new(),
        };
        let mut lines = text.lines().enumerate().peekable();
        while let Some((number, line)) =
            lines.next_if(|(_, l)| l.trim().is_empty() || l.trim_start().starts_with("--"))
        {
            let line = line.trim().trim_start_matches('-').trim();
            query.header(line).map_err(|e| e.within(format!("{place}: line {}", number + 1)))?;
        }
        query.sql = lines.map(|(_, l)| l).collect::<Vec<_>>().join("\n");
        query.sql = query.sql.trim().trim_end_matches(';').trim_end().to_string();
        if query.name.is_empty() {
            // The file's name stands in where a header says nothing, as in a plain check.
            let stem = Path::new(place).file_stem().map(|s| s.to_string_lossy().into_owned());
            query.name = stem.unwrap_or_default();
        }
        if let (Some(_), true, [input]) = (&query.run, query.sql.is_empty(), &query.inputs[..]) {
            query.sql = format!("SELECT * FROM {input}");
        }
        if query.run.is_some() && query.sql.is_empty() {
            return Err(Error::usage("a `-- run:` query needs the one table that it reads")
                .within(place)
                .hint_with("name it in `-- in:`, or write the SELECT whose rows it gets"));
        }
        if query.sql.is_empty() {
            return Err(Error::usage("no query")
                .within(place)
                .hint_with("a query file has a header of `--` lines and then one SELECT"));
        }
        Ok(query)
    }

    fn header(&mut self, line: &str) -> Result<()> {
        let Some((key, rest)) = line.split_once(':') else { return Ok(()) };
        let (key, rest) = (key.trim(), rest.trim());
        let list = || rest.split(',').map(|s| s.trim().to_string()).filter(|s| !s.is_empty());
        match key {
            "in" => self.inputs.extend(list()),
            "out" => self.name = rest.into(),
            "run" => self.run = Some(rest.into()),
            "param" => self.params.push(params::parse(rest)?),
            // The first line: `-- kept: what the table is.`
            _ if self.doc.is_empty() && !key.contains(' ') => {
                if self.name.is_empty() {
                    self.name = key.into();
                }
                self.doc = rest.into();
            }
            // Any other remark.
            _ => {}
        }
        Ok(())
    }
}

/// The query files of a folder, by file name; none when there is no folder.
pub fn read_dir(dir: &Path) -> Result<Vec<Query>> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::io(dir, e)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| Error::io(dir, e))?.path();
        if path.extension().is_some_and(|e| e == "sql") {
            paths.push(path);
        }
    }
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).map_err(|e| Error::io(&path, e))?;
            let place = path.display().to_string();
            let mut query = Query::parse(&text, &place, Origin::Project(path.clone()))?;
            // Wrong SQL is told now, with its file, not in the middle of a run. What is read comes
            // first, whether the header says so or not.
            for table in tables_read(&query.sql).map_err(|e| e.within(&place))? {
                if !files::is_path(&table) && !query.inputs.contains(&table) {
                    query.inputs.push(table);
                }
            }
            Ok(query)
        })
        .collect()
}

/// The queries in force: a project's query replaces the built-in one of the same name, or is a
/// layer over it when it reads the table that it makes.
pub fn resolve(project: &[Query]) -> Result<Vec<Query>> {
    let mut queries = QUERIES
        .iter()
        .map(|(file, text)| Query::parse(text, file, Origin::BuiltIn))
        .collect::<Result<Vec<_>>>()?;
    // The names of the files are decoration: what is layered over comes before its layers.
    let (layers, whole): (Vec<&Query>, Vec<&Query>) =
        project.iter().partition(|q| q.inputs.contains(&q.name));
    for query in whole.into_iter().chain(layers) {
        let mut query = query.clone();
        let below = queries.iter().position(|q| q.name == query.name);
        match (below, query.inputs.contains(&query.name)) {
            (Some(i), true) if query.run.is_some() || queries[i].run.is_some() => {
                return Err(Error::usage(format!(
                    "`{}`: a command is no layer and has none",
                    query.name
                ))
                .hint_with("give one of the two another `-- out:`"));
            }
            (Some(i), true) => {
                let below = queries[i].clone();
                query.inputs.retain(|t| *t != query.name);
                for input in &below.inputs {
                    if !query.inputs.contains(input) {
                        query.inputs.push(input.clone());
                    }
                }
                for param in &below.params {
                    if !query.params.iter().any(|p| p.name == param.name) {
                        query.params.push(param.clone());
                    }
                }
                query.sql = over(&query.sql, &query.name, &below.sql)?;
                query.layers.push(below);
                queries[i] = query;
            }
            (Some(i), false) => {
                if let (Origin::Project(a), Origin::Project(b)) =
                    (&queries[i].origin, &query.origin)
                {
                    return Err(Error::usage(format!(
                        "`{}` is made by both {} and {}",
                        query.name,
                        a.display(),
                        b.display()
                    ))
                    .hint_with("give one of them another `-- out:`"));
                }
                queries[i] = query;
            }
            (None, true) => {
                return Err(Error::usage(format!(
                    "`{}` reads itself, but nothing is below it",
                    query.name
                )));
            }
            (None, false) => queries.push(query),
        }
    }
    Ok(queries)
}

/// A query with its parameters and the seed in place, and `pick` written out.
///
/// Errors for a parameter that is not given, and for a keyed one outside of `pick`.
pub fn bind(sql: &str, params: &BTreeMap<String, ParamValue>, seed: u64) -> Result<String> {
    let mut statement = statement(sql)?;
    let mut params = params.clone();
    // SQL literals are signed; a seed keeps its bits.
    params.insert("seed".into(), ParamValue::Scalar(Scalar::Int(seed as i64)));
    let mut binder = Binder { params: &params };
    match VisitMut::visit(&mut statement, &mut binder) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(statement.to_string()),
    }
}

/// Checks values against the types that a query declares; whole numbers become doubles where
/// doubles are declared.
pub fn typed(
    query: &Query,
    params: BTreeMap<String, ParamValue>,
) -> Result<BTreeMap<String, ParamValue>> {
    params
        .into_iter()
        .map(|(name, value)| {
            let Some(param) = query.params.iter().find(|p| p.name == name) else {
                let known = query.params.iter().map(|p| p.name.as_str());
                return Err(Error::unknown("parameter", &name, known).within(&query.name));
            };
            let ty = param.ty.name();
            let typed = value.typed(param.ty).ok_or_else(|| {
                Error::usage(format!(
                    "parameter `{}.{name}` is {}; expected a {ty}",
                    query.name,
                    value.to_json()
                ))
            })?;
            Ok((name, typed))
        })
        .collect()
}

/// The tables that a query reads, sorted; those that it defines itself and table functions are
/// none, but the table that a table function is told in its first argument is one.
pub fn tables_read(sql: &str) -> Result<Vec<String>> {
    let mut statement = statement(sql)?;
    let mut tables = Tables::default();
    // Nothing breaks: the walk only collects.
    let _ = VisitMut::visit(&mut statement, &mut tables);
    let Tables { named, defined } = tables;
    Ok(named.difference(&defined).cloned().collect())
}

pub(super) fn statement(sql: &str) -> Result<Statement> {
    let mut statements = Parser::parse_sql(&GenericDialect {}, sql)
        .map_err(|e| Error::usage(e.to_string().trim_start_matches("sql parser error: ")))?;
    match (statements.pop(), statements.is_empty()) {
        (Some(statement @ Statement::Query(_)), true) => Ok(statement),
        (Some(_), true) => Err(Error::usage("only a SELECT can make a table")),
        _ => Err(Error::usage("expected one SELECT")),
    }
}

struct Binder<'a> {
    params: &'a BTreeMap<String, ParamValue>,
}

impl Binder<'_> {
    fn value(&self, placeholder: &str) -> Result<&ParamValue> {
        let name = placeholder.trim_start_matches('$');
        self.params.get(name).ok_or_else(|| {
            let known = self.params.keys().map(String::as_str);
            Error::unknown("parameter", placeholder, known)
                .hint_with(format!("declare it in the header: `-- param: {name} double = …`"))
        })
    }

    fn replaced(&self, expr: &Expr) -> Result<Option<Expr>> {
        if let Some(placeholder) = placeholder(expr) {
            return match self.value(placeholder)? {
                ParamValue::Scalar(value) => expression(&value.literal()).map(Some),
                ParamValue::Keyed { .. } => Err(Error::usage(format!(
                    "parameter `{placeholder}` is keyed; it must be read by `pick({placeholder}, source, …)`"
                ))),
            };
        }
        let Expr::Function(call) = expr else { return Ok(None) };
        if !call.name.to_string().eq_ignore_ascii_case("pick") {
            return Ok(None);
        }
        let mut args = Vec::new();
        if let FunctionArguments::List(list) = &call.args {
            for arg in &list.args {
                match arg {
                    FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)) => args.push(arg),
                    _ => return Err(Error::usage(format!("`{call}`: plain arguments only"))),
                }
            }
        }
        let Some((first, keys)) = args.split_first() else {
            return Err(Error::usage("`pick()` needs a parameter and keys"));
        };
        let Some(placeholder) = placeholder(first) else {
            return Err(Error::usage(format!("`{call}`: the first argument must be a parameter")));
        };
        match self.value(placeholder)? {
            ParamValue::Scalar(value) => expression(&value.literal()).map(Some),
            ParamValue::Keyed { default, keys: values } => {
                let mut choices: Vec<String> = Vec::new();
                for key in keys.iter().filter(|_| !values.is_empty()) {
                    let whens: Vec<String> = values
                        .iter()
                        .map(|(k, v)| format!("WHEN {} THEN {}", quoted(k), v.literal()))
                        .collect();
                    choices.push(format!("CASE {key} {} END", whens.join(" ")));
                }
                choices.push(default.literal());
                expression(&format!("coalesce({})", choices.join(", "))).map(Some)
            }
        }
    }
}

impl VisitorMut for Binder<'_> {
    type Break = Error;

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Error> {
        match self.replaced(expr) {
            Ok(Some(new)) => *expr = new,
            Ok(None) => {}
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    }
}

fn placeholder(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::Placeholder(name) => Some(name),
            _ => None,
        },
        _ => None,
    }
}

pub(super) fn expression(text: &str) -> Result<Expr> {
    Parser::new(&GenericDialect {})
        .try_with_sql(text)
        .and_then(|mut parser| parser.parse_expr())
        .map_err(|e| Error::internal(format!("literal `{text}`: {e}")))
}

#[derive(Default)]
struct Tables {
    named: BTreeSet<String>,
    defined: BTreeSet<String>,
}

impl VisitorMut for Tables {
    type Break = ();

    fn pre_visit_query(
        &mut self,
        query: &mut datafusion::sql::sqlparser::ast::Query,
    ) -> ControlFlow<()> {
        for table in query.with.iter().flat_map(|w| &w.cte_tables) {
            self.defined.insert(identifier(&table.alias.name));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let TableFactor::Table { name, args, .. } = factor else {
            return ControlFlow::Continue(());
        };
        match args {
            None => drop(self.named.insert(plain(name))),
            Some(args) => {
                // Table functions name their table as text: near_duplicates('kept', {…}).
                if let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value)))) =
                    args.args.first()
                    && let Value::SingleQuotedString(table) = &value.value
                    && !plain(name).eq_ignore_ascii_case("read")
                {
                    self.named.insert(table.clone());
                }
                for arg in &args.args {
                    if let FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Dictionary(options))) =
                        arg
                    {
                        self.named.extend(options.iter().filter_map(table_option));
                    }
                }
            }
        }
        ControlFlow::Continue(())
    }
}

/// The table that an option of a table function names.
fn table_option(option: &DictionaryField) -> Option<String> {
    let Expr::Value(value) = option.value.as_ref() else { return None };
    match &value.value {
        Value::SingleQuotedString(table)
            if matches!(option.key.value.as_str(), "against" | "signatures") =>
        {
            Some(table.clone())
        }
        _ => None,
    }
}

/// A table's name as it is registered: without quotes.
fn plain(name: &ObjectName) -> String {
    let parts: Vec<String> = name.0.iter().filter_map(|p| p.as_ident().map(identifier)).collect();
    parts.join(".")
}

/// A name in lower case unless it is quoted, as the planner takes it.
fn identifier(name: &Ident) -> String {
    match name.quote_style {
        None => name.value.to_lowercase(),
        Some(_) => name.value.clone(),
    }
}

/// A query over a table that is itself another query: reads of `table` become reads of `below`.
fn over(sql: &str, table: &str, below: &str) -> Result<String> {
    struct Over<'a>(&'a str, &'a str);
    impl VisitorMut for Over<'_> {
        type Break = Error;

        fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
            let TableFactor::Table { name, args: None, alias, .. } = factor else {
                return ControlFlow::Continue(());
            };
            if plain(name) != self.0 {
                return ControlFlow::Continue(());
            }
            let alias = alias.as_ref().map_or(self.0.to_string(), |a| a.name.to_string());
            let text = format!("SELECT * FROM ({}) AS {alias}", self.1);
            match statement(&text) {
                Ok(Statement::Query(query)) => {
                    if let datafusion::sql::sqlparser::ast::SetExpr::Select(select) = *query.body
                        && let Some(from) = select.from.into_iter().next()
                    {
                        *factor = from.relation;
                    }
                    ControlFlow::Continue(())
                }
                Ok(_) => ControlFlow::Continue(()),
                Err(error) => ControlFlow::Break(error),
            }
        }
    }
    let mut statement = statement(sql)?;
    match VisitMut::visit(&mut statement, &mut Over(table, below)) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(statement.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyed(json: &str) -> BTreeMap<String, ParamValue> {
        let value = ParamValue::from_json(&serde_json::from_str(json).unwrap()).unwrap();
        BTreeMap::from([("p".to_string(), value)])
    }

    #[test]
    fn every_built_in_query_parses_and_says_what_it_is() {
        for query in resolve(&[]).unwrap() {
            assert!(!query.doc.is_empty(), "{}", query.name);
            let params = query.params.iter().map(|p| (p.name.clone(), p.default.clone())).collect();
            let bound = bind(&query.sql, &params, 7).unwrap();
            assert!(!bound.contains('$'), "{bound}");
            // Table functions read more tables than the text names: the texts of the ids.
            for table in tables_read(&bound).unwrap() {
                assert!(query.inputs.contains(&table), "{}: `in:` lacks {table}", query.name);
            }
        }
    }

    #[test]
    fn parameters_reach_table_functions_and_pick() {
        let params = keyed("0.8");
        assert_eq!(
            bind("SELECT * FROM f('kept', {threshold: $p})", &params, 1).unwrap(),
            "SELECT * FROM f('kept', {threshold: 0.8})"
        );
        let params = keyed(r#"{"default": 1.0, "cc": 2.0, "isl_Latn": 0.5}"#);
        assert_eq!(
            bind("SELECT pick($p, source, lang) FROM t", &params, 1).unwrap(),
            "SELECT coalesce(CASE source WHEN 'cc' THEN 2.0 WHEN 'isl_Latn' THEN 0.5 END, \
             CASE lang WHEN 'cc' THEN 2.0 WHEN 'isl_Latn' THEN 0.5 END, 1.0) FROM t"
        );
        let error = bind("SELECT $p", &params, 1).unwrap_err();
        assert!(error.to_string().contains("is keyed"), "{error}");
        let error = bind("SELECT $q", &params, 1).unwrap_err();
        assert!(error.to_string().starts_with("unknown parameter `$q`"), "{error}");
    }

    #[test]
    fn a_text_parameter_is_a_literal_whatever_it_says() {
        let params = keyed(r#""x' OR '1'='1""#);
        assert_eq!(
            bind("SELECT a FROM t WHERE a = $p", &params, 1).unwrap(),
            "SELECT a FROM t WHERE a = 'x'' OR ''1''=''1'"
        );
    }

    #[test]
    fn a_layer_reads_the_version_below() {
        let text = "-- kept: stricter.\n-- in: kept\n-- out: kept\nSELECT doc_id, reason FROM kept";
        let layer = Query::parse(text, "q.sql", Origin::Project("q.sql".into())).unwrap();
        let queries = resolve(&[layer]).unwrap();
        let kept = queries.iter().find(|q| q.name == "kept").unwrap();
        assert_eq!(kept.inputs, ["measured"]);
        assert_eq!(kept.layers.len(), 1);
        assert!(kept.params.iter().any(|p| p.name == "min_confidence"));
        assert!(kept.sql.contains("FROM measured"), "{}", kept.sql);
    }

    #[test]
    fn a_malformed_header_is_told_with_its_line() {
        let text = "-- kept: x.\n-- param: threshold doubel = 1\nSELECT 1";
        let error = Query::parse(text, "queries/kept.sql", Origin::BuiltIn).unwrap_err();
        assert!(error.to_string().starts_with("queries/kept.sql: line 2: unknown type `doubel`"));
        assert_eq!(error.hint(), Some("did you mean `double`?"));
    }
}
