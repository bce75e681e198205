//! UTF-8 that has been read as something else and lost bytes on the way.
//!
//! The sequences are those of ftfy 6.3 (`chardata.py`, `bad_codecs/utf8_variants.py`).

use std::ops::Range;
use std::sync::LazyLock;

use regex::bytes::Regex;

use super::charmap::{self, Charmap};

/// Sequences that would be UTF-8 if a space were byte A0, the no-break space that some programs
/// turn into a plain one. Lead bytes are those before which that is likelier than a real space.
static SPACED: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"[\xc2\xc3\xc5\xce\xd0\xd9] |[\xe2\xe3] [\x80-\x84\x86-\x9f\xa1-\xbf]|[\xe0-\xe3][\x80-\x84\x86-\x9f\xa1-\xbf] |\xf0 [\x80-\xbf]{2}|\xf0[\x80-\xbf] [\x80-\xbf]|\xf0[\x80-\xbf]{2} ",
    )
});

/// UTF-8 and CESU-8 in which a byte was lost, which is 1A now or a question mark.
static LOSSY: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"[\xc2-\xdf]\x1a|[\xc2\xc3]\?|\xed[\xa0-\xaf][\x1a?]\xed[\xb0-\xbf][\x1a?\x80-\xbf]|\xed[\xa0-\xaf][\x1a?\x80-\xbf]\xed[\xb0-\xbf][\x1a?]|[\xe0-\xef][\x1a?][\x1a\x80-\xbf]|[\xe0-\xef][\x1a\x80-\xbf][\x1a?]|[\xf0-\xf4][\x1a?][\x1a\x80-\xbf]{2}|[\xf0-\xf4][\x1a\x80-\xbf][\x1a?][\x1a\x80-\xbf]|[\xf0-\xf4][\x1a\x80-\xbf]{2}[\x1a?]|\x1a",
    )
});

/// Portuguese contractions with `à`: in them the space after byte C3 is a part of the letter; it
/// is lost between words everywhere else.
const A_GRAVE_WORDS: [&[u8]; 5] = [b" ", b"quele", b"quela", b"quilo", b"s "];

/// The text that the bytes were before they were read in an encoding, lost spaces and characters
/// restored as far as they can be; `None` if they were no UTF-8.
pub fn decode(mut bytes: Vec<u8>, charmap: &Charmap) -> Option<String> {
    if charmap.spaces && SPACED.is_match(&bytes) {
        bytes = restore_spaces(&bytes);
    }
    if charmap.lossy {
        bytes = LOSSY.replace_all(&bytes, "\u{fffd}".as_bytes()).into_owned();
    }
    if bytes.contains(&0xed) || bytes.contains(&0xc0) {
        bytes = without_variants(&bytes);
    }
    String::from_utf8(bytes).ok()
}

fn restore_spaces(bytes: &[u8]) -> Vec<u8> {
    let mut words = Vec::with_capacity(bytes.len() + 8);
    for (at, &byte) in bytes.iter().enumerate() {
        words.push(byte);
        if byte == 0xc3
            && let Some(after) = bytes[at + 1..].strip_prefix(b" ")
            && !A_GRAVE_WORDS.iter().any(|word| after.starts_with(word))
        {
            words.push(0xa0);
        }
    }
    let restored = SPACED.replace_all(&words, |found: &regex::bytes::Captures<'_>| {
        found[0].iter().map(|&b| if b == b' ' { 0xa0 } else { b }).collect::<Vec<u8>>()
    });
    restored.into_owned()
}

/// CESU-8 (a surrogate pair in six bytes) and Java's NUL in two bytes as proper UTF-8.
fn without_variants(bytes: &[u8]) -> Vec<u8> {
    let mut proper = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        rest = match *rest {
            [0xc0, 0x80, ref after @ ..] => {
                proper.push(0);
                after
            }
            [
                0xed,
                a @ 0xa0..=0xaf,
                b @ 0x80..=0xbf,
                0xed,
                c @ 0xb0..=0xbf,
                d @ 0x80..=0xbf,
                ref after @ ..,
            ] => {
                let bits = |byte: u8, mask: u8| u32::from(byte & mask);
                let low =
                    bits(a, 0xf) << 16 | bits(b, 0x3f) << 10 | bits(c, 0xf) << 6 | bits(d, 0x3f);
                let c = char::from_u32(0x10000 + low).unwrap_or(char::REPLACEMENT_CHARACTER);
                proper.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                after
            }
            _ => {
                proper.push(byte);
                after
            }
        };
    }
    proper
}

/// What a character may be within UTF-8 that was read in an encoding like Latin-1.
#[derive(Clone, Copy, Default)]
struct Role {
    /// How many bytes a sequence has that it begins; 0 for none.
    leads: u8,
    /// Whether it may continue one.
    continues: bool,
    /// Whether it may, and hardly ever stands for itself, as a dash or a quotation mark does.
    continues_only: bool,
}

/// Roles by character; none of the encodings has a later one.
static ROLES: LazyLock<[Role; 0x2123]> = LazyLock::new(|| {
    const OWN_SENSE: &str = "–—―‘’‚“”„•…";
    let mut roles = [Role::default(); 0x2123];
    let mut set = |chars: Vec<char>, set: fn(&mut Role, char)| {
        for c in chars {
            if let Some(role) = roles.get_mut(c as usize) {
                set(role, c);
            }
        }
    };
    let characters = |range| charmap::characters(range).into_iter().collect::<Vec<char>>();
    set(characters(0xc2..=0xdf), |role, _| role.leads = 2);
    set(characters(0xe0..=0xef), |role, _| role.leads = 3);
    // Other bytes would lead to code points that nothing is assigned to.
    set([characters(0xf0..=0xf0), characters(0xf3..=0xf3)].concat(), |role, _| role.leads = 4);
    set(characters(0x80..=0xbf), |role, c| {
        role.continues = true;
        role.continues_only = !OWN_SENSE.contains(c);
    });
    set(('\u{80}'..='\u{bf}').chain([' ']).collect(), |role, c| {
        role.continues = true;
        role.continues_only = c != ' ';
    });
    roles
});

/// The longest runs of what looks like UTF-8 that was read in an encoding like Latin-1; not where
/// they follow what looks like the rest of another sequence.
pub fn suspects(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let role = |c: char| ROLES.get(c as usize).copied().unwrap_or_default();
    let mut at = 0;
    let mut after_rest = false;
    std::iter::from_fn(move || {
        loop {
            let c = text[at..].chars().next()?;
            let start = at;
            if !after_rest {
                while let Some(length) = sequence(&text[at..], role) {
                    at += length;
                }
            }
            if at == start {
                at += c.len_utf8();
                after_rest = role(c).continues_only;
                continue;
            }
            after_rest = text[..at].chars().next_back().is_some_and(|c| role(c).continues_only);
            return Some(start..at);
        }
    })
}

/// The length of the sequence that a text begins with.
fn sequence(text: &str, role: impl Fn(char) -> Role) -> Option<usize> {
    let mut chars = text.chars();
    let leads = role(chars.next()?).leads;
    if leads == 0 || !(1..leads).all(|_| chars.next().is_some_and(|c| role(c).continues)) {
        return None;
    }
    Some(text.len() - chars.as_str().len())
}

#[expect(clippy::expect_used, reason = "the patterns are constants, compiled by the tests")]
fn regex(pattern: &str) -> Regex {
    Regex::new(&format!("(?-u){pattern}")).expect("a constant pattern")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_as(map: usize, text: &str) -> Option<String> {
        decode(charmap::ALL[map].encode(text)?, &charmap::ALL[map])
    }

    #[test]
    fn spaces_that_were_bytes_come_back() {
        assert_eq!(read_as(1, "voilÃ le").as_deref(), Some("voilà le"));
        assert_eq!(read_as(1, "Ã s vezes").as_deref(), Some("às vezes"));
        assert_eq!(read_as(1, "ã ã\u{81}®").as_deref(), None);
        assert_eq!(read_as(8, "Not √ one"), None);
    }

    #[test]
    fn lost_bytes_cost_their_character_only() {
        assert_eq!(read_as(1, "â€œ so â€\u{fffd}").as_deref(), Some("“ so \u{fffd}"));
        assert_eq!(read_as(1, "Ã?").as_deref(), Some("\u{fffd}"));
        assert_eq!(read_as(2, "Рџ\u{fffd}").as_deref(), Some("П\u{fffd}"));
    }

    #[test]
    fn surrogate_pairs_in_utf8_are_one_character() {
        assert_eq!(read_as(0, "\u{ed}\u{a0}\u{bd}\u{ed}\u{b8}\u{8d}").as_deref(), Some("😍"));
        assert_eq!(read_as(0, "\u{c0}\u{80}").as_deref(), Some("\0"));
        assert_eq!(read_as(0, "\u{ed}\u{a0}\u{bd}"), None);
        // ftfy takes byte C0 and the line end for a NUL; we do not.
        assert_eq!(read_as(0, "\u{c0}\n"), None);
    }

    #[test]
    fn runs_of_sequences_are_found_whole() {
        let found = |text: &'static str| suspects(text).map(|r| &text[r]).collect::<Vec<_>>();
        assert_eq!(found("schÃ¶n, â€œDaÃ¯â€¦"), ["Ã¶", "â€œ", "Ã¯â€¦"]);
        assert_eq!(found("Москва РњРѕСЃ 中文"), ["РњРѕСЃ"]);
        // After the end of another sequence nothing begins.
        assert_eq!(found("©Ã©"), ["\0"; 0]);
        assert_eq!(found("plain, 日本, עברית"), ["\0"; 0]);
    }
}
