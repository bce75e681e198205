//! From rows to the columns of a table's schema, batch by batch into a part.
//!
//! The schema file says which columns there are; here stands only what each is filled with.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use arrow::array::{
    ArrayRef, Float32Builder, ListBuilder, RecordBatch, StringBuilder, UInt32Builder, UInt64Builder,
};
use arrow::datatypes::{DataType, SchemaRef};

use super::REJECTED;
use super::plan::PlannedFile;
use crate::error::{Error, Result};
use crate::source::{Into, Row, Sink};
use crate::store::manifest::Part;
use crate::store::part::PartWriter;
use crate::store::reject::Rejects;
use crate::{id, schema};

/// A batch is handed on at this many rows, or at this many bytes of text.
const ROWS: usize = 4096;
const BYTES: usize = 16 << 20;

/// A part being filled.
pub struct Writer<'a> {
    schema: SchemaRef,
    writer: PartWriter,
    rejects: Rejects,
    columns: Vec<Column>,
    batched: usize,
    bytes: usize,
    rows: u64,
    skipped: BTreeMap<&'static str, u64>,
    tick: &'a dyn Fn(u64),
    /// Bytes of the files that are finished.
    done: u64,
}

enum Column {
    U64(UInt64Builder),
    U32(UInt32Builder),
    F32(Float32Builder),
    Text(StringBuilder),
    List(ListBuilder<StringBuilder>),
}

impl<'a> Writer<'a> {
    /// For the part with a key; `tick` is told the bytes read of its files.
    pub fn create(out: &Path, key: &str, into: Into, tick: &'a dyn Fn(u64)) -> Result<Self> {
        let table = schema::table(into.table())
            .ok_or_else(|| Error::internal(format!("no schema `{}`", into.table())))?;
        let schema = table.arrow();
        let columns = schema
            .fields()
            .iter()
            .map(|f| match f.data_type() {
                DataType::UInt64 => Ok(Column::U64(UInt64Builder::new())),
                DataType::UInt32 => Ok(Column::U32(UInt32Builder::new())),
                DataType::Float32 => Ok(Column::F32(Float32Builder::new())),
                DataType::Utf8 => Ok(Column::Text(StringBuilder::new())),
                DataType::List(item) => Ok(Column::List(
                    ListBuilder::new(StringBuilder::new()).with_field(item.clone()),
                )),
                other => Err(Error::internal(format!("column `{}` is {other}", f.name()))),
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            writer: PartWriter::create(out, "", key, &schema)?,
            rejects: Rejects::new(out, key)?,
            schema,
            columns,
            batched: 0,
            bytes: 0,
            rows: 0,
            skipped: BTreeMap::new(),
            tick,
            done: 0,
        })
    }

    /// Reads a file to its end; the reason when it was refused as a whole.
    pub fn read(&mut self, file: &PlannedFile) -> Result<Option<String>> {
        let read = AtomicU64::new(0);
        let mut rows = FileRows { writer: self, file, read: &read, number: 0, refused: None };
        file.unit.format.read(&file.unit, &read, &mut rows)?;
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
        if self.batched == 0 {
            return Ok(());
        }
        (self.batched, self.bytes) = (0, 0);
        let columns: Vec<ArrayRef> = self
            .columns
            .iter_mut()
            .map(|column| -> ArrayRef {
                match column {
                    Column::U64(b) => Arc::new(b.finish()),
                    Column::U32(b) => Arc::new(b.finish()),
                    Column::F32(b) => Arc::new(b.finish()),
                    Column::Text(b) => Arc::new(b.finish()),
                    Column::List(b) => Arc::new(b.finish()),
                }
            })
            .collect();
        self.writer.write(&RecordBatch::try_new(self.schema.clone(), columns)?)
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
        let (file, writer) = (self.file, &mut *self.writer);
        let meta = (!row.meta.is_empty())
            .then(|| serde_json::to_string(&row.meta))
            .transpose()
            .map_err(|e| Error::internal(e.to_string()))?;
        for (column, field) in writer.columns.iter_mut().zip(writer.schema.fields()) {
            match (column, field.name().as_str()) {
                (Column::U64(b), "doc_id") => b.append_value(id::doc_id(file.file_id, number)),
                (Column::U64(b), "group_id") => b.append_option(row.group),
                (Column::U64(b), "source_offset") => b.append_value(offset),
                (Column::U32(b), "source_row") => b.append_value(number),
                (Column::F32(b), "score") => b.append_option(row.score),
                (Column::Text(b), "text" | "src") => b.append_value(&row.text),
                (Column::Text(b), "text_pair" | "tgt") => b.append_option(row.second.as_deref()),
                (Column::Text(b), "lang" | "src_lang") => b.append_option(row.lang.as_deref()),
                (Column::Text(b), "tgt_lang") => b.append_option(row.second_lang.as_deref()),
                (Column::Text(b), "source") => b.append_value(&file.unit.spec.name),
                (Column::Text(b), "source_id") => b.append_option(row.id.as_deref()),
                (Column::Text(b), "source_path") => b.append_value(file.unit.source_path()),
                (Column::Text(b), "url") => b.append_option(row.url.as_deref()),
                (Column::Text(b), "label") => b.append_option(row.label.as_deref()),
                (Column::Text(b), "split") => b.append_option(row.split.as_deref()),
                (Column::Text(b), "meta") => b.append_option(meta.as_deref()),
                (Column::List(b), "tokens") => list(b, row.tokens.as_deref()),
                (Column::List(b), "tags") => list(b, row.tags.as_deref()),
                (_, other) => {
                    return Err(Error::internal(format!("nothing fills column `{other}`")));
                }
            }
        }
        writer.rows += 1;
        writer.batched += 1;
        writer.bytes += row.text.len()
            + row.second.map_or(0, |text| text.len())
            + meta.map_or(0, |text| text.len());
        if writer.batched >= ROWS || writer.bytes >= BYTES {
            writer.flush()?;
            (writer.tick)(writer.done + self.read.load(Relaxed));
        }
        Ok(())
    }

    fn reject(&mut self, offset: u64, reason: &str, raw: &[u8]) -> Result<()> {
        let number = self.next()?;
        let path = self.file.unit.source_path();
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

fn list(builder: &mut ListBuilder<StringBuilder>, items: Option<&[String]>) {
    match items {
        Some(items) => {
            for item in items {
                builder.values().append_value(item);
            }
            builder.append(true);
        }
        None => builder.append(false),
    }
}
