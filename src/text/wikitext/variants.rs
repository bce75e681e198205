//! `-{…}-`: text in the variants of a language that is written in several scripts or ways.
//!
//! The first variant is taken. Converts nothing outside of the braces.

use memchr::memchr2;

/// The longest that is looked at, in bytes.
const LONGEST: usize = 500;

/// The text of the first variant, and the length up to and with the closing `}-`; `after` begins
/// behind the opening `-{`. `None` where it does not close on the same line.
pub fn first(after: &[u8]) -> Option<(&[u8], usize)> {
    let head = &after[..after.len().min(LONGEST)];
    let end = memchr2(b'}', b'\n', head).filter(|n| head[*n..].starts_with(b"}-"))?;
    let mut text = &head[..end];
    if let Some(bar) = text.iter().position(|b| *b == b'|') {
        let flags = &text[..bar];
        if flags.iter().any(|b| matches!(b, b'H' | b'T' | b'+' | b'-')) {
            // Said for other places or for the title.
            return Some((b"", end + 2));
        }
        text = &text[bar + 1..];
    }
    let variant = text.split(|b| *b == b';').find_map(|part| {
        let colon = part.iter().position(|b| *b == b':')?;
        let code = part[..colon].trim_ascii();
        let is_code = !code.is_empty() && code.iter().all(|b| b.is_ascii_lowercase() || *b == b'-');
        is_code.then(|| part[colon + 1..].trim_ascii())
    });
    Some((variant.unwrap_or(text), end + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_variant_is_the_text() {
        let of = |text: &'static str| {
            first(text.as_bytes()).map(|(t, n)| (std::str::from_utf8(t).unwrap(), n))
        };
        assert_eq!(of("zh-hans:联邦州; zh-hant:邦}-x"), Some(("联邦州", 32)));
        assert_eq!(of("TXL}-"), Some(("TXL", 5)));
        assert_eq!(of("}-"), Some(("", 2)));
        assert_eq!(of("T|zh:a}-"), Some(("", 8)));
        assert_eq!(of("A|zh: b}-"), Some(("b", 9)));
        for none in ["", "a", "a}", "a\n}-"] {
            assert_eq!(of(none), None, "{none}");
        }
    }
}
