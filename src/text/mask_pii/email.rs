//! E-mail addresses, as the regular expression of datatrove 0.10's PIIFormatter finds them.
//!
//! ASCII addresses of one `@`; quoted and international ones (RFC 6531) are not found. Its
//! backtracking is spelled out here, so that each character is looked at twice at most.

use memchr::memchr_iter;

use super::{Mask, before};
use crate::identify::script::is_letter;

const TOKEN: &str = "email@example.com";

/// All e-mail addresses of a text.
pub fn find(text: &str) -> Vec<Mask> {
    let mut masks: Vec<Mask> = Vec::new();
    // No address begins before the end of the last one, or before the last `@`.
    let mut from = 0;
    for at in memchr_iter(b'@', text.as_bytes()) {
        if at < from {
            continue;
        }
        let local = local_start(text, from, at);
        from = at + 1;
        let Some(start) = local else { continue };
        if let Some(length) = domain(&text.as_bytes()[at + 1..]) {
            from = at + 1 + length;
            masks.push((start..from, TOKEN));
        }
    }
    masks
}

/// Where the part before the `@` begins: the first place in the dot-separated atoms before it with
/// a word on one side alone.
fn local_start(text: &str, from: usize, at: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut start = at;
    while start > from {
        let byte = bytes[start - 1];
        // A dot stands between atoms only.
        let dot = byte == b'.' && start < at && bytes[start] != b'.';
        if !dot && !is_atom(byte) {
            break;
        }
        start -= 1;
    }
    let mut word_before = before(text, start).is_some_and(is_word);
    (start..at).find(|&i| {
        let word = is_word(char::from(bytes[i]));
        let boundary = word != word_before;
        word_before = word;
        boundary && bytes[i] != b'.'
    })
}

/// The length of the domain that bytes begin with: two labels or more, or an address in brackets.
fn domain(bytes: &[u8]) -> Option<usize> {
    if bytes.first() == Some(&b'[') {
        return literal(bytes);
    }
    let mut end = None;
    let mut at = 0;
    loop {
        let run =
            bytes[at..].iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'-').count();
        let label = &bytes[at..at + run];
        if label.first().is_none_or(|b| *b == b'-') {
            return end;
        }
        let hyphens = label.iter().rev().take_while(|b| **b == b'-').count();
        if at > 0 {
            end = Some(at + run - hyphens);
        }
        if hyphens > 0 || bytes.get(at + run) != Some(&b'.') {
            return end;
        }
        at += run + 1;
    }
}

/// The length of an IPv4 address in brackets; the last octet may be a name with a colon instead.
fn literal(bytes: &[u8]) -> Option<usize> {
    let mut at = 1;
    for _ in 0..3 {
        let digits = bytes[at..].iter().take(4).take_while(|b| b.is_ascii_digit()).count();
        if !is_octet(&bytes[at..at + digits]) || bytes.get(at + digits) != Some(&b'.') {
            return None;
        }
        at += digits + 1;
    }
    let run = bytes[at..].iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'-').count();
    let last = &bytes[at..at + run];
    at += run;
    if !is_octet(last) {
        if last.last().is_none_or(|b| *b == b'-') || bytes.get(at) != Some(&b':') {
            return None;
        }
        at += 1;
    } else if bytes.get(at) == Some(&b':') {
        at += 1;
    }
    (bytes.get(at) == Some(&b']')).then_some(at + 1)
}

fn is_octet(digits: &[u8]) -> bool {
    let value = digits
        .iter()
        .try_fold(0u32, |n, b| b.is_ascii_digit().then(|| n * 10 + u32::from(b - b'0')));
    (1..=3).contains(&digits.len()) && value.is_some_and(|value| value <= 255)
}

/// A character of an atom of RFC 5322.
fn is_atom(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~-".contains(&byte)
}

/// A part of a word as Python's `\b` sees it: no marks, so that it parts Indic syllables.
fn is_word(c: char) -> bool {
    c == '_' || is_letter(c) || c.is_numeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(text: &str) -> String {
        super::super::masked(text, &find(text)).replace(TOKEN, "EMAIL")
    }

    #[test]
    fn addresses_are_found_in_any_script() {
        assert_eq!(masked("Schreib an jo.doe+x@mail.example.co.jp."), "Schreib an EMAIL.");
        assert_eq!(masked("メール:abc@d.jpまで、x_1@y-z.org"), "メール:EMAILまで、EMAIL");
        assert_eq!(masked("<a@[10.2.3.4]> b@[1.2.3.x:]"), "<EMAIL> EMAIL");
        assert_eq!(masked("a@b.c@d.e"), "EMAIL@d.e");
    }

    #[test]
    fn the_longest_address_within_broken_ones_is_found() {
        assert_eq!(masked(".x@y.z a..b@c.de"), ".EMAIL a..EMAIL");
        assert_eq!(masked("a@@b.cd@e.fg"), "a@@EMAIL");
        assert_eq!(masked("n@x.y- m@x.-y k@x..y"), "EMAIL- m@x.-y k@x..y");
        assert_eq!(masked("é!a@b.cd éa@b.cd नa@b.cd नेa@b.cd"), "éEMAIL éa@b.cd नa@b.cd नेEMAIL");
    }

    #[test]
    fn half_addresses_stay() {
        for text in [
            "@",
            "a@",
            "@b.cd",
            "a@b",
            "a.@b.cd",
            "a@-b.cd",
            "a@[1.2.3]",
            "a@[300.1.1.1]",
            "あ@b.cd",
        ] {
            assert_eq!(masked(text), text);
        }
    }
}
