//! `read('glob' [, {format: …}])`: files as a table, without ingesting them.
//!
//! Parquet, JSON lines, CSV and TSV, also compressed. Other corpus formats are ingested.

use super::{Args, TableFunction};
use crate::error::Result;
use datafusion::catalog::TableProvider;
use std::sync::Arc;

/// The function.
pub(super) const READ: TableFunction = TableFunction {
    name: "read",
    usage: "read('glob' [, {format: 'parquet' | 'jsonl' | 'csv' | 'tsv'}])",
    doc: "The rows of the files that a path or glob stands for, with the columns they have.",
    tables: 0,
    options: &[("format", "the format; told from the name by default")],
    example: "SELECT count(*) FROM read('tables/documents/*.parquet')",
    version: 1,
    plan,
};

fn plan(args: &Args<'_>) -> Result<Arc<dyn TableProvider>> {
    let path = args.text(0, "a path or glob")?;
    let format = args.options(1, &["format"])?.optional_text("format")?;
    args.open(&path, format.as_deref())
}
