//! HTML character references in text that is no HTML.
//!
//! Those of the HTML standard that end in a semicolon, and the names of letters in all capitals
//! that data bases make of them. References without a semicolon stay: `this&not that` means itself.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// The named references of the HTML standard that end in a semicolon, which is left out, with the
/// code points they stand for.
const REFERENCES: &str = include_str!("references.tsv");

static REFERENCE: LazyLock<Regex> = LazyLock::new(|| super::badness::regex(super::ENTITY));

static BY_NAME: LazyLock<HashMap<&'static str, String>> = LazyLock::new(|| {
    let rows = REFERENCES.lines().filter_map(|row| row.split_once('\t'));
    let text = |points: &str| -> Option<String> {
        points.split(' ').map(|p| char::from_u32(u32::from_str_radix(p, 16).ok()?)).collect()
    };
    rows.filter_map(|(name, points)| Some((name, text(points)?))).collect()
});

/// Capitals that begin a reference of their own, with or without semicolon.
const OWN_CAPITALS: [&str; 8] = ["AMP", "COPY", "GT", "LT", "QUOT", "REG", "ETH", "THORN"];

/// The text with one layer of references resolved; `None` if there was none.
pub fn unescape(text: &str) -> Option<String> {
    let fixed = REFERENCE.replace_all(text, |found: &Captures<'_>| {
        let whole = &found[0];
        let name = &whole[1..whole.len() - 1];
        let resolved = match name.strip_prefix('#') {
            Some(number) => numeric(number),
            None => named(name),
        };
        resolved.unwrap_or(Cow::Owned(whole.to_owned()))
    });
    super::changed(fixed).filter(|fixed| fixed != text)
}

fn named(name: &str) -> Option<Cow<'static, str>> {
    if let Some(text) = BY_NAME.get(name) {
        return Some(Cow::Borrowed(text));
    }
    if name.contains(|c: char| c.is_ascii_lowercase())
        || OWN_CAPITALS.iter().any(|own| name.starts_with(own))
    {
        return None;
    }
    let text = BY_NAME.get(name.to_ascii_lowercase().as_str())?;
    Some(Cow::Owned(text.to_uppercase()))
}

/// The character of a number as the HTML standard reads it; none for code points that it forbids.
fn numeric(number: &str) -> Option<Cow<'static, str>> {
    let (digits, radix) = match number.strip_prefix(['x', 'X']) {
        Some(hex) => (hex, 16),
        None => (number, 10),
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    // Whatever is too large for a number is no character either.
    let code = u32::from_str_radix(digits, radix).unwrap_or(u32::MAX);
    let c = match code {
        0 => char::REPLACEMENT_CHARACTER,
        // A semicolon stays as it is in ftfy, which takes it for a reference half resolved.
        0x3b => return None,
        0x80..=0x9f => super::charmap::windows_1252(code as u8),
        0x01..=0x08 | 0x0b | 0x0e..=0x1f | 0x7f | 0xfdd0..=0xfdef => {
            return Some(Cow::Borrowed(""));
        }
        _ if code & 0xfffe == 0xfffe && code <= 0x10_ffff => return Some(Cow::Borrowed("")),
        _ => char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER),
    };
    Some(Cow::Owned(c.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_resolved_once() {
        for (text, plain) in [
            ("&lt;&eacute;&gt; &amp;amp;", "<é> &amp;"),
            ("&Jscr; &checkmark; &fjlig; &NotEqualTilde;", "𝒥 ✓ fj ≂\u{338}"),
            ("&#1078;&#x416;&#X1F600;", "жЖ😀"),
            ("&#128;&#0;&#xd800;&#1114112;&#1;", "€���"),
        ] {
            assert_eq!(unescape(text).as_deref(), Some(plain));
        }
    }

    #[test]
    fn capitals_are_understood_where_nothing_else_is_meant() {
        assert_eq!(unescape("P&EACUTE;REZ STRA&SZLIG;E").as_deref(), Some("PÉREZ STRASSE"));
        assert_eq!(unescape("&nTILDE; &LTRI; &NGTR;"), Some("&nTILDE; &LTRI; ≯".into()));
    }

    #[test]
    fn what_is_no_reference_stays() {
        for text in [
            "R&D; this&not that",
            "&#; &#x; &#12a; &#59;",
            "&日本;",
            "&aaaaaaaaaaaaaaaaaaaaaaaaaaaa;",
        ] {
            assert_eq!(unescape(text), None, "{text}");
        }
    }

    #[test]
    fn the_table_is_whole() {
        assert_eq!(BY_NAME.len(), REFERENCES.matches('\t').count());
        assert_eq!(BY_NAME["nbsp"], "\u{a0}");
    }
}
