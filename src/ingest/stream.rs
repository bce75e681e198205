//! The rows of files as batches, without a table: what `read('…')` in SQL gives.
//!
//! Writes nothing, so what cannot be read has no place to be kept: it is an error beyond the
//! number that the caller allows.

use std::path::Path;
use std::sync::atomic::AtomicU64;

use arrow::array::RecordBatch;

use super::Limit;
use super::columns::Columns;
use super::plan::PlannedFile;
use crate::error::{Error, Result};
use crate::id;
use crate::source::{Row, Sink, SourceSpec, unit};

/// Hands the rows of a source's files to `f`, file by file in the order of their names, as
/// batches of the schema of the table they fill. Errors as [`super::ingest`] does, and when more
/// than `max_errors` rows cannot be read.
pub fn batches(
    spec: &SourceSpec,
    root: &Path,
    max_errors: u64,
    f: &mut dyn FnMut(RecordBatch) -> Result<()>,
) -> Result<()> {
    let limit = Limit::new(Some(max_errors));
    let mut columns = Columns::new(spec.table())?;
    for unit in unit::units(spec, root)? {
        let file_id = id::file_id(&spec.name, &unit.name());
        let file = PlannedFile { unit, file_id, bytes: 0, hash: String::new() };
        let mut rows = Rows { file: &file, columns: &mut columns, limit: &limit, number: 0, f };
        match &file.unit.fault {
            Some(fault) => rows.refuse(fault)?,
            None => file.unit.format.read(&file.unit, &AtomicU64::new(0), &mut rows)?,
        }
        if let Some(batch) = columns.take()? {
            f(batch)?;
        }
    }
    Ok(())
}

struct Rows<'a> {
    file: &'a PlannedFile,
    columns: &'a mut Columns,
    limit: &'a Limit,
    number: u32,
    f: &'a mut dyn FnMut(RecordBatch) -> Result<()>,
}

impl Rows<'_> {
    fn next(&mut self) -> Result<u32> {
        let number = self.number;
        let path = self.file.unit.source_path();
        self.number =
            number.checked_add(1).ok_or_else(|| Error::input(path, "more than 4294967295 rows"))?;
        Ok(number)
    }
}

impl Sink for Rows<'_> {
    fn row(&mut self, offset: u64, row: Row) -> Result<()> {
        let number = self.next()?;
        if self.columns.push(self.file, number, offset, row)?
            && let Some(batch) = self.columns.take()?
        {
            (self.f)(batch)?;
        }
        Ok(())
    }

    fn reject(&mut self, _: u64, reason: &str, _: &[u8]) -> Result<()> {
        let number = self.next()?;
        let counted = self.limit.count(self.file.unit.source_path(), number, reason);
        counted.map_err(|e| e.hint_with("`max_errors: N` passes over up to N such rows"))
    }

    fn skip(&mut self, _: &'static str) {}

    fn refuse(&mut self, reason: &str) -> Result<()> {
        self.reject(0, reason, b"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_in_order_and_unreadable_ones_are_told() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("b.jsonl"), "{\"text\":\"ж\"}\n").unwrap();
        std::fs::write(dir.path().join("a.jsonl"), "{\"text\":\"é\"}\nno\n{\"text\":\"日\"}\n")
            .unwrap();
        let spec = SourceSpec::new("read", "*.jsonl");
        let mut texts = Vec::new();
        let mut take = |batch: RecordBatch| {
            let column = batch.column_by_name("text").unwrap();
            let column = arrow::array::AsArray::as_string::<i32>(column);
            texts.extend(column.iter().flatten().map(str::to_string));
            Ok(())
        };
        batches(&spec, dir.path(), 1, &mut take).unwrap();
        let error = batches(&spec, dir.path(), 0, &mut |_| Ok(())).unwrap_err();
        assert!(error.to_string().starts_with("a.jsonl: row 1: not a JSON object"), "{error}");
        assert_eq!(texts, ["é", "日", "ж"]);
    }
}
