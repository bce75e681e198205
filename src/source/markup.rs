//! The markup of an XML file as it comes: a window on its bytes that moves from `<` to `<`.
//!
//! Knows tags, comments and CDATA sections by their first and last bytes alone. Decides nothing
//! about which of them matter.

use std::io::{self, BufRead};

use memchr::{memchr, memchr2, memchr3, memmem};

use super::input::MAX_RECORD;

/// How many bytes of what is not kept are still there.
pub const KEPT: usize = 4 << 10;

/// Names with their prefixes are shorter than this.
const LONGEST_NAME: usize = 64;

/// How comments and CDATA sections begin, and how they end.
pub const OPENINGS: [&[u8]; 2] = [b"<!--", b"<![CDATA["];
const CLOSINGS: [&[u8]; 2] = [b"-->", b"]]>"];

/// What moving on came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scan {
    /// What was looked for.
    Found,
    /// A tag that closes itself.
    Closed,
    /// A tag with a `<` in it.
    Bad,
    /// The file ends before.
    End,
    /// It is more than [`MAX_RECORD`] bytes away.
    TooLong,
}

/// What a `<` begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Markup<'a> {
    /// A start tag with its name, prefix included.
    Start(&'a [u8]),
    /// An end tag with its name.
    End(&'a [u8]),
    /// A comment (0) or a CDATA section (1).
    Section(usize),
    /// Anything else.
    Other,
}

/// A part of a file between two marks, and what was read after it.
pub struct Window<R> {
    reader: R,
    buffer: Vec<u8>,
    /// Where the first byte of the buffer lies in the file.
    base: u64,
    from: usize,
    at: usize,
    /// No `-->`, and no `]]>`, begins between the place last asked for and this offset.
    unclosed: [u64; 2],
    ended: bool,
}

impl<R: BufRead> Window<R> {
    /// An empty window before the next byte of a reader, which lies at an offset of the file.
    pub fn new(offset: u64, reader: R) -> Self {
        let (buffer, from, at) = (Vec::new(), 0, 0);
        Self { reader, buffer, base: offset, from, at, unclosed: [0; 2], ended: false }
    }

    /// Where the first mark lies in the file.
    pub fn offset(&self) -> u64 {
        self.base + self.from as u64
    }

    /// What lies between the marks.
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[self.from..self.at]
    }

    /// All that was read from the first mark on.
    pub fn rest(&self) -> &[u8] {
        &self.buffer[self.from..]
    }

    /// The reader, past an unknown part of the file.
    pub fn into_inner(self) -> R {
        self.reader
    }

    /// Moves the first mark to the second.
    pub fn begin(&mut self) {
        self.from = self.at;
    }

    /// Moves the first mark so near that no more than [`KEPT`] bytes lie between the two.
    pub fn forget(&mut self) {
        self.from = self.from.max(self.at.saturating_sub(KEPT));
    }

    /// Moves the second mark by some bytes that are there.
    pub fn step(&mut self, bytes: usize) {
        self.at += bytes;
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

    /// Moves to the next `<`, or to the end; what is not to be `kept` is forgotten on the way.
    pub fn next(&mut self, kept: bool) -> io::Result<Scan> {
        loop {
            let next = memchr(b'<', &self.buffer[self.at..]);
            self.at = next.map_or(self.buffer.len(), |n| self.at + n);
            if kept && self.at - self.from > MAX_RECORD {
                return Ok(Scan::TooLong);
            }
            if next.is_some() {
                return Ok(Scan::Found);
            }
            if !kept {
                self.forget();
            }
            if !self.fill()? {
                return Ok(Scan::End);
            }
        }
    }

    /// What the `<` at the second mark begins.
    pub fn markup(&mut self) -> io::Result<Markup<'_>> {
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
        Ok(match (name.iter().position(delimiter), end) {
            (None, _) => Markup::Other,
            (Some(length), true) => Markup::End(&name[..length]),
            (Some(length), false) => Markup::Start(&name[..length]),
        })
    }

    /// Moves past the tag at the second mark, or to the `<` that breaks it off.
    pub fn tag(&mut self) -> io::Result<Scan> {
        self.at += 1;
        let mut quote = None;
        loop {
            let rest = &self.buffer[self.at..];
            let next = match quote {
                None => {
                    let next = memchr3(b'>', b'<', b'"', rest);
                    memchr(b'\'', &rest[..next.unwrap_or(rest.len())]).or(next)
                }
                Some(quote) => memchr2(quote, b'<', rest),
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
                b'>' if quote.is_none() => {
                    let itself = self.buffer[self.at - 1] == b'/';
                    self.at += 1;
                    return Ok(if itself { Scan::Closed } else { Scan::Found });
                }
                mark => quote = if quote.is_some() { None } else { Some(mark) },
            }
            self.at += 1;
        }
    }

    /// Moves past the comment or CDATA section at the second mark, or stays.
    pub fn section(&mut self, kind: usize) -> io::Result<Scan> {
        let mut ahead = OPENINGS[kind].len();
        loop {
            let known = self.unclosed[kind].saturating_sub(self.base + self.at as u64) as usize;
            ahead = ahead.max(known).min(self.buffer.len() - self.at);
            if let Some(n) = memmem::find(&self.buffer[self.at + ahead..], CLOSINGS[kind]) {
                self.at += ahead + n + CLOSINGS[kind].len();
                return Ok(Scan::Found);
            }
            let end = self.base + self.buffer.len() as u64;
            self.unclosed[kind] = self.unclosed[kind].max(end.saturating_sub(2));
            if self.buffer.len() - self.from > MAX_RECORD {
                return Ok(Scan::TooLong);
            }
            if !self.fill()? {
                return Ok(Scan::End);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_end_outside_of_quotes_and_sections_at_their_own_end() {
        for step in [1, 3, 4096] {
            let text = "x<a b='>\"' c=\">\" />é<!-- > --><![CDATA[<a>]]></x:a ><b".as_bytes();
            let mut window = Window::new(7, io::BufReader::with_capacity(step, text));
            assert_eq!(window.next(true).unwrap(), Scan::Found);
            window.begin();
            assert_eq!(window.markup().unwrap(), Markup::Start(b"a"));
            assert_eq!(window.tag().unwrap(), Scan::Closed);
            assert_eq!((window.offset(), window.bytes()), (8, &text[1..19]));
            window.next(true).unwrap();
            for kind in [0, 1] {
                assert_eq!(window.markup().unwrap(), Markup::Section(kind));
                assert_eq!(window.section(kind).unwrap(), Scan::Found);
            }
            assert_eq!(window.markup().unwrap(), Markup::End(b"x:a"));
            assert_eq!(window.tag().unwrap(), Scan::Found);
            assert_eq!(window.markup().unwrap(), Markup::Other);
            assert_eq!(window.tag().unwrap(), Scan::End);
        }
    }

    #[test]
    fn a_section_that_never_ends_is_searched_once() {
        let text = "<!--".repeat(400_000);
        let mut window = Window::new(0, text.as_bytes());
        let mut found = 0;
        while window.next(false).unwrap() == Scan::Found {
            assert_eq!(window.section(0).unwrap(), Scan::End);
            window.step(4);
            found += 1;
        }
        assert_eq!(found, 400_000);
    }
}
