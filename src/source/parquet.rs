//! Parquet: any file with a column of strings.
//!
//! A row has no place in bytes there, so its offset is its number. Nested values go to `meta`.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Schema};
use arrow::json::LineDelimitedWriter;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use serde_json::{Map, Value};

use super::charset::Charsets;
use super::fields::Fields;
use super::input::MAX_RECORD;
use super::{Into, Sink, Source, Unit};
use crate::error::{Error, Result};

/// Apache Parquet.
pub const PARQUET: Parquet = Parquet;

/// The format of Parquet files.
pub struct Parquet;

impl Source for Parquet {
    fn name(&self) -> &'static str {
        "parquet"
    }

    fn doc(&self) -> &'static str {
        "Apache Parquet with its text in a column of strings."
    }

    fn extensions(&self) -> &'static [&'static str] {
        &["parquet"]
    }

    fn tables(&self) -> &'static [Into] {
        &[Into::Documents, Into::Pairs, Into::Labelled]
    }

    fn magic(&self, head: &[u8]) -> bool {
        head.starts_with(b"PAR1")
    }

    fn charsets(&self) -> Charsets {
        Charsets::Binary
    }

    fn has_columns(&self) -> bool {
        true
    }

    fn read(&self, unit: &Unit, read: &AtomicU64, sink: &mut dyn Sink) -> Result<()> {
        let local = unit.local()?;
        let path = local.path();
        let file = File::open(path).map_err(|e| Error::io(path, e))?;
        let bytes = file.metadata().map_err(|e| Error::io(path, e))?.len();
        if bytes == 0 {
            return Ok(());
        }
        // What a writer remembers of its own types may be what this version cannot read.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let builder = match ParquetRecordBatchReaderBuilder::try_new_with_options(file, options) {
            Ok(builder) => builder.with_batch_size(512),
            Err(e) => return sink.refuse(&format!("not a Parquet file: {e}")),
        };
        let rows = builder.metadata().file_metadata().num_rows().max(1) as u64;
        let header: Vec<String> =
            builder.schema().fields().iter().map(|f| f.name().clone()).collect();
        let mut fields = Fields::new(unit, Some(&header))?;
        let (mut row, mut counted) = (0, 0);
        let mut batches = match builder.build() {
            Ok(batches) => batches,
            Err(e) => return sink.refuse(&format!("not a Parquet file: {e}")),
        };
        loop {
            // The parquet crate panics at some damage of pages; for us it is as good as an error.
            let batch = match catch_unwind(AssertUnwindSafe(|| batches.next())) {
                Ok(None) => break,
                Ok(Some(Ok(batch))) => batch,
                damaged => {
                    let why = match damaged {
                        Ok(Some(Err(e))) => e.to_string(),
                        _ => "a page cannot be decoded".into(),
                    };
                    let reason = format!("the Parquet file is damaged after row {row}: {why}");
                    sink.reject(row, &reason, b"")?;
                    break;
                }
            };
            let n = batch.num_rows() as u64;
            for (i, object) in
                objects(&batch).map_err(|e| e.within(unit.source_path()))?.enumerate()
            {
                let at = row + i as u64;
                match object {
                    Ok(object) => fields.row(at, object, b"", sink)?,
                    Err((reason, raw)) => sink.reject(at, &reason, &raw)?,
                }
            }
            row += n;
            // The reader does not say how far it has come, so rows stand for bytes.
            let now = (u128::from(bytes) * u128::from(row.min(rows)) / u128::from(rows)) as u64;
            read.fetch_add(now - counted, Ordering::Relaxed);
            counted = now;
        }
        fields.finish()
    }
}

/// A row, or why it is none and its bytes.
type Object = Result<Map<String, Value>, (String, Vec<u8>)>;

/// The rows of a batch as objects: strings are taken as they are, all else through JSON.
fn objects(batch: &RecordBatch) -> Result<impl Iterator<Item = Object>> {
    let schema = batch.schema();
    let mut texts: Vec<(String, ArrayRef)> = Vec::new();
    let mut others: Vec<usize> = Vec::new();
    for (i, (field, column)) in schema.fields().iter().zip(batch.columns()).enumerate() {
        match text_type(field.data_type()) {
            Some(ty) => texts.push((field.name().clone(), cast(column, &ty)?)),
            None => others.push(i),
        }
    }
    let mut rest: Vec<Map<String, Value>> = vec![Map::new(); batch.num_rows()];
    if !others.is_empty() {
        let part = batch.project(&others)?;
        let fields: Vec<_> = part.schema().fields().iter().cloned().collect();
        let part = RecordBatch::try_new(Arc::new(Schema::new(fields)), part.columns().to_vec())?;
        let mut bytes = Vec::new();
        let mut writer = LineDelimitedWriter::new(&mut bytes);
        writer.write(&part)?;
        writer.finish()?;
        let lines = bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty());
        for (row, line) in rest.iter_mut().zip(lines) {
            *row = serde_json::from_slice(line).map_err(|e| Error::internal(e.to_string()))?;
        }
    }
    let names: Vec<String> = schema.fields().iter().map(|f| f.name().clone()).collect();
    Ok(rest.into_iter().enumerate().map(move |(i, mut rest)| {
        let mut object = Map::new();
        for name in &names {
            let text = texts.iter().find(|(n, _)| n == name).map(|(_, column)| text_at(column, i));
            match text {
                Some(Ok(value)) => object.insert(name.clone(), value),
                Some(Err(raw)) => return Err((format!("`{name}` is not UTF-8"), raw)),
                // The JSON writer leaves nulls out.
                None => {
                    rest.shift_remove(name).and_then(|value| object.insert(name.clone(), value))
                }
            };
        }
        let long = object.values().any(|v| v.as_str().is_some_and(|s| s.len() > MAX_RECORD));
        if long { Err((super::input::too_long(), Vec::new())) } else { Ok(object) }
    }))
}

/// The type that a column of text is cast to; text is often written as plain bytes.
fn text_type(ty: &DataType) -> Option<DataType> {
    match ty {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Some(DataType::LargeUtf8),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
            Some(DataType::LargeBinary)
        }
        DataType::Dictionary(_, values) => text_type(values),
        _ => None,
    }
}

fn text_at(column: &ArrayRef, row: usize) -> Result<Value, Vec<u8>> {
    if column.is_null(row) {
        return Ok(Value::Null);
    }
    if let Some(texts) = column.as_string_opt::<i64>() {
        return Ok(Value::String(texts.value(row).to_string()));
    }
    let bytes = column.as_binary_opt::<i64>().map_or(&b""[..], |bytes| bytes.value(row));
    std::str::from_utf8(bytes).map(|t| Value::String(t.into())).map_err(|_| bytes.to_vec())
}

#[cfg(test)]
mod tests {
    use arrow::array::{BinaryArray, Int64Array, ListArray, StringArray};
    use arrow::datatypes::{Field, Int64Type};
    use parquet::arrow::ArrowWriter;

    use super::super::unit::tests::read;
    use super::*;

    fn file() -> Vec<u8> {
        let texts = StringArray::from(vec![Some("Góðan dag"), None, Some("今日は")]);
        let bytes = BinaryArray::from(vec![b"is".as_slice(), b"ja", b"ja"]);
        let bad = BinaryArray::from(vec![b"a".as_slice(), b"b", b"\xff"]);
        let lists = ListArray::from_iter_primitive::<Int64Type, _, _>(vec![
            Some(vec![Some(1), Some(2)]),
            None,
            None,
        ]);
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("text", Arc::new(texts)),
            ("lang", Arc::new(bytes)),
            ("bad", Arc::new(bad)),
            ("n", Arc::new(Int64Array::from(vec![Some(7), Some(8), None]))),
            ("list", Arc::new(lists)),
        ];
        let fields: Vec<Field> = columns
            .iter()
            .map(|(name, column)| Field::new(*name, column.data_type().clone(), true))
            .collect();
        let columns = columns.into_iter().map(|(_, column)| column).collect();
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
        let mut out = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut out, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        out
    }

    #[test]
    fn strings_bytes_and_nested_columns() {
        let (kept, result) = read(&PARQUET, &[&file()], "");
        result.unwrap();
        assert_eq!(kept.texts(), ["Góðan dag"]);
        let row = &kept.rows[0].1;
        assert_eq!(row.lang.as_deref(), Some("isl_Latn"));
        assert_eq!(
            Value::Object(row.meta.clone()).to_string(),
            r#"{"bad":"a","n":7,"list":[1,2]}"#
        );
        assert_eq!(kept.reasons(), ["`text` is null", "`bad` is not UTF-8"]);
    }

    #[test]
    fn a_missing_column_and_a_damaged_file() {
        let (_, result) = read(&PARQUET, &[&file()], "columns = { text = 'txt' }");
        let error = result.unwrap_err().to_string();
        assert!(error.ends_with("there are: text, lang, bad, n, list"), "{error}");
        let bytes = file();
        let (kept, result) = read(&PARQUET, &[&bytes[..bytes.len() / 2]], "");
        result.unwrap();
        assert!(kept.reasons()[0].starts_with("not a Parquet file"));
        let (kept, result) = read(&PARQUET, &[b""], "");
        assert!(result.is_ok() && kept.rejected.is_empty());
    }
}
