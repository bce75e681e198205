//! Sources: one file a format, each a stream of rows or rejected rows.
//!
//! A format is a [`Source`] and one line in [`SOURCES`]; what it is handed is a [`Unit`] (a file,
//! or the two files of a pair) whose languages are settled, and a [`Sink`]. Writes nothing.

pub mod archive;
pub mod charset;
pub mod decompress;
pub mod elements;
pub mod fields;
pub mod input;
pub mod location;
pub mod markup;
pub mod parallel;
pub mod pattern;
pub mod row;
pub mod sides;
pub mod spec;
pub mod unit;
pub mod wide;
pub mod xml;

pub mod bzip2;
pub mod conllu;
pub mod delimited;
pub mod html;
pub mod json;
pub mod mo;
pub mod moses;
pub mod opus_xml;
pub mod parquet;
pub mod po;
pub mod squad;
pub mod subtitles;
pub mod text;
pub mod tmx;
pub mod warc;
pub mod wiki;
pub mod xliff;

use std::sync::atomic::AtomicU64;

use charset::Charsets;
use location::Location;
use pattern::Found;
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

    /// The tables that it can fill, the one that it is made for first.
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
    /// whose ending tells nothing, or that several formats share, such as `.xml`.
    fn content(&self, _start: &[u8]) -> bool {
        false
    }

    /// Which encodings its text may be in.
    fn charsets(&self) -> Charsets {
        Charsets::Any
    }

    /// Whether pairs are two files of it, one a language.
    fn sides(&self) -> bool {
        false
    }

    /// Further files that the rows of a unit are made of, such as the documents of an alignment:
    /// when one of them changes, the unit is read again.
    fn beside(&self, _unit: &Unit) -> Result<Vec<Location>> {
        Ok(Vec::new())
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
    &tmx::TMX,
    &opus_xml::OPUS_XML,
    &xliff::XLIFF,
    &po::PO,
    &mo::MO,
    &squad::SQUAD,
    &subtitles::SUBTITLES,
    &subtitles::CUES,
    &conllu::CONLLU,
    &wiki::WIKI,
    &warc::WARC,
];

/// The format with a name.
pub fn named(name: &str) -> Result<&'static dyn Source> {
    SOURCES
        .iter()
        .find(|s| s.name() == name)
        .copied()
        .ok_or_else(|| Error::unknown("format", name, SOURCES.iter().map(|s| s.name())))
}

/// The formats whose files end like a name, less the ending of a compression.
fn by_endings(name: &str) -> impl Iterator<Item = &'static dyn Source> {
    let name = name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
    let ending = decompress::stem(&name).rsplit_once('.').map_or("", |(_, e)| e).to_string();
    SOURCES.iter().copied().filter(move |s| s.extensions().contains(&ending.as_str()))
}

/// The one format whose files end like a name; `None` when there are several or none.
pub fn by_ending(name: &str) -> Option<&'static dyn Source> {
    let mut formats = by_endings(name);
    formats.next().filter(|_| formats.next().is_none())
}

/// The table that a file is made for: pairs for a name like `x.de-en.de`, else the first one of
/// its format.
pub fn natural(file: &Found) -> Option<Into> {
    if sides::pair_stem(file).is_some() {
        return Some(Into::Pairs);
    }
    let format = look(file, |_| true).ok().flatten()?;
    format.tables().first().copied()
}

/// The format of a file by its first bytes, its ending, or how its content begins.
pub fn recognise(file: &Found, into: Into) -> Result<&'static dyn Source> {
    let fits = |s: &&'static dyn Source| s.tables().contains(&into);
    if let Some(format) = look(file, |s| fits(&s))? {
        return Ok(format);
    }
    if into == Into::Pairs {
        // Sides of Moses text end in their language, whatever that is.
        return Ok(&moses::MOSES);
    }
    let known: Vec<&str> = SOURCES.iter().copied().filter(fits).map(|s| s.name()).collect();
    let name = &file.name;
    Err(Error::usage(format!("{name}: the format cannot be told from the name or the content"))
        .hint_with(format!("give `format`, one of: {}", known.join(", "))))
}

/// Looks for the format of a file; an ending that several formats share is settled by the content.
fn look(
    file: &Found,
    fits: impl Fn(&'static dyn Source) -> bool,
) -> Result<Option<&'static dyn Source>> {
    let head = file.location.head(16)?;
    if let Some(source) = SOURCES.iter().find(|s| s.magic(&head)) {
        return Ok(Some(*source));
    }
    let candidates: Vec<&'static dyn Source> =
        by_endings(&file.name).filter(|s| fits(*s)).collect();
    if let [only] = candidates[..] {
        return Ok(Some(only));
    }
    let unread = AtomicU64::new(0);
    let mut input = input::Input::open(&file.location, Charsets::Any, None, &unread)?;
    let start = input.peek().unwrap_or_default();
    let start = &start[..start.len().min(4 << 10)];
    if let Some(source) = SOURCES.iter().find(|s| s.content(start)) {
        return Ok(Some(*source));
    }
    let object = start.trim_ascii_start().starts_with(b"{");
    let jsonl: Option<&'static dyn Source> = object.then_some(&json::JSONL);
    Ok(candidates.first().copied().or(jsonl))
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
            let found = pattern::find(name, dir.path()).unwrap();
            recognise(&found[0], into).map(|s| s.name())
        };
        assert_eq!(of("a.tsv", b"PAR1", Into::Documents).unwrap(), "parquet");
        assert_eq!(of("a.jsonl.zst", b"", Into::Documents).unwrap(), "jsonl");
        assert_eq!(of("a.TXT", b"x", Into::Documents).unwrap(), "text");
        let questions = b"{\"version\": 2, \"data\": [{\"paragraphs\": [";
        assert_eq!(of("a.json", questions, Into::Labelled).unwrap(), "squad");
        assert_eq!(of("a.json", b"[{\"data\": 1}]", Into::Labelled).unwrap(), "json");
        assert_eq!(of("a.json", questions, Into::Pairs).unwrap(), "json");
        assert_eq!(of("a.txt", b"x", Into::Pairs).unwrap(), "moses");
        assert_eq!(of("a.de", b"x", Into::Pairs).unwrap(), "moses");
        assert_eq!(of("a", b" {\"text\": 1}", Into::Documents).unwrap(), "jsonl");
        let error = of("a.de", b"x", Into::Documents).unwrap_err();
        assert!(error.hint().unwrap().starts_with("give `format`"));
    }
}
