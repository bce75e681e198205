//! Spans that stand elsewhere too, in bounded memory: `repeated_spans` and `repeated_lines`.
//!
//! 1. [`documents`] reads the texts once, writes them to an unnamed file and puts the documents in
//!    an order that depends on the rows alone.
//! 2. [`windows`] or [`lines`] turns the texts into narrow records that are sorted externally, and
//!    finds in them what stands earlier in that order.
//! 3. [`merge`] makes stretches of it, cut between characters, each with the document that keeps
//!    a copy.
//!
//! Every stage reads the file from its beginning to its end, so that nothing is slow when it is
//! larger than memory. The result is a function of the rows and options alone: neither the order
//! the rows come in nor the number of threads or the memory limit changes it.

mod documents;
mod lines;
mod merge;
mod query;
mod windows;

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{RecordBatch, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::{Batches, Limits};
use crate::dedup::spans::anchor::Windows;
use crate::dedup::spans::units::Unit;
use crate::error::{Error, Result};
use crate::store::group::{Sorted, Sorter};
use documents::Documents;
pub(super) use lines::Lines;
pub(super) use query::texts;

/// Rows in a batch of the result.
const BATCH_ROWS: usize = 8192;
/// Memory when there is no limit.
const DEFAULT_MEMORY: usize = 1 << 30;
/// Texts that are read at once, at most and at least.
const TEXTS: (usize, usize) = (64 << 10, 8 << 20);

/// What is looked for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rule {
    /// Windows that stand earlier.
    Windows(Windows, Unit),
    /// Lines that stand in several documents.
    Lines(Lines),
}

/// What was found; places are units among those of all documents.
struct Repeats {
    /// `[start, end, place of a copy of what begins at the start]`, in any number of pieces.
    stretches: Sorted<3>,
    /// `[start, place of the first copy]` of single windows.
    firsts: Sorted<2>,
    /// Units of a single window.
    length: u64,
}

/// What the stages work in.
struct Space {
    /// Where sorts spill.
    dir: PathBuf,
    /// Bytes that all of it may hold.
    memory: usize,
    /// Bytes of text that are read at once; an anchor at each place would be 32 times as much.
    texts: u64,
}

impl Space {
    fn new(limits: &Limits) -> Self {
        let memory = limits.memory.unwrap_or(DEFAULT_MEMORY);
        Self {
            dir: limits.temp.clone().unwrap_or_else(std::env::temp_dir),
            memory,
            texts: (memory / 128).clamp(TEXTS.0, TEXTS.1) as u64,
        }
    }

    /// A sorter with a part of the memory. A sorter that grows holds half as much again for a
    /// moment, one that is read as much again.
    fn sorter<const W: usize>(&self, part: usize) -> Sorter<W> {
        Sorter::new(&self.dir, self.memory / part)
    }
}

/// The columns of the results.
pub(super) fn schema() -> SchemaRef {
    let column = |name: &str, nullable| Field::new(name, DataType::UInt64, nullable);
    Arc::new(Schema::new(vec![
        column("doc_id", false),
        column("start", false),
        column("length", false),
        column("kept_id", true),
    ]))
}

/// Finds the spans in the rows of a query of [`texts`].
pub(super) fn run(
    rule: &Rule,
    inputs: Vec<Batches>,
    limits: &Limits,
    emit: &mut dyn FnMut(RecordBatch) -> Result<()>,
) -> Result<()> {
    let space = Space::new(limits);
    let input = inputs.into_iter().next().ok_or_else(|| Error::internal("no input"))?;
    let threads = rayon::ThreadPoolBuilder::new().num_threads(limits.threads.max(1)).build();
    let threads = threads.map_err(|e| Error::io("starting threads", e))?;
    let rows = threads.install(|| find(rule, input, &space))?;
    let kept = keeps(rule);
    let mut batch = Vec::with_capacity(BATCH_ROWS);
    for row in rows.iter()? {
        batch.push(row?);
        if batch.len() == BATCH_ROWS {
            emit(columns(&batch, kept)?)?;
            batch.clear();
        }
    }
    if batch.is_empty() { Ok(()) } else { emit(columns(&batch, kept)?) }
}

/// Whether a copy stays of everything.
fn keeps(rule: &Rule) -> bool {
    !matches!(rule, Rule::Lines(Lines { keep_first: false, .. }))
}

fn find(rule: &Rule, input: Batches, space: &Space) -> Result<merge::Rows> {
    let (documents, repeats, unit) = match rule {
        Rule::Windows(windows, unit) => {
            let documents = Documents::read(input, *unit, windows.length() as u64, space)?;
            let repeats = windows::repeats(&documents, *windows, *unit, space)?;
            (documents, repeats, *unit)
        }
        Rule::Lines(lines) => {
            let documents = Documents::read(input, Unit::Bytes, lines.least.max(1), space)?;
            let repeats = lines::repeats(&documents, lines, space)?;
            (documents, repeats, Unit::Bytes)
        }
    };
    merge::rows(&documents, &repeats, unit, keeps(rule), space)
}

fn columns(rows: &[[u64; 4]], kept: bool) -> Result<RecordBatch> {
    let column = |i: usize| rows.iter().map(|row| Some(row[i])).collect::<UInt64Array>();
    let keepers = if kept { column(3) } else { UInt64Array::new_null(rows.len()) };
    Ok(RecordBatch::try_new(
        schema(),
        vec![Arc::new(column(0)), Arc::new(column(1)), Arc::new(column(2)), Arc::new(keepers)],
    )?)
}

#[cfg(test)]
mod tests;
