//! A window that slides over decompressed content and knows where a record has to end.
//!
//! Bytes stay in the window until they are passed, so that a record whose length lies can be
//! read a second time. Knows nothing of records but how they begin.

use std::collections::VecDeque;
use std::io::{self, Read};

use super::super::input::Input;
use crate::error::Result;

/// How many bytes are read in one go.
const PIECE: usize = 64 << 10;

/// How many bytes are looked at to see whether a record begins.
const LOOK: usize = 4 << 10;

/// What one read gave.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// More bytes.
    Read,
    /// No bytes, but a place where the compressed file begins anew.
    Seam,
    /// No bytes: what follows in the content is lost up to the next start of a record.
    Damaged(String),
    /// No bytes, and none will come.
    End,
}

/// A stream of decompressed bytes with seams.
pub trait Content {
    /// Appends what comes next.
    fn read(&mut self, out: &mut Vec<u8>) -> Result<Step>;
}

/// Content without seams; `None` behind its damage, which a reader may tell again for ever.
impl Content for Option<Input<'_>> {
    fn read(&mut self, out: &mut Vec<u8>) -> Result<Step> {
        let Some(input) = self else { return Ok(Step::End) };
        match read_into(input, out) {
            Ok(0) => Ok(Step::End),
            Ok(_) => Ok(Step::Read),
            Err(e) => {
                let reason = input.damage(e)?;
                *self = None;
                Ok(Step::Damaged(reason))
            }
        }
    }
}

/// Appends what one read gives, and says how much that is.
pub fn read_into(reader: &mut impl Read, out: &mut Vec<u8>) -> io::Result<usize> {
    let kept = out.len();
    out.resize(kept + PIECE, 0);
    loop {
        match reader.read(&mut out[kept..]) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            result => {
                out.truncate(kept + *result.as_ref().unwrap_or(&0));
                return result;
            }
        }
    }
}

/// The window.
pub struct Window<'a> {
    content: Box<dyn Content + 'a>,
    bytes: Vec<u8>,
    /// Where in `bytes` the window begins, and where that is in the content.
    start: usize,
    offset: u64,
    /// Places in `bytes` that no record reaches over, with the damage there.
    edges: VecDeque<(usize, Option<String>)>,
    ended: bool,
    is_start: fn(&[u8]) -> bool,
}

impl<'a> Window<'a> {
    /// A window at the start of some content.
    pub fn new(content: Box<dyn Content + 'a>, is_start: fn(&[u8]) -> bool) -> Self {
        let (bytes, edges) = (Vec::new(), VecDeque::new());
        Self { content, bytes, start: 0, offset: 0, edges, ended: false, is_start }
    }

    /// Where the window begins in the content.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The bytes that are in the window, up to the next edge.
    pub fn bytes(&self) -> &[u8] {
        let end = self.edges.front().map_or(self.bytes.len(), |(at, _)| *at);
        &self.bytes[self.start..end]
    }

    /// Whether there are `n` bytes before the next edge, after reading as many.
    pub fn want(&mut self, n: usize) -> Result<bool> {
        while self.bytes().len() < n {
            if self.ended || !self.edges.is_empty() {
                return Ok(false);
            }
            self.fill()?;
        }
        Ok(true)
    }

    /// Whether the window ends at an edge, and not at the end of the content.
    pub fn at_edge(&self) -> bool {
        !self.edges.is_empty()
    }

    /// The damage at the next edge, if that is why it is there.
    pub fn damage(&self) -> Option<&str> {
        self.edges.front().and_then(|(_, damage)| damage.as_deref())
    }

    /// Moves on by `n` bytes, at most to the next edge.
    pub fn pass(&mut self, n: usize) {
        let n = n.min(self.bytes().len());
        self.start += n;
        self.offset += n as u64;
        // What was read far ahead is not kept for good.
        if self.start == self.bytes.len() && self.edges.is_empty() {
            self.bytes.clear();
            self.bytes.shrink_to(4 << 20);
            self.start = 0;
        }
    }

    /// Moves on behind the next edge, if there is one, and tells the damage there.
    pub fn cross(&mut self) -> Option<String> {
        self.pass(usize::MAX);
        self.edges.pop_front().and_then(|(_, damage)| damage)
    }

    fn fill(&mut self) -> Result<()> {
        if self.start > self.bytes.len() / 2 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        match self.content.read(&mut self.bytes)? {
            Step::Read => {}
            Step::End => self.ended = true,
            Step::Damaged(reason) => self.edges.push_back((self.bytes.len(), Some(reason))),
            Step::Seam => return self.seam(),
        }
        Ok(())
    }

    /// Behind a seam: it is an edge if a record begins there.
    fn seam(&mut self) -> Result<()> {
        let mut seam = self.bytes.len();
        loop {
            if (self.is_start)(&self.bytes[seam..]) {
                self.edges.push_back((seam, None));
                return Ok(());
            }
            if self.bytes.len() - seam > LOOK {
                return Ok(());
            }
            match self.content.read(&mut self.bytes)? {
                Step::Read => {}
                Step::Seam => seam = self.bytes.len(),
                Step::Damaged(reason) => {
                    if self.bytes.len() == seam {
                        // What is whole up to the seam is not what is damaged.
                        self.edges.push_back((seam, None));
                    }
                    self.edges.push_back((self.bytes.len(), Some(reason)));
                    return Ok(());
                }
                Step::End => {
                    self.ended = true;
                    return Ok(());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps as they are written down: `|` is a seam, `!` is damage.
    struct Written(std::str::Chars<'static>);

    impl Content for Written {
        fn read(&mut self, out: &mut Vec<u8>) -> Result<Step> {
            Ok(match self.0.next() {
                None => Step::End,
                Some('|') => Step::Seam,
                Some('!') => Step::Damaged("gone".into()),
                Some(c) => {
                    out.extend(c.to_string().as_bytes());
                    Step::Read
                }
            })
        }
    }

    #[test]
    fn edges_are_where_a_record_begins_and_where_damage_is() {
        let content = Box::new(Written("a|b|#c|#d!#e|".chars()));
        let mut window = Window::new(content, |b| b.starts_with(b"#"));
        let mut seen = Vec::new();
        loop {
            window.want(100).unwrap();
            let text = String::from_utf8_lossy(window.bytes()).into_owned();
            seen.push((window.offset(), text));
            if !window.at_edge() {
                break;
            }
            seen.extend(window.cross().map(|reason| (0, reason)));
        }
        let want = [(0, "ab"), (2, "#c"), (4, "#d"), (0, "gone"), (6, "#e")];
        assert_eq!(seen, want.map(|(at, text)| (at, text.to_string())));
    }

    #[test]
    fn what_is_not_passed_stays() {
        let mut window = Window::new(Box::new(Written("abcdefgh".chars())), |_| false);
        for (i, c) in "abcdefgh".bytes().enumerate() {
            assert!(window.want(2).unwrap() || c == b'h');
            assert_eq!((window.offset(), window.bytes()[0]), (i as u64, c));
            window.pass(1);
        }
        assert!(!window.want(1).unwrap());
    }
}
