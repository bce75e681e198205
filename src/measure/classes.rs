//! What measures ask of a character, looked up at once.
//!
//! Only a table of what `identify::script`, `text::segment` and `measure::verdict` define.

use std::sync::LazyLock;

use super::verdict;
use crate::identify::script;
use crate::text::segment;

/// A letter (general category L).
pub const LETTER: u8 = 1;
/// A letter in upper or title case.
pub const UPPER: u8 = 1 << 1;
/// A decimal digit (Nd).
pub const DIGIT: u8 = 1 << 2;
/// Punctuation by Unicode (P).
pub const PUNCTUATION: u8 = 1 << 3;
/// Punctuation by datatrove's list.
pub const SYMBOL: u8 = 1 << 4;
/// White space by Python.
pub const SPACE: u8 = 1 << 5;

/// The classes of all characters below U+3000, in which most scripts with spaces are written.
static TABLE: LazyLock<Vec<u8>> =
    LazyLock::new(|| (0..0x3000).map(|c| char::from_u32(c).map_or(0, look_up)).collect());

/// The classes of characters; made once a text, asked once a character.
#[derive(Clone, Copy)]
pub struct Classes(&'static [u8]);

impl Classes {
    /// The table.
    pub fn new() -> Self {
        Self(&TABLE)
    }

    /// The classes of a character, as bits.
    pub fn of(self, c: char) -> u8 {
        match self.0.get(c as usize) {
            Some(classes) => *classes,
            // Han and Hangul.
            None if matches!(c, '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}') => LETTER,
            None => look_up(c),
        }
    }
}

impl Default for Classes {
    fn default() -> Self {
        Self::new()
    }
}

fn look_up(c: char) -> u8 {
    let mut classes = 0;
    for (bit, holds) in [
        (LETTER, script::is_letter(c)),
        (UPPER, script::is_upper(c)),
        (DIGIT, script::is_digit(c)),
        (PUNCTUATION, script::is_punctuation(c)),
        (SYMBOL, verdict::is_punctuation(c)),
        (SPACE, segment::is_space(c)),
    ] {
        classes |= if holds { bit } else { 0 };
    }
    classes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_what_it_is_made_from() {
        let classes = Classes::new();
        for c in '\0'..=char::MAX {
            assert_eq!(classes.of(c), look_up(c), "{c:?}");
        }
        assert_eq!(classes.of('Ж'), LETTER | UPPER);
        assert_eq!(classes.of('।'), PUNCTUATION | SYMBOL);
        assert_eq!(classes.of('७'), DIGIT);
        assert_eq!(classes.of('\u{3000}'), SPACE);
    }
}
