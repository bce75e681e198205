//! One side of a pair in one pass: the counts that OpusFilter's rules are made of.
//!
//! Words are what Python's `str.split` gives, for all languages: a Thai sentence is one word.

use icu_properties::props::{Alphabetic, GeneralCategory, Script};
use icu_properties::{CodePointMapData, CodePointMapDataBorrowed};
use icu_properties::{CodePointSetData, CodePointSetDataBorrowed};

use crate::text::segment::is_space;

/// Characters of a side that the rules which compare characters take.
///
/// A longer side breaks another rule in any case: 100 words of fewer than 40 characters, three
/// quarters of the text alphabetic, leave room for 5,200.
pub const MOST_CHARS: usize = 8192;

const SCRIPTS: CodePointMapDataBorrowed<'static, Script> = CodePointMapData::<Script>::new();
const CATEGORIES: CodePointMapDataBorrowed<'static, GeneralCategory> =
    CodePointMapData::<GeneralCategory>::new();

const ALPHABETIC: CodePointSetDataBorrowed<'static> = CodePointSetData::new::<Alphabetic>();

/// The counts of one side.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Side {
    /// Its first [`MOST_CHARS`] characters.
    pub chars: Vec<char>,
    /// All its characters.
    pub n_chars: usize,
    /// Words.
    pub n_words: usize,
    /// Characters of the longest word.
    pub longest_word: usize,
    /// Characters in words.
    pub n_word_chars: usize,
    /// Characters with the property Alphabetic.
    pub n_alphabetic: usize,
    /// Those of them in one of the scripts.
    pub n_in_script: usize,
    /// `.`, `?`, `!` and `…`.
    pub n_terminal_marks: usize,
    /// The ASCII digits but zero, at most [`MOST_CHARS`] of them.
    pub digits: Vec<u16>,
}

impl Side {
    /// Counts a text; letters of `scripts` count as in script.
    pub fn new(text: &str, scripts: [Option<Script>; 3]) -> Self {
        let chars = Vec::with_capacity(text.len().min(MOST_CHARS));
        let mut side = Self { chars, ..Self::default() };
        let (mut word, mut n_latin) = (0, 0);
        for c in text.chars() {
            side.n_chars += 1;
            if side.chars.len() < MOST_CHARS {
                side.chars.push(c);
            }
            word += 1;
            match c {
                'a'..='z' | 'A'..='Z' => n_latin += 1,
                '.' | '?' | '!' | '…' => side.n_terminal_marks += 1,
                '1'..='9' if side.digits.len() < MOST_CHARS => {
                    side.digits.push(c as u16 - '0' as u16);
                }
                _ if !c.is_ascii() && is_alphabetic(c) => {
                    side.n_alphabetic += 1;
                    side.n_in_script += usize::from(scripts.contains(&Some(SCRIPTS.get(c))));
                }
                _ if is_space(c) => {
                    side.end_word(word - 1);
                    word = 0;
                }
                _ => {}
            }
        }
        side.end_word(word);
        side.n_alphabetic += n_latin;
        side.n_in_script += if scripts.contains(&Some(Script::Latin)) { n_latin } else { 0 };
        side
    }

    /// Whether the side is within [`MOST_CHARS`].
    pub fn is_whole(&self) -> bool {
        self.n_chars <= MOST_CHARS
    }

    fn end_word(&mut self, n_chars: usize) {
        if n_chars > 0 {
            self.n_words += 1;
            self.n_word_chars += n_chars;
            self.longest_word = self.longest_word.max(n_chars);
        }
    }
}

/// Whether a character has Unicode's property Alphabetic: letters, letter numbers, and some marks
/// and symbols, which alone need the slower table.
pub fn is_alphabetic(c: char) -> bool {
    use GeneralCategory as G;
    match CATEGORIES.get(c) {
        G::UppercaseLetter | G::LowercaseLetter | G::TitlecaseLetter | G::ModifierLetter => true,
        G::OtherLetter | G::LetterNumber => true,
        G::NonspacingMark | G::SpacingMark | G::OtherSymbol => ALPHABETIC.contains(c),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_pass_counts_everything() {
        let side = Side::new(" Год 2024… — то\u{a0}been ー?", [Some(Script::Cyrillic), None, None]);
        assert_eq!((side.n_words, side.longest_word, side.n_word_chars), (6, 5, 17));
        assert_eq!((side.n_alphabetic, side.n_in_script, side.n_terminal_marks), (10, 5, 2));
        assert_eq!(side.digits, [2, 2, 4]);
        assert_eq!((side.n_chars, side.chars.len()), (23, 23));
    }

    #[test]
    fn words_lie_between_pythons_white_space() {
        assert_eq!(Side::new("a\x1cb\u{3000}ไทย\u{200b}ยาว", [None; 3]).n_words, 3);
        assert_eq!(
            Side::new("\u{85}", [None; 3]),
            Side { n_chars: 1, chars: vec!['\u{85}'], ..Side::default() }
        );
    }

    #[test]
    fn long_sides_are_counted_whole_and_kept_in_part() {
        let side = Side::new(&"۴ ".repeat(MOST_CHARS), [None; 3]);
        assert_eq!((side.n_chars, side.n_words, side.chars.len()), (16_384, 8192, 8192));
        assert!(!side.is_whole());
    }

    #[test]
    fn alphabetic_is_the_property_of_unicode() {
        for c in '\0'..=char::MAX {
            assert_eq!(is_alphabetic(c), ALPHABETIC.contains(c), "U+{:04X}", c as u32);
        }
    }
}
