//! TSV without quotes and CSV with them, with a header or none.
//!
//! A quote that is never closed costs its own line, not the rest of the file.

use std::collections::VecDeque;
use std::sync::atomic::AtomicU64;

use serde_json::{Map, Value};

use super::fields::Fields;
use super::input::{Line, Lines, MAX_RECORD, decode, too_long};
use super::spec::Column;
use super::{Into, Sink, Source, Unit};
use crate::error::Result;

/// Fields between tabs; a quote is a character like any other.
pub const TSV: Delimited = Delimited { quoted: false };
/// Fields between commas, in quotes where they need them (RFC 4180).
pub const CSV: Delimited = Delimited { quoted: true };

/// A format of fields between delimiters.
pub struct Delimited {
    quoted: bool,
}

impl Source for Delimited {
    fn name(&self) -> &'static str {
        if self.quoted { "csv" } else { "tsv" }
    }

    fn doc(&self) -> &'static str {
        if self.quoted {
            "Comma-separated values in RFC 4180 quotes, with a header or with numbered columns."
        } else {
            "Tab-separated values without quotes, with a header or with numbered columns."
        }
    }

    fn extensions(&self) -> &'static [&'static str] {
        if self.quoted { &["csv"] } else { &["tsv", "tab"] }
    }

    fn tables(&self) -> &'static [Into] {
        &[Into::Documents, Into::Pairs, Into::Labelled]
    }

    fn has_columns(&self) -> bool {
        true
    }

    fn read(&self, unit: &Unit, read: &AtomicU64, sink: &mut dyn Sink) -> Result<()> {
        let input = unit.open(read)?;
        let delimiter = match unit.spec.delimiter {
            Some(delimiter) => delimiter as u8,
            None if self.quoted => b',',
            None => b'\t',
        };
        let quoted = self.quoted;
        let mut records =
            Records { lines: input.lines(), queue: VecDeque::new(), delimiter, quoted };
        // The header, or the first record, fixes the number of fields.
        let mut shape: Option<(Vec<String>, Fields<'_>)> = None;
        let numbered = Unit { spec: numbered(unit), ..unit.clone() };
        let unit = if unit.spec.has_header() { unit } else { &numbered };
        while let Some(record) = records.next()? {
            let (offset, raw, fields) = match record {
                Record::Fields { offset, raw, fields } => (offset, raw, fields),
                Record::Fault { offset, raw, reason } => {
                    sink.reject(offset, &reason, &raw)?;
                    continue;
                }
            };
            let Some((header, rows)) = &mut shape else {
                let header = names(&fields, unit.spec.has_header());
                let mut rows = Fields::new(unit, Some(&header))?;
                if !unit.spec.has_header() {
                    rows.row(offset, object(&header, fields), &raw, sink)?;
                }
                shape = Some((header, rows));
                continue;
            };
            if fields.len() != header.len() {
                let reason = format!("has {} fields; expected {}", fields.len(), header.len());
                sink.reject(offset, &reason, &raw)?;
                continue;
            }
            rows.row(offset, object(header, fields), &raw, sink)?;
        }
        shape.map_or(Ok(()), |(_, rows)| rows.finish())
    }
}

/// Columns of a file without a header: as they are given, else the first ones.
fn numbered(unit: &Unit) -> super::SourceSpec {
    let mut spec = unit.spec.clone();
    let usual: &[&str] = match unit.into {
        Into::Documents => &["text"],
        Into::Pairs => &["src", "tgt"],
        Into::Labelled => &["text", "label"],
    };
    if spec.columns.is_empty() {
        // A label that the path gives is in no column.
        let usual = usual.iter().filter(|f| **f != "label" || unit.label.is_none());
        for (i, field) in usual.enumerate() {
            spec.columns.insert(field.to_string(), Column::Number(i + 1));
        }
    }
    spec
}

/// The names of columns; one that is empty or taken goes by its number.
fn names(first: &[String], header: bool) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(first.len());
    for (i, field) in first.iter().enumerate() {
        let named = header && !field.is_empty() && !names.contains(field);
        names.push(if named { field.clone() } else { (i + 1).to_string() });
    }
    names
}

fn object(header: &[String], fields: Vec<String>) -> Map<String, Value> {
    header.iter().cloned().zip(fields.into_iter().map(Value::String)).collect()
}

enum Record {
    Fields { offset: u64, raw: Vec<u8>, fields: Vec<String> },
    Fault { offset: u64, raw: Vec<u8>, reason: String },
}

/// A line with its offset: its bytes, or why it cannot be read and how it begins.
type Ahead = (u64, Result<Vec<u8>, (String, Vec<u8>)>);

/// The records of a file; `queue` holds lines that were read ahead in search of a closing quote.
struct Records<'a> {
    lines: Lines<'a>,
    queue: VecDeque<Ahead>,
    delimiter: u8,
    quoted: bool,
}

/// What a record that was read so far is.
enum Split {
    Done(Vec<String>),
    Open,
    Broken(String),
}

impl Records<'_> {
    fn next(&mut self) -> Result<Option<Record>> {
        let (offset, mut raw) = loop {
            match self.line()? {
                None => return Ok(None),
                Some((offset, Err((reason, raw)))) => {
                    return Ok(Some(Record::Fault { offset, raw, reason }));
                }
                Some((_, Ok(line))) if line.is_empty() => {}
                Some((offset, Ok(line))) => break (offset, line),
            }
        };
        let first = raw.len();
        let mut ahead = Vec::new();
        let mut ended = false;
        let mut reason = loop {
            match self.split(&raw) {
                Split::Done(fields) => return Ok(Some(Record::Fields { offset, raw, fields })),
                Split::Broken(reason) => break reason,
                Split::Open if raw.len() > MAX_RECORD => break too_long(),
                Split::Open if ended => break "a quote is not closed".to_string(),
                Split::Open => {}
            }
            // Only a line with a quote can close the record; the others are just appended.
            while !ended && raw.len() <= MAX_RECORD {
                match self.line()? {
                    Some((at, Ok(line))) => {
                        raw.push(b'\n');
                        raw.extend_from_slice(&line);
                        // A line that may close the record is worth another look.
                        let closes = line.contains(&b'"');
                        ahead.push((at, Ok(line)));
                        if closes {
                            break;
                        }
                    }
                    Some(fault) => {
                        ahead.push(fault);
                        ended = true;
                    }
                    None => ended = true,
                }
            }
        };
        // Only the first line is lost: the others may be records of their own.
        raw.truncate(first);
        for line in ahead.into_iter().rev() {
            self.queue.push_front(line);
        }
        if let Err(fault) = decode(&raw) {
            reason = fault;
        }
        Ok(Some(Record::Fault { offset, raw, reason }))
    }

    fn line(&mut self) -> Result<Option<Ahead>> {
        if let Some(line) = self.queue.pop_front() {
            return Ok(Some(line));
        }
        self.lines.next(|offset, line| {
            Ok(match line {
                Line::Whole(bytes) => (offset, Ok(bytes.to_vec())),
                Line::TooLong(head) => (offset, Err((too_long(), head.to_vec()))),
                Line::Damaged(reason, cut) => (offset, Err((reason.to_string(), cut.to_vec()))),
            })
        })
    }

    fn split(&self, raw: &[u8]) -> Split {
        let text = match decode(raw) {
            Ok(text) => text,
            Err(reason) => return Split::Broken(reason),
        };
        let delimiter = self.delimiter as char;
        if !self.quoted {
            return Split::Done(text.split(delimiter).map(str::to_string).collect());
        }
        let mut fields = Vec::new();
        let mut rest = text;
        loop {
            let Some(mut quoted) = rest.strip_prefix('"') else {
                match rest.split_once(delimiter) {
                    Some((field, after)) => {
                        fields.push(field.to_string());
                        rest = after;
                        continue;
                    }
                    None => {
                        fields.push(rest.to_string());
                        return Split::Done(fields);
                    }
                }
            };
            let mut field = String::new();
            loop {
                let Some((part, after)) = quoted.split_once('"') else { return Split::Open };
                field.push_str(part);
                match after.strip_prefix('"') {
                    Some(after) => {
                        field.push('"');
                        quoted = after;
                    }
                    None => {
                        quoted = after;
                        break;
                    }
                }
            }
            fields.push(field);
            match quoted.strip_prefix(delimiter) {
                Some(after) => rest = after,
                None if quoted.is_empty() => return Split::Done(fields),
                None => return Split::Broken("text follows a closing quote".into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::unit::tests::read;
    use super::*;

    #[test]
    fn tsv_takes_quotes_as_they_are() {
        let file = "tweet\tlabel\r\n\"Àwa\tpositive\r\nsẹ́\"\tnegative\r\na\tb\tc\r\n";
        let options = "columns = { text = 'tweet' }\nlang = 'yo'\ninto = 'labelled'";
        let (kept, result) = read(&TSV, &[file.as_bytes()], options);
        result.unwrap();
        assert_eq!(kept.texts(), ["\"Àwa", "sẹ́\""]);
        assert_eq!(kept.rows[1].1.label.as_deref(), Some("negative"));
        assert_eq!(kept.reasons(), ["has 3 fields; expected 2"]);
    }

    #[test]
    fn numbered_columns_have_no_header() {
        let options = "columns = { src = 3, tgt = 4 }\nlangs = ['en', 'ja']";
        let file = "u\tv\tyes\tはい\nu\tv\tno\tいいえ";
        let (kept, result) = read(&TSV, &[file.as_bytes()], options);
        result.unwrap();
        assert_eq!(kept.texts(), ["yes", "no"]);
        let row = &kept.rows[1].1;
        assert_eq!((kept.rows[1].0, row.second.as_deref()), (15, Some("いいえ")));
        assert_eq!(Value::Object(row.meta.clone()).to_string(), r#"{"1":"u","2":"v"}"#);
        let (kept, _) =
            read(&TSV, &["ja\tnein".as_bytes()], "header = false\nlangs = ['de', 'de']");
        assert_eq!(kept.rows[0].1.second.as_deref(), Some("nein"));
    }

    #[test]
    fn csv_quotes_commas_lines_and_quotes() {
        let file = ",id,text\n0,a,\"один, \"\"два\"\"\n\nтри\"\n1,b,\n";
        let (kept, result) = read(&CSV, &[file.as_bytes()], "");
        result.unwrap();
        assert_eq!(kept.texts(), ["один, \"два\"\n\nтри", ""]);
        assert_eq!(kept.rows[1].1.id.as_deref(), Some("b"));
        let meta = Value::Object(kept.rows[1].1.meta.clone()).to_string();
        assert_eq!(meta, r#"{"1":"1"}"#);
    }

    #[test]
    fn an_open_quote_costs_its_own_line() {
        let file = b"text,n\na,1\n\"b,2\nc,3\n\"d\",4\ne\xff,5\nf,6\n\"g,7\nh,8\n";
        let (kept, result) = read(&CSV, &[file], "");
        result.unwrap();
        assert_eq!(kept.texts(), ["a", "c", "d", "f", "h"]);
        let want =
            ["text follows a closing quote", "invalid UTF-8 at byte 1", "a quote is not closed"];
        assert_eq!(kept.reasons(), want);
        assert_eq!(kept.rejected[0], (11, want[0].to_string(), b"\"b,2".to_vec()));
    }

    #[test]
    fn a_missing_column_is_an_error_with_those_there_are() {
        let (_, result) = read(&TSV, &[b"tweet\tlabel\na\tb\n"], "");
        let error = result.unwrap_err();
        assert_eq!(error.to_string(), "f0: column `text` is missing; there are: tweet, label");
        assert!(error.hint().unwrap().contains("numbers from 1"));
        let (_, result) = read(&TSV, &[b"a\tb\n"], "columns = { text = 3 }");
        assert!(result.unwrap_err().to_string().contains("column `3` is missing"));
    }

    #[test]
    fn empty_files_and_headers_alone_have_no_rows() {
        for file in [b"".as_slice(), b"text,n\n"] {
            let (kept, result) = read(&CSV, &[file], "");
            assert!(result.is_ok() && kept.rows.is_empty() && kept.rejected.is_empty());
        }
    }
}
