//! Results as a person or a program reads them: tables, CSV, JSON lines, JSON, Parquet.

use std::fs::File;
use std::path::Path;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, TableComponent, presets};
use hexapla::error::{Error, Result};

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

/// A result as text in one of the formats; Parquet is no text.
pub fn render(batches: &[RecordBatch], format: Format, width: Option<u16>) -> Result<Vec<u8>> {
    let refs: Vec<&RecordBatch> = batches.iter().collect();
    match format {
        Format::Table => Ok(screen(batches, width)?.into_bytes()),
        Format::Csv => {
            let mut out = Vec::new();
            let mut writer = arrow::csv::WriterBuilder::new().with_header(true).build(&mut out);
            for batch in batches {
                writer.write(&flat(batch)?)?;
            }
            drop(writer);
            Ok(out)
        }
        Format::Ndjson => {
            let mut writer = arrow::json::LineDelimitedWriter::new(Vec::new());
            writer.write_batches(&refs)?;
            writer.finish()?;
            Ok(writer.into_inner())
        }
        Format::Json => {
            let mut writer = arrow::json::ArrayWriter::new(Vec::new());
            writer.write_batches(&refs)?;
            writer.finish()?;
            let mut out = writer.into_inner();
            if out.is_empty() {
                out.extend_from_slice(b"[]");
            }
            out.push(b'\n');
            Ok(out)
        }
        Format::Parquet => Err(Error::usage("Parquet cannot be written to the screen")
            .hint_with("name a file with `-o FILE.parquet`")),
    }
}

/// Rows as JSON values, for `--json`.
pub fn values(batches: &[RecordBatch]) -> Result<serde_json::Value> {
    let bytes = render(batches, Format::Json, None)?;
    serde_json::from_slice(&bytes).map_err(|e| Error::internal(e.to_string()))
}

/// Writes a result to a Parquet file, whole or not at all.
pub fn parquet(
    path: &Path,
    schema: arrow::datatypes::SchemaRef,
    batches: &[RecordBatch],
) -> Result<()> {
    use parquet::arrow::ArrowWriter;
    if std::fs::metadata(path).is_ok_and(|m| !m.is_file()) {
        return Err(Error::usage(format!("{}: Parquet is written to files", path.display())));
    }
    use parquet::arrow::arrow_writer::ArrowWriterOptions;
    let dir = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let temp = tempfile::Builder::new()
        .prefix(".tmp-")
        .tempfile_in(dir)
        .map_err(|e| Error::io(path, e))?;
    let file: File = temp.reopen().map_err(|e| Error::io(path, e))?;
    let narrow = std::sync::Arc::new(arrow::datatypes::Schema::new(
        schema
            .fields()
            .iter()
            .map(|f| {
                let ty = hexapla::schema::narrow(f.data_type());
                arrow::datatypes::Field::new(f.name(), ty, f.is_nullable())
            })
            .collect::<Vec<_>>(),
    ));
    let options = ArrowWriterOptions::new().with_skip_arrow_metadata(true);
    let mut writer = ArrowWriter::try_new_with_options(file, narrow.clone(), options)
        .map_err(|e| Error::io(path, e))?;
    for batch in batches {
        let columns = batch
            .columns()
            .iter()
            .zip(narrow.fields())
            .map(|(c, f)| Ok(arrow::compute::cast(c, f.data_type())?))
            .collect::<Result<Vec<_>>>()?;
        let batch = RecordBatch::try_new(narrow.clone(), columns)?;
        writer.write(&batch).map_err(|e| Error::io(path, e))?;
    }
    writer.close().map_err(|e| Error::io(path, e))?;
    temp.persist(path).map_err(|e| Error::io(path, e.error))?;
    hexapla::store::manifest::open_to_all(path)
}

fn screen(batches: &[RecordBatch], width: Option<u16>) -> Result<String> {
    let Some(first) = batches.first() else { return Ok(String::new()) };
    let mut table = plain();
    if let Some(width) = width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    let schema = first.schema();
    table.set_header(schema.fields().iter().map(|f| Cell::new(f.name())));
    let options = FormatOptions::default().with_null("");
    let total: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let mut shown = 0;
    for batch in batches {
        let columns = batch
            .columns()
            .iter()
            .map(|c| Ok((c, ArrayFormatter::try_new(c.as_ref(), &options)?)))
            .collect::<Result<Vec<_>>>()?;
        for row in 0..batch.num_rows().min(ROWS - shown) {
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
            shown += 1;
        }
    }
    let mut text = format!("{table}\n");
    if shown < total {
        text.push_str(&format!("… {} of {total} rows; `--format csv` gives all\n", shown));
    }
    Ok(text)
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
            let texts: arrow::array::StringArray = (0..column.len())
                .map(|i| column.is_valid(i).then(|| format.value(i).to_string()))
                .collect();
            fields.push(arrow::datatypes::Field::new(field.name(), DataType::Utf8, true));
            columns.push(std::sync::Arc::new(texts) as arrow::array::ArrayRef);
        } else {
            fields.push(field.as_ref().clone());
            columns.push(column.clone());
        }
    }
    let schema = std::sync::Arc::new(arrow::datatypes::Schema::new(fields));
    Ok(RecordBatch::try_new(schema, columns)?)
}
