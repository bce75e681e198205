//! How records begin: the version line of WARC, the one-line header of ARC.
//!
//! WARC is ISO 28500; ARC 1.0 is the Internet Archive's format of 1996, whose header is
//! `URL IP-address date type length`, in its second version with five fields more.

use memchr::{memchr, memchr_iter, memmem};

use super::headers::line;

/// The longest header line of ARC that is looked for.
const LONGEST: usize = 4 << 10;

/// The two kinds of archives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Records with named fields.
    Warc,
    /// Records with a line of fields.
    Arc,
}

impl Kind {
    /// The kind of archive that a record at the start of these bytes is of.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        if version(bytes) {
            return Some(Self::Warc);
        }
        Line::parse(bytes).map(|_| Self::Arc)
    }

    /// Whether a record of this kind begins here.
    pub fn starts(self, bytes: &[u8]) -> bool {
        match self {
            Self::Warc => version(bytes),
            Self::Arc => Line::parse(bytes).is_some(),
        }
    }

    /// Where the first line begins that a record of this kind begins with.
    pub fn find(self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::Warc => memmem::find_iter(bytes, b"\nWARC/")
                .map(|at| at + 1)
                .find(|at| version(&bytes[*at..])),
            Self::Arc => memchr_iter(b'\n', bytes)
                .map(|at| at + 1)
                .find(|at| Line::parse(&bytes[*at..]).is_some()),
        }
    }
}

/// Whether a record of either kind begins here.
pub fn is_start(bytes: &[u8]) -> bool {
    Kind::of(bytes).is_some()
}

/// `WARC/1.0`, `WARC/1.1` and the drafts before them, as a whole line.
fn version(bytes: &[u8]) -> bool {
    let Some(rest) = bytes.strip_prefix(b"WARC/") else { return false };
    let (number, length) = line(&rest[..rest.len().min(16)]);
    let number = number.trim_ascii_end();
    length > number.len()
        && matches!(number, [b'0' | b'1', b'.', minor @ ..]
            if !minor.is_empty() && minor.iter().all(u8::is_ascii_digit))
}

/// The header line of an ARC record.
#[derive(Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// The address; `filedesc://…` is the archive itself.
    pub url: &'a [u8],
    /// Year to second, fourteen digits.
    pub date: &'a [u8],
    /// The type that the server gave.
    pub media: &'a [u8],
    /// The length of the block in bytes.
    pub length: u64,
    /// The length of the line with its end.
    pub bytes: usize,
}

impl<'a> Line<'a> {
    /// The line at the start of these bytes, if it is one.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        // Nearly all lines that are asked about are of something else.
        if !bytes.first()?.is_ascii_alphabetic() || bytes.starts_with(b"WARC/") {
            return None;
        }
        let bytes = &bytes[..bytes.len().min(LONGEST)];
        let end = memchr(b'\n', bytes)?;
        let fields: Vec<&[u8]> = line(bytes).0.split(|b| *b == b' ').collect();
        let count = fields.len();
        let (url, date, media) = match count {
            10 => (fields[0], fields[2], fields[3]),
            // An address may hold spaces.
            5.. => {
                let address: usize = fields[..count - 4].iter().map(|f| f.len() + 1).sum();
                (&bytes[..address - 1], fields[count - 3], fields[count - 2])
            }
            _ => return None,
        };
        let scheme = &url[..memchr(b':', url)?];
        let numeric = |field: &[u8]| !field.is_empty() && field.iter().all(u8::is_ascii_digit);
        let plausible = scheme.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
            && numeric(date)
            && (12..=17).contains(&date.len());
        let length = std::str::from_utf8(fields[count - 1]).ok()?.parse().ok()?;
        plausible.then_some(Self { url, date, media, length, bytes: end + 1 })
    }

    /// The date as WARC writes it, `2014-02-16T05:02:21Z`; `None` when it is another number.
    pub fn iso_date(&self) -> Option<String> {
        let date = std::str::from_utf8(self.date).ok().filter(|d| d.len() >= 14)?;
        let (y, m, d) = (&date[..4], &date[4..6], &date[6..8]);
        let (hour, minute, second) = (&date[8..10], &date[10..12], &date[12..14]);
        Some(format!("{y}-{m}-{d}T{hour}:{minute}:{second}Z"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_line_is_whole() {
        for start in ["WARC/1.0\r\n", "WARC/1.1\n", "WARC/0.18 \r\n"] {
            assert_eq!(Kind::of(start.as_bytes()), Some(Kind::Warc), "{start}");
        }
        for other in ["WARC/1.0", "WARC/1.0x\n", "WARC/\n", "WARC/1.\n", "warc/1.0\n", ""] {
            assert_eq!(Kind::of(other.as_bytes()), None, "{other}");
        }
        assert_eq!(Kind::Warc.find(b"x\r\nWARC/9\r\nWARC/1.0\r\n"), Some(11));
    }

    #[test]
    fn a_header_line_of_either_version_of_arc() {
        let first = b"http://a.example/x y 192.0.2.1 20140216050221 text/html 1591\nHTTP";
        let line = Line::parse(first).unwrap();
        assert_eq!((line.url, line.length), (&b"http://a.example/x y"[..], 1591));
        assert_eq!(line.iso_date().as_deref(), Some("2014-02-16T05:02:21Z"));
        assert_eq!(&first[line.bytes..], b"HTTP");
        let second = b"http://a.example/ 192.0.2.1 20140216050221 text/html 200 - - 7 f.arc 15\r\n";
        assert_eq!(Line::parse(second).unwrap().media, b"text/html");
        assert_eq!(
            Kind::Arc.find(b"a: b c d e\nhttp://a.example/ - 20140216050221 - 1\n"),
            Some(11)
        );
        assert_eq!(Kind::of(b"see http://a.example/ for 12 20140216050221\n"), None);
    }
}
