//! `repeated_spans('table' [, {…}])`: the stretches of texts that stand in earlier texts too.
//!
//! Exact for any size of input: every window of the given length that stands twice is found.
//! Nothing is removed here; `remove_spans` does that. What it removes still stands elsewhere, letter
//! by letter in the same surroundings, but not always in one piece: a first copy may lose a part
//! that is in another window which stands earlier yet.

use std::sync::Arc;

use datafusion::catalog::TableProvider;

use super::spans::{self, Rule};
use super::{Args, Lazy, TableFunction};
use crate::dedup::spans::anchor::Windows;
use crate::dedup::spans::units::Unit;
use crate::error::{Error, Result};

/// Units of a window, at most.
const LONGEST: u64 = 1 << 20;

/// The option of both functions that says what text is looked at.
pub(super) const COLUMN: (&str, &str) =
    ("column", "'text'; the column of the texts, which of `documents` is found by `doc_id`");
/// The option of both functions that keeps rows apart.
pub(super) const WITHIN: (&str, &str) =
    ("within", "a column of the table: rows of different values in it are never compared");
/// The option of both functions that says who keeps a copy.
pub(super) const ORDER: (&str, &str) = (
    "order",
    "numeric columns of the table, compared as doubles, each with ` asc` or ` desc` (the default): \
     what stands first by them keeps its copy; of equals the text of least hash, of equal texts \
     the least `doc_id`",
);

/// The function.
pub(super) const REPEATED_SPANS: TableFunction = TableFunction {
    name: "repeated_spans",
    usage: "repeated_spans('table' [, {min_length: 100, unit: 'bytes', column: 'text', \
            within: 'column', order: 'column desc'}])",
    doc: "The stretches of a table's texts that stand elsewhere too and can go: `doc_id, start, \
          length, kept_id`, sorted by `doc_id` and `start`, which count code points from 1 as \
          `substr` does. A window of `min_length` units goes when an equal one stands earlier, in \
          the order of documents that `order` begins or in front of it in the same text without \
          overlap; a stretch is a run of windows that go, cut inwards where it would part a \
          letter and its marks. `kept_id` is the document where the first window of the stretch \
          stands first. Texts are compared as they are, byte for byte. Cut them with \
          `remove_spans`. The same as the substring deduplication of Lee et al. (2022, \
          Deduplicating Training Data Makes Language Models Better), except that one copy stays.",
    options: &[
        ("min_length", "100; the units of a window"),
        ("unit", "'bytes'; or 'characters', which are code points"),
        COLUMN,
        WITHIN,
        ORDER,
    ],
    tables: 1,
    example: "SELECT doc_id, sum(length) FROM repeated_spans('kept', {min_length: 200}) \
              GROUP BY doc_id ORDER BY doc_id",
    version: 1,
    plan,
};

fn plan(args: &Args<'_>) -> Result<Arc<dyn TableProvider>> {
    let options = args.options(1, &["min_length", "unit", "column", "within", "order"])?;
    let length = options.uint("min_length", 100)?;
    if !(1..=LONGEST).contains(&length) {
        return Err(args.wrong(format!("option `min_length` must be in 1 to {LONGEST}")));
    }
    let unit = match options.optional_text("unit")?.as_deref() {
        None | Some("bytes") => Unit::Bytes,
        Some("characters") => Unit::Characters,
        Some(other) => return Err(Error::unknown("unit", other, ["bytes", "characters"])),
    };
    table(args, &options, Rule::Windows(Windows::new(length as usize), unit))
}

/// The table of a call.
pub(super) fn table(
    args: &Args<'_>,
    options: &super::Options,
    rule: Rule,
) -> Result<Arc<dyn TableProvider>> {
    let table = args.table(0)?;
    let column = options.optional_text("column")?;
    let within = options.optional_text("within")?;
    let order = options.optional_text("order")?;
    let column = column.as_deref().unwrap_or("text");
    let sql = spans::texts(&table, column, within.as_deref(), order.as_deref())?;
    Ok(Lazy {
        name: args.function.name,
        schema: spans::schema(),
        sorted: true,
        inputs: vec![sql],
        work: Arc::new(move |inputs, limits, emit| spans::run(&rule, inputs, limits, emit)),
    }
    .table())
}
