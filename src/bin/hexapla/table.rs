//! Results as a person or a program reads them: tables, CSV, JSON lines, JSON, Parquet.
//!
//! A [`Writer`] takes a result batch by batch and holds no more than one of them, or the rows of
//! one screen.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, TableComponent, presets};
use hexapla::error::{Error, Result};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::file::properties::WriterProperties;

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    Table,
    Csv,
    Ndjson,
    Json,
    Parquet,
}

/// Rows of a table on a screen, at most.
const ROWS: usize = 200;

/// Row groups of Parquet hold at most this many uncompressed bytes.
const ROW_GROUP_BYTES: usize = 128 << 20;

/// Writes a result in one of the formats, batch by batch.
pub struct Writer<W: Write + Send> {
    place: String,
    schema: SchemaRef,
    rows: usize,
    kind: Kind<W>,
}

enum Kind<W: Write + Send> {
    Screen(W, Table),
    Csv(Box<arrow::csv::Writer<W>>),
    Ndjson(arrow::json::LineDelimitedWriter<W>),
    Json(arrow::json::ArrayWriter<W>),
    Parquet(Box<ArrowWriter<W>>, SchemaRef),
}

impl<W: Write + Send> Writer<W> {
    /// A writer of rows with these columns; `place` is told in errors, `width` is the screen's.
    pub fn new(
        format: Format,
        out: W,
        place: impl ToString,
        schema: SchemaRef,
        width: Option<u16>,
    ) -> Result<Self> {
        let place = place.to_string();
        let kind = match format {
            Format::Table => Kind::Screen(out, screen(&schema, width)),
            Format::Csv => Kind::Csv(Box::new(arrow::csv::Writer::new(out))),
            Format::Ndjson => Kind::Ndjson(arrow::json::LineDelimitedWriter::new(out)),
            Format::Json => Kind::Json(arrow::json::ArrayWriter::new(out)),
            Format::Parquet => {
                let narrow = narrow(&schema);
                let properties = WriterProperties::builder()
                    .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
                    .build();
                let options = ArrowWriterOptions::new()
                    .with_properties(properties)
                    .with_skip_arrow_metadata(true);
                let writer = ArrowWriter::try_new_with_options(out, narrow.clone(), options);
                Kind::Parquet(Box::new(writer.map_err(|e| Error::io(&place, e))?), narrow)
            }
        };
        Ok(Self { place, schema, rows: 0, kind })
    }

    /// Writes rows.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let told = |e| match e {
            ArrowError::IoError(..) => Error::io(&self.place, e),
            e => Error::from(e),
        };
        match &mut self.kind {
            Kind::Screen(_, table) => show(table, batch, ROWS.saturating_sub(self.rows))?,
            Kind::Csv(writer) => writer.write(&flat(batch)?).map_err(told)?,
            Kind::Ndjson(writer) => writer.write(batch).map_err(told)?,
            Kind::Json(writer) => writer.write(batch).map_err(told)?,
            Kind::Parquet(writer, schema) => {
                let columns = batch.columns().iter().zip(schema.fields());
                let columns = columns.map(|(c, f)| Ok(cast(c, f.data_type())?));
                let columns = columns.collect::<Result<Vec<ArrayRef>>>()?;
                let batch = RecordBatch::try_new(schema.clone(), columns)?;
                writer.write(&batch).map_err(|e| Error::io(&self.place, e))?;
            }
        }
        self.rows += batch.num_rows();
        Ok(())
    }

    /// Ends the result and gives back what it was written to, with the number of rows.
    pub fn finish(mut self) -> Result<(W, usize)> {
        if self.rows == 0 && matches!(self.kind, Kind::Csv(_)) {
            // The header comes with the first batch.
            self.write(&RecordBatch::new_empty(self.schema.clone()))?;
        }
        let io = |e: &dyn std::fmt::Display| Error::io(&self.place, e);
        let mut out = match self.kind {
            Kind::Screen(mut out, table) => {
                let mut text = format!("{table}\n");
                if self.rows > ROWS {
                    text.push_str(&format!(
                        "… {ROWS} of {} rows; `--format csv` gives all\n",
                        self.rows
                    ));
                }
                out.write_all(text.as_bytes()).map_err(|e| io(&e))?;
                out
            }
            Kind::Csv(writer) => writer.into_inner(),
            Kind::Ndjson(mut writer) => {
                writer.finish().map_err(|e| io(&e))?;
                writer.into_inner()
            }
            Kind::Json(mut writer) => {
                writer.finish().map_err(|e| io(&e))?;
                let mut out = writer.into_inner();
                out.write_all(b"\n").map_err(|e| io(&e))?;
                out
            }
            Kind::Parquet(writer, _) => writer.into_inner().map_err(|e| io(&e))?,
        };
        out.flush().map_err(|e| io(&e))?;
        Ok((out, self.rows))
    }
}

/// A small result as text.
pub fn render(batches: &[RecordBatch], format: Format, width: Option<u16>) -> Result<Vec<u8>> {
    let Some(first) = batches.first() else { return Ok(Vec::new()) };
    let mut writer = Writer::new(format, Vec::new(), "the result", first.schema(), width)?;
    batches.iter().try_for_each(|batch| writer.write(batch))?;
    writer.finish().map(|(text, _)| text)
}

/// Rows as JSON values, for `--json`.
pub fn values(batches: &[RecordBatch]) -> Result<serde_json::Value> {
    let bytes = render(batches, Format::Json, None)?;
    serde_json::from_slice(&bytes).map_err(|e| Error::internal(e.to_string()))
}

/// The columns as Parquet has them: strings in their usual width.
fn narrow(schema: &Schema) -> SchemaRef {
    let field = |f: &Arc<Field>| {
        Field::new(f.name(), hexapla::schema::narrow(f.data_type()), f.is_nullable())
    };
    Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>()))
}

/// A table with its header and no rows.
fn screen(schema: &Schema, width: Option<u16>) -> Table {
    let mut table = plain();
    if let Some(width) = width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    table.set_header(schema.fields().iter().map(|f| Cell::new(f.name())));
    table
}

/// Adds the first rows of a batch to a table.
fn show(table: &mut Table, batch: &RecordBatch, rows: usize) -> Result<()> {
    let options = FormatOptions::default().with_null("");
    let columns = batch
        .columns()
        .iter()
        .map(|c| Ok((c, ArrayFormatter::try_new(c.as_ref(), &options)?)))
        .collect::<Result<Vec<_>>>()?;
    for row in 0..batch.num_rows().min(rows) {
        table.add_row(columns.iter().map(|(array, format)| {
            let text = match array.data_type() {
                // Sixteen digits of a share help nobody on a screen.
                DataType::Float64 | DataType::Float32 if array.is_valid(row) => {
                    short(&format.value(row).to_string())
                }
                _ => format.value(row).to_string(),
            };
            let cell = Cell::new(text);
            if array.data_type().is_numeric() {
                cell.set_alignment(CellAlignment::Right)
            } else {
                cell
            }
        }));
    }
    Ok(())
}

/// An empty table with lines around it and under its header only.
pub fn plain() -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY);
    for line in [
        TableComponent::HorizontalLines,
        TableComponent::MiddleIntersections,
        TableComponent::LeftBorderIntersections,
        TableComponent::RightBorderIntersections,
    ] {
        table.remove_style(line);
    }
    table
}

fn short(number: &str) -> String {
    match number.parse::<f64>() {
        Ok(v) if v.is_finite() && v.abs() < 1e15 => {
            let text = format!("{v:.6}");
            text.trim_end_matches('0').trim_end_matches('.').to_string()
        }
        _ => number.to_string(),
    }
}

/// CSV has no nested values: structs and lists become their printed form.
fn flat(batch: &RecordBatch) -> Result<RecordBatch> {
    let mut fields = Vec::new();
    let mut columns = Vec::new();
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        if field.data_type().is_nested() {
            let options = FormatOptions::default().with_null("");
            let format = ArrayFormatter::try_new(column.as_ref(), &options)?;
            let texts: StringArray = (0..column.len())
                .map(|i| column.is_valid(i).then(|| format.value(i).to_string()))
                .collect();
            fields.push(Field::new(field.name(), DataType::Utf8, true));
            columns.push(Arc::new(texts) as ArrayRef);
        } else {
            fields.push(field.as_ref().clone());
            columns.push(column.clone());
        }
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}
