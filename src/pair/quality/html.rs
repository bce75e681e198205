//! Whether a text has an HTML tag, by the parser of OpusFilter's `HtmlTagFilter`.
//!
//! That is Beautiful Soup over Python's `html.parser`, as it is from Python 3.8 to the releases
//! of 2025 that reworked it. A start tag counts, an end tag, comment or declaration does not, and
//! neither does what those enclose. A marked section that Python refuses (`<![foo`) makes the
//! whole text one without tags.
//!
//! No tree and no attributes; the time is linear in the text, also for hostile ones.

use std::collections::HashSet;

use memchr::{memchr, memchr2, memmem};

use crate::text::segment::is_space;

/// Whether Beautiful Soup finds a tag in a text.
///
/// ```
/// use hexapla::pair::quality::html::has_tag;
/// assert!(has_tag("sjá <b>hér") && has_tag("строка<br/>строка"));
/// assert!(!has_tag("2 < 3 </b> <!-- <b> --> &lt;b&gt;"));
/// ```
pub fn has_tag(text: &str) -> bool {
    memchr(b'<', text.as_bytes()).is_some() && Parser::new(text).run() == Outcome::Tag
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Tag,
    NoTag,
    Refused,
}

/// What a piece of markup is.
enum Piece {
    /// A start tag that ends here; `raw`: what follows is text up to its end tag.
    Tag { end: usize, raw: Option<&'static [u8]> },
    /// Something else that ends here.
    Other(usize),
    /// It does not end.
    Open,
    /// Python raises an error.
    Refused,
}

struct Parser<'t> {
    text: &'t str,
    bytes: &'t [u8],
    /// Beginnings of attributes from which a tag is known not to end.
    dead: HashSet<usize>,
    gt: Ahead,
    name_end: Ahead,
    comment_end: Ahead,
    /// Of sections that end with one bracket, and with two.
    section_ends: [Ahead; 2],
}

/// The last answer of a search that is asked for ever later places.
#[derive(Default)]
struct Ahead(Option<Option<usize>>);

impl Ahead {
    fn find(&mut self, from: usize, search: impl Fn(usize) -> Option<usize>) -> Option<usize> {
        let known = self.0.filter(|found| found.is_none_or(|place| place >= from));
        *self.0.insert(known.unwrap_or_else(|| search(from)))
    }
}

impl<'t> Parser<'t> {
    fn new(text: &'t str) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            dead: HashSet::new(),
            gt: Ahead::default(),
            name_end: Ahead::default(),
            comment_end: Ahead::default(),
            section_ends: [Ahead::default(), Ahead::default()],
        }
    }

    /// Python reads the text twice: as if more could follow up to where it would wait for that,
    /// and from there to the end, where what is not whole is text.
    fn run(&mut self) -> Outcome {
        let mut outcome = Outcome::NoTag;
        let (mut at, mut closing) = (0, false);
        while let Some(found) = memchr2(b'<', b'&', &self.bytes[at..]) {
            at += found;
            if self.bytes[at] == b'&' {
                match self.after_reference(at) {
                    Some(end) => at = end,
                    // A bad reference ends either reading; without `;` it is met again.
                    None if closing || memchr(b';', &self.bytes[at..]).is_none() => break,
                    None => (at, closing) = (at + 2, true),
                }
                continue;
            }
            match self.piece(at) {
                Piece::Tag { end, raw } => {
                    outcome = Outcome::Tag;
                    match raw.map(|name| self.raw_end(end, name)) {
                        None => at = end,
                        Some(Some(end)) => at = end,
                        Some(None) => break,
                    }
                }
                Piece::Other(end) => at = end,
                Piece::Refused => return Outcome::Refused,
                Piece::Open => {
                    closing = true;
                    let next = || memchr(b'<', &self.bytes[at + 1..]).map(|found| at + 1 + found);
                    at = self.after_gt(at + 1).or_else(next).unwrap_or(at + 1);
                }
            }
        }
        outcome
    }

    /// The end of what begins with `&`; `None` for a number that is none.
    fn after_reference(&self, at: usize) -> Option<usize> {
        let Some(number) = self.bytes[at..].strip_prefix(b"&#") else { return Some(at + 1) };
        let hex = matches!(number.first(), Some(b'x' | b'X'));
        let digits = &number[usize::from(hex)..];
        let is_digit = |b: &u8| if hex { b.is_ascii_hexdigit() } else { b.is_ascii_digit() };
        let n = digits.iter().position(|b| !is_digit(b))?;
        (n > 0 && !digits[n].is_ascii_hexdigit()).then_some(at + 2)
    }

    /// The markup that begins with the `<` at a place.
    fn piece(&mut self, at: usize) -> Piece {
        let ends = |end: Option<usize>| end.map_or(Piece::Open, Piece::Other);
        match &self.bytes[at + 1..] {
            [b'a'..=b'z' | b'A'..=b'Z', ..] => self.start_tag(at),
            [b'/' | b'?', ..] => ends(self.after_gt(at + 2)),
            [b'!', b'-', b'-', ..] => ends(self.comment_end(at + 4)),
            [b'!', b'[', ..] => self.marked_section(at),
            [b'!', ..] => ends(self.after_gt(at + 2)),
            _ => Piece::Other(at + 1),
        }
    }

    fn after_gt(&mut self, from: usize) -> Option<usize> {
        let bytes = self.bytes;
        let search = |from: usize| Some(from + memchr(b'>', bytes.get(from..)?)?);
        self.gt.find(from, search).map(|place| place + 1)
    }

    /// The end of a comment: `--`, white space, `>`.
    fn comment_end(&mut self, from: usize) -> Option<usize> {
        let (text, bytes) = (self.text, self.bytes);
        let search = |mut from: usize| loop {
            from += memmem::find(bytes.get(from..)?, b"--")?;
            if bytes.get(skip_spaces(text, from + 2)) == Some(&b'>') {
                return Some(from);
            }
            from += 1;
        };
        let place = self.comment_end.find(from, search)?;
        Some(skip_spaces(text, place + 2) + 1)
    }

    /// `<![NAME … ]]>`, or `<![if … ]>` as Microsoft Office writes it.
    fn marked_section(&mut self, at: usize) -> Piece {
        let rest = &self.bytes[at + 3..];
        let is_name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        let n = rest.iter().position(|b| !is_name(b)).unwrap_or(rest.len());
        if !rest.first().is_none_or(u8::is_ascii_alphabetic) {
            return Piece::Refused;
        }
        if skip_spaces(self.text, at + 3 + n) == self.bytes.len() {
            return Piece::Open;
        }
        let ahead = match rest[..n].to_ascii_lowercase().as_slice() {
            b"if" | b"else" | b"endif" => 0,
            b"temp" | b"cdata" | b"ignore" | b"include" | b"rcdata" => 1,
            _ => return Piece::Refused,
        };
        let (text, bytes) = (self.text, self.bytes);
        // The bracket, for two brackets another one after white space, and `>` likewise.
        let close = |at: usize| {
            let mut next = skip_spaces(text, at + 1);
            if ahead == 1 {
                next =
                    bytes.get(next).filter(|b| **b == b']').map(|_| skip_spaces(text, next + 1))?;
            }
            (bytes.get(next) == Some(&b'>')).then_some(next + 1)
        };
        let search = |mut from: usize| loop {
            from += memchr(b']', bytes.get(from..)?)?;
            if close(from).is_some() {
                return Some(from);
            }
            from += 1;
        };
        let end = self.section_ends[ahead].find(at + 3, search).and_then(close);
        end.map_or(Piece::Open, Piece::Other)
    }

    fn start_tag(&mut self, at: usize) -> Piece {
        let bytes = self.bytes;
        let is_end = |b: &u8| matches!(b, b'\t' | b'\n' | b'\r' | b'\x0c' | b' ' | b'/' | b'>' | 0);
        let search = |from: usize| Some(from + bytes[from..].iter().position(is_end)?);
        let name_end = self.name_end.find(at + 1, search).unwrap_or(bytes.len());
        let mut end = name_end;
        while let Some(width) = self.space_or(b'/', end) {
            end += width;
        }
        let mut attributes = Vec::new();
        while !self.dead.contains(&end) {
            let Some(next) = self.attribute(end) else { break };
            attributes.push(end);
            end = next;
        }
        let (end, empty) = match bytes.get(end..) {
            // An attribute begins here, from which the tag does not end.
            _ if self.dead.contains(&end) => {
                self.dead.extend(attributes);
                return Piece::Open;
            }
            // Without attributes the slash has been passed over.
            Some([b'>', ..]) => (end + 1, attributes.is_empty() && bytes[end - 1] == b'/'),
            Some([b'/', b'>', ..]) => (end + 2, true),
            Some([0, ..]) => return Piece::Other(end),
            _ => {
                self.dead.extend(attributes);
                return Piece::Open;
            }
        };
        let name = &bytes[at + 1..name_end];
        let raw = [&b"script"[..], b"style"].into_iter().find(|raw| name.eq_ignore_ascii_case(raw));
        Piece::Tag { end, raw: raw.filter(|_| !empty) }
    }

    /// The end of the attribute that begins at a place, with the white space and slashes after it.
    fn attribute(&self, at: usize) -> Option<usize> {
        let before = self.text[..at].chars().next_back()?;
        if !matches!(before, '\'' | '"' | '/') && !is_space(before) {
            return None;
        }
        let first = self.text[at..].chars().next().filter(|c| !is_space(*c))?;
        if matches!(first, '/' | '>') {
            return None;
        }
        let name = at + first.len_utf8();
        let mut end = self.until(name, |c| matches!(c, '/' | '=' | '>') || is_space(c));
        if let Some(value) = self.value(end) {
            end = value;
        }
        while let Some(width) = self.space_or(b'/', end) {
            if self.bytes[end..].starts_with(b"/>") {
                break;
            }
            end += width;
        }
        Some(end)
    }

    /// The end of `= value`, where it stands; an open quote is no value, but may be left out.
    fn value(&self, at: usize) -> Option<usize> {
        let equals = skip_spaces(self.text, at);
        let n = self.bytes[equals..].iter().take_while(|b| **b == b'=').count();
        let after = equals + n;
        let start = skip_spaces(self.text, after);
        let bare = |from: usize| self.until(from, |c| c == '>' || is_space(c));
        match self.bytes.get(start) {
            _ if n == 0 => None,
            Some(quote @ (b'\'' | b'"')) => match memchr(*quote, &self.bytes[start + 1..]) {
                Some(length) => Some(start + length + 2),
                None if start > after => Some(start),
                None if n > 1 => Some(bare(after - 1)),
                None => None,
            },
            _ => Some(bare(start)),
        }
    }

    /// The end of the end tag that ends the text after `<script>` or `<style>`.
    fn raw_end(&self, from: usize, name: &[u8]) -> Option<usize> {
        let mut at = from;
        loop {
            at += memmem::find(&self.bytes[at..], b"</")? + 2;
            let start = skip_spaces(self.text, at);
            let found = self.bytes.get(start..start + name.len());
            if found.is_some_and(|found| found.eq_ignore_ascii_case(name)) {
                let end = skip_spaces(self.text, start + name.len());
                if self.bytes.get(end) == Some(&b'>') {
                    return Some(end + 1);
                }
            }
        }
    }

    /// The width of the white space or the given byte at a place.
    fn space_or(&self, byte: u8, at: usize) -> Option<usize> {
        if self.bytes.get(at) == Some(&byte) {
            return Some(1);
        }
        self.text[at..].chars().next().filter(|c| is_space(*c)).map(char::len_utf8)
    }

    fn until(&self, from: usize, is_end: impl Fn(char) -> bool) -> usize {
        self.text[from..].find(is_end).map_or(self.text.len(), |found| from + found)
    }
}

fn skip_spaces(text: &str, from: usize) -> usize {
    let rest = &text[from.min(text.len())..];
    text.len() - rest.trim_start_matches(is_space).len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_tags_are_tags() {
        for text in [
            "<b>",
            "тег <br/> тут",
            "<a href='x>y'>",
            "<a href=\"x\"title=y>",
            "a<b>c",
            "<中>x<p\u{a0}q>",
            "<i <b>",
            "<a b= 'c>",
            "<a b==\"c>",
            "&#233; <b>",
            "&#; <b>",
            "</p <b>> <u>",
            "<script>a</script><!-- x",
            "<a \0>",
        ] {
            assert!(has_tag(text), "{text}");
        }
    }

    #[test]
    fn other_markup_is_no_tag() {
        for text in [
            "",
            "1 < 2 > 1",
            "<3",
            "</b>",
            "<!-- <b> -->",
            "<!-- <b> -- >",
            "<!doctype html>",
            "<?php <b?>",
            "<![CDATA[ <b> ]]>",
            "<b",
            "<b c='d>",
            "<a\0>",
            "&# <b>",
            "&#; &#; <b>",
            "&#12a; &#x; <b>",
            "＜b＞",
        ] {
            assert!(!has_tag(text), "{text}");
        }
    }

    #[test]
    fn a_refused_text_has_no_tag() {
        assert!(!has_tag("<b> <![foo]>"));
        assert!(!has_tag("<b> <![ x"));
        assert!(has_tag("<b> <![if x]>"));
        // Nothing is markup within a script.
        assert!(has_tag("<script> <![foo]> </script>"));
        assert!(!has_tag("<script> </SCRIPT > <![foo]>"));
        assert!(!has_tag("<script/> <![foo]>"));
    }

    #[test]
    fn hostile_texts_take_linear_time() {
        let n = 200_000;
        for unit in
            ["<a ", "<a", "<!--", "<a b='>' ", "<![cdata[", "<a b='", "&#;", "</", "] ", "--"]
        {
            let text = format!("{}c=", unit.repeat(n));
            has_tag(&text);
            has_tag(&format!("<!--{text}"));
        }
    }
}
