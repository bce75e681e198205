//! Table functions: what a query reads that is not a table yet.
//!
//! A table function is a constant of the registry [`TABLE_FUNCTIONS`]. It is called while a query
//! is planned, so it only reads its arguments and says what columns there will be; the work is
//! done by the [`Lazy`] table that it returns, when that is scanned. Tables are named by text,
//! options are one struct literal: `near_duplicates('kept', {threshold: 0.8})`.

mod contamination;
mod duplicates;
mod exact_duplicates;
mod lazy;
mod manifest;
mod mixture;
mod near_duplicates;
mod options;
mod order;
mod read;
mod repeated_lines;
mod repeated_spans;
mod spans;

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{Result as PlanResult, ScalarValue, TableReference};
use datafusion::execution::SessionState;
use datafusion::logical_expr::Expr;

pub(crate) use lazy::{Batches, Lazy, Limits};
pub(crate) use options::Options;

use super::failure;
use super::files;
use crate::error::{Error, Result};

/// All table functions, in the order of the listing; a new one is a file and a line here.
pub(crate) const TABLE_FUNCTIONS: &[&TableFunction] = &[
    &read::READ,
    &manifest::MANIFEST,
    &exact_duplicates::EXACT_DUPLICATES,
    &near_duplicates::NEAR_DUPLICATES,
    &repeated_spans::REPEATED_SPANS,
    &repeated_lines::REPEATED_LINES,
    &contamination::CONTAMINATION,
    &mixture::MIXTURE,
];

/// A table function as it is listed and called.
pub struct TableFunction {
    /// Its SQL name.
    pub name: &'static str,
    /// How a call is written.
    pub usage: &'static str,
    /// What its rows are, in one sentence, with the source of the definition.
    pub doc: &'static str,
    /// How many of its first arguments name tables; what a query reads is known from them.
    pub tables: usize,
    /// Its options with their defaults and meanings.
    pub options: &'static [(&'static str, &'static str)],
    /// A query that calls it.
    pub example: &'static str,
    /// Counts the changes of its results; part of the key of every node that calls it.
    pub version: u32,
    /// Reads the arguments and says what table they stand for.
    pub(crate) plan: fn(&Args<'_>) -> Result<Arc<dyn TableProvider>>,
}

/// The arguments of one call.
pub(crate) struct Args<'a> {
    function: &'static TableFunction,
    args: &'a [Expr],
    state: &'a SessionState,
}

/// A table that was named in an argument.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    /// The name as the user wrote it.
    pub name: String,
    /// The name as it is written into a query.
    pub sql: String,
    /// The table.
    pub provider: Arc<dyn TableProvider>,
}

impl Named {
    /// Its columns, strings as views.
    pub fn schema(&self) -> SchemaRef {
        self.provider.schema()
    }

    /// Errors unless the table has all of these columns.
    pub fn require(&self, columns: &[&str]) -> Result<()> {
        let schema = self.schema();
        match columns.iter().find(|c| schema.column_with_name(c).is_none()) {
            Some(missing) => Err(super::provider::unknown_column(&self.name, missing, &schema)),
            None => Ok(()),
        }
    }
}

impl Args<'_> {
    /// The text at a place, which must be there; `what` names it in errors, as `a table's name`.
    pub fn text(&self, place: usize, what: &str) -> Result<String> {
        self.optional_text(place, what)?.ok_or_else(|| {
            self.wrong(format!("argument {} must be {what} in single quotes", place + 1))
        })
    }

    /// The text at a place, if the call goes so far.
    pub fn optional_text(&self, place: usize, what: &str) -> Result<Option<String>> {
        let Some(expr) = self.args.get(place) else { return Ok(None) };
        match options::constant(expr).map(|v| v.try_as_str().flatten().map(str::to_string)) {
            Some(Some(text)) => Ok(Some(text)),
            _ => Err(self.wrong(format!(
                "argument {} must be {what} in single quotes; it is `{expr}`",
                place + 1
            ))),
        }
    }

    /// The struct literal at a place, empty when the call ends before it. `known` are its keys.
    pub fn options(&self, place: usize, known: &[&str]) -> Result<Options> {
        if self.args.len() > place + 1 {
            let n = self.args.len();
            return Err(self.wrong(format!("{n} arguments are too many")));
        }
        let place_of = format!("{}()", self.function.name);
        match self.args.get(place) {
            None => Ok(Options::default()),
            Some(expr) => Options::parse(expr, known).map_err(|e| {
                let e = e.within(place_of);
                match e.hint() {
                    Some(_) => e,
                    None => e.hint_with(format!("write `{}`", self.function.usage)),
                }
            }),
        }
    }

    /// The table whose name stands at a place; a path is opened as a file.
    pub fn table(&self, place: usize) -> Result<Named> {
        self.named(&self.text(place, "a table's name")?)
    }

    /// The table of a name; a path is opened as a file.
    pub fn named(&self, name: &str) -> Result<Named> {
        let reference = parse_name(name);
        let (sql, provider) = match self.find(&reference)? {
            Some(provider) => (reference.to_quoted_string(), provider),
            // A query inside of a plan opens no files by itself.
            None if files::is_path(name) => {
                (format!("read('{}')", name.replace('\'', "''")), self.open(name, None)?)
            }
            None => {
                let names = super::session::table_names(self.state);
                let error = Error::unknown("table", name, names.iter().map(String::as_str));
                return Err(error.within(format!("{}()", self.function.name)));
            }
        };
        Ok(Named { sql, name: name.into(), provider })
    }

    /// The table of a name that hexapla gives, if the session has it; errors when it is damaged.
    pub fn known(&self, name: &str) -> Result<Option<Named>> {
        let reference = parse_name(name);
        let schema = self.state.schema_for_ref(reference.clone());
        if !schema.is_ok_and(|schema| schema.table_exist(reference.table())) {
            return Ok(None);
        }
        let named =
            |provider| Named { sql: reference.to_quoted_string(), name: name.into(), provider };
        Ok(self.find(&reference)?.map(named))
    }

    fn find(&self, reference: &TableReference) -> Result<Option<Arc<dyn TableProvider>>> {
        let found = self.wait(async {
            match self.state.schema_for_ref(reference.clone()) {
                Ok(schema) => schema.table(reference.table()).await,
                Err(_) => Ok(None),
            }
        });
        found.map_err(|e| failure::convert(e, &failure::Names::default()))
    }

    /// The files behind a path or glob as a table.
    pub fn open(&self, path: &str, format: Option<&str>) -> Result<Arc<dyn TableProvider>> {
        self.wait(files::open(path, format, self.state))
    }

    /// An error about the call, with its usage as the hint.
    pub fn wrong(&self, message: impl std::fmt::Display) -> Error {
        Error::usage(format!("{}(): {message}", self.function.name))
            .hint_with(format!("write `{}`", self.function.usage))
    }

    /// Planning is synchronous here and tables are looked up asynchronously; both run on the
    /// session's own runtime, which has threads to spare.
    fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(future))
    }
}

/// A name as tables are registered under: `mix.main` is table `main` of schema `mix`, and names
/// keep their letters.
pub(crate) fn parse_name(name: &str) -> TableReference {
    match name.split_once('.') {
        Some((schema, table)) if !files::is_path(name) && !table.contains('.') => {
            TableReference::partial(schema, table)
        }
        _ => TableReference::bare(name),
    }
}

/// The name of a column as a query writes it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The constant behind DataFusion's trait.
pub(crate) struct Planned(pub &'static TableFunction);

impl std::fmt::Debug for Planned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.name)
    }
}

impl TableFunctionImpl for Planned {
    fn call_with_args(
        &self,
        args: TableFunctionArgs<'_, '_>,
    ) -> PlanResult<Arc<dyn TableProvider>> {
        let Some(state) = args.session().as_any().downcast_ref::<SessionState>() else {
            return datafusion::common::internal_err!("a session without a state");
        };
        let args = Args { function: self.0, args: args.exprs(), state };
        (self.0.plan)(&args).map_err(failure::wrap)
    }
}

/// A scalar as text for error messages.
fn shown(value: &ScalarValue) -> String {
    value.to_string()
}
