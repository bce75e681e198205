//! The elements of given names in an XML file, one after another as bytes, valid or not.
//!
//! A file is never parsed as a whole: an element is found by its tags alone, so that what is
//! broken costs itself and not what follows. Names inside comments and CDATA sections do not
//! count; prefixes (`x:tu`) are passed over. Time is linear in the file, memory a few times
//! [`MAX_RECORD`] at worst. Parses no element and expands no entity.

use std::io::{self, BufRead};

use memchr::{memchr, memchr3, memmem};

use super::input::{Input, MAX_RECORD, decode};
use super::row::Sink;
use crate::error::Result;

/// The elements to hand out.
#[derive(Debug, Clone, Copy)]
pub struct Names {
    /// Handed out whole; none of them ever stands inside another.
    pub whole: &'static [&'static str],
    /// Handed out as their tags alone, for what they say of the elements between them.
    pub tags: &'static [&'static str],
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The start tag of one of [`Names::tags`].
    Tag,
    /// The end tag of one of them.
    EndTag,
    /// One of [`Names::whole`] from the first byte of its start tag to the last of its end tag.
    Whole,
    /// What cannot be handed out whole, and why not.
    Broken(&'static str),
    /// The file ends before the element does.
    Cut,
}

/// An element, or what is left of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Element<'a> {
    /// Its name without a prefix; empty where it is not known.
    pub name: &'static str,
    /// What of it is here.
    pub kind: Kind,
    /// How many of [`Names::whole`] there were up to it, itself and broken ones included.
    pub number: u64,
    /// Where its bytes begin in the file.
    pub offset: u64,
    /// Its bytes, tags included.
    pub bytes: &'a [u8],
}

impl Element<'_> {
    /// Its bytes as text, or why they are none or not all there.
    pub fn text(&self) -> Result<&str, String> {
        let name = self.name;
        match self.kind {
            Kind::Tag | Kind::EndTag | Kind::Whole => decode(self.bytes),
            Kind::Broken(reason) if name.is_empty() => Err(reason.into()),
            Kind::Broken(reason) => Err(format!("`{name}`: {reason}")),
            Kind::Cut => Err(format!("the file ends inside `{name}`")),
        }
    }
}

/// How many bytes before an end tag without a start are taken to belong to it, and how many of
/// an element that is too long are handed out.
const KEPT: usize = 4 << 10;

/// Names with their prefixes are shorter than this.
const LONGEST_NAME: usize = 64;

const NOT_CLOSED: &str = "not closed before the next one";
const NO_START: &str = "an end tag without its start tag";
const BAD_TAG: &str = "a `<` inside its start tag";
const OPEN_SECTION: &str = "a comment or CDATA section is not closed";
const TOO_LONG: &str = "longer than 32 MiB";
const _: () = assert!(MAX_RECORD == 32 << 20);

/// How comments and CDATA sections begin and end.
const OPENINGS: [&[u8]; 2] = [b"<!--", b"<![CDATA["];
const CLOSINGS: [&[u8]; 2] = [b"-->", b"]]>"];

/// A reader's elements.
pub struct Elements<R> {
    reader: R,
    names: Names,
    /// What was read and is still needed: from the begin of the element that is open.
    buffer: Vec<u8>,
    /// Where the first byte of the buffer lies in the file.
    base: u64,
    /// The begin of the open element; outside of one, what is still of use of the text before.
    from: usize,
    /// Everything before is scanned.
    at: usize,
    open: Option<&'static str>,
    /// An end tag that comes now belongs to an element that was already handed out as broken.
    excused: bool,
    /// No `-->`, and no `]]>`, begins between the place last asked for and this offset.
    unclosed: [u64; 2],
    /// An open comment or section outside of elements is told once.
    told: bool,
    ended: bool,
    number: u64,
}

/// What a scan came to.
enum Scan {
    Found,
    /// A tag that closes itself.
    Closed,
    /// A tag with a `<` in it.
    Bad,
    /// The file ends before.
    End,
    TooLong,
}

/// What a `<` begins.
enum Markup {
    /// A start tag that is wanted; whether the whole element is.
    Start(&'static str, bool),
    /// An end tag that is wanted; whether the whole element is.
    End(&'static str, bool),
    /// A comment (0) or a CDATA section (1).
    Section(usize),
    Other,
}

impl<R: BufRead> Elements<R> {
    /// The elements of a reader whose next byte lies at an offset of the file.
    pub fn new(offset: u64, reader: R, names: Names) -> Self {
        Self {
            reader,
            names,
            buffer: Vec::new(),
            base: offset,
            from: 0,
            at: 0,
            open: None,
            excused: false,
            unclosed: [0; 2],
            told: false,
            ended: false,
            number: 0,
        }
    }

    /// The next element; `None` at the end. After an error, [`Self::unfinished`] holds what was
    /// being read.
    pub fn next(&mut self) -> io::Result<Option<Element<'_>>> {
        self.from = self.at;
        let Some((name, kind)) = self.advance()? else { return Ok(None) };
        self.number += u64::from(self.names.whole.contains(&name));
        let end = if kind == Kind::Broken(TOO_LONG) { self.from + KEPT } else { self.at };
        Ok(Some(Element {
            name,
            kind,
            number: self.number,
            offset: self.base + self.from as u64,
            bytes: &self.buffer[self.from..end.min(self.at)],
        }))
    }

    /// Moves past the next element, which then lies between the two marks.
    fn advance(&mut self) -> io::Result<Option<(&'static str, Kind)>> {
        loop {
            match self.markup()? {
                Scan::End => {
                    let Some(name) = self.open.take() else { return Ok(None) };
                    self.at = self.buffer.len();
                    return Ok(Some((name, Kind::Cut)));
                }
                Scan::TooLong => return Ok(Some(self.too_long())),
                Scan::Found | Scan::Closed | Scan::Bad => {}
            }
            match self.classify()? {
                Markup::Other => self.at += 1,
                Markup::Section(kind) => {
                    let scan = self.section(kind)?;
                    if matches!(scan, Scan::Found) {
                        continue;
                    }
                    // What follows is read as if the section had not been opened.
                    let begin = self.at;
                    self.at += OPENINGS[kind].len();
                    if let Some(name) = self.open {
                        if matches!(scan, Scan::TooLong) {
                            return Ok(Some(self.too_long()));
                        }
                        self.open = None;
                        self.excused = true;
                        return Ok(Some((name, Kind::Broken(OPEN_SECTION))));
                    }
                    if !std::mem::replace(&mut self.told, true) {
                        self.from = begin;
                        return Ok(Some(("", Kind::Broken(OPEN_SECTION))));
                    }
                }
                Markup::Start(..) | Markup::End(_, false) if self.open.is_some() => {
                    let name = self.open.take().unwrap_or_default();
                    self.excused = false;
                    return Ok(Some((name, Kind::Broken(NOT_CLOSED))));
                }
                Markup::End(name, false) => {
                    self.from = self.at;
                    return Ok(Some(match self.tag()? {
                        Scan::TooLong => self.too_long(),
                        _ => (name, Kind::EndTag),
                    }));
                }
                Markup::End(name, true) => {
                    let stray = self.open != Some(name);
                    if stray && (self.open.is_some() || std::mem::take(&mut self.excused)) {
                        self.at += 2;
                        continue;
                    }
                    if stray {
                        self.from = self.from.max(self.at.saturating_sub(KEPT));
                    }
                    let kind = match self.tag()? {
                        Scan::TooLong => return Ok(Some(self.too_long())),
                        _ if stray => Kind::Broken(NO_START),
                        Scan::End => Kind::Cut,
                        // Where a `<` breaks the end tag off, a parser will say so.
                        Scan::Found | Scan::Closed | Scan::Bad => Kind::Whole,
                    };
                    self.open = None;
                    return Ok(Some((name, kind)));
                }
                Markup::Start(name, whole) => {
                    self.from = self.at;
                    self.excused = false;
                    let kind = match self.tag()? {
                        Scan::Found if whole => {
                            self.open = Some(name);
                            continue;
                        }
                        Scan::Closed if whole => Kind::Whole,
                        Scan::Found | Scan::Closed => Kind::Tag,
                        Scan::Bad => {
                            self.excused = true;
                            Kind::Broken(BAD_TAG)
                        }
                        Scan::End => Kind::Cut,
                        Scan::TooLong => {
                            self.open = Some(name);
                            return Ok(Some(self.too_long()));
                        }
                    };
                    return Ok(Some((name, kind)));
                }
            }
        }
    }

    /// The element that was being read when an error came, with its offset; else no bytes.
    pub fn unfinished(&self) -> (u64, &[u8]) {
        let from = if self.open.is_some() { self.from } else { self.buffer.len() };
        (self.base + from as u64, &self.buffer[from..])
    }

    /// The reader, past an unknown part of the file.
    pub fn into_inner(self) -> R {
        self.reader
    }

    /// Gives the open element up; the rest of it is passed over.
    fn too_long(&mut self) -> (&'static str, Kind) {
        self.excused = true;
        (self.open.take().unwrap_or_default(), Kind::Broken(TOO_LONG))
    }

    /// Reads on; false at the end of the file.
    fn fill(&mut self) -> io::Result<bool> {
        // Moving the rest costs no more than what is thrown away, so the sum stays linear.
        if self.from >= self.buffer.len() - self.from {
            self.buffer.drain(..self.from);
            self.base += self.from as u64;
            self.at -= self.from;
            self.from = 0;
            self.buffer.shrink_to(1 << 20);
        }
        while !self.ended {
            match self.reader.fill_buf() {
                Ok([]) => self.ended = true,
                Ok(piece) => {
                    let length = piece.len();
                    self.buffer.extend_from_slice(piece);
                    self.reader.consume(length);
                    return Ok(true);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(false)
    }

    /// Moves to the next `<`.
    fn markup(&mut self) -> io::Result<Scan> {
        loop {
            let next = memchr(b'<', &self.buffer[self.at..]);
            self.at = next.map_or(self.buffer.len(), |n| self.at + n);
            if self.open.is_some() && self.at - self.from > MAX_RECORD {
                return Ok(Scan::TooLong);
            }
            if next.is_some() {
                return Ok(Scan::Found);
            }
            self.forget();
            if !self.fill()? {
                return Ok(Scan::End);
            }
        }
    }

    /// Outside of elements, lets go of all but the last bytes.
    fn forget(&mut self) {
        if self.open.is_none() {
            self.from = self.from.max(self.at.saturating_sub(KEPT));
        }
    }

    /// What the `<` that is next begins.
    fn classify(&mut self) -> io::Result<Markup> {
        while self.buffer.len() - self.at < LONGEST_NAME && self.fill()? {}
        let rest = &self.buffer[self.at..];
        let (end, name) = match rest.get(1) {
            Some(b'!') => {
                let section = OPENINGS.iter().position(|opening| rest.starts_with(opening));
                return Ok(section.map_or(Markup::Other, Markup::Section));
            }
            Some(b'/') => (true, &rest[2..]),
            _ => (false, &rest[1..]),
        };
        let name = &name[..name.len().min(LONGEST_NAME)];
        let delimiter = |b: &u8| matches!(b, b' ' | b'\t' | b'\r' | b'\n' | b'/' | b'>');
        let Some(length) = name.iter().position(delimiter) else { return Ok(Markup::Other) };
        let name = &name[..length];
        let name = memchr(b':', name).map_or(name, |colon| &name[colon + 1..]);
        let among = |names: &[&'static str]| names.iter().copied().find(|n| n.as_bytes() == name);
        let (name, whole) = match (among(self.names.whole), among(self.names.tags)) {
            (Some(name), _) => (name, true),
            (None, Some(name)) => (name, false),
            (None, None) => return Ok(Markup::Other),
        };
        Ok(if end { Markup::End(name, whole) } else { Markup::Start(name, whole) })
    }

    /// Moves past the tag that is next, or to the `<` that breaks it off.
    fn tag(&mut self) -> io::Result<Scan> {
        self.at += 1;
        let mut quote = None;
        loop {
            let rest = &self.buffer[self.at..];
            let next = match quote {
                None => {
                    let next = memchr3(b'>', b'<', b'"', rest);
                    memchr(b'\'', &rest[..next.unwrap_or(rest.len())]).or(next)
                }
                Some(quote) => memchr::memchr2(quote, b'<', rest),
            };
            let Some(next) = next else {
                self.at = self.buffer.len();
                if self.at - self.from > MAX_RECORD {
                    return Ok(Scan::TooLong);
                }
                if !self.fill()? {
                    return Ok(Scan::End);
                }
                continue;
            };
            self.at += next;
            match self.buffer[self.at] {
                b'<' => return Ok(Scan::Bad),
                b'>' => {
                    let itself = self.buffer[self.at - 1] == b'/';
                    self.at += 1;
                    return Ok(if itself { Scan::Closed } else { Scan::Found });
                }
                mark => quote = if quote.is_some() { None } else { Some(mark) },
            }
            self.at += 1;
        }
    }

    /// Moves past the comment or CDATA section that is next, or stays before it.
    fn section(&mut self, kind: usize) -> io::Result<Scan> {
        let mut ahead = OPENINGS[kind].len();
        self.forget();
        loop {
            let known = self.unclosed[kind].saturating_sub(self.base + self.at as u64) as usize;
            ahead = ahead.max(known).min(self.buffer.len() - self.at);
            if let Some(n) = memmem::find(&self.buffer[self.at + ahead..], CLOSINGS[kind]) {
                self.at += ahead + n + CLOSINGS[kind].len();
                return Ok(Scan::Found);
            }
            let length = self.buffer.len() as u64;
            self.unclosed[kind] = self.unclosed[kind].max((self.base + length).saturating_sub(2));
            if self.buffer.len() - self.from > MAX_RECORD {
                return Ok(Scan::TooLong);
            }
            if !self.fill()? {
                return Ok(Scan::End);
            }
        }
    }
}

/// Hands each element and tag that can be decoded to `f`, with its text; rejects what is
/// broken, cut or no text.
pub fn each_element(
    input: Input<'_>,
    names: Names,
    sink: &mut dyn Sink,
    mut f: impl FnMut(Element<'_>, &str, &mut dyn Sink) -> Result<()>,
) -> Result<()> {
    let mut elements = Elements::new(input.offset(), input, names);
    loop {
        match elements.next() {
            Ok(None) => return Ok(()),
            Ok(Some(element)) => match element.text() {
                Ok(text) => f(element, text, sink)?,
                Err(reason) => sink.reject(element.offset, &reason, element.bytes)?,
            },
            Err(e) => {
                let (offset, bytes) = elements.unfinished();
                let bytes = bytes.to_vec();
                let reason = elements.into_inner().damage(e)?;
                return sink.reject(offset, &reason, &bytes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: Names = Names { whole: &["tu", "s"], tags: &["header"] };

    /// The elements as text, of a file that is read `step` bytes at a time.
    fn all(bytes: &[u8], step: usize) -> Vec<String> {
        let reader = io::BufReader::with_capacity(step, bytes);
        let mut elements = Elements::new(0, reader, NAMES);
        let mut out = Vec::new();
        while let Some(element) = elements.next().unwrap() {
            let at = element.offset as usize;
            assert_eq!(&bytes[at..at + element.bytes.len()], element.bytes);
            let text = String::from_utf8_lossy(element.bytes);
            out.push(match element.kind {
                Kind::Tag | Kind::EndTag | Kind::Whole => text.into_owned(),
                Kind::Broken(reason) => format!("{}: {reason}: {text}", element.name),
                Kind::Cut => format!("{} cut: {text}", element.name),
            });
        }
        out
    }

    fn check(text: &str, want: &[&str]) {
        for step in [1, 2, 7, 64, 4096] {
            assert_eq!(all(text.as_bytes(), step), want, "{step}");
        }
    }

    #[test]
    fn elements_are_handed_out_whole_and_others_by_their_tags() {
        check(
            "<?xml version='1.0'?><tmx><header srclang='am' a='>'/>x<tu id=\"a>b\"><seg>ሰላም</seg></tu >\
             <tuv/><x:tu><tu2></tu2></x:tu><s/></tmx>",
            &[
                "<header srclang='am' a='>'/>",
                "<tu id=\"a>b\"><seg>ሰላም</seg></tu >",
                "<x:tu><tu2></tu2></x:tu>",
                "<s/>",
            ],
        );
        check("", &[]);
        check("<", &[]);
    }

    #[test]
    fn names_in_comments_and_sections_do_not_count() {
        check(
            "<!-- <tu> --><tu><!-- </tu> --><![CDATA[</tu>]]></tu><![CDATA[<tu>]]>",
            &["<tu><!-- </tu> --><![CDATA[</tu>]]></tu>"],
        );
    }

    #[test]
    fn what_is_broken_costs_itself() {
        check(
            "<tu>a<tu>b</tu>=tu>c</tu><tu d<b></tu><tu>e<!-- </tu><tu>f</tu><!-- <tu>g</tu><!--<tu",
            &[
                "tu: not closed before the next one: <tu>a",
                "<tu>b</tu>",
                "tu: an end tag without its start tag: =tu>c</tu>",
                "tu: a `<` inside its start tag: <tu d",
                "tu: a comment or CDATA section is not closed: <tu>e<!--",
                "<tu>f</tu>",
                ": a comment or CDATA section is not closed: <!--",
                "<tu>g</tu>",
            ],
        );
        check("<tu>x</header>", &["tu: not closed before the next one: <tu>x", "</header>"]);
        check("<tu>x</tu><tu>y</t", &["<tu>x</tu>", "tu cut: <tu>y</t"]);
        check("<tu a='>", &["tu cut: <tu a='>"]);
    }

    #[test]
    fn an_element_that_is_too_long_is_passed_over() {
        for inner in ["x", "<x>", "<!--"] {
            let mut text = b"<tu>".to_vec();
            while text.len() < MAX_RECORD + 100 {
                text.extend_from_slice(inner.as_bytes());
            }
            text.extend_from_slice(b"</tu>-<tu>y</tu>");
            let got = all(&text, 1 << 16);
            assert!(got[0].starts_with("tu: longer than 32 MiB: <tu>"), "{}", &got[0][..40]);
            assert_eq!(got.last().unwrap(), "<tu>y</tu>");
            assert!(got.len() <= 3);
        }
    }
}
