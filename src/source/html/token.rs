//! A page as tags and text, in one pass and without a tree.
//!
//! Tags end, comments begin and scripts hide text as the HTML standard says (§13.2.5); nothing is
//! nested, moved or decoded here. Takes time in proportion to the page, whatever it holds.

use memchr::{memchr, memmem};

/// A piece of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token<'p> {
    /// Text between tags, with its character references.
    Text(&'p str),
    /// `<name …>`.
    Open(Tag<'p>),
    /// `</name>`.
    Close(&'p str),
    /// What stands in a `<script>`, `<style>` or the like, which is no text of the page.
    Hidden(&'p str),
}

/// A start tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag<'p> {
    /// Its name in the case it was written in.
    pub name: &'p str,
    /// What stands between the name and the end.
    pub rest: &'p str,
}

/// Elements whose content is text up to their end tag, and whether a reader sees it.
const RAW: &[(&str, bool)] = &[
    ("iframe", false),
    ("noembed", false),
    ("noframes", false),
    ("script", false),
    ("style", false),
    ("textarea", true),
    ("title", true),
    ("xmp", true),
];

/// The tokens of a page.
pub struct Tokens<'p> {
    page: &'p str,
    at: usize,
    /// The raw element that is open, and whether its text is seen.
    raw: Option<(&'p str, bool)>,
}

impl<'p> Tokens<'p> {
    /// The tokens of a page.
    pub fn new(page: &'p str) -> Self {
        Self { page, at: 0, raw: None }
    }

    /// The text of the raw element that is open, up to its end tag.
    fn raw(&mut self, name: &str, seen: bool) -> Option<Token<'p>> {
        let rest = &self.page[self.at..];
        let ends = |at: &usize| {
            let after = &rest.as_bytes()[at + 2..];
            after.get(..name.len()).is_some_and(|n| n.eq_ignore_ascii_case(name.as_bytes()))
                && after.get(name.len()).is_none_or(|b| is_space(*b) || matches!(b, b'/' | b'>'))
        };
        let end = memmem::find_iter(rest.as_bytes(), b"</").find(ends).unwrap_or(rest.len());
        self.at += end;
        let text = &rest[..end];
        (!text.is_empty()).then_some(if seen { Token::Text(text) } else { Token::Hidden(text) })
    }

    /// A start or end tag at `<`, whose name begins `skip` bytes behind it.
    fn tag(&mut self, skip: usize) -> (&'p str, &'p str) {
        let rest = &self.page[self.at + skip..];
        let bytes = rest.as_bytes();
        let name = bytes.iter().position(|b| is_space(*b) || matches!(b, b'/' | b'>'));
        let name = name.unwrap_or(bytes.len());
        let end = tag_end(bytes, name);
        self.at += skip + (end + 1).min(bytes.len());
        (&rest[..name], &rest[name..end])
    }
}

impl<'p> Iterator for Tokens<'p> {
    type Item = Token<'p>;

    fn next(&mut self) -> Option<Token<'p>> {
        if let Some((name, seen)) = self.raw.take()
            && let Some(token) = self.raw(name, seen)
        {
            return Some(token);
        }
        loop {
            let rest = self.page.as_bytes().get(self.at..).filter(|rest| !rest.is_empty())?;
            match rest {
                [b'<', b'/', c, ..] if c.is_ascii_alphabetic() => {
                    return Some(Token::Close(self.tag(2).0));
                }
                [b'<', c, ..] if c.is_ascii_alphabetic() => {
                    let (name, rest) = self.tag(1);
                    let is = |raw: &&(&str, bool)| raw.0.eq_ignore_ascii_case(name);
                    self.raw = RAW.iter().find(is).map(|(_, seen)| (name, *seen));
                    return Some(Token::Open(Tag { name, rest }));
                }
                [b'<', b'!' | b'?' | b'/', ..] => self.at += comment(rest),
                _ => {
                    // A `<` that begins no tag is text.
                    let end = memchr(b'<', &rest[1..]).map_or(rest.len(), |at| at + 1);
                    let begin = self.at;
                    self.at += end;
                    return Some(Token::Text(&self.page[begin..self.at]));
                }
            }
        }
    }
}

/// White space in tags.
pub fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\x0c')
}

/// Where the `>` of a tag stands, from the end of its name: one in a quoted value is none.
fn tag_end(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    let mut value = false;
    while let Some(b) = bytes.get(at) {
        match b {
            b'>' => return at,
            b'"' | b'\'' if value => {
                let Some(end) = memchr(*b, &bytes[at + 1..]) else { return bytes.len() };
                at += end + 1;
                value = false;
            }
            b'=' => value = true,
            b if is_space(*b) => {}
            _ => value = false,
        }
        at += 1;
    }
    at
}

/// The length of a comment, a document type, or what is taken for one.
fn comment(bytes: &[u8]) -> usize {
    let Some(rest) = bytes.strip_prefix(b"<!--") else {
        return memchr(b'>', bytes).map_or(bytes.len(), |at| at + 1);
    };
    if rest.starts_with(b">") || rest.starts_with(b"->") {
        return bytes.len() - rest.len() + 1 + usize::from(rest[0] == b'-');
    }
    let mut at = 0;
    while let Some(dashes) = memmem::find(&rest[at..], b"--") {
        at += dashes;
        match &rest[at + 2..] {
            [b'>', ..] => return 4 + at + 3,
            [b'!', b'>', ..] => return 4 + at + 4,
            _ => at += 1,
        }
    }
    bytes.len()
}

impl<'p> Tag<'p> {
    /// The value of an attribute, with its character references; empty when it has none.
    pub fn attribute(&self, name: &str) -> Option<&'p str> {
        self.attributes().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The names and values of its attributes.
    pub fn attributes(&self) -> impl Iterator<Item = (&'p str, &'p str)> {
        let mut rest = self.rest;
        std::iter::from_fn(move || {
            rest =
                rest.trim_start_matches(|c: char| c == '/' || (c.is_ascii() && is_space(c as u8)));
            let bytes = rest.as_bytes();
            let first = *bytes.first()?;
            let ends = |b: &u8| is_space(*b) || matches!(b, b'/' | b'=');
            let begin = usize::from(first == b'=');
            let end = bytes[begin..].iter().position(ends).map_or(bytes.len(), |at| begin + at);
            let (name, after) = rest.split_at(end);
            let trimmed = after.trim_ascii_start();
            let Some(value) = trimmed.strip_prefix('=') else {
                rest = after;
                return Some((name, ""));
            };
            let value = value.trim_ascii_start();
            let bytes = value.as_bytes();
            let (inner, used) = match bytes.first() {
                Some(quote @ (b'"' | b'\'')) => {
                    let end = memchr(*quote, &bytes[1..]).map_or(bytes.len(), |at| at + 1);
                    (&value[1..end], (end + 1).min(bytes.len()))
                }
                _ => {
                    let end = bytes.iter().position(|b| is_space(*b)).unwrap_or(bytes.len());
                    (&value[..end], end)
                }
            };
            rest = &value[used..];
            Some((name, inner))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(page: &str) -> Vec<String> {
        let show = |token| match token {
            Token::Text(text) => text.to_string(),
            Token::Open(tag) => format!("<{}|{}>", tag.name, tag.rest),
            Token::Close(name) => format!("</{name}>"),
            Token::Hidden(text) => format!("[{text}]"),
        };
        Tokens::new(page).map(show).collect()
    }

    #[test]
    fn tags_end_where_browsers_end_them() {
        assert_eq!(shown("a<p>б</P >c"), ["a", "<p|>", "б", "</P>", "c"]);
        assert_eq!(shown("<a title='>' x=\">\">y"), ["<a| title='>' x=\">\">", "y"]);
        assert_eq!(shown("<a don't>y"), ["<a| don't>", "y"]);
        assert_eq!(shown("<a x=y'>z"), ["<a| x=y'>", "z"]);
        assert_eq!(shown("1 < 2 <3<br/>"), ["1 ", "< 2 ", "<3", "<br|/>"]);
        for open in ["<", "</", "<a", "<a b='c>", "<!", "<!--x", "</a", "<script>x", "<!---"] {
            assert!(shown(open).len() <= 2, "{open}");
        }
    }

    #[test]
    fn comments_and_scripts_hide_what_looks_like_tags() {
        assert_eq!(
            shown("a<!-- <p> - -- -->b<!-->c<!--->d<!--x--!>e<?x?>f<!doctype html>g</>h"),
            ["a", "b", "c", "d", "e", "f", "g", "h"]
        );
        let script = "<SCRIPT src=x>if (a<b) '</scrip'</script >x";
        assert_eq!(shown(script), ["<SCRIPT| src=x>", "[if (a<b) '</scrip']", "</script>", "x"]);
        assert_eq!(shown("<title>a<b></title><b>"), ["<title|>", "a<b>", "</title>", "<b|>"]);
        assert_eq!(shown("<style></style>x"), ["<style|>", "</style>", "x"]);
    }

    #[test]
    fn attributes_are_found_however_they_are_quoted() {
        let Some(Token::Open(tag)) = Tokens::new("<html LANG=ja a='b c'  d e = f/g =h='i'>").next()
        else {
            panic!("no tag")
        };
        let all: Vec<_> = tag.attributes().collect();
        let want = [("LANG", "ja"), ("a", "b c"), ("d", ""), ("e", "f/g"), ("=h", "i")];
        assert_eq!(all, want);
        assert_eq!(tag.attribute("lang"), Some("ja"));
        assert_eq!(tag.attribute("x"), None);
    }
}
