//! Rows of a table by ascending `doc_id`, and cells by column name.
//!
//! Several tables are walked side by side in constant memory; nothing is joined in memory. What
//! goes wrong is told with the table that it went wrong in, so that the others can be shown.

use std::path::PathBuf;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float32Type, Float64Type, Int64Type, UInt32Type, UInt64Type};

use crate::error::{self, Error};
use crate::store::manifest::Part;
use crate::store::table::Table;

/// The result of reading a table.
pub(super) type Result<T> = std::result::Result<T, Fault>;

/// A table that cannot be read, and why.
#[derive(Debug)]
pub(super) struct Fault {
    /// Its folder.
    pub dir: PathBuf,
    /// What is wrong with it.
    pub error: Error,
}

impl Fault {
    /// The fault of a table from an error.
    pub fn of(table: &Table) -> impl Fn(Error) -> Self + '_ {
        |error| Self { dir: table.dir.clone(), error }
    }
}

type Batches<'t> = Box<dyn Iterator<Item = error::Result<RecordBatch>> + 't>;

/// A place in a table, moving towards larger ids.
pub(super) struct Rows<'t> {
    runs: Vec<Run<'t>>,
}

/// A place in parts whose ids ascend from one to the next.
struct Run<'t> {
    table: &'t Table,
    parts: std::vec::IntoIter<&'t Part>,
    batches: Option<Batches<'t>>,
    batch: Option<RecordBatch>,
    row: usize,
}

impl<'t> Rows<'t> {
    /// Stands at the first row.
    pub fn of(table: &'t Table) -> Result<Self> {
        let mut runs = Vec::new();
        for parts in table.runs() {
            let parts = parts.into_iter();
            let mut run = Run { table, parts, batches: None, batch: None, row: 0 };
            run.load()?;
            runs.push(run);
        }
        Ok(Self { runs })
    }

    /// The id of the row at hand; `None` after the last one.
    pub fn id(&self) -> Option<u64> {
        self.runs.iter().filter_map(Run::id).min()
    }

    /// The row at hand.
    pub fn row(&self) -> Option<(&RecordBatch, usize)> {
        let id = self.id()?;
        let run = self.runs.iter().find(|run| run.id() == Some(id))?;
        run.batch.as_ref().map(|batch| (batch, run.row))
    }

    /// Goes to the next row.
    pub fn step(&mut self) -> Result<()> {
        let Some(id) = self.id() else { return Ok(()) };
        match self.runs.iter_mut().find(|run| run.id() == Some(id)) {
            Some(run) => run.step(),
            None => Ok(()),
        }
    }

    /// Goes to the first row whose id is not below `id`, and tells whether it is that id.
    pub fn seek(&mut self, id: u64) -> Result<bool> {
        for run in &mut self.runs {
            while run.id().is_some_and(|at| at < id) {
                run.step()?;
            }
        }
        Ok(self.id() == Some(id))
    }
}

impl Run<'_> {
    fn id(&self) -> Option<u64> {
        self.batch.as_ref().and_then(|batch| uint(batch, "doc_id", self.row))
    }

    fn step(&mut self) -> Result<()> {
        self.row += 1;
        match &self.batch {
            Some(batch) if self.row < batch.num_rows() => Ok(()),
            _ => self.load(),
        }
    }

    fn load(&mut self) -> Result<()> {
        self.row = 0;
        loop {
            match self.batches.as_mut().and_then(Iterator::next) {
                Some(batch) => {
                    let batch = batch.map_err(Fault::of(self.table))?;
                    if batch.num_rows() > 0 {
                        let ids = batch.column_by_name("doc_id").filter(|c| c.null_count() == 0);
                        if ids.and_then(|c| c.as_primitive_opt::<UInt64Type>()).is_none() {
                            let message = "no column `doc_id` of type UInt64 without nulls";
                            let error = Error::input(&self.table.dir, message);
                            return Err(Fault::of(self.table)(error));
                        }
                        self.batch = Some(batch);
                        return Ok(());
                    }
                }
                None => match self.parts.next() {
                    Some(part) => {
                        let batches = self.table.batches(part).map_err(Fault::of(self.table))?;
                        self.batches = Some(Box::new(batches));
                    }
                    None => {
                        self.batch = None;
                        return Ok(());
                    }
                },
            }
        }
    }
}

/// A text cell; `None` when it is null, no text, or there is no such column.
pub(super) fn text<'b>(batch: &'b RecordBatch, column: &str, row: usize) -> Option<&'b str> {
    let column = batch.column_by_name(column).filter(|c| c.is_valid(row))?;
    text_of(column.as_ref(), row)
}

/// A text cell of a column of any string width.
pub(super) fn text_of(column: &dyn Array, row: usize) -> Option<&str> {
    if let Some(strings) = column.as_string_opt::<i32>() {
        return Some(strings.value(row));
    }
    if let Some(strings) = column.as_string_opt::<i64>() {
        return Some(strings.value(row));
    }
    column.as_string_view_opt().map(|strings| strings.value(row))
}

/// A cell of an unsigned or non-negative integer.
pub(super) fn uint(batch: &RecordBatch, column: &str, row: usize) -> Option<u64> {
    let column = batch.column_by_name(column).filter(|c| c.is_valid(row))?;
    if let Some(numbers) = column.as_primitive_opt::<UInt64Type>() {
        return Some(numbers.value(row));
    }
    if let Some(numbers) = column.as_primitive_opt::<UInt32Type>() {
        return Some(u64::from(numbers.value(row)));
    }
    u64::try_from(column.as_primitive_opt::<Int64Type>()?.value(row)).ok()
}

/// A cell of a floating-point number.
pub(super) fn float(batch: &RecordBatch, column: &str, row: usize) -> Option<f64> {
    let column = batch.column_by_name(column).filter(|c| c.is_valid(row))?;
    if let Some(numbers) = column.as_primitive_opt::<Float64Type>() {
        return Some(numbers.value(row));
    }
    Some(f64::from(column.as_primitive_opt::<Float32Type>()?.value(row)))
}

/// The measured language of a row of `measured`: tag and confidence.
pub(super) fn detected(batch: &RecordBatch, row: usize) -> Option<(&str, f64)> {
    let label = batch.column_by_name("detected").filter(|c| c.is_valid(row))?.as_struct_opt()?;
    let lang = label.column_by_name("lang").filter(|c| c.is_valid(row))?;
    let score = label.column_by_name("score").filter(|c| c.is_valid(row))?;
    Some((text_of(lang.as_ref(), row)?, score.as_primitive_opt::<Float64Type>()?.value(row)))
}
