//! Character references of HTML as the characters that they stand for.
//!
//! Names and numbers as in the HTML standard, §13.2.5.72 and following; what is no reference
//! stays as it is written.

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::memchr;

/// The longest name of a reference, `CounterClockwiseContourIntegral`.
const LONGEST: usize = 32;

/// The names of the standard with their characters, and those marked that old pages write without
/// a semicolon; sorted by name.
static NAMES: LazyLock<Vec<(&str, String, bool)>> = LazyLock::new(|| {
    let names = include_str!("entities.tsv").lines().map(|line| {
        let mut fields = line.split('\t');
        let name = fields.next().unwrap_or_default();
        let codes = fields.next().unwrap_or_default().split(' ');
        let chars = codes.filter_map(|c| char::from_u32(u32::from_str_radix(c, 16).ok()?));
        (name, chars.collect(), fields.next().is_some())
    });
    names.collect()
});

/// What a name stands for, and whether it may stand without a semicolon.
fn named(name: &str) -> Option<(&'static str, bool)> {
    let at = NAMES.binary_search_by(|(n, ..)| (*n).cmp(name)).ok()?;
    NAMES.get(at).map(|(_, chars, bare)| (chars.as_str(), *bare))
}

/// What numbers mean that are those of windows-1252 instead of Unicode, from 0x80.
const WESTERN: &str = "€\u{81}‚ƒ„…†‡ˆ‰Š‹Œ\u{8d}Ž\u{8f}\u{90}‘’“”•–—˜™š›œ\u{9d}žŸ";

/// Text with its references resolved.
pub fn decode(text: &str) -> Cow<'_, str> {
    let Some(first) = memchr(b'&', text.as_bytes()) else { return Cow::Borrowed(text) };
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    let mut next = Some(first);
    while let Some(at) = next {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let used = reference(&rest[1..], &mut out);
        if used == 0 {
            out.push('&');
        }
        rest = &rest[1 + used..];
        next = memchr(b'&', rest.as_bytes());
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Appends what the reference behind an `&` stands for; how many bytes it takes, 0 for none.
fn reference(text: &str, out: &mut String) -> usize {
    let bytes = text.as_bytes();
    if bytes.first() == Some(&b'#') {
        return number(&text[1..], out).map_or(0, |used| used + 1);
    }
    let name = bytes.iter().take(LONGEST).take_while(|b| b.is_ascii_alphanumeric()).count();
    let semicolon = bytes.get(name) == Some(&b';');
    match named(&text[..name]) {
        Some((chars, bare)) if semicolon || bare => {
            out.push_str(chars);
            name + usize::from(semicolon)
        }
        _ => 0,
    }
}

fn number(text: &str, out: &mut String) -> Option<usize> {
    let hex = text.starts_with(['x', 'X']);
    let (radix, skip) = if hex { (16, 1) } else { (10, 0) };
    let digits = text[skip..].bytes().take_while(|b| char::from(*b).is_digit(radix)).count();
    if digits == 0 {
        return None;
    }
    let value = u32::from_str_radix(&text[skip..skip + digits], radix).unwrap_or(u32::MAX);
    let western = value.checked_sub(0x80).and_then(|n| WESTERN.chars().nth(n as usize));
    let valid = char::from_u32(value).filter(|c| *c != '\0');
    out.push(western.or(valid).unwrap_or(char::REPLACEMENT_CHARACTER));
    let end = skip + digits;
    Some(end + usize::from(text.as_bytes().get(end) == Some(&b';')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_resolved_and_other_text_stays() {
        for (text, want) in [
            (
                "a &amp; b &lt;c&gt; &eacute;&zwnj;&#x202F;&#8239;",
                "a & b <c> é\u{200c}\u{202f}\u{202f}",
            ),
            ("R&D & AT&T; &unknown; &;&#;&#x;", "R&D & AT&T; &unknown; &;&#;&#x;"),
            ("&copy 2001 &nbsp&ampx", "© 2001 \u{a0}&ampx"),
            ("&#151;&#x93;x&#148", "—“x”"),
            ("&#0;&#xD800;&#x110000;&#99999999999;", "\u{fffd}\u{fffd}\u{fffd}\u{fffd}"),
            ("&hellip;&Zcaron;&NotEqualTilde;", "…Ž≂̸"),
            ("&日本;", "&日本;"),
            ("&", "&"),
        ] {
            assert_eq!(decode(text), want, "{text}");
        }
        assert!(
            NAMES.is_sorted() && NAMES.iter().all(|(n, c, _)| n.len() < LONGEST && !c.is_empty())
        );
        assert!(matches!(decode("none"), Cow::Borrowed(_)));
    }
}
