//! `repeated_lines('table' [, {…}])`: the lines that stand in several documents, such as menus.
//!
//! Lines are compared by their hash, as they are but for white space at their ends.

use std::sync::Arc;

use datafusion::catalog::TableProvider;

use super::repeated_spans::{COLUMN, ORDER, WITHIN, table};
use super::spans::{Lines, Rule};
use super::{Args, TableFunction};
use crate::error::{Error, Result};

/// The function.
pub(super) const REPEATED_LINES: TableFunction = TableFunction {
    name: "repeated_lines",
    usage: "repeated_lines('table' [, {min_documents: 2, min_length: 10, keep: 'first', \
            column: 'text', within: 'column', order: 'column desc'}])",
    doc: "The lines of a table's texts that stand in several documents and can go, each with its \
          line break: `doc_id, start, length, kept_id` as of `repeated_spans`, lines that follow \
          each other as one stretch. White space at the ends of a line does not count. `kept_id` is \
          the document that keeps the first of these lines, null with `keep: 'none'`.",
    options: &[
        ("min_documents", "2; the documents that a line stands in, at least"),
        ("min_length", "10; the code points of a line, at least"),
        ("keep", "'first'; the copy that stays, or 'none'"),
        COLUMN,
        WITHIN,
        ORDER,
    ],
    tables: 1,
    example: "SELECT doc_id, start, length FROM repeated_lines('kept', {min_documents: 10, \
              keep: 'none'})",
    version: 1,
    plan,
};

fn plan(args: &Args<'_>) -> Result<Arc<dyn TableProvider>> {
    let known = ["min_documents", "min_length", "keep", "column", "within", "order"];
    let options = args.options(1, &known)?;
    let documents = options.uint("min_documents", 2)?;
    if documents == 0 {
        return Err(args.wrong("option `min_documents` must be 1 or more"));
    }
    let keep_first = match options.optional_text("keep")?.as_deref() {
        None | Some("first") => true,
        Some("none") => false,
        Some(other) => return Err(Error::unknown("copy to keep", other, ["first", "none"])),
    };
    let least = options.uint("min_length", 10)?;
    table(args, &options, Rule::Lines(Lines { least, documents, keep_first }))
}
