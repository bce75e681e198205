//! A sentence of CoNLL-U: its comments, its words, and its text as it was written.
//!
//! The format is that of Universal Dependencies, version 2. Trees are not looked at.

use std::sync::atomic::AtomicU64;

use crate::error::Result;
use crate::source::Unit;
use crate::source::input::{Line, Lines, MAX_RECORD, decode, too_long};

/// One sentence.
#[derive(Debug, Default, PartialEq)]
pub struct Sentence {
    /// Its `sent_id`.
    pub id: Option<String>,
    /// Its text.
    pub text: String,
    /// The forms of its syntactic words, where they are asked for.
    pub words: Vec<String>,
    /// The values of the column of tags, a word each, where they are asked for.
    pub tags: Vec<String>,
    /// Comments `text_…`, which are translations and transliterations.
    pub others: Vec<(String, String)>,
    /// The id of its document, where the file has any.
    pub doc: Option<String>,
    /// Its place in its document, or in the file.
    pub position: u64,
}

/// What stands between two blank lines.
pub enum Block {
    /// A sentence, and where it begins.
    Sentence(u64, Sentence),
    /// One that cannot be read: where it begins, why, and its first bytes.
    Fault(u64, String, Vec<u8>),
    /// None by its nature, and why.
    Skip(&'static str),
}

/// Bytes of a rejected sentence that are kept.
const RAW: usize = 4 << 10;

/// The sentences of one file.
pub struct Sentences<'a> {
    lines: Lines<'a>,
    /// The column of the tags, from 0; words are kept only with it.
    tags: Option<usize>,
    text: String,
    doc: Option<String>,
    position: u64,
}

/// A line as it is taken in.
enum Taken {
    Text,
    Blank,
    /// Why the line is no text, and its first bytes.
    Fault(String, Vec<u8>),
    /// The compressed file breaks off.
    Cut(String),
}

impl Taken {
    fn fault(reason: String, raw: &[u8]) -> Self {
        Self::Fault(reason, raw[..raw.len().min(RAW)].to_vec())
    }
}

impl<'a> Sentences<'a> {
    /// Of one of the files of a unit, with the words and the column of their tags, from 0, if
    /// there is one.
    pub fn open(
        unit: &'a Unit,
        n: usize,
        tags: Option<usize>,
        read: &'a AtomicU64,
    ) -> Result<Self> {
        let lines = unit.open_nth(n, read)?.lines();
        Ok(Self { lines, tags, text: String::new(), doc: None, position: 0 })
    }

    /// The next one; `None` at the end.
    pub fn next(&mut self) -> Result<Option<Block>> {
        self.text.clear();
        let (mut begin, mut any) = (self.lines.offset(), false);
        let (mut fault, mut cut) = (None, None);
        loop {
            let text = &mut self.text;
            let line = self.lines.next(|offset, line| {
                if !any {
                    begin = offset;
                }
                let bytes = match line {
                    Line::Whole(bytes) => bytes,
                    Line::TooLong(head) => return Ok(Taken::fault(too_long(), head)),
                    Line::Damaged(reason, _) => return Ok(Taken::Cut(reason.into())),
                };
                Ok(match decode(bytes) {
                    Ok(line) if line.trim().is_empty() => Taken::Blank,
                    Ok(line) if text.len() + line.len() < MAX_RECORD => {
                        text.push_str(line);
                        text.push('\n');
                        Taken::Text
                    }
                    Ok(_) => Taken::fault(too_long(), bytes),
                    Err(reason) => Taken::fault(reason, bytes),
                })
            })?;
            match line {
                Some(Taken::Blank) if !any => {}
                Some(Taken::Text) => any = true,
                Some(Taken::Fault(reason, raw)) => {
                    any = true;
                    fault.get_or_insert((reason, raw));
                }
                Some(Taken::Cut(reason)) => {
                    cut = Some((reason, Vec::new()));
                    break;
                }
                Some(Taken::Blank) | None => break,
            }
        }
        if !any && cut.is_none() {
            return Ok(None);
        }
        let sentence = match cut.or(fault) {
            Some(reason) => {
                self.position += 1;
                Err(reason)
            }
            None => self.sentence().map_err(|reason| (reason, Vec::new())),
        };
        Ok(Some(match sentence {
            Ok(Some(sentence)) => Block::Sentence(begin, sentence),
            Ok(None) if sentence_has_no_words(&self.text) => Block::Skip("comments alone"),
            Ok(None) => Block::Skip("text withheld"),
            Err((reason, mut raw)) => {
                let room = RAW.saturating_sub(raw.len());
                raw.extend(self.text.bytes().take(room));
                Block::Fault(begin, reason, raw)
            }
        }))
    }

    /// The sentence that was collected; `None` where there is nothing to read.
    fn sentence(&mut self) -> Result<Option<Sentence>, String> {
        let mut sentence = Sentence::default();
        let (mut written, mut rebuilt) = (None, String::new());
        // How many words there are, and up to which a multiword token is being passed over.
        let (mut words, mut until) = (0, 0);
        let (mut withheld, mut lines) = (true, 0);
        for line in self.text.lines() {
            if let Some(comment) = line.strip_prefix('#') {
                let comment = comment.trim_start();
                let (key, value) = comment.split_once('=').unwrap_or((comment, ""));
                let (key, value) = (key.trim(), value.trim());
                match key {
                    "newdoc" | "newdoc id" => {
                        self.doc = (key != "newdoc").then(|| value.to_string());
                        self.position = 0;
                    }
                    "sent_id" => sentence.id = Some(value.to_string()),
                    "text" => written = Some(value).filter(|text| !text.is_empty()),
                    _ if key.starts_with("text_") => {
                        sentence.others.push((key.to_string(), value.to_string()));
                    }
                    _ => {}
                }
                continue;
            }
            lines += 1;
            let mut columns = [""; 10];
            let mut n = 0;
            for column in line.split('\t') {
                if let Some(place) = columns.get_mut(n) {
                    *place = column;
                }
                n += 1;
            }
            if n != columns.len() {
                self.position += 1;
                return Err(format!("a line has {n} columns; expected 10"));
            }
            let [id, form, .., misc] = columns;
            let last = match place(id, words) {
                Some(Place::Empty) => continue,
                Some(Place::Word) => None,
                Some(Place::Several(last)) => Some(last),
                None => {
                    self.position += 1;
                    return Err(format!("`{id}` is not the number of the next word"));
                }
            };
            if written.is_none() && (last.is_some() || words >= until) {
                rebuilt.push_str(form);
                if !misc.split('|').any(|m| m == "SpaceAfter=No") {
                    rebuilt.push(' ');
                }
                until = last.unwrap_or(until);
            }
            if last.is_none() {
                withheld &= form == "_";
                words += 1;
                if let Some(tags) = self.tags {
                    sentence.words.push(form.to_string());
                    sentence.tags.push(columns[tags].to_string());
                }
            }
        }
        (sentence.doc, sentence.position) = (self.doc.clone(), self.position);
        if lines > 0 {
            self.position += 1;
        }
        // Some treebanks have their words at another place, for the sake of rights.
        if withheld {
            return Ok(None);
        }
        sentence.text = written.unwrap_or(rebuilt.trim_end()).to_string();
        if sentence.tags.iter().all(|tag| tag == "_") {
            sentence.tags.clear();
        }
        Ok(Some(sentence))
    }
}

fn sentence_has_no_words(text: &str) -> bool {
    text.lines().all(|line| line.starts_with('#'))
}

/// What the number of a line says.
enum Place {
    Word,
    /// Several words written as one, up to this one.
    Several(usize),
    /// A word that is not written.
    Empty,
}

/// Reads the first column of the line that follows some words.
fn place(id: &str, words: usize) -> Option<Place> {
    let number = |digits: &str| {
        let digits = digits.bytes().all(|b| b.is_ascii_digit()).then_some(digits)?;
        digits.parse::<usize>().ok()
    };
    if let Some((first, last)) = id.split_once('-') {
        let (first, last) = (number(first)?, number(last)?);
        return (first == words + 1 && last >= first).then_some(Place::Several(last));
    }
    if let Some((after, n)) = id.split_once('.') {
        return (number(after)? == words && number(n)? > 0).then_some(Place::Empty);
    }
    (number(id)? == words + 1).then_some(Place::Word)
}
