//! Encodings with one byte a character, which UTF-8 has been read as by mistake.
//!
//! Tables are those of the WHATWG Encoding Standard, with code page 437 besides. Where a Windows
//! code page has no character for a byte, the byte's number is its character, as in browsers.

use std::collections::HashSet;
use std::sync::LazyLock;

use encoding_rs::{
    Encoding, ISO_8859_2, MACINTOSH, WINDOWS_1250, WINDOWS_1251, WINDOWS_1252, WINDOWS_1253,
    WINDOWS_1254, WINDOWS_1257,
};

/// One encoding.
pub struct Charmap {
    /// Characters outside of ASCII with their byte, by character.
    bytes: Vec<(char, u8)>,
    /// Whether U+FFFD stands for a byte that was lost, which is then written as 1A.
    pub lossy: bool,
    /// Whether a space may have been byte A0: not in MacRoman, where an en dash before a space
    /// would look like it.
    pub spaces: bool,
}

/// The encodings in the order they are tried.
pub static ALL: LazyLock<[Charmap; 10]> = LazyLock::new(|| {
    [
        Charmap::new(char::from, false),
        Charmap::new(windows_1252, true),
        Charmap::new(|byte| of(WINDOWS_1251, byte), true),
        Charmap::new(|byte| of(WINDOWS_1250, byte), true),
        Charmap::new(|byte| of(WINDOWS_1253, byte), true),
        Charmap::new(|byte| of(WINDOWS_1254, byte), true),
        Charmap::new(|byte| of(WINDOWS_1257, byte), true),
        Charmap::new(|byte| of(ISO_8859_2, byte), false),
        Charmap { spaces: false, ..Charmap::new(|byte| of(MACINTOSH, byte), false) },
        Charmap::new(code_page_437, false),
    ]
});

/// The encodings of [`ALL`] that agree with Latin-1 in where letters are.
const LATIN_1_LIKE: usize = 7;

/// Bytes 80 to FF of code page 437, the one of the IBM PC.
const CODE_PAGE_437: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»\
    ░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";

/// The character of a byte in Windows-1252.
pub fn windows_1252(byte: u8) -> char {
    of(WINDOWS_1252, byte)
}

/// The characters that some bytes stand for in the encodings like Latin-1.
pub fn characters(bytes: impl IntoIterator<Item = u8>) -> HashSet<char> {
    let maps = &ALL[..LATIN_1_LIKE];
    bytes
        .into_iter()
        .flat_map(|byte| {
            maps.iter().flat_map(move |map| map.bytes.iter().filter(move |e| e.1 == byte))
        })
        .map(|(c, _)| *c)
        .collect()
}

impl Charmap {
    fn new(decode: impl Fn(u8) -> char, lossy: bool) -> Self {
        let mut bytes: Vec<(char, u8)> = (0x80..=0xff).map(|byte| (decode(byte), byte)).collect();
        bytes.sort_unstable();
        Self { bytes, lossy, spaces: true }
    }

    /// The bytes of a text; `None` if a character is not in the encoding.
    pub fn encode(&self, text: &str) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(text.len());
        for c in text.chars() {
            bytes.push(match c {
                '\x1a' if self.lossy => return None,
                '\u{fffd}' if self.lossy => 0x1a,
                '\0'..='\x7f' => c as u8,
                _ => self.bytes[self.bytes.binary_search_by_key(&c, |e| e.0).ok()?].1,
            });
        }
        Some(bytes)
    }
}

fn of(encoding: &'static Encoding, byte: u8) -> char {
    let bytes = [byte];
    let (text, malformed) = encoding.decode_without_bom_handling(&bytes);
    text.chars().next().filter(|_| !malformed).unwrap_or(char::from(byte))
}

fn code_page_437(byte: u8) -> char {
    CODE_PAGE_437.chars().nth(usize::from(byte & 0x7f)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_has_128_characters_outside_of_ascii() {
        assert_eq!(CODE_PAGE_437.chars().count(), 128);
        for map in ALL.iter() {
            let distinct: HashSet<char> = map.bytes.iter().map(|e| e.0).collect();
            assert_eq!(distinct.len(), 128);
        }
    }

    #[test]
    fn unassigned_bytes_are_their_own_number() {
        assert_eq!(windows_1252(0x9d), '\u{9d}');
        assert_eq!(ALL[4].encode("\u{d2}€"), Some(vec![0xd2, 0x80]));
    }

    #[test]
    fn a_lost_byte_is_substituted_in_windows_code_pages_alone() {
        assert_eq!(ALL[1].encode("â€\u{fffd}"), Some(vec![0xe2, 0x80, 0x1a]));
        assert_eq!(ALL[0].encode("\u{fffd}"), None);
        assert_eq!(ALL[1].encode("\x1a"), None);
        assert_eq!(ALL[0].encode("\x1a"), Some(vec![0x1a]));
    }

    #[test]
    fn text_outside_of_an_encoding_has_no_bytes_in_it() {
        assert_eq!(ALL[2].encode("Жук"), Some(vec![0xc6, 0xf3, 0xea]));
        assert_eq!(ALL[1].encode("Жук"), None);
        assert_eq!(ALL[9].encode("中"), None);
    }
}
