//! `exact_duplicates('table' [, {…}])`: the rows of equal content and which of them to keep.
//!
//! Equal means an equal `content_key`: case, width and white space do not count, all else does,
//! unless another normal form is asked for.
//! Nothing is removed here; a query decides by `keep`.

use std::sync::Arc;

use datafusion::catalog::TableProvider;

use super::duplicates::{self, BY, NORMALIZE, ORDER, WITHIN, WITHIN_LANGUAGE};
use super::{Args, TableFunction};
use crate::error::Result;

/// The function.
pub(super) const EXACT_DUPLICATES: TableFunction = TableFunction {
    name: "exact_duplicates",
    usage: "exact_duplicates('table' [, {within_language: false, within: 'column, …', \
            order: 'column desc, …', by: 'both', normalize: 'content'}])",
    doc: "Every row of a table with its cluster of rows of equal `content_key`: `doc_id, cluster_id, \
          cluster_size, keep, kept_id, similarity, content, superseded`, sorted by `doc_id`. Kept is \
          the first row by the order, then the one with the most characters, of these the one of \
          least content key, of these the least `doc_id`; `similarity` is 1.",
    options: &[WITHIN_LANGUAGE, WITHIN, ORDER, BY, NORMALIZE],
    tables: 1,
    example: "SELECT doc_id FROM exact_duplicates('kept') WHERE NOT keep",
    version: 3,
    plan,
};

fn plan(args: &Args<'_>) -> Result<Arc<dyn TableProvider>> {
    duplicates::table(args, false)
}
