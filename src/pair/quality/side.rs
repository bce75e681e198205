//! One side of a pair in one pass: the counts that OpusFilter's rules are made of.
//!
//! Words are what Python's `str.split` gives, for all languages: a Thai sentence is one word.

use super::coded::{Codes, Kind, MOST_CHARS};

/// The counts of one side.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Side {
    /// The numbers of its first [`MOST_CHARS`] characters.
    pub codes: Vec<u16>,
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
    /// Counts a text, the source (0) or the target (1) of the pair that `codes` was made for.
    pub fn new(text: &str, side: u32, codes: &mut Codes) -> Self {
        let mut counts = Counts::default();
        let numbers = codes.of(text);
        for code in &numbers {
            counts.add(codes.kind(*code), *code, side);
        }
        let long = if text.len() > MOST_CHARS { text } else { "" };
        for c in long.chars().skip(MOST_CHARS) {
            counts.add(codes.find_kind(c), c as u16, side);
        }
        Self {
            codes: numbers,
            n_chars: counts.n_chars,
            n_words: counts.n_words,
            longest_word: counts.longest_word,
            n_word_chars: counts.n_chars - counts.n_spaces,
            n_alphabetic: counts.n_alphabetic,
            n_in_script: counts.n_in_script,
            n_terminal_marks: counts.n_terminal_marks,
            digits: counts.digits,
        }
    }

    /// Whether the side is within [`MOST_CHARS`].
    pub fn is_whole(&self) -> bool {
        self.n_chars <= MOST_CHARS
    }
}

/// What is counted from character to character.
#[derive(Default)]
struct Counts {
    n_chars: usize,
    n_spaces: usize,
    n_words: usize,
    /// Characters of the word so far.
    word: usize,
    longest_word: usize,
    n_alphabetic: usize,
    n_in_script: usize,
    n_terminal_marks: usize,
    digits: Vec<u16>,
}

impl Counts {
    /// Without branches but for marks: where words end is hard to foretell.
    #[inline(always)]
    fn add(&mut self, kind: Kind, code: u16, side: u32) {
        self.n_chars += 1;
        self.n_alphabetic += kind.is_alphabetic();
        self.n_in_script += kind.is_in_script(side);
        let is_space = kind.is(Kind::SPACE);
        self.n_spaces += usize::from(is_space);
        self.word = if is_space { 0 } else { self.word + 1 };
        self.n_words += usize::from(self.word == 1);
        self.longest_word = self.longest_word.max(self.word);
        if kind.is(Kind::MARK_OR_DIGIT) {
            if kind.is(Kind::TERMINAL_MARK) {
                self.n_terminal_marks += 1;
            } else if self.digits.len() < MOST_CHARS {
                // Digits are ASCII, and so their own numbers.
                self.digits.push(code - '0' as u16);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use icu_properties::props::Script;

    fn side(text: &str, script: Option<Script>) -> Side {
        Side::new(text, 1, &mut Codes::new(["", text], [[None; 3], [script, None, None]]))
    }

    #[test]
    fn one_pass_counts_everything() {
        let side = side(" Год 2024… — то\u{a0}been ー?", Some(Script::Cyrillic));
        assert_eq!((side.n_words, side.longest_word, side.n_word_chars), (6, 5, 17));
        assert_eq!((side.n_alphabetic, side.n_in_script, side.n_terminal_marks), (10, 5, 2));
        assert_eq!(side.digits, [2, 2, 4]);
        assert_eq!((side.n_chars, side.codes.len()), (23, 23));
    }

    #[test]
    fn words_lie_between_pythons_white_space() {
        assert_eq!(side("a\x1cb\u{3000}ไทย\u{200b}ยาว", None).n_words, 3);
        assert_eq!(side("\u{85}", None), Side { n_chars: 1, codes: vec![128], ..Side::default() });
    }

    #[test]
    fn long_sides_are_counted_whole_and_kept_in_part() {
        let side = side(&"۴ ".repeat(MOST_CHARS), None);
        assert_eq!((side.n_chars, side.n_words, side.codes.len()), (16_384, 8192, 8192));
        assert!(!side.is_whole());
    }
}
