//! Rows of a query into the parts of one table: fixed batches, checked order, bounded parts.
//!
//! What is written is a function of the rows alone: they are cut into batches of the same length
//! again before they reach the file, whatever batches the plan made.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::{BatchCoalescer, cast};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt64Type};

use super::provider::DOC_ID;
use crate::error::{Error, Result};
use crate::schema::{TableSchema, narrow};
use crate::store::manifest::Part;
use crate::store::part::PartWriter;

/// Rows per written batch.
const BATCH_ROWS: usize = 1024;

/// Writes one table's parts; `keys` gives the key of the n-th part.
pub(super) struct Sink<'a> {
    dir: PathBuf,
    schema: SchemaRef,
    coalescer: BatchCoalescer,
    keys: Box<dyn Fn(usize) -> String + 'a>,
    limit: u64,
    writer: Option<PartWriter>,
    bytes: u64,
    last: Option<u64>,
    parts: Vec<Part>,
    rows: u64,
}

/// The columns of a table as they are written: strings as `Utf8`; only what the table's schema
/// says (or else `doc_id`) must not be null.
pub(super) fn written(found: &Schema, table: Option<&TableSchema>) -> SchemaRef {
    let nullable = |name: &str| match table.and_then(|t| t.fields.iter().find(|f| f.name == name)) {
        Some(field) => field.nullable,
        None => name != DOC_ID,
    };
    let fields = found.fields().iter();
    let fields: Vec<Field> =
        fields.map(|f| Field::new(f.name(), narrow(f.data_type()), nullable(f.name()))).collect();
    SchemaRef::new(Schema::new(fields))
}

impl<'a> Sink<'a> {
    /// A sink into a folder; a part is closed when it holds `limit` uncompressed bytes.
    pub fn new(
        dir: &Path,
        schema: SchemaRef,
        limit: u64,
        keys: impl Fn(usize) -> String + 'a,
    ) -> Self {
        Self {
            dir: dir.into(),
            coalescer: BatchCoalescer::new(schema.clone(), BATCH_ROWS),
            schema,
            keys: Box::new(keys),
            limit,
            writer: None,
            bytes: 0,
            last: None,
            parts: Vec::new(),
            rows: 0,
        }
    }

    /// Rows taken so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Takes rows with the columns of the schema, strings in any width.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        let mut columns = Vec::with_capacity(batch.num_columns());
        for (column, field) in batch.columns().iter().zip(self.schema.fields()) {
            if !field.is_nullable() && column.null_count() > 0 {
                return Err(Error::usage(format!(
                    "column `{}` must not be null, but it is in {} rows",
                    field.name(),
                    column.null_count()
                )));
            }
            columns.push(cast(column, field.data_type())?);
        }
        let batch = RecordBatch::try_new(self.schema.clone(), columns)?;
        self.check_order(&batch)?;
        self.coalescer.push_batch(batch)?;
        self.drain()
    }

    fn check_order(&mut self, batch: &RecordBatch) -> Result<()> {
        let Some(ids) = batch.column_by_name(DOC_ID) else { return Ok(()) };
        if ids.data_type() != &DataType::UInt64 {
            return Ok(());
        }
        for &id in ids.as_primitive::<UInt64Type>().values() {
            if self.last.is_some_and(|last| id < last) {
                return Err(Error::usage(format!("rows are not in order of `{DOC_ID}`"))
                    .hint_with(format!("end the query with `ORDER BY {DOC_ID}`")));
            }
            self.last = Some(id);
        }
        Ok(())
    }

    fn drain(&mut self) -> Result<()> {
        while let Some(batch) = self.coalescer.next_completed_batch() {
            self.bytes += bytes(&batch);
            self.writer()?.write(&batch)?;
            if self.bytes >= self.limit {
                self.close(&BTreeMap::new())?;
            }
        }
        Ok(())
    }

    fn writer(&mut self) -> Result<&mut PartWriter> {
        let writer = match self.writer.take() {
            Some(writer) => writer,
            None => {
                let key = (self.keys)(self.parts.len());
                PartWriter::create(&self.dir, "", &key, &self.schema)?
            }
        };
        Ok(self.writer.insert(writer))
    }

    fn close(&mut self, dropped: &BTreeMap<String, u64>) -> Result<()> {
        self.bytes = 0;
        if let Some(mut writer) = self.writer.take() {
            for (reason, rows) in dropped {
                writer.dropped(reason, *rows);
            }
            self.parts.push(writer.finish()?);
        }
        Ok(())
    }

    /// Ends the last part, which tells how many rows were dropped while it was made. There is one
    /// part at least when `some` says so, even without rows.
    pub fn finish(mut self, some: bool, dropped: &BTreeMap<String, u64>) -> Result<Vec<Part>> {
        self.coalescer.finish_buffered_batch()?;
        self.drain()?;
        if some && self.parts.is_empty() {
            self.writer()?;
        }
        self.close(dropped)?;
        Ok(self.parts)
    }
}

/// The size of the values, whatever buffers they share.
fn bytes(batch: &RecordBatch) -> u64 {
    let size = |c: &dyn Array| c.to_data().get_slice_memory_size().unwrap_or(0) as u64;
    batch.columns().iter().map(|c| size(c.as_ref())).sum()
}
