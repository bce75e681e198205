//! Sources: one file a format, each a stream of rows or rejected rows.
//!
//! A format is a [`Source`] and one line in [`SOURCES`]; what it is handed is a [`Unit`] (a file,
//! or the two files of a pair) whose languages are settled, and a [`Sink`]. Writes nothing.

pub mod fields;
pub mod input;
pub mod pattern;
pub mod row;
pub mod spec;
pub mod unit;
pub mod wide;

pub mod conllu;
pub mod delimited;
pub mod json;
pub mod mo;
pub mod moses;
pub mod parquet;
pub mod po;
pub mod squad;
pub mod subtitles;
pub mod text;

use std::path::Path;
use std::sync::atomic::AtomicU64;

pub use row::{Row, Sink};
pub use spec::{Column, Into, SourceSpec};
pub use unit::Unit;

use crate::error::{Error, Result};

/// A format of files.
pub trait Source: Sync {
    /// Its name, as `format = "…"` has it.
    fn name(&self) -> &'static str;

    /// What such a file is, in one sentence.
    fn doc(&self) -> &'static str;

    /// The endings of its files without the dot; an ending of a compression is taken off before.
    fn extensions(&self) -> &'static [&'static str];

    /// The tables that it can fill.
    fn tables(&self) -> &'static [Into];

    /// Counts up when the same file gives other rows than before, so that it is read again.
    fn version(&self) -> u32 {
        1
    }

    /// Whether the first bytes of a file, as it lies on disk, can be of no other format.
    fn magic(&self, _head: &[u8]) -> bool {
        false
    }

    /// Whether the first 4 KiB of a file's content can be of no other format. Asked of files
    /// whose ending tells nothing or little, such as `.xml` and `.json`.
    fn content(&self, _start: &[u8]) -> bool {
        false
    }

    /// Whether a file is no text, so that its bytes are handed out as they are.
    fn binary(&self) -> bool {
        false
    }

    /// Whether pairs come from two files, one a language.
    fn sides(&self) -> bool {
        false
    }

    /// Whether a file is read by columns, whose numbers and names are then checked.
    fn has_columns(&self) -> bool {
        false
    }

    /// Reads all rows of a unit into a sink, adding the bytes read from disk to `read`. Errors
    /// when what was asked for does not fit the file, or the system refuses; whatever is wrong
    /// with single rows, or with the file itself, goes to the sink.
    fn read(&self, unit: &Unit, read: &AtomicU64, sink: &mut dyn Sink) -> Result<()>;
}

/// All formats, the most usual first.
pub const SOURCES: &[&dyn Source] = &[
    &json::JSONL,
    &json::JSON,
    &text::TEXT,
    &text::LINES,
    &text::PARAGRAPHS,
    &delimited::TSV,
    &delimited::CSV,
    &parquet::PARQUET,
    &moses::MOSES,
    &po::PO,
    &mo::MO,
    &squad::SQUAD,
    &subtitles::SUBTITLES,
    &subtitles::CUES,
    &conllu::CONLLU,
];

/// The format with a name.
pub fn named(name: &str) -> Result<&'static dyn Source> {
    SOURCES
        .iter()
        .find(|s| s.name() == name)
        .copied()
        .ok_or_else(|| Error::unknown("format", name, SOURCES.iter().map(|s| s.name())))
}

/// The format of a file by its first bytes, its ending, or the first character of its content.
pub fn recognise(path: &Path, name: &str, into: Into) -> Result<&'static dyn Source> {
    let head = input::head(path, 16)?;
    let fits = |s: &&&'static dyn Source| s.tables().contains(&into);
    if let Some(source) = SOURCES.iter().find(|s| s.magic(&head)) {
        return Ok(*source);
    }
    let file = name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
    let stem = [".gz", ".zst", ".zstd"].iter().find_map(|e| file.strip_suffix(e)).unwrap_or(&file);
    let ending = stem.rsplit_once('.').map_or("", |(_, ending)| ending);
    let by_ending = |s: &&&'static dyn Source| s.extensions().contains(&ending);
    let named = SOURCES.iter().filter(fits).find(by_ending);
    if let Some(source) = named
        && source.name() != json::JSON.name()
    {
        return Ok(*source);
    }
    let unread = AtomicU64::new(0);
    let mut input = input::Input::open(path, &unread)?;
    let start = input.peek().unwrap_or_default();
    let start = &start[..start.len().min(4 << 10)];
    if let Some(source) = SOURCES.iter().find(|s| s.content(start)) {
        return Ok(*source);
    }
    if let Some(source) = named {
        return Ok(*source);
    }
    if start.trim_ascii_start().starts_with(b"{") {
        return Ok(&json::JSONL);
    }
    if into == Into::Pairs {
        // Sides of Moses text end in their language, whatever that is.
        return Ok(&moses::MOSES);
    }
    let known: Vec<&str> = SOURCES.iter().filter(fits).map(|s| s.name()).collect();
    Err(Error::usage(format!("{name}: the format cannot be told from the name or the content"))
        .hint_with(format!("give `format`, one of: {}", known.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_has_a_sentence_and_a_table() {
        let mut names: Vec<&str> = SOURCES.iter().map(|s| s.name()).collect();
        for source in SOURCES {
            assert!(source.doc().ends_with('.'), "{}", source.name());
            assert!(!source.tables().is_empty(), "{}", source.name());
        }
        names.sort();
        names.dedup();
        assert_eq!(names.len(), SOURCES.len());
        assert_eq!(named("jsnol").err().unwrap().hint(), Some("did you mean `jsonl`?"));
    }

    #[test]
    fn a_format_is_told_by_bytes_ending_or_content() {
        let dir = tempfile::tempdir().unwrap();
        let of = |name: &str, bytes: &[u8], into| {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            recognise(&path, name, into).map(|s| s.name())
        };
        assert_eq!(of("a.tsv", b"PAR1", Into::Documents).unwrap(), "parquet");
        assert_eq!(of("a.jsonl.zst", b"", Into::Documents).unwrap(), "jsonl");
        assert_eq!(of("a.TXT", b"x", Into::Documents).unwrap(), "text");
        assert_eq!(of("a.txt", b"x", Into::Pairs).unwrap(), "moses");
        assert_eq!(of("a.de", b"x", Into::Pairs).unwrap(), "moses");
        assert_eq!(of("a", b" {\"text\": 1}", Into::Documents).unwrap(), "jsonl");
        let error = of("a.de", b"x", Into::Documents).unwrap_err();
        assert!(error.hint().unwrap().starts_with("give `format`"));
    }
}
