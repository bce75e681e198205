//! What measures ask of a character, looked up at once.
//!
//! Only a table of what `identify::script`, `text::segment` and `measure::verdict` define.

use std::sync::LazyLock;

use icu_properties::CodePointMapData;
use icu_properties::props::{GeneralCategory, GeneralCategoryGroup};

use super::verdict;
use crate::identify::script;
use crate::text::segment;

/// A letter (general category L).
pub const LETTER: u16 = 1;
/// A letter in upper or title case.
pub const UPPER: u16 = 1 << 1;
/// A decimal digit (Nd).
pub const DIGIT: u16 = 1 << 2;
/// Punctuation by Unicode (P).
pub const PUNCTUATION: u16 = 1 << 3;
/// Punctuation by datatrove's list.
pub const SYMBOL: u16 = 1 << 4;
/// White space by Python.
pub const SPACE: u16 = 1 << 5;
/// A mark that is a token of its own at either end of a stretch between white space.
pub const AFFIX: u16 = 1 << 6;
/// Any character by which a stretch between white space may be cut.
pub const CUT: u16 = 1 << 7;
/// A letter of a script whose words are found by dictionary.
pub const UNSPACED: u16 = 1 << 8;
/// A letter or a mark upon one (M), of a script that spaCy's rules for letters know.
pub const ALPHABET: u16 = 1 << 9;

/// Marks that spaCy takes off either end of a stretch, with its quotes.
const AFFIXES: &str = "…,:;!?¿؟¡()[]{}<>_#*&。？！，、；：～·।،۔؛٪'\"”“`‘´’‚„»«「」『』（）〔〕【】《》〈〉⟦⟧—–፡።፣፤፥፦፧";
/// Marks that are taken off in some places alone, or cut inside a stretch.
const OTHERS: &str = ".§%=+-~^/$£€¥฿₽₴₩₪₫₹₺₿";
/// Scripts of which spaCy's rules know no letters.
const UNKNOWN: [&str; 2] = ["Geor", "Armn"];
const DICTIONARY: [&str; 5] = ["Jpan", "Thai", "Laoo", "Khmr", "Mymr"];

/// The classes of all characters of the basic plane.
static TABLE: LazyLock<Vec<u16>> =
    LazyLock::new(|| (0..0x1_0000).map(|c| char::from_u32(c).map_or(0, look_up)).collect());

/// The classes of characters; made once a text, asked once a character.
#[derive(Clone, Copy)]
pub struct Classes(&'static [u16]);

impl Classes {
    /// The table.
    pub fn new() -> Self {
        Self(&TABLE)
    }

    /// The classes of a character, as bits.
    #[inline]
    pub fn of(self, c: char) -> u16 {
        self.0.get(c as usize).copied().unwrap_or_else(|| look_up(c))
    }
}

impl Default for Classes {
    fn default() -> Self {
        Self::new()
    }
}

fn look_up(c: char) -> u16 {
    let category = CodePointMapData::<GeneralCategory>::new().get(c);
    let is_affix = AFFIXES.contains(c) || category == GeneralCategory::OtherSymbol;
    let is_mark = GeneralCategoryGroup::Mark.contains(category);
    let is_known = !UNKNOWN.iter().any(|script| script::is_of(c, script));
    let mut classes = 0;
    for (bit, holds) in [
        (LETTER, script::is_letter(c)),
        (UPPER, script::is_upper(c)),
        (DIGIT, script::is_digit(c)),
        (PUNCTUATION, script::is_punctuation(c)),
        (SYMBOL, verdict::is_punctuation(c)),
        (SPACE, segment::is_space(c)),
        (AFFIX, is_affix),
        (CUT, is_affix || OTHERS.contains(c)),
        (UNSPACED, DICTIONARY.iter().any(|script| script::is_of(c, script))),
        (ALPHABET, (is_mark || script::is_letter(c)) && is_known),
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
        for c in ('\0'..=char::MAX).step_by(7) {
            assert_eq!(classes.of(c), look_up(c), "{c:?}");
        }
        assert_eq!(classes.of('Ж'), LETTER | UPPER | ALPHABET);
        assert_eq!(classes.of('।'), PUNCTUATION | SYMBOL | AFFIX | CUT);
        assert_eq!(classes.of('字'), LETTER | UNSPACED | ALPHABET);
        assert_eq!(classes.of('𠀋'), LETTER | UNSPACED | ALPHABET);
        assert_eq!(classes.of('७'), DIGIT);
        assert_eq!(classes.of('\u{94d}'), ALPHABET);
        assert_eq!(classes.of('ა'), LETTER);
        assert_eq!(classes.of('\u{3000}'), SPACE);
    }
}
