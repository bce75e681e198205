//! Blocks of `Name: value` lines, as WARC and HTTP have them.
//!
//! Lenient as browsers are: bare line feeds, folded lines, spaces before the colon. Lines that
//! are no field are passed over.

use std::borrow::Cow;

use memchr::memchr;

/// Named fields in the order they came.
#[derive(Debug, Default)]
pub struct Headers<'a>(Vec<(&'a [u8], Cow<'a, [u8]>)>);

impl<'a> Headers<'a> {
    /// Reads lines up to an empty one, or one that `stop` knows to be no line of a header; gives
    /// how many bytes they take, the empty line included, and whether the empty line was there.
    pub fn parse(bytes: &'a [u8], stop: impl Fn(&[u8]) -> bool) -> (Self, usize, bool) {
        let (mut fields, mut at): (Vec<(&[u8], Cow<[u8]>)>, usize) = (Vec::new(), 0);
        while at < bytes.len() {
            let rest = &bytes[at..];
            let (line, length) = line(rest);
            if line.is_empty() {
                return (Self(fields), at + length, true);
            }
            if stop(line) {
                break;
            }
            match (line, fields.last_mut()) {
                ([b' ' | b'\t', ..], Some((_, value))) => {
                    let value = value.to_mut();
                    value.push(b' ');
                    value.extend_from_slice(line.trim_ascii());
                }
                _ => {
                    if let Some(colon) = memchr(b':', line) {
                        let (name, value) = (&line[..colon], &line[colon + 1..]);
                        fields.push((name.trim_ascii(), Cow::Borrowed(value.trim_ascii())));
                    }
                }
            }
            at += length;
        }
        (Self(fields), at, false)
    }

    /// The value of the first field with a name, whatever its case.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        let named = |(n, _): &&(&[u8], Cow<[u8]>)| n.eq_ignore_ascii_case(name.as_bytes());
        self.0.iter().find(named).map(|(_, value)| &**value)
    }

    /// The value as text, which is lossy where it is not UTF-8; `None` when it is empty.
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.get(name).filter(|value| !value.is_empty()).map(String::from_utf8_lossy)
    }
}

/// The first line without its end, and its length with it.
pub fn line(bytes: &[u8]) -> (&[u8], usize) {
    match memchr(b'\n', bytes) {
        None => (bytes, bytes.len()),
        Some(end) => (bytes[..end].strip_suffix(b"\r").unwrap_or(&bytes[..end]), end + 1),
    }
}

/// The type of a `Content-Type`, such as `text/html`, in lower case.
pub fn media_type(value: &[u8]) -> String {
    let end = memchr(b';', value).unwrap_or(value.len());
    String::from_utf8_lossy(value[..end].trim_ascii()).to_ascii_lowercase()
}

/// A parameter of a `Content-Type`, such as its `charset`.
pub fn parameter<'v>(value: &'v [u8], name: &str) -> Option<&'v [u8]> {
    value.split(|b| *b == b';').skip(1).find_map(|part| {
        let equals = memchr(b'=', part)?;
        let named = part[..equals].trim_ascii().eq_ignore_ascii_case(name.as_bytes());
        let quotes = |b: &u8| matches!(b, b'"' | b'\'');
        let value = part[equals + 1..].trim_ascii();
        let begin = value.iter().position(|b| !quotes(b))?;
        let end = value.iter().rposition(|b| !quotes(b))? + 1;
        named.then(|| &value[begin..end])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_in_any_case_and_folded_lines_are_one() {
        let bytes = b"Content-Type : text/html;\r\n  charset=\"utf-8\"\nbroken\nX:\r\n\r\nbody";
        let (headers, length, ended) = Headers::parse(bytes, |_| false);
        assert_eq!((&bytes[length..], ended), (&b"body"[..], true));
        let kind = headers.get("content-type").unwrap();
        assert_eq!(media_type(kind), "text/html");
        assert_eq!(parameter(kind, "charset"), Some(&b"utf-8"[..]));
        assert_eq!(headers.get("x"), Some(&b""[..]));
        assert_eq!(headers.text("x"), None);
        assert_eq!(headers.get("y"), None);
    }

    #[test]
    fn a_header_without_an_end_ends_where_it_is_told_to() {
        let (headers, length, ended) = Headers::parse(b"A: 1\n<p>x: y\n", |l| l[0] == b'<');
        assert_eq!((headers.get("a"), length, ended), (Some(&b"1"[..]), 5, false));
        assert_eq!(parameter(b"text/html; charset=", "charset"), None);
        assert_eq!(parameter(b"text/html; charset=''", "charset"), None);
    }
}
