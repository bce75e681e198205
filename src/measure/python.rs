//! Python's notions of lines and white space, in which the peers' definitions are written.
//!
//! Only what differs from Rust: `str.splitlines`, `str.strip`, `str.split`.

pub use crate::text::segment::is_space;

/// The lines of a text by all line ends of `str.splitlines`, which include form feeds, the
/// separators U+001C to U+001E, U+0085, U+2028 and U+2029; no empty line after the last end.
///
/// ```
/// use hexapla::measure::python::lines;
/// assert_eq!(lines("a\r\nb\u{2028}\n").collect::<Vec<_>>(), ["a", "b", ""]);
/// ```
pub fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let bytes = rest.as_bytes();
        let end = (0..bytes.len()).find_map(|at| Some((at, line_end(&bytes[at..])?)));
        let Some((at, length)) = end else {
            return Some(std::mem::take(&mut rest));
        };
        let line = &rest[..at];
        rest = &rest[at + length..];
        Some(line)
    })
}

/// A text without the white space around it.
pub fn strip(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// The stretches of a text between white space.
pub fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_space).filter(|word| !word.is_empty())
}

/// The parts of a text between runs of at least `least` line feeds, as `re.split(r"\n{least,}")`:
/// with empty parts at the ends.
pub fn split_at_line_feeds(text: &str, least: usize) -> Vec<&str> {
    let bytes = text.as_bytes();
    let (mut parts, mut start, mut at) = (Vec::new(), 0, 0);
    while let Some(next) = memchr::memchr(b'\n', &bytes[at..]) {
        at += next;
        let run = bytes[at..].iter().take_while(|b| **b == b'\n').count();
        if run >= least {
            parts.push(&text[start..at]);
            start = at + run;
        }
        at += run;
    }
    parts.push(&text[start..]);
    parts
}

/// The length of the line end that a text begins with.
#[inline]
fn line_end(text: &[u8]) -> Option<usize> {
    match *text {
        [b'\r', b'\n', ..] => Some(2),
        [b'\n'..=b'\r' | 0x1c..=0x1e, ..] => Some(1),
        [b' '..=0xc1, ..] => None,
        // U+0085, U+2028, U+2029.
        [0xc2, 0x85, ..] => Some(2),
        [0xe2, 0x80, 0xa8 | 0xa9, ..] => Some(3),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_where_python_ends_them() {
        let of = |text| lines(text).collect::<Vec<_>>();
        assert_eq!(of(""), Vec::<&str>::new());
        assert_eq!(of("\n"), [""]);
        assert_eq!(of("а\n\nб"), ["а", "", "б"]);
        assert_eq!(
            of("一\r二\x0b三\x0c四\x1c五\x1d六\x1e七\u{85}八\u{2029}"),
            ["一", "二", "三", "四", "五", "六", "七", "八"]
        );
        assert_eq!(of("a\x1fb"), ["a\x1fb"]);
    }

    #[test]
    fn white_space_is_pythons() {
        assert_eq!(strip("\u{a0}\x1f हाँ \u{3000}"), "हाँ");
        assert_eq!(split(" a\u{2003}b\x1fc ").collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(strip("\u{200b}x"), "\u{200b}x");
    }

    #[test]
    fn runs_of_line_feeds_part_paragraphs() {
        assert_eq!(split_at_line_feeds("a\nb\n\n\nc", 2), ["a\nb", "c"]);
        assert_eq!(split_at_line_feeds("\nа\n\nб\n", 1), ["", "а", "б", ""]);
        assert_eq!(split_at_line_feeds("", 1), [""]);
    }
}
