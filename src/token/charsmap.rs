//! SentencePiece's table of characters, applied as SentencePiece does: of all sequences in the table
//! that the rest of a text begins with, the longest is replaced.
//!
//! The `tokenizers` crate looks at what is one character to the eye and takes the shortest, so it
//! loses marks of text that is not composed.

use std::borrow::Cow;

use serde_json::Value;

/// The key of `tokenizer_config.json` that says that the table is to be applied so.
pub(super) const EXACT: &str = "sentencepiece_normalizer";

/// Sequences of characters with what they become, as a double array (Darts-clone).
pub(super) struct Charsmap {
    units: Vec<u32>,
    /// Results, each ended by a zero.
    normal: Vec<u8>,
    /// Bytes of ASCII that begin no sequence.
    plain: [bool; 128],
}

impl Charsmap {
    /// Reads a `precompiled_charsmap`; `None` when it is damaged.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let word = |four: &[u8]| four.iter().rev().fold(0u32, |n, byte| n << 8 | u32::from(*byte));
        let (size, rest) = bytes.split_at_checked(4)?;
        let (units, normal) = rest.split_at_checked(word(size) as usize)?;
        let units: Vec<u32> = units.chunks_exact(4).map(word).collect();
        let mut table = Self { units, normal: normal.into(), plain: [false; 128] };
        let root = *table.units.first()?;
        for byte in 0..128u8 {
            let begins = table.child(offset(root), byte).is_some();
            table.plain[usize::from(byte)] = !begins;
        }
        Some(table)
    }

    fn child(&self, at: u32, byte: u8) -> Option<(u32, u32)> {
        let at = at ^ u32::from(byte);
        let unit = *self.units.get(at as usize)?;
        (unit & 0x8000_00ff == u32::from(byte)).then(|| (unit, at ^ offset(unit)))
    }

    /// The longest sequence that a text begins with: its bytes, and what it becomes.
    pub fn longest(&self, text: &[u8]) -> Option<(usize, &str)> {
        let mut at = offset(*self.units.first()?);
        let mut found = None;
        for (i, byte) in text.iter().enumerate() {
            let Some((unit, next)) = self.child(at, *byte) else { break };
            at = next;
            if unit >> 8 & 1 == 1 {
                let value = self.units.get(at as usize)? & 0x7fff_ffff;
                found = Some((i + 1, value as usize));
            }
        }
        let (length, start) = found?;
        let rest = self.normal.get(start..)?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        Some((length, std::str::from_utf8(&rest[..end]).ok()?))
    }

    /// A text with all its sequences replaced.
    pub fn apply<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let plain = |byte: u8| byte < 128 && self.plain[usize::from(byte)];
        if text.bytes().all(plain) {
            return Cow::Borrowed(text);
        }
        let mut out = String::with_capacity(text.len());
        let mut at = 0;
        while let Some(c) = text[at..].chars().next() {
            let found = if c.is_ascii() && plain(c as u8) {
                None
            } else {
                // Sequences end where characters do, unless the table is damaged.
                let found = self.longest(&text.as_bytes()[at..]);
                found.filter(|(length, _)| text.is_char_boundary(at + length))
            };
            match found {
                Some((length, normal)) => {
                    out.push_str(normal);
                    at += length;
                }
                None => {
                    out.push(c);
                    at += c.len_utf8();
                }
            }
        }
        Cow::Owned(out)
    }
}

/// Where the children of a node lie, relative to it.
fn offset(unit: u32) -> u32 {
    (unit >> 10) << ((unit & (1 << 9)) >> 6)
}

/// The table of a `tokenizer.json`, and the file without it and the composition around it; `None`
/// of a file without a table.
pub(super) fn split(json: &str) -> Option<(String, Charsmap)> {
    let mut json: Value = serde_json::from_str(json).ok()?;
    let parts = json["normalizer"]["normalizers"].as_array_mut()?;
    let table = parts.iter().find_map(|part| part["precompiled_charsmap"].as_str())?;
    let table = Charsmap::new(&unbase64(table)?)?;
    parts.retain(|part| part["type"] != "Precompiled" && part["type"] != "NFC");
    if parts.is_empty() {
        json["normalizer"] = Value::Null;
    }
    Some((json.to_string(), table))
}

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Bytes as text (RFC 4648).
pub(super) fn base64(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let word = (0..3).fold(0, |n, i| n << 8 | u32::from(three.get(i).copied().unwrap_or(0)));
        for i in 0..4 {
            match i <= three.len() {
                true => out.push(char::from(LETTERS[(word >> (18 - 6 * i)) as usize & 63])),
                false => out.push('='),
            }
        }
    }
    out
}

fn unbase64(text: &str) -> Option<Vec<u8>> {
    let mut places = [None; 256];
    for (place, letter) in LETTERS.iter().enumerate() {
        places[usize::from(*letter)] = Some(place as u32);
    }
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    for four in text.trim_end_matches('=').as_bytes().chunks(4) {
        let mut word = 0;
        for i in 0..4 {
            let place = four.get(i).map_or(Some(0), |letter| places[usize::from(*letter)])?;
            word = word << 6 | place;
        }
        out.extend(&word.to_be_bytes()[1..four.len()]);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_in_base_64() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(bytes.as_bytes()), text);
            assert_eq!(unbase64(text).unwrap(), bytes.as_bytes());
        }
        assert!(unbase64("a b=").is_none());
    }

    #[test]
    fn the_longest_sequence_counts() {
        // By hand: `a` becomes `x`, `ab` becomes `yz`; nodes at 96 ^ 1 and so on.
        let (a, b) = (u32::from(b'a'), u32::from(b'b'));
        let mut units = vec![0u32; 512];
        units[0] = 0;
        // The root's children lie at their bytes; those of `a` at 256 ^ its own place.
        units[a as usize] = a | 1 << 8 | 256 << 10;
        let of_a = a ^ 256;
        units[of_a as usize] = 0x8000_0000;
        units[(of_a ^ b) as usize] = b | 1 << 8 | 128 << 10;
        units[(of_a ^ b ^ 128) as usize] = 0x8000_0002;
        let mut bytes = (units.len() as u32 * 4).to_le_bytes().to_vec();
        bytes.extend(units.iter().flat_map(|unit| unit.to_le_bytes()));
        bytes.extend(b"x\0yz\0");
        let table = Charsmap::new(&bytes).unwrap();
        assert_eq!(table.apply("дabac б"), "дyzxc б");
        assert!(matches!(table.apply("c b"), Cow::Borrowed("c b")));
        assert!(Charsmap::new(&bytes[..9]).is_none());
    }
}
