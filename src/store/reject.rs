//! Rows that could not be read: a part of `errors/` beside the part that was read.
//!
//! Nothing is written while nothing is rejected.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BinaryBuilder, RecordBatch, StringBuilder, UInt32Builder, UInt64Builder,
};
use arrow::datatypes::{SchemaRef, UInt32Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::manifest::Part;
use super::part::PartWriter;
use crate::error::{Error, Result};
use crate::schema;

/// The folder of the parts inside that of their table.
pub const ERRORS: &str = "errors/";
/// How much of a row is kept, in bytes.
pub const RAW: usize = 4 << 10;
/// Rows that are held in memory.
const BATCH: u64 = 1024;

/// The rejected rows of one part.
pub struct Rejects {
    dir: PathBuf,
    key: String,
    schema: SchemaRef,
    writer: Option<PartWriter>,
    rows: u64,
    paths: StringBuilder,
    offsets: UInt64Builder,
    numbers: UInt32Builder,
    reasons: StringBuilder,
    raw: BinaryBuilder,
}

impl Rejects {
    /// For the part with a key in the folder of a table.
    pub fn new(dir: &Path, key: &str) -> Result<Self> {
        let table = schema::table("errors").ok_or_else(|| Error::internal("no schema `errors`"))?;
        Ok(Self {
            dir: dir.into(),
            key: key.into(),
            schema: table.arrow(),
            writer: None,
            rows: 0,
            paths: StringBuilder::new(),
            offsets: UInt64Builder::new(),
            numbers: UInt32Builder::new(),
            reasons: StringBuilder::new(),
            raw: BinaryBuilder::new(),
        })
    }

    /// Adds a row: its file, where it begins there, its number, why, and its bytes.
    pub fn push(
        &mut self,
        path: &str,
        offset: u64,
        number: u32,
        reason: &str,
        raw: &[u8],
    ) -> Result<()> {
        self.paths.append_value(path);
        self.offsets.append_value(offset);
        self.numbers.append_value(number);
        self.reasons.append_value(reason);
        self.raw.append_value(&raw[..raw.len().min(RAW)]);
        self.rows += 1;
        if self.rows.is_multiple_of(BATCH) { self.flush() } else { Ok(()) }
    }

    /// How many rows were added.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Ends the part; `None` when nothing was rejected.
    pub fn finish(mut self) -> Result<Option<Part>> {
        self.flush()?;
        self.writer.map(PartWriter::finish).transpose()
    }

    fn flush(&mut self) -> Result<()> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.paths.finish()),
            Arc::new(self.offsets.finish()),
            Arc::new(self.numbers.finish()),
            Arc::new(self.reasons.finish()),
            Arc::new(self.raw.finish()),
        ];
        let batch = RecordBatch::try_new(self.schema.clone(), columns)?;
        if batch.num_rows() == 0 {
            return Ok(());
        }
        if self.writer.is_none() {
            let writer = PartWriter::create(&self.dir, ERRORS, &self.key, &self.schema)?;
            self.writer = Some(writer);
        }
        self.writer.as_mut().map_or(Ok(()), |writer| writer.write(&batch))
    }
}

/// The file, the number and the reason of the first row in a part of rejected rows.
pub fn first(part: &Path) -> Result<(String, u32, String)> {
    let file = File::open(part).map_err(|e| Error::io(part, e))?;
    let reader =
        ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| Error::input(part, e))?;
    let mut reader = reader.with_batch_size(1).build().map_err(|e| Error::input(part, e))?;
    let Some(batch) = reader.next().transpose()?.filter(|batch| batch.num_rows() > 0) else {
        return Err(Error::input(part, "no rejected row in it"));
    };
    let text = |name: &str| {
        let column = batch.column_by_name(name).and_then(|c| c.as_string_opt::<i32>());
        column.map_or("", |texts| texts.value(0)).to_string()
    };
    let numbers = batch.column_by_name("source_row");
    let row = numbers.and_then(|c| c.as_primitive_opt::<UInt32Type>()).map_or(0, |c| c.value(0));
    Ok((text("source_path"), row, text("reason")))
}

#[cfg(test)]
mod tests {
    use super::super::manifest::Manifest;
    use super::super::table::Table;
    use super::*;

    #[test]
    fn rejected_rows_are_a_part_and_no_rows_are_none() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Rejects::new(dir.path(), "k").unwrap().finish().unwrap(), None);
        let mut rejects = Rejects::new(dir.path(), "k").unwrap();
        for i in 0..2000 {
            rejects.push("a/ж.jsonl", i * 10, i as u32, "not JSON", &[0xff; 5000]).unwrap();
        }
        let part = rejects.finish().unwrap().unwrap();
        assert!(part.file.starts_with(ERRORS));
        assert_eq!(part.rows, 2000);
        let table = Table { dir: dir.path().into(), manifest: Manifest::default() };
        let batch = table.batches(&part).unwrap().next().unwrap().unwrap();
        let raw = batch.column(4).as_any().downcast_ref::<arrow::array::BinaryArray>().unwrap();
        assert_eq!(raw.value(7).len(), RAW);
    }
}
