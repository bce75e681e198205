//! JSON lines as a table, with the columns that they have: decoded by Arrow, its escapes by us.
//!
//! arrow-json 59 decodes an escaped surrogate pair above U+1FFFF to another character, and refuses
//! a lone half. Both are written out before it sees them, halves as U+FFFD, which is what ingest
//! makes of them. Rows come in the order of the files.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::json::ReaderBuilder;
use arrow::json::reader::{ValueIter, infer_json_schema_from_iterator};
use datafusion::catalog::TableProvider;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::error::DataFusionError;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use datafusion::physical_plan::streaming::PartitionStream;
use serde_json::Value;

use super::failure::{self, Names};
use super::files::INFERRED;
use super::provider::viewed;
use crate::error::{Error, Result};
use crate::source::decompress;
use crate::source::location::Location;

/// Rows of a file that its columns are told from.
const SAMPLED: usize = 1000;

/// The rows of some files; `path` is what the user called them. Errors when none of the first ones
/// has a column.
pub(super) fn open(path: &str, files: Vec<Location>) -> Result<Arc<dyn TableProvider>> {
    let mut schema = Schema::empty();
    for file in files.iter().take(INFERRED) {
        let found = columns(content(file)?).map_err(|e| told(file, e))?;
        schema = Schema::try_merge([schema, found])?;
    }
    if schema.fields().is_empty() {
        return Err(Error::input(path, "no columns found: the file is empty"));
    }
    let files = Files { files, schema: viewed(&schema) };
    let table = StreamingTable::try_new(files.schema.clone(), vec![Arc::new(files)]);
    Ok(Arc::new(table.map_err(|e| failure::convert(e, &Names::default()))?))
}

#[derive(Debug)]
struct Files {
    files: Vec<Location>,
    schema: SchemaRef,
}

impl PartitionStream for Files {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let mut builder = RecordBatchReceiverStream::builder(self.schema.clone(), 2);
        let (sender, files, schema) = (builder.tx(), self.files.clone(), self.schema.clone());
        let rows = context.session_config().batch_size();
        builder.spawn_blocking(move || {
            let failed = |e: Error| DataFusionError::External(Box::new(e));
            for file in &files {
                let content = content(file).map_err(failed)?;
                let decoder = ReaderBuilder::new(schema.clone()).with_batch_size(rows);
                for batch in decoder.build(content).map_err(|e| failed(told(file, e)))? {
                    let batch = batch.map_err(|e| failed(told(file, e)))?;
                    if sender.blocking_send(Ok(batch)).is_err() {
                        // The reader is gone, as under LIMIT.
                        return Ok(());
                    }
                }
            }
            Ok(())
        });
        builder.build()
    }
}

/// The columns of the first rows. Arrow takes an integer above 2⁶³ for a float, which loses digits
/// of ids: a column with such ones and nothing but them and smaller ones is unsigned.
fn columns(content: impl BufRead) -> Result<Schema, ArrowError> {
    let mut ids: HashMap<String, Integers> = HashMap::new();
    let rows = ValueIter::new(content, Some(SAMPLED)).inspect(|row| {
        let Ok(Value::Object(row)) = row else { return };
        for (name, value) in row.iter().filter(|(_, value)| value.is_number()) {
            let seen = ids.entry(name.clone()).or_default();
            seen.any_large |= value.is_u64() && !value.is_i64();
            seen.any_other |= !value.is_u64();
        }
    });
    let schema = infer_json_schema_from_iterator(rows)?;
    let unsigned = |name: &String| ids.get(name).is_some_and(|i| i.any_large && !i.any_other);
    let fields = schema.fields().iter().map(|field| match field.data_type() {
        DataType::Float64 if unsigned(field.name()) => {
            Field::new(field.name(), DataType::UInt64, field.is_nullable())
        }
        _ => field.as_ref().clone(),
    });
    Ok(Schema::new(fields.collect::<Vec<_>>()))
}

/// What the numbers of a column are.
#[derive(Default)]
struct Integers {
    /// Some are integers above 2⁶³.
    any_large: bool,
    /// Some are negative or no integers.
    any_other: bool,
}

fn told(file: &Location, error: ArrowError) -> Error {
    let message = error.to_string();
    let message = message.trim_start_matches("Json error: ").trim_start_matches("External error: ");
    Error::input(file.path(), message)
        .hint_with("JSON lines have one object a line; `hexapla ingest` passes over broken ones")
}

fn content(file: &Location) -> Result<BufReader<Repaired<impl BufRead>>> {
    let counted = Arc::new(AtomicU64::new(0));
    let (bytes, _) = decompress::open(file.open(counted.clone())?, &counted)
        .map_err(|e| Error::io(file.path(), e))?;
    Ok(BufReader::with_capacity(1 << 20, Repaired { inner: bytes, line: Vec::new(), at: 0 }))
}

/// Gives its lines with every escaped surrogate written out.
struct Repaired<R> {
    inner: R,
    line: Vec<u8>,
    /// How much of the line was given.
    at: usize,
}

impl<R: BufRead> Read for Repaired<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut given = 0;
        while given < buf.len() {
            if self.at == self.line.len() {
                if given > 0 && self.line.len() > buf.len() / 2 {
                    break;
                }
                self.line.clear();
                self.at = 0;
                if self.inner.read_until(b'\n', &mut self.line)? == 0 {
                    break;
                }
                write_out(&mut self.line);
            }
            let n = (self.line.len() - self.at).min(buf.len() - given);
            buf[given..given + n].copy_from_slice(&self.line[self.at..self.at + n]);
            (given, self.at) = (given + n, self.at + n);
        }
        Ok(given)
    }
}

/// Writes the escaped surrogates of a line as the characters that they mean. Lines only shrink.
fn write_out(line: &mut Vec<u8>) {
    let begins = |at: &usize| surrogate(&line[*at..]).is_some();
    let Some(first) = memchr::memmem::find_iter(line, b"\\u").find(begins) else { return };
    // An escaped backslash may stand before it, so escapes are followed from the beginning.
    let (mut from, mut to) = (memchr::memchr(b'\\', line).unwrap_or(first), 0);
    to += from;
    while from < line.len() {
        let (taken, c) = match (line[from], surrogate(&line[from..])) {
            (b'\\', Some(high)) => match (high, line.get(from + 6..).and_then(surrogate)) {
                (0xd800..0xdc00, Some(low @ 0xdc00..0xe000)) => {
                    let c = 0x10000 + ((u32::from(high) - 0xd800) << 10) + u32::from(low) - 0xdc00;
                    (12, char::from_u32(c))
                }
                _ => (6, Some(char::REPLACEMENT_CHARACTER)),
            },
            (b'\\', None) => (2, None),
            _ => (1, None),
        };
        match c {
            Some(c) => to += c.encode_utf8(&mut line[to..]).len(),
            None => {
                let end = (from + taken).min(line.len());
                line.copy_within(from..end, to);
                to += end - from;
            }
        }
        from += taken;
    }
    line.truncate(to);
}

/// The surrogate that an escape stands for, if the bytes begin with one.
fn surrogate(bytes: &[u8]) -> Option<u16> {
    let digits = bytes.strip_prefix(b"\\u")?.get(..4)?;
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let unit = u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    (0xd800..0xe000).contains(&unit).then_some(unit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sql::testing::cells;
    use crate::sql::{Session, SessionOptions};

    fn escaped(text: &str) -> String {
        let units = text.encode_utf16();
        units.map(|unit| format!("\\u{unit:04x}")).collect()
    }

    proptest! {
        #[test]
        fn any_text_comes_back_however_it_is_escaped(texts in prop::collection::vec(any::<String>(), 1..5)) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("t.jsonl");
            let mut lines = String::new();
            for text in &texts {
                lines += &format!("{{\"t\": \"{}\"}}\n", escaped(text));
                lines += &format!("{}\n", serde_json::json!({ "t": text }));
            }
            std::fs::write(&path, lines).unwrap();
            let session = Session::new(SessionOptions::default()).unwrap();
            let found = cells(&session.query(&format!("SELECT t FROM '{}'", path.display())).unwrap());
            let expected: Vec<&String> = texts.iter().flat_map(|t| [t, t]).collect();
            prop_assert_eq!(found.iter().collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn ids_keep_their_digits() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.jsonl");
        let lines = "{\"id\": 7, \"x\": 1, \"n\": 2}\n{\"id\": 18446744073709551615, \"x\": 0.5, \"n\": -1}\n";
        std::fs::write(&path, lines).unwrap();
        let session = Session::new(SessionOptions::default()).unwrap();
        let query = format!("SELECT concat_ws(' ', id, x, n) FROM '{}'", path.display());
        let found = cells(&session.query(&query).unwrap());
        assert_eq!(found, ["7 1.0 2", "18446744073709551615 0.5 -1"]);
    }

    #[test]
    fn escapes_are_told_from_escaped_backslashes() {
        for (line, expected) in [
            (r#""\ud850\udfdf""#, "\"\u{243df}\""),
            (r#""\\ud850\\udfdf""#, r#""\\ud850\\udfdf""#),
            (r#""\\\ud83d\ude00\n""#, "\"\\\\😀\\n\""),
            (r#""\ud850 \udfdf""#, "\"\u{fffd} \u{fffd}\""),
            (r#""\ud850\u0041""#, "\"\u{fffd}\\u0041\""),
            (r#""\ud8"#, r#""\ud8"#),
            ("\"\\ud850\\", "\"\u{fffd}\\"),
        ] {
            let mut bytes = line.as_bytes().to_vec();
            write_out(&mut bytes);
            assert_eq!(String::from_utf8(bytes).unwrap(), expected, "{line}");
        }
    }
}
