//! The encoding that a page declares in itself, found before it is parsed.
//!
//! The algorithm is that of the HTML standard, §13.2.3.2 "prescan a byte stream to determine its
//! encoding", over the first 4 KiB instead of 1, and with the `encoding` of an XML declaration.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use memchr::{memchr, memmem};

/// How many bytes of a page are looked at.
const PRESCAN: usize = 4 << 10;

/// The encoding that a `<meta>` or an XML declaration names.
pub fn prescan(page: &[u8]) -> Option<&'static Encoding> {
    let page = &page[..page.len().min(PRESCAN)];
    let mut at = 0;
    while let Some(open) = memchr(b'<', &page[at..]) {
        at += open;
        let rest = &page[at..];
        at += match rest {
            [b'<', b'!', b'-', b'-', ..] => memmem::find(&rest[2..], b"-->")? + 5,
            _ if named(rest, b"<meta") => {
                let mut scan = Scan { bytes: rest, at: 5 };
                if let Some(encoding) = meta(&mut scan) {
                    return Some(encoding);
                }
                scan.at
            }
            [b'<', b'/', c, ..] | [b'<', c, ..] if c.is_ascii_alphabetic() => {
                let name = rest.iter().position(|b| b.is_ascii_whitespace() || *b == b'>')?;
                let mut scan = Scan { bytes: rest, at: name };
                while scan.attribute().is_some() {}
                scan.at
            }
            [b'<', b'!' | b'/' | b'?', ..] => memchr(b'>', rest)? + 1,
            _ => 1,
        };
    }
    declaration(page)
}

/// The encoding in `<?xml version="1.0" encoding="…"?>`.
fn declaration(page: &[u8]) -> Option<&'static Encoding> {
    let line = page.strip_prefix(b"<?xml")?;
    let line = &line[..memchr(b'>', line)?];
    let value = line[memmem::find(line, b"encoding")? + 8..].trim_ascii_start();
    let value = value.strip_prefix(b"=")?.trim_ascii_start();
    let (quote, value) = value.split_first().filter(|(q, _)| matches!(q, b'"' | b'\''))?;
    usable(&value[..memchr(*quote, value)?])
}

/// The encoding that a tag `<meta …>` declares.
fn meta(scan: &mut Scan<'_>) -> Option<&'static Encoding> {
    let (mut pragma, mut charset, mut content) = (false, None, None);
    let mut seen: Vec<Vec<u8>> = Vec::new();
    while let Some((name, value)) = scan.attribute() {
        if seen.contains(&name) {
            continue;
        }
        match name.as_slice() {
            b"http-equiv" => pragma = value == b"content-type",
            b"content" => content = in_content(&value),
            b"charset" => charset = usable(&value),
            _ => {}
        }
        seen.push(name);
    }
    charset.or(content.filter(|_| pragma))
}

/// The encoding in `text/html; charset=…` (§2.3.3).
fn in_content(value: &[u8]) -> Option<&'static Encoding> {
    let mut rest = value;
    loop {
        rest = rest[memmem::find(rest, b"charset")? + 7..].trim_ascii_start();
        if let Some(value) = rest.strip_prefix(b"=") {
            rest = value.trim_ascii_start();
            break;
        }
    }
    let label = match rest {
        [quote @ (b'"' | b'\''), label @ ..] => &label[..memchr(*quote, label)?],
        label => {
            let end = label.iter().position(|b| b.is_ascii_whitespace() || *b == b';');
            &label[..end.unwrap_or(label.len())]
        }
    };
    usable(label)
}

/// The encoding with a label, as far as a page that could be scanned can be in it.
fn usable(label: &[u8]) -> Option<&'static Encoding> {
    if label.trim_ascii().eq_ignore_ascii_case(b"x-user-defined") {
        return Some(WINDOWS_1252);
    }
    let encoding = Encoding::for_label_no_replacement(label)?;
    Some(if encoding == UTF_16LE || encoding == UTF_16BE { UTF_8 } else { encoding })
}

/// Whether a tag with this name begins here.
fn named(bytes: &[u8], name: &[u8]) -> bool {
    bytes.len() > name.len()
        && bytes[..name.len()].eq_ignore_ascii_case(name)
        && matches!(bytes[name.len()], b'\t' | b'\n' | b'\x0c' | b'\r' | b' ' | b'/')
}

/// A place in the attributes of a tag.
struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Scan<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn spaces(&mut self) {
        while self.peek().is_some_and(|b| b.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    /// The name and value of the next attribute in lower case; `None` at the end of the tag.
    fn attribute(&mut self) -> Option<(Vec<u8>, Vec<u8>)> {
        while self.peek().is_some_and(|b| b.is_ascii_whitespace() || b == b'/') {
            self.at += 1;
        }
        if self.peek()? == b'>' {
            self.at += 1;
            return None;
        }
        let begin = self.at;
        while let Some(b) = self.peek() {
            let ends = b.is_ascii_whitespace() || b == b'/' || b == b'>';
            if ends || (b == b'=' && self.at > begin) {
                break;
            }
            self.at += 1;
        }
        let name = self.bytes[begin..self.at].to_ascii_lowercase();
        self.spaces();
        if self.peek() != Some(b'=') {
            return Some((name, Vec::new()));
        }
        self.at += 1;
        self.spaces();
        let value = match self.peek()? {
            quote @ (b'"' | b'\'') => {
                let rest = &self.bytes[self.at + 1..];
                let Some(end) = memchr(quote, rest) else {
                    self.at = self.bytes.len();
                    return None;
                };
                self.at += end + 2;
                &rest[..end]
            }
            _ => {
                let rest = &self.bytes[self.at..];
                let end = rest.iter().position(|b| b.is_ascii_whitespace() || *b == b'>');
                let end = end.unwrap_or(rest.len());
                self.at += end;
                &rest[..end]
            }
        };
        Some((name, value.to_ascii_lowercase()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_are_found_where_browsers_find_them() {
        let name = |page: &str| prescan(page.as_bytes()).map(Encoding::name);
        for (page, want) in [
            ("<meta charset=koi8-r>", Some("KOI8-R")),
            ("<META CharSet = 'Shift_JIS' />", Some("Shift_JIS")),
            ("<meta http-equiv=Content-Type content='text/html; charset=gb2312'>", Some("GBK")),
            ("<meta content='charset = \"utf-8\"' http-equiv=content-type>", Some("UTF-8")),
            ("<meta content='text/html; charset=gb2312'>", None),
            ("<meta name=x><meta charset=big5>", Some("Big5")),
            ("<!-- <meta charset=big5> --><meta charset=euc-kr>", Some("EUC-KR")),
            ("<p title='<meta charset=big5>'>", None),
            ("<meta charset=utf-16>", Some("UTF-8")),
            ("<meta charset=x-user-defined>", Some("windows-1252")),
            ("<meta charset=nonsense><meta charset=latin1>", Some("windows-1252")),
            ("<metadata charset=big5>", None),
            ("<?xml version='1.0' encoding='windows-1250'?><html>", Some("windows-1250")),
            ("<meta charset=", None),
            ("<meta charset='big5", None),
            ("<", None),
            ("</", None),
        ] {
            assert_eq!(name(page), want, "{page}");
        }
        let late = format!("<!--{}--><meta charset=big5>", "x".repeat(PRESCAN));
        assert_eq!(name(&late), None);
    }
}
