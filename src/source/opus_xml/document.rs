//! The sentences of one document of OPUS by their ids.
//!
//! Detokenises nothing: words are joined with spaces unless the document says that there is none.

use std::collections::HashMap;
use std::ops::Range;

use quick_xml::Reader;
use quick_xml::events::Event;

use crate::error::Result;
use crate::source::elements::{Element, Elements, Names};
use crate::source::input::{Input, MAX_RECORD, too_long};
use crate::source::xml::{attributes, event, reference, shown, tag};

/// The most that is held of one document, in bytes; sentences after it are missing.
pub const LARGEST: usize = 8 * MAX_RECORD;

const SENTENCES: Names = Names { whole: &["s"], tags: &[] };

/// One document's sentences.
pub struct Document {
    /// Its name in the alignment.
    pub name: String,
    text: String,
    /// Where each lies in the text; `None` for one that is broken.
    sentences: HashMap<String, Option<Range<usize>>>,
}

impl Document {
    /// Reads a document; what is broken in it goes to `reject`.
    pub fn read(
        name: &str,
        input: Input<'_>,
        mut reject: impl FnMut(u64, &str, &[u8]) -> Result<()>,
    ) -> Result<Self> {
        let mut document =
            Self { name: name.into(), text: String::new(), sentences: HashMap::new() };
        let mut elements = Elements::new(input.offset(), input, SENTENCES);
        let mut ids = 0;
        loop {
            match elements.advance() {
                Ok(None) => return Ok(document),
                Ok(Some(element)) => {
                    let (id, outcome) = document.sentence(&element);
                    if let Err(reason) = &outcome {
                        reject(element.offset, reason, element.bytes)?;
                    }
                    let Some(id) = id else { continue };
                    ids += id.len() + size_of::<(String, Option<Range<usize>>)>();
                    if document.text.len() + ids > LARGEST {
                        let reason = format!("the document holds more than {} MiB", LARGEST >> 20);
                        reject(element.offset, &reason, b"")?;
                        return Ok(document);
                    }
                    document.sentences.insert(id, outcome.ok());
                }
                Err(e) => {
                    let (offset, raw) = elements.unfinished();
                    let raw = raw.to_vec();
                    let reason = elements.into_inner().damage(e)?;
                    reject(offset, &reason, &raw)?;
                    return Ok(document);
                }
            }
        }
    }

    /// The id of a sentence, as far as it can be read, and where its text now stands.
    fn sentence(
        &mut self,
        element: &Element<'_>,
    ) -> (Option<String>, Result<Range<usize>, String>) {
        // A sentence that is broken may still have a start tag.
        let length = memchr::memchr(b'>', element.bytes).map_or(0, |end| end + 1);
        let start = std::str::from_utf8(&element.bytes[..length]).unwrap_or_default();
        let said = tag(start).and_then(|start| attributes(&start, ["id"]));
        let begin = self.text.len();
        let outcome = match (element.text(), &said) {
            (Ok(text), Ok([Some(_)])) => words(text, &mut self.text),
            (Ok(_), Ok([None])) => Err("a sentence without `id`".into()),
            (Ok(_), Err(reason)) => Err(reason.clone()),
            (Err(reason), _) => Err(reason),
        };
        if outcome.is_err() {
            self.text.truncate(begin);
        }
        let id = said.ok().and_then(|[id]| id);
        (id, outcome.map(|()| begin..self.text.len()))
    }

    /// Sentences by their ids, with a space between them.
    pub fn join(&self, ids: &str) -> Result<String, String> {
        let mut text = String::new();
        for id in ids.split_ascii_whitespace() {
            match self.sentences.get(id) {
                Some(Some(place)) => {
                    if !text.is_empty() {
                        text.push(' ');
                    }
                    text.push_str(&self.text[place.clone()]);
                }
                Some(None) => {
                    let (id, name) = (shown(id), shown(&self.name));
                    return Err(format!("sentence `{id}` of `{name}` is broken"));
                }
                None => {
                    let (id, name) = (shown(id), shown(&self.name));
                    return Err(format!("`{name}` has no sentence `{id}`"));
                }
            }
            if text.len() > MAX_RECORD {
                return Err(too_long());
            }
        }
        Ok(text)
    }
}

/// Appends the text of a sentence: its words where they are marked, else its text.
fn words(text: &str, to: &mut String) -> Result<(), String> {
    let mut reader = Reader::from_str(text);
    let Event::Start(_) = event(&mut reader)? else { return Ok(()) };
    let (begin, mut depth, mut plain) = (to.len(), 0u64, String::new());
    // Text inside `w` is a word; once there is one, all other text is layout.
    let (mut word, mut marked, mut glued) = (None, false, true);
    loop {
        match event(&mut reader)? {
            Event::Text(text) => plain.push_str(&text),
            Event::CData(text) => plain.push_str(&text),
            Event::GeneralRef(name) => reference(&name, &mut plain)?,
            Event::Start(start) => {
                depth += 1;
                if start.local_name().into_inner() == "w" && word.is_none() {
                    let [misc] = attributes(&start, ["misc"])?;
                    word = Some((depth, misc.is_some_and(|m| m.contains("SpaceAfter=No"))));
                    marked = true;
                    plain.clear();
                }
            }
            Event::End(_) if depth == 0 => break,
            Event::End(_) => {
                if let Some((at, no_space)) = word
                    && at == depth
                {
                    if !glued {
                        to.push(' ');
                    }
                    to.push_str(plain.trim_ascii());
                    (word, glued) = (None, no_space);
                    plain.clear();
                }
                depth -= 1;
            }
            _ => {}
        }
    }
    if !marked {
        for part in plain.split_ascii_whitespace() {
            if to.len() > begin {
                to.push(' ');
            }
            to.push_str(part);
        }
    }
    Ok(())
}
