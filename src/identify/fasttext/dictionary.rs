//! The words and labels of a model, and the rows of its input matrix that a text stands for.
//!
//! A word has a row of its own if the model knows it, and those of its n-grams. Which rows, and in
//! which order, is what fastText's `Dictionary::getLine` finds, since models are trained with it.
//! Nothing is normalised or lower-cased.

use std::ops::Range;

use arrow::buffer::Buffer;

use super::format::{Args, Reader};
use super::ngrams::{self, Ngrams};
use super::table::Table;
use crate::error::Result;

/// What a word begins with if it is a label, known or not.
pub const LABEL: &str = "__label__";
/// The end of a line, as a word.
const END: &[u8] = b"</s>";
const END_HASH: u32 = ngrams::hash(END);
/// Bytes of an entry besides its word: a NUL, its count and its kind.
const ENTRY: usize = 1 + 8 + 1;

/// The words of a model.
pub struct Dictionary {
    /// The entries as they stand in the file: words first, then labels.
    entries: Buffer,
    /// Where each begins, and where the last one ends.
    starts: Vec<usize>,
    /// How many of them are words.
    words: u32,
    /// Hashes of words to entries.
    table: Table,
    ngrams: Ngrams,
}

/// A label of a model.
pub struct Label {
    /// Its name as the model has it, usually with `__label__`.
    pub name: String,
    /// How often it was met in training.
    pub count: i64,
}

/// The rows of a text, with the room that finding them takes.
#[derive(Default)]
pub struct Line {
    /// The rows, in the order in which they are added up.
    pub rows: Vec<u32>,
    /// The hashes of the words.
    hashes: Vec<u32>,
    /// A word with its marks.
    marked: Vec<u8>,
}

impl Dictionary {
    /// Reads the words and labels.
    pub fn read(reader: &mut Reader<'_>, args: &Args) -> Result<(Self, Vec<Label>)> {
        reader.enter("dictionary");
        let size = reader.count("entries")?;
        let (words, n_labels) = (reader.count("words")?, reader.count("labels")?);
        let _tokens = reader.long()?;
        let pruned = reader.long()?;
        if n_labels == 0 || words.checked_add(n_labels) != Some(size) {
            return Err(
                reader.damaged(format!("{size} entries of {words} words, {n_labels} labels"))
            );
        }
        if size > reader.left() / ENTRY {
            return Err(reader.damaged(format!("{size} entries, more than bytes for them,")));
        }
        let rest = reader.rest();
        let mut starts = Vec::with_capacity(size + 1);
        let mut labels = Vec::with_capacity(n_labels);
        let mut end = 0;
        for entry in 0..size {
            let word = end..end + reader.text()?;
            starts.push(word.start);
            end = word.end + ENTRY;
            let count = reader.long()?;
            if reader.flag()? != (entry >= words) {
                return Err(reader.damaged("labels among words"));
            }
            if entry >= words {
                labels.push(Label { name: label(reader, &rest, word)?, count });
            }
        }
        starts.push(end);
        // A copy: where the vectors are copied too, nothing holds the file any more.
        let entries = Buffer::from(&rest[..end]);
        let words = words as u32;
        let ngrams = Ngrams::read(reader, args, words, pruned)?;
        let mut dictionary = Self { entries, starts, words, table: Table::new(size), ngrams };
        for entry in 0..size as u32 {
            let word = dictionary.word(entry);
            let hash = ngrams::hash(word);
            // Of equal words the last one counts.
            let slot = dictionary.table.slot(hash, |other| dictionary.word(other) == word);
            dictionary.table.put(slot, hash, entry);
        }
        Ok((dictionary, labels))
    }

    /// The number of rows that the input matrix needs.
    pub fn rows(&self) -> usize {
        self.words as usize + self.ngrams.rows()
    }

    /// Whether some n-grams have no row.
    pub fn is_pruned(&self) -> bool {
        self.ngrams.are_pruned()
    }

    /// Finds the rows of a text that is read as one line: a line break is a space.
    pub fn find(&self, text: &str, line: &mut Line) {
        line.rows.clear();
        line.hashes.clear();
        let mut rest = text.as_bytes();
        loop {
            let (word, hash, after) = next_word(rest);
            // The end of the line is a word too, and that word within a text ends the line.
            let (word, hash) = if word.is_empty() { (END, END_HASH) } else { (word, hash) };
            self.add(word, hash, line);
            if word == END {
                break;
            }
            rest = after;
        }
        self.ngrams.of_line(&line.hashes, &mut line.rows);
    }

    /// Adds a word, unless it is a label.
    fn add(&self, word: &[u8], hash: u32, line: &mut Line) {
        match self.table.get(hash, |entry| self.word(entry) == word) {
            Some(entry) if entry < self.words => line.rows.push(entry),
            Some(_) => return,
            None if word.starts_with(LABEL.as_bytes()) => return,
            None => {}
        }
        line.hashes.push(hash);
        if word != END {
            line.marked.clear();
            line.marked.push(b'<');
            line.marked.extend_from_slice(word);
            line.marked.push(b'>');
            self.ngrams.of_word(&line.marked, &mut line.rows);
        }
    }

    fn word(&self, entry: u32) -> &[u8] {
        let entry = entry as usize;
        &self.entries[self.starts[entry]..self.starts[entry + 1] - ENTRY]
    }
}

fn label(reader: &Reader<'_>, bytes: &[u8], word: Range<usize>) -> Result<String> {
    let name = bytes.get(word).unwrap_or_default().to_vec();
    String::from_utf8(name).map_err(|_| reader.damaged("a label that is not UTF-8"))
}

/// The first word of a text, its hash, and what follows; the word is empty where there is none.
fn next_word(text: &[u8]) -> (&[u8], u32, &[u8]) {
    let start = text.iter().position(|byte| !is_space(*byte)).unwrap_or(text.len());
    let text = &text[start..];
    let mut hash = ngrams::EMPTY;
    for (at, byte) in text.iter().enumerate() {
        if is_space(*byte) {
            return (&text[..at], hash, &text[at..]);
        }
        hash = ngrams::step(hash, *byte);
    }
    (text, hash, &[])
}

/// Whether a byte parts words: fastText knows those of ASCII alone, and NUL.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\x0b' | b'\x0c' | b'\r' | 0)
}
