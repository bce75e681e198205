//! Finds the paragraphs of a SQuAD file by their braces, whatever its length.
//!
//! Knows the way to them (`data`, `[`, article, `paragraphs`, `[`, paragraph) and nothing of what
//! is in them. After damage it goes on with the next object that begins like one of them.

use crate::error::Result;
use crate::source::input::{MAX_RECORD, too_long};

/// What is found.
pub enum Found<'a> {
    /// The bytes of a paragraph, and the title of its article where one is known.
    Paragraph {
        /// Where it begins.
        offset: u64,
        /// The title.
        title: Option<&'a str>,
        /// The object.
        raw: &'a [u8],
    },
    /// Something that cannot be read.
    Fault {
        /// Where it begins.
        offset: u64,
        /// Why it cannot.
        reason: &'a str,
        /// Its first bytes.
        raw: &'a [u8],
    },
}

/// How deep paragraphs are: the root, `data`, an article, `paragraphs`, a paragraph.
const PARAGRAPH: u64 = 5;
/// How deep articles are.
const ARTICLE: u64 = 3;
/// Bytes of a key or a title that are kept.
const SHORT: usize = 4 << 10;
/// The keys that objects begin with, and how deep such an object is.
const BEGINNINGS: &[(&[u8], u64)] = &[
    (b"\"context\"", PARAGRAPH),
    (b"\"qas\"", PARAGRAPH),
    (b"\"paragraphs\"", ARTICLE),
    (b"\"title\"", ARTICLE),
];

/// The state between two pieces of a file.
#[derive(Default)]
pub struct Paragraphs {
    depth: u64,
    /// How many of the containers that enclose this place are on the way to a paragraph.
    level: u64,
    string: bool,
    escaped: bool,
    /// The last string of an object on the way, in its quotes.
    short: Vec<u8>,
    key: Vec<u8>,
    title: Option<String>,
    text: Vec<u8>,
    begin: u64,
    long: bool,
    /// Paragraphs of an article whose title is not known yet.
    waiting: Vec<(u64, Vec<u8>)>,
    waiting_bytes: usize,
    /// What was read of an object's beginning, while one is looked for.
    search: Option<Vec<u8>>,
    /// There was a list `data`.
    data: bool,
}

impl Paragraphs {
    /// Takes in the next bytes.
    pub fn piece(
        &mut self,
        offset: u64,
        piece: &[u8],
        each: &mut impl FnMut(Found<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut i = 0;
        while let Some(byte) = piece.get(i).copied() {
            let at = offset + i as u64;
            if self.search.is_some() {
                i += self.search(at, &piece[i..]);
            } else if self.string {
                i += self.in_string(&piece[i..]);
            } else {
                self.structure(at, byte, &piece[i..], each)?;
                i += 1;
            }
        }
        Ok(())
    }

    /// Whether the file was SQuAD's so far.
    pub fn any(&self) -> bool {
        self.data
    }

    /// At the end of the file, or where it is damaged.
    pub fn finish(
        &mut self,
        damage: Option<(u64, String)>,
        each: &mut impl FnMut(Found<'_>) -> Result<()>,
    ) -> Result<()> {
        self.flush(each)?;
        let inside = self.level == PARAGRAPH && self.search.is_none();
        let (offset, reason) = match damage {
            Some(damage) => damage,
            None if self.depth == 0 || self.search.is_some() => return Ok(()),
            None if inside => (self.begin, "the file ends inside a paragraph".into()),
            None => (self.begin, "the file ends inside a list".into()),
        };
        each(Found::Fault { offset, reason: &reason, raw: if inside { &self.text } else { b"" } })
    }

    /// Keeps bytes that belong to a paragraph, or to a key or title on the way.
    fn keep(&mut self, bytes: &[u8]) {
        if self.level == PARAGRAPH && !self.long {
            self.text.extend_from_slice(bytes);
            if self.text.len() > MAX_RECORD {
                self.long = true;
                self.text.truncate(8 << 10);
                self.text.shrink_to(1 << 20);
            }
        } else if self.level == self.depth && self.string {
            let room = SHORT.saturating_sub(self.short.len());
            self.short.extend(bytes.iter().take(room));
        }
    }

    /// Passes over a string up to its end or its next escape, and says how many bytes those are.
    fn in_string(&mut self, rest: &[u8]) -> usize {
        if std::mem::take(&mut self.escaped) {
            self.keep(&rest[..1]);
            return 1;
        }
        let found = memchr::memchr2(b'"', b'\\', rest);
        let end = found.map_or(rest.len(), |n| n + 1);
        self.keep(&rest[..end]);
        match found.map(|n| rest[n]) {
            Some(b'"') => self.string = false,
            Some(_) => self.escaped = true,
            None => {}
        }
        end
    }

    fn structure(
        &mut self,
        at: u64,
        byte: u8,
        rest: &[u8],
        each: &mut impl FnMut(Found<'_>) -> Result<()>,
    ) -> Result<()> {
        match byte {
            b'{' | b'[' => {
                let on_the_way = self.level == self.depth
                    && match (self.level, byte) {
                        (0 | 2 | 4, b'{') => true,
                        (1, b'[') => self.key == b"\"data\"",
                        (3, b'[') => self.key == b"\"paragraphs\"",
                        _ => false,
                    };
                self.depth += 1;
                if on_the_way {
                    self.level += 1;
                    self.begin = at;
                    self.text.clear();
                    self.key.clear();
                    self.short.clear();
                    self.data |= self.level > 1;
                    if self.level == ARTICLE {
                        self.title = None;
                    }
                }
                self.keep(&[byte]);
            }
            b'}' | b']' => {
                let object = self.level % 2 == 1;
                let wrong = self.level == self.depth && object != (byte == b'}');
                if self.depth == 0 || wrong {
                    return self.lose(at, rest, each);
                }
                self.keep(&[byte]);
                self.value();
                let ends = self.level == self.depth;
                self.depth -= 1;
                if ends {
                    self.level -= 1;
                    self.end(each)?;
                }
            }
            b'"' => {
                self.string = true;
                if self.level == self.depth {
                    self.short.clear();
                }
                self.keep(b"\"");
            }
            b':' => {
                self.keep(b":");
                if self.level == self.depth {
                    self.key = std::mem::take(&mut self.short);
                }
            }
            b',' => {
                self.keep(b",");
                self.value();
            }
            b' ' | b'\t' | b'\r' | b'\n' | b'+' | b'-' | b'.' | b'0'..=b'9' => self.keep(&[byte]),
            // The letters of numbers, `true`, `false` and `null`.
            b'E' | b'a' | b'e' | b'f' | b'l' | b'n' | b'r' | b's' | b't' | b'u' => {
                self.keep(&[byte]);
            }
            _ => return self.lose(at, rest, each),
        }
        Ok(())
    }

    /// At the end of a value: whether it was the title of the article.
    fn value(&mut self) {
        if self.level == self.depth && self.level == ARTICLE && self.key == b"\"title\"" {
            self.title = serde_json::from_slice(&self.short).ok();
        }
        if self.level == self.depth {
            self.key.clear();
        }
    }

    /// At the end of a container on the way.
    fn end(&mut self, each: &mut impl FnMut(Found<'_>) -> Result<()>) -> Result<()> {
        match self.level + 1 {
            PARAGRAPH if self.long => {
                self.long = false;
                self.flush(each)?;
                let reason = too_long();
                each(Found::Fault { offset: self.begin, reason: &reason, raw: &self.text })
            }
            PARAGRAPH if self.title.is_some() => {
                let (offset, title) = (self.begin, self.title.as_deref());
                each(Found::Paragraph { offset, title, raw: &self.text })
            }
            PARAGRAPH => {
                self.waiting_bytes += self.text.len();
                self.waiting.push((self.begin, std::mem::take(&mut self.text)));
                // An article that is so long is read without its title.
                if self.waiting_bytes > MAX_RECORD { self.flush(each) } else { Ok(()) }
            }
            ARTICLE => self.flush(each),
            _ => Ok(()),
        }
    }

    fn flush(&mut self, each: &mut impl FnMut(Found<'_>) -> Result<()>) -> Result<()> {
        self.waiting_bytes = 0;
        for (offset, raw) in self.waiting.drain(..) {
            each(Found::Paragraph { offset, title: self.title.as_deref(), raw: &raw })?;
        }
        Ok(())
    }

    /// What is here is no JSON: the paragraph is lost, and the next one is looked for.
    fn lose(
        &mut self,
        at: u64,
        rest: &[u8],
        each: &mut impl FnMut(Found<'_>) -> Result<()>,
    ) -> Result<()> {
        self.flush(each)?;
        self.search = Some(Vec::new());
        let inside = self.level == PARAGRAPH;
        let (offset, raw) = if inside { (self.begin, &self.text[..]) } else { (at, rest) };
        self.long = false;
        each(Found::Fault { offset, reason: "not JSON", raw: &raw[..raw.len().min(SHORT)] })
    }

    /// Looks for the beginning of a paragraph or an article; says how many bytes it passed.
    fn search(&mut self, at: u64, rest: &[u8]) -> usize {
        let Some(begun) = &mut self.search else { return 0 };
        if begun.is_empty() {
            let Some(n) = memchr::memchr(b'{', rest) else { return rest.len() };
            begun.push(b'{');
            self.begin = at + n as u64;
            return n + 1;
        }
        let byte = rest[0];
        let quoted = begun.len() > 1;
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' if !quoted => return 1,
            b'"' if quoted => {
                begun.push(byte);
                let key = &begun[1..];
                let found = BEGINNINGS.iter().find(|(name, _)| *name == key);
                if let Some((_, level)) = found {
                    (self.depth, self.level) = (*level, *level);
                    (self.string, self.escaped, self.title) = (false, false, None);
                    self.text = std::mem::take(begun);
                    self.short = self.text[1..].to_vec();
                    self.key.clear();
                    self.search = None;
                } else {
                    begun.clear();
                }
                return 1;
            }
            b'"' => begun.push(byte),
            _ if quoted && byte.is_ascii_lowercase() && begun.len() < 16 => begun.push(byte),
            // This may be the brace that is looked for.
            _ => {
                begun.clear();
                return 0;
            }
        }
        1
    }
}
