//! `exact_duplicates('table' [, {…}])`: the rows of equal content and which of them to keep.
//!
//! Equal means an equal `content_key`: case, width and white space do not count, all else does.
//! Nothing is removed here; a query decides by `keep`.

use std::sync::Arc;

use datafusion::catalog::TableProvider;

use super::duplicates::{self, ORDER, Rule, WITHIN_LANGUAGE};
use super::{Args, TableFunction};
use crate::error::Result;

/// The function.
pub(super) const EXACT_DUPLICATES: TableFunction = TableFunction {
    name: "exact_duplicates",
    usage: "exact_duplicates('table' [, {within_language: false, order: 'column desc'}])",
    doc: "Every row of a table with its cluster of rows of equal `content_key`: `doc_id, cluster_id, \
          cluster_size, keep, kept_id, similarity`, sorted by `doc_id`. Kept is the row with the most \
          characters, of these the one of least content key, of these the least `doc_id`.",
    options: &[WITHIN_LANGUAGE, ORDER],
    tables: 1,
    example: "SELECT doc_id FROM exact_duplicates('kept') WHERE NOT keep",
    version: 1,
    plan,
};

fn plan(args: &Args<'_>) -> Result<Arc<dyn TableProvider>> {
    let table = args.table(0)?;
    let options = args.options(1, &["within_language", "order"])?;
    let within_language = options.bool("within_language", false)?;
    let order = options.optional_text("order")?;
    duplicates::table(args, &table, order, Rule { within_language, near: None })
}
