//! From the files of a part to the part: its rows, and those that cannot be read.
//!
//! What the columns hold is the business of `columns`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use super::columns::Columns;
use super::plan::PlannedFile;
use super::{Limit, REJECTED};
use crate::error::{Error, Result};
use crate::source::{Into, Row, Sink};
use crate::store::manifest::Part;
use crate::store::part::PartWriter;
use crate::store::reject::Rejects;

/// A part being filled.
pub struct Writer<'a> {
    columns: Columns,
    writer: PartWriter,
    rejects: Rejects,
    rows: u64,
    skipped: BTreeMap<&'static str, u64>,
    limit: &'a Limit,
    tick: &'a dyn Fn(u64),
    /// Bytes of the files that are finished.
    done: u64,
}

impl<'a> Writer<'a> {
    /// For the part with a key; `limit` counts what cannot be read, `tick` is told the bytes read
    /// of its files.
    pub fn create(
        out: &Path,
        key: &str,
        into: Into,
        limit: &'a Limit,
        tick: &'a dyn Fn(u64),
    ) -> Result<Self> {
        let columns = Columns::new(into)?;
        Ok(Self {
            writer: PartWriter::create(out, "", key, columns.schema())?,
            rejects: Rejects::new(out, key)?,
            columns,
            rows: 0,
            skipped: BTreeMap::new(),
            limit,
            tick,
            done: 0,
        })
    }

    /// Reads a file to its end; the reason when it was refused as a whole.
    pub fn read(&mut self, file: &PlannedFile) -> Result<Option<String>> {
        let read = AtomicU64::new(0);
        let mut rows = FileRows { writer: self, file, read: &read, number: 0, refused: None };
        match &file.unit.fault {
            Some(fault) => rows.refuse(fault)?,
            None => file.unit.format.read(&file.unit, &read, &mut rows)?,
        }
        let refused = rows.refused;
        self.done += file.bytes;
        (self.tick)(self.done);
        Ok(refused)
    }

    /// Rows and rejected rows so far.
    pub fn counts(&self) -> (u64, u64) {
        (self.rows, self.rejects.rows())
    }

    /// Ends the part, after the one with its rejected rows: who finds it finds both.
    pub fn finish(mut self, sources: BTreeMap<String, String>) -> Result<(Part, Option<Part>)> {
        self.flush()?;
        for (reason, rows) in &self.skipped {
            self.writer.dropped(reason, *rows);
        }
        if self.rejects.rows() > 0 {
            self.writer.dropped(REJECTED, self.rejects.rows());
        }
        self.writer.sources(sources);
        let errors = self.rejects.finish()?;
        Ok((self.writer.finish()?, errors))
    }

    fn flush(&mut self) -> Result<()> {
        match self.columns.take()? {
            Some(batch) => self.writer.write(&batch),
            None => Ok(()),
        }
    }
}

/// The sink that a format sees while one file is read.
struct FileRows<'w, 'a, 'f> {
    writer: &'w mut Writer<'a>,
    file: &'f PlannedFile,
    read: &'f AtomicU64,
    /// The number of the next row.
    number: u32,
    refused: Option<String>,
}

impl FileRows<'_, '_, '_> {
    fn next(&mut self) -> Result<u32> {
        let number = self.number;
        self.number = number.checked_add(1).ok_or_else(|| {
            Error::input(self.file.unit.source_path(), "more than 4294967295 rows")
                .hint_with("split the file")
        })?;
        Ok(number)
    }
}

impl Sink for FileRows<'_, '_, '_> {
    fn row(&mut self, offset: u64, row: Row) -> Result<()> {
        let number = self.next()?;
        let writer = &mut *self.writer;
        let full = writer.columns.push(self.file, number, offset, row)?;
        writer.rows += 1;
        if full {
            writer.flush()?;
            (writer.tick)(writer.done + self.read.load(Relaxed));
        }
        Ok(())
    }

    fn reject(&mut self, offset: u64, reason: &str, raw: &[u8]) -> Result<()> {
        let number = self.next()?;
        let path = self.file.unit.source_path();
        self.writer.limit.count(path, number, reason)?;
        self.writer.rejects.push(path, offset, number, reason, raw)
    }

    fn skip(&mut self, reason: &'static str) {
        *self.writer.skipped.entry(reason).or_default() += 1;
    }

    fn refuse(&mut self, reason: &str) -> Result<()> {
        self.refused = Some(reason.into());
        self.reject(0, reason, b"")
    }
}
