//! The elements of given names in an XML file, one after another as bytes, valid or not.
//!
//! A file is never parsed as a whole: an element is found by its tags alone, so that what is
//! broken costs itself and not what follows. Names inside comments and CDATA sections do not
//! count; prefixes (`x:tu`) are passed over. Time is linear in the file, memory a few times
//! [`MAX_RECORD`] at worst. Parses no element and expands no entity.

use std::io::{self, BufRead};

use super::input::{Input, MAX_RECORD, decode};
use super::markup::{KEPT, Markup, OPENINGS, Scan, Window};
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

const NOT_CLOSED: &str = "not closed before the next one";
const NO_START: &str = "an end tag without its start tag";
const BAD_TAG: &str = "a `<` inside its start tag";
const OPEN_SECTION: &str = "a comment or CDATA section is not closed";
const TOO_LONG: &str = "longer than 32 MiB";
const _: () = assert!(MAX_RECORD == 32 << 20);

/// A reader's elements.
pub struct Elements<R> {
    /// Begins at the element that is open; outside of one, a little before.
    window: Window<R>,
    names: Names,
    open: Option<&'static str>,
    /// An end tag that comes now belongs to an element that was already handed out as broken.
    excused: bool,
    /// A section outside of elements that is not closed is told once.
    told: bool,
    number: u64,
}

/// A tag that is wanted.
enum Wanted {
    /// A start tag with its name, and whether the whole element is wanted.
    Start(&'static str, bool),
    /// An end tag.
    End(&'static str, bool),
    /// A comment or CDATA section.
    Section(usize),
    None,
}

type Part = (&'static str, Kind);

impl<R: BufRead> Elements<R> {
    /// The elements of a reader whose next byte lies at an offset of the file.
    pub fn new(offset: u64, reader: R, names: Names) -> Self {
        let window = Window::new(offset, reader);
        Self { window, names, open: None, excused: false, told: false, number: 0 }
    }

    /// The next element; `None` at the end. After an error, [`Self::unfinished`] holds what was
    /// being read.
    pub fn advance(&mut self) -> io::Result<Option<Element<'_>>> {
        self.window.begin();
        let Some((name, kind)) = self.scan()? else { return Ok(None) };
        self.number += u64::from(self.names.whole.contains(&name));
        let bytes = self.window.bytes();
        let most = if kind == Kind::Broken(TOO_LONG) { KEPT } else { bytes.len() };
        Ok(Some(Element {
            name,
            kind,
            number: self.number,
            offset: self.window.offset(),
            bytes: &bytes[..bytes.len().min(most)],
        }))
    }

    /// The element that was being read when an error came, with its offset.
    pub fn unfinished(&self) -> (u64, &[u8]) {
        (self.window.offset(), if self.open.is_some() { self.window.rest() } else { b"" })
    }

    /// The reader, past an unknown part of the file.
    pub fn into_inner(self) -> R {
        self.window.into_inner()
    }

    /// Moves past the next element, which then lies in the window.
    fn scan(&mut self) -> io::Result<Option<Part>> {
        loop {
            match self.window.next(self.open.is_some())? {
                Scan::End => {
                    return Ok(self.open.take().map(|name| (name, Kind::Cut)));
                }
                Scan::TooLong => return Ok(Some(self.too_long())),
                Scan::Found | Scan::Closed | Scan::Bad => {}
            }
            let part = match self.wanted()? {
                Wanted::None => {
                    self.window.step(1);
                    None
                }
                Wanted::Section(kind) => self.section(kind)?,
                Wanted::Start(..) | Wanted::End(_, false) if self.open.is_some() => {
                    self.excused = false;
                    self.open.take().map(|name| (name, Kind::Broken(NOT_CLOSED)))
                }
                Wanted::Start(name, whole) => self.start(name, whole)?,
                Wanted::End(name, true) => self.end(name)?,
                Wanted::End(name, false) => {
                    self.window.begin();
                    match self.window.tag()? {
                        Scan::TooLong => Some(self.too_long()),
                        _ => Some((name, Kind::EndTag)),
                    }
                }
            };
            if part.is_some() {
                return Ok(part);
            }
        }
    }

    fn wanted(&mut self) -> io::Result<Wanted> {
        let (name, end) = match self.window.markup()? {
            Markup::Start(name) => (name, false),
            Markup::End(name) => (name, true),
            Markup::Section(kind) => return Ok(Wanted::Section(kind)),
            Markup::Other => return Ok(Wanted::None),
        };
        let name = name.iter().position(|b| *b == b':').map_or(name, |colon| &name[colon + 1..]);
        let among = |names: &[&'static str]| names.iter().copied().find(|n| n.as_bytes() == name);
        let (name, whole) = match (among(self.names.whole), among(self.names.tags)) {
            (Some(name), _) => (name, true),
            (None, Some(name)) => (name, false),
            (None, None) => return Ok(Wanted::None),
        };
        Ok(if end { Wanted::End(name, whole) } else { Wanted::Start(name, whole) })
    }

    fn start(&mut self, name: &'static str, whole: bool) -> io::Result<Option<Part>> {
        self.window.begin();
        self.excused = false;
        let kind = match self.window.tag()? {
            Scan::Found if whole => {
                self.open = Some(name);
                return Ok(None);
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
        Ok(Some((name, kind)))
    }

    fn end(&mut self, name: &'static str) -> io::Result<Option<Part>> {
        let stray = self.open != Some(name);
        if stray && (self.open.is_some() || std::mem::take(&mut self.excused)) {
            self.window.step(2);
            return Ok(None);
        }
        if stray {
            self.window.forget();
        }
        let kind = match self.window.tag()? {
            Scan::TooLong => return Ok(Some(self.too_long())),
            _ if stray => Kind::Broken(NO_START),
            Scan::End => Kind::Cut,
            // Where a `<` breaks the end tag off, a parser will say so.
            Scan::Found | Scan::Closed | Scan::Bad => Kind::Whole,
        };
        self.open = None;
        Ok(Some((name, kind)))
    }

    /// Moves past a section. What follows one that is not closed is read as if it were none.
    fn section(&mut self, kind: usize) -> io::Result<Option<Part>> {
        if self.open.is_none() {
            self.window.forget();
        }
        let scan = self.window.section(kind)?;
        if scan == Scan::Found {
            return Ok(None);
        }
        let Some(name) = self.open else {
            let first = !std::mem::replace(&mut self.told, true);
            if first {
                self.window.begin();
            }
            self.window.step(OPENINGS[kind].len());
            return Ok(first.then_some(("", Kind::Broken(OPEN_SECTION))));
        };
        self.window.step(OPENINGS[kind].len());
        if scan == Scan::TooLong {
            return Ok(Some(self.too_long()));
        }
        self.open = None;
        self.excused = true;
        Ok(Some((name, Kind::Broken(OPEN_SECTION))))
    }

    /// Gives the open element up; the rest of it is passed over.
    fn too_long(&mut self) -> Part {
        self.excused = true;
        (self.open.take().unwrap_or_default(), Kind::Broken(TOO_LONG))
    }
}

/// Hands each element and tag that can be decoded to `f`, with its text; rejects what is
/// broken, cut or no text. Refuses a file with content that has none of them.
pub fn each_element(
    input: Input<'_>,
    names: Names,
    sink: &mut dyn Sink,
    mut f: impl FnMut(Element<'_>, &str, &mut dyn Sink) -> Result<()>,
) -> Result<()> {
    let (begin, mut any) = (input.offset(), false);
    let mut elements = Elements::new(begin, input, names);
    loop {
        match elements.advance() {
            Ok(None) => break,
            Ok(Some(element)) => {
                any = true;
                match element.text() {
                    Ok(text) => f(element, text, sink)?,
                    Err(reason) => sink.reject(element.offset, &reason, element.bytes)?,
                }
            }
            Err(e) => {
                let (offset, bytes) = elements.unfinished();
                let bytes = bytes.to_vec();
                let reason = elements.into_inner().damage(e)?;
                return sink.reject(offset, &reason, &bytes);
            }
        }
    }
    if !any && elements.into_inner().offset() > begin {
        return sink.refuse(&format!("no `<{}>` in it", names.whole.join(">` or `<")));
    }
    Ok(())
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
        while let Some(element) = elements.advance().unwrap() {
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
