//! Tags in wikitext: which ones there are, and what becomes of them and their content.
//!
//! What is no known tag is text, as `1 <b` and `<http://…>` are.

use memchr::{memchr, memchr2};

/// What becomes of a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It goes with its content; the number tells these tags apart.
    Content(u8),
    /// Its content is text without markup.
    Literal,
    /// It goes, its content stays.
    Inline,
    /// It goes, and a line ends.
    Line,
    /// It goes, and a paragraph ends.
    Paragraph,
}

/// Tags that go with their content; at most 32.
const CONTENT: &[&str] = &[
    "ref",
    "references",
    "gallery",
    "math",
    "chem",
    "ce",
    "timeline",
    "syntaxhighlight",
    "source",
    "score",
    "graph",
    "chart",
    "mapframe",
    "maplink",
    "hiero",
    "imagemap",
    "templatedata",
    "templatestyles",
    "table",
    "pre",
    "includeonly",
    "categorytree",
    "inputbox",
    "indicator",
    "dynamicpagelist",
    "rss",
    "section",
    "style",
    "script",
    "talkpage",
    "quiz",
];

const INLINE: &[&str] = &[
    "abbr",
    "acronym",
    "b",
    "bdi",
    "bdo",
    "big",
    "cite",
    "code",
    "data",
    "del",
    "dfn",
    "em",
    "font",
    "i",
    "ins",
    "kbd",
    "langconvert",
    "mark",
    "noinclude",
    "nobr",
    "nowrap",
    "onlyinclude",
    "q",
    "rb",
    "rp",
    "rt",
    "rtc",
    "ruby",
    "s",
    "samp",
    "small",
    "span",
    "strike",
    "strong",
    "sub",
    "sup",
    "time",
    "translate",
    "tt",
    "tvar",
    "u",
    "var",
    "wbr",
];

const LINE: &[&str] = &[
    "br", "dd", "div", "dl", "dt", "hr", "li", "ol", "td", "th", "tr", "ul", "caption", "tbody",
    "thead", "tfoot",
];

const PARAGRAPH: &[&str] =
    &["blockquote", "center", "h1", "h2", "h3", "h4", "h5", "h6", "p", "poem"];

/// The longest name of a tag.
const LONGEST_NAME: usize = 16;

/// The longest tag without a role of its content, in bytes.
const LONGEST_TAG: usize = 1000;

/// A tag at the begin of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag<'t> {
    /// What becomes of it.
    pub role: Role,
    /// Its name as it is written.
    pub name: &'t [u8],
    /// Whether it is an end tag.
    pub end: bool,
    /// Whether it closes itself.
    pub closed: bool,
    /// Its length, `<` and `>` included.
    pub length: usize,
}

/// The known tag that some bytes begin with.
pub fn tag(bytes: &[u8]) -> Option<Tag<'_>> {
    let end = bytes.get(1) == Some(&b'/');
    let from = 1 + usize::from(end);
    let name = name(bytes.get(from..)?)?;
    let role = role(name)?;
    let rest = &bytes[from + name.len()..];
    let rest = &rest[..rest.len().min(LONGEST_TAG)];
    let close = memchr2(b'>', b'<', rest).filter(|n| rest[*n] == b'>')?;
    let closed = !end && rest[..close].last() == Some(&b'/');
    Some(Tag { role, name, end, closed, length: from + name.len() + close + 1 })
}

/// The name that some bytes begin with, ended as the name of a tag is.
fn name(bytes: &[u8]) -> Option<&[u8]> {
    let head = &bytes[..bytes.len().min(LONGEST_NAME + 1)];
    let length = head.iter().position(|b| !b.is_ascii_alphanumeric())?;
    let delimited = matches!(head[length], b' ' | b'\t' | b'\n' | b'\r' | b'/' | b'>');
    (length > 0 && delimited).then(|| &head[..length])
}

fn role(name: &[u8]) -> Option<Role> {
    let among = |names: &[&str]| names.iter().position(|n| name.eq_ignore_ascii_case(n.as_bytes()));
    // The two most frequent first.
    if let Some(kind) = among(CONTENT) {
        return Some(Role::Content(kind as u8));
    }
    if among(LINE).is_some() {
        Some(Role::Line)
    } else if among(INLINE).is_some() {
        Some(Role::Inline)
    } else if among(PARAGRAPH).is_some() {
        Some(Role::Paragraph)
    } else {
        among(&["nowiki"]).map(|_| Role::Literal)
    }
}

/// Where the end tag of a name begins, and how long it is. Tables stand inside tables; of all
/// others, the first end tag counts.
pub fn end_tag(bytes: &[u8], name: &[u8]) -> Option<(usize, usize)> {
    let nests = name.eq_ignore_ascii_case(b"table");
    let (mut at, mut depth) = (0, 0);
    loop {
        at += memchr(b'<', &bytes[at..])?;
        let end = bytes.get(at + 1) == Some(&b'/');
        let from = at + 1 + usize::from(end);
        let same = bytes.get(from..from + name.len()).is_some_and(|n| n.eq_ignore_ascii_case(name));
        let after = bytes.get(from + name.len());
        if same && matches!(after, Some(b' ' | b'\t' | b'\n' | b'\r' | b'/' | b'>')) {
            match (end, depth) {
                (true, 0) => {
                    let rest = &bytes[from..];
                    let close = memchr2(b'>', b'<', rest).filter(|n| rest[*n] == b'>');
                    return Some((at, from - at + close.map_or(name.len(), |n| n + 1)));
                }
                (true, _) => depth -= 1,
                (false, _) => depth += usize::from(nests),
            }
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_tags_are_tags_and_the_rest_is_text() {
        let ref_tag = tag(b"<ref name=\"x\" />.").unwrap();
        assert_eq!((ref_tag.role, ref_tag.closed, ref_tag.length), (Role::Content(0), true, 16));
        let br = tag(b"<BR>").unwrap();
        assert_eq!((br.role, br.closed, br.end), (Role::Line, false, false));
        assert!(tag(b"</span>").unwrap().end);
        for text in ["<", "<b", "<b <i>", "<http://a.b>", "<1>", "< b>", "<refs>", "<ж>"] {
            assert_eq!(tag(text.as_bytes()), None, "{text}");
        }
        assert!(CONTENT.len() <= 32);
    }

    #[test]
    fn an_end_tag_is_found_in_any_case_and_tables_nest() {
        assert_eq!(end_tag(b"a</refs></Ref >b", b"ref"), Some((8, 7)));
        assert_eq!(end_tag(b"<table></table></table>", b"table"), Some((15, 8)));
        assert_eq!(end_tag(b"<table></table>", b"table"), None);
        assert_eq!(end_tag(b"<ref></ref", b"ref"), None);
    }
}
