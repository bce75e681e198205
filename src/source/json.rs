//! JSON: one object a line, or one array of objects.
//!
//! The layouts of datatrove and dolma need no word: their fields have the tables' names.

use std::sync::atomic::AtomicU64;

use serde_json::{Map, Value};

use super::charset::Charsets;
use super::fields::Fields;
use super::input::{MAX_RECORD, decode, each_line, too_long};
use super::text::BLANK;
use super::{Into, Sink, Source, Unit};
use crate::error::Result;

/// One object a line.
pub const JSONL: Json = Json { lines: true };
/// One array of objects, or objects one after another, with line breaks anywhere.
pub const JSON: Json = Json { lines: false };

/// A format of JSON.
pub struct Json {
    lines: bool,
}

impl Source for Json {
    fn name(&self) -> &'static str {
        if self.lines { "jsonl" } else { "json" }
    }

    fn doc(&self) -> &'static str {
        if self.lines {
            "JSON lines, one object a row; datatrove's and dolma's layouts as they are."
        } else {
            "One JSON array of objects, each a row."
        }
    }

    fn extensions(&self) -> &'static [&'static str] {
        if self.lines { &["jsonl", "ndjson", "jsonlines"] } else { &["json"] }
    }

    fn tables(&self) -> &'static [Into] {
        &[Into::Documents, Into::Pairs, Into::Labelled]
    }

    fn charsets(&self) -> Charsets {
        Charsets::Unicode
    }

    fn has_columns(&self) -> bool {
        true
    }

    fn read(&self, unit: &Unit, read: &AtomicU64, sink: &mut dyn Sink) -> Result<()> {
        let mut fields = Fields::new(unit, None)?;
        if self.lines {
            each_line(unit.open(read)?, sink, |offset, line, sink| {
                if line.trim().is_empty() {
                    sink.skip(BLANK);
                    Ok(())
                } else {
                    object(&mut fields, offset, line, sink)
                }
            })?;
        } else {
            array(unit, read, &mut fields, sink)?;
        }
        fields.finish()
    }
}

/// One row from the text of one object.
fn object(fields: &mut Fields<'_>, offset: u64, text: &str, sink: &mut dyn Sink) -> Result<()> {
    match serde_json::from_str::<Map<String, Value>>(text) {
        Ok(object) => fields.row(offset, object, text.as_bytes(), sink),
        Err(e) => sink.reject(offset, &format!("not a JSON object: {e}"), text.as_bytes()),
    }
}

/// Finds the objects by their braces, so that an array need not fit into memory.
fn array(
    unit: &Unit,
    read: &AtomicU64,
    fields: &mut Fields<'_>,
    sink: &mut dyn Sink,
) -> Result<()> {
    let input = unit.open(read)?;
    let mut scan = Scan::default();
    let damage = input.each_piece(|offset, piece| scan.piece(offset, piece, fields, sink))?;
    match damage {
        Some((offset, reason)) => sink.reject(offset, &reason, &scan.text),
        None if scan.depth > 0 => {
            sink.reject(scan.begin, "the file ends inside an object", &scan.text)
        }
        None => Ok(()),
    }
}

/// An object that is being collected.
#[derive(Default)]
struct Scan {
    text: Vec<u8>,
    begin: u64,
    /// How many brackets are open; only counted, so that no depth costs memory.
    depth: u64,
    string: bool,
    escaped: bool,
    /// The last byte outside of strings that is no space.
    last: u8,
    /// It is longer than what is read; only its beginning is kept.
    long: bool,
    /// What stands between objects is none; the next line may be.
    stray: bool,
    /// The last object broke off: the next one begins a line.
    lost: bool,
    /// Nothing but space stands before on this line.
    fresh: bool,
}

impl Scan {
    fn piece(
        &mut self,
        offset: u64,
        piece: &[u8],
        fields: &mut Fields<'_>,
        sink: &mut dyn Sink,
    ) -> Result<()> {
        // What of the piece is not collected yet begins at `from`.
        let (mut i, mut from) = (0, 0);
        while let Some(byte) = piece.get(i).copied() {
            let at = offset + i as u64;
            if self.depth == 0 {
                match byte {
                    b'\n' => (self.stray, self.fresh) = (false, true),
                    b'{' if !self.stray && (!self.lost || self.fresh) => {
                        from = i;
                        self.open(at);
                    }
                    b'[' | b']' | b',' | b' ' | b'\t' | b'\r' => {}
                    _ if self.stray || self.lost => self.fresh = false,
                    _ => {
                        self.stray = true;
                        sink.reject(at, "not a JSON object", &piece[i..])?;
                    }
                }
            } else if self.string {
                let rest = &piece[i..];
                if !std::mem::take(&mut self.escaped) {
                    let Some(n) = memchr::memchr3(b'"', b'\\', b'\n', rest) else { break };
                    i += n;
                    match rest[n] {
                        b'"' => (self.string, self.last) = (false, b'"'),
                        b'\\' => self.escaped = true,
                        _ => {
                            // No string of JSON holds a line break: a quote is missing.
                            self.keep(&piece[from..i]);
                            self.broken("a string is not closed on its line", sink)?;
                            (self.lost, self.fresh) = (true, true);
                        }
                    }
                }
            } else {
                match byte {
                    b'{' if !matches!(self.last, b':' | b',' | b'[') => {
                        self.keep(&piece[from..i]);
                        self.broken("another begins before its end", sink)?;
                        from = i;
                        self.open(at);
                    }
                    b'"' => self.string = true,
                    b'{' | b'[' => self.depth += 1,
                    b'}' | b']' => self.depth -= 1,
                    _ => {}
                }
                if !byte.is_ascii_whitespace() {
                    self.last = byte;
                }
                if self.depth == 0 {
                    self.keep(&piece[from..=i]);
                    self.done(fields, sink)?;
                }
            }
            i += 1;
        }
        if self.depth > 0 {
            self.keep(&piece[from..]);
        }
        Ok(())
    }

    fn open(&mut self, at: u64) {
        (self.depth, self.begin, self.last) = (1, at, b'{');
        (self.lost, self.fresh) = (false, false);
    }

    fn keep(&mut self, bytes: &[u8]) {
        if !self.long {
            self.text.extend_from_slice(bytes);
            if self.text.len() > MAX_RECORD {
                self.long = true;
                self.text.truncate(8 << 10);
                self.text.shrink_to(1 << 20);
            }
        }
    }

    /// Rejects what was collected: it is no object up to its end.
    fn broken(&mut self, reason: &str, sink: &mut dyn Sink) -> Result<()> {
        (self.depth, self.string) = (0, false);
        let reason = match std::mem::take(&mut self.long) {
            true => too_long(),
            false => format!("not a JSON object: {reason}"),
        };
        sink.reject(self.begin, &reason, &self.text)?;
        self.text.clear();
        Ok(())
    }

    /// Hands on the object that was collected.
    fn done(&mut self, fields: &mut Fields<'_>, sink: &mut dyn Sink) -> Result<()> {
        match decode(&self.text) {
            _ if std::mem::take(&mut self.long) => {
                sink.reject(self.begin, &too_long(), &self.text)?;
            }
            Ok(text) => object(fields, self.begin, text, sink)?,
            Err(reason) => sink.reject(self.begin, &reason, &self.text)?,
        }
        self.text.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::unit::tests::read;
    use super::*;

    #[test]
    fn a_line_is_an_object_and_the_rest_of_it_is_meta() {
        let file = "\u{feff}{\"id\":7,\"text\":\"Habari\",\"lang\":\"sw\",\"n\":[1]}\r\n\n\
                    {\"text\":\"日本\",\"lang\":\"ja\",\"url\":null}";
        let (kept, _) = read(&JSONL, &[file.as_bytes()], "");
        assert_eq!(kept.texts(), ["Habari", "日本"]);
        let row = &kept.rows[0].1;
        assert_eq!((row.id.as_deref(), row.lang.as_deref()), (Some("7"), Some("swh_Latn")));
        assert_eq!(Value::Object(row.meta.clone()).to_string(), r#"{"n":[1]}"#);
        assert_eq!(kept.rows[0].0, 3);
        assert_eq!(kept.rows[1].1.lang.as_deref(), Some("jpn_Jpan"));
    }

    #[test]
    fn layouts_of_datatrove_and_dolma() {
        let file = r#"{"text":"a","id":"x","metadata":{"url":"http://e","language":"is","score":1}}
{"id":"y","text":"b","source":"cc","added":"2024","metadata":{"source":"z"}}"#;
        let (kept, _) = read(&JSONL, &[file.as_bytes()], "");
        let row = &kept.rows[0].1;
        assert_eq!((row.url.as_deref(), row.lang.as_deref()), (Some("http://e"), Some("isl_Latn")));
        let meta = Value::Object(kept.rows[1].1.meta.clone()).to_string();
        assert_eq!(meta, r#"{"source":"cc","added":"2024","metadata.source":"z"}"#);
    }

    #[test]
    fn what_is_no_row_is_rejected() {
        let file = "{\"text\":\"a\"}\n{\"text\":\n[1]\n{\"text\":3}\n{\"no\":1}\n\
                    {\"text\":\"b\",\"lang\":\"qqqq\"}\n{\"text\":null}\nd\n";
        let (kept, result) = read(&JSONL, &[file.as_bytes()], "");
        assert!(result.is_ok());
        assert_eq!(kept.texts(), ["a"]);
        let starts = ["not a JSON", "not a JSON", "`text` is not", "`text` is missing", "unknown"];
        for (reason, start) in kept.reasons().iter().zip(starts) {
            assert!(reason.starts_with(start), "{reason}");
        }
        assert_eq!(kept.rejected.len(), 7);
    }

    #[test]
    fn a_column_that_no_row_has_is_an_error_with_those_there_are() {
        let (_, result) = read(&JSONL, &[b"{\"body\":\"a\",\"n\":1}\n{\"body\":\"b\"}"], "");
        let error = result.unwrap_err().to_string();
        assert!(error.ends_with("column `text` is missing; there are: body, n"), "{error}");
    }

    #[test]
    fn pairs_by_paths_with_dots() {
        let options = "langs = ['en', 'de']\ncolumns = { src = 'translation.en', tgt = \
                       'translation.de', score = 's' }";
        let file = br#"{"id":1,"translation":{"en":"yes","de":"ja"},"s":"0.5"}"#;
        let (kept, result) = read(&JSONL, &[file], options);
        result.unwrap();
        let row = &kept.rows[0].1;
        assert_eq!((row.text.as_str(), row.second.as_deref()), ("yes", Some("ja")));
        assert_eq!((row.score, row.second_lang.as_deref()), (Some(0.5), Some("deu_Latn")));
    }

    #[test]
    fn an_array_is_read_object_by_object() {
        let file = "[\n {\"text\": \"a}\\\"\",\n  \"x\": {\"y\": []}}, {\"text\":\"б\"}\n]\n{\"te";
        let (kept, _) = read(&JSON, &[file.as_bytes()], "");
        assert_eq!(kept.texts(), ["a}\"", "б"]);
        assert_eq!(kept.reasons(), ["the file ends inside an object"]);
    }

    #[test]
    fn an_object_that_breaks_off_costs_itself() {
        let file = "[{\"text\": \"a\"},\n{\"text\": \"bro\n{\"text\": \"b\"},\n\
                    {\"text\": \"c\", \"n\": [1,\n {\"text\": \"d\",\n  \"x\": \"y\n  \"z\": {\"text\": 1}\n },\n\
                    {\"text\": \"e\"\n{\"text\": \"f\"}]";
        let (kept, result) = read(&JSON, &[file.as_bytes()], "");
        result.unwrap();
        assert_eq!(kept.texts(), ["a", "b", "f"]);
        let unclosed = "not a JSON object: a string is not closed on its line";
        let another = "not a JSON object: another begins before its end";
        assert_eq!(kept.reasons(), [unclosed, unclosed, another]);
    }

    #[test]
    fn depth_and_length_are_bounded() {
        let mut file = b"[{\"text\":\"a\",\"x\":".to_vec();
        file.extend(b"[".repeat(1 << 20));
        file.extend(b"]".repeat(1 << 20));
        file.extend(b"},\n{\"text\":\"b\",\"x\":");
        file.extend(b"{\"a\":".repeat(1 << 20));
        let (kept, _) = read(&JSON, &[&file], "");
        assert!(kept.reasons()[0].contains("recursion limit"), "{:?}", kept.reasons());
        assert_eq!(kept.reasons()[1..], ["the file ends inside an object"]);
        let (kept, _) = read(&JSONL, &[&file[1..]], "");
        assert_eq!(kept.rejected.len(), 2);
    }

    #[test]
    fn a_nul_is_a_nul_however_it_is_written() {
        let file = b"{\"text\":\"a\\u0000b\"}\n{\"text\":\"a\\\\u0000\"}\n\
                     {\"text\":\"c\",\"m\":[{\"\\u0000\":1}]}\n";
        let (kept, _) = read(&JSONL, &[file], "");
        assert_eq!(kept.texts(), ["a\\u0000"]);
        assert_eq!(kept.reasons(), ["contains a NUL byte"; 2]);
    }

    #[test]
    fn a_column_that_was_asked_for_has_to_be_somewhere() {
        let file = b"{\"text\":\"a\",\"n\":1}\n{\"text\":\"b\",\"key\":null}\n";
        let (kept, result) = read(&JSONL, &[file], "columns = { id = 'key' }");
        result.unwrap();
        assert_eq!(kept.rows.len(), 2);
        let (_, result) = read(&JSONL, &[file], "columns = { id = 'kee' }");
        let error = result.unwrap_err().to_string();
        assert!(error.ends_with("column `kee` is missing; there are: text, n"), "{error}");
        let (_, result) = read(&JSONL, &[b""], "columns = { id = 'kee' }");
        result.unwrap();
    }

    #[test]
    fn a_language_that_is_not_known_is_none() {
        let file = b"{\"text\":\"a\",\"lang\":\"und\"}\n{\"text\":\"b\",\"lang\":\"mul-Latn\"}\n\
                     {\"text\":\"c\",\"lang\":\"\"}\n{\"text\":\"d\",\"lang\":\"Unknown\"}\n";
        let (kept, _) = read(&JSONL, &[file], "");
        assert_eq!(kept.texts(), ["a", "b", "c", "d"]);
        assert!(kept.rows.iter().all(|(_, row)| row.lang.is_none()));
    }

    #[test]
    fn an_array_on_one_line_may_be_longer_than_a_line() {
        let mut file = b"[".to_vec();
        for _ in 0..9 {
            file.extend(format!("{{\"text\":\"{}\"}},", "ж".repeat(2 << 20)).into_bytes());
        }
        file.extend(format!("{{\"text\":\"{}\"}},", "ж".repeat(17 << 20)).into_bytes());
        file.extend(b"{\"text\":\"last\"}, what {} \n{\"text\":\"b\"}]");
        let (kept, result) = read(&JSON, &[&file], "");
        result.unwrap();
        assert_eq!(kept.rows.len(), 11);
        assert_eq!(kept.texts()[9..], ["last", "b"]);
        assert_eq!(kept.reasons(), ["longer than 32 MiB", "not a JSON object"]);
    }
}
