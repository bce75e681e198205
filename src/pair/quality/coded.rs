//! The characters of a pair as small numbers, so that comparing texts indexes arrays.
//!
//! Each different character is looked up in the tables of Unicode once a pair. What is counted
//! and compared is the caller's.

use icu_properties::props::{Alphabetic, GeneralCategory, Script};
use icu_properties::{CodePointMapData, CodePointMapDataBorrowed};
use icu_properties::{CodePointSetData, CodePointSetDataBorrowed};

use crate::text::segment::is_space;

/// Characters of a side that are numbered.
///
/// A longer side breaks one of OpusFilter's rules in any case: 100 words of fewer than 40
/// characters, three quarters of the text alphabetic, leave room for 5,200.
pub const MOST_CHARS: usize = 8192;

const SCRIPTS: CodePointMapDataBorrowed<'static, Script> = CodePointMapData::<Script>::new();
const CATEGORIES: CodePointMapDataBorrowed<'static, GeneralCategory> =
    CodePointMapData::<GeneralCategory>::new();
const ALPHABETIC: CodePointSetDataBorrowed<'static> = CodePointSetData::new::<Alphabetic>();

/// Both sides of a pair with a number for each of their first [`MOST_CHARS`] characters; equal
/// characters have equal numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coded {
    /// The source.
    pub src: Vec<u16>,
    /// The target.
    pub tgt: Vec<u16>,
    /// One more than the greatest number.
    pub n_codes: usize,
}

impl Coded {
    /// Numbers the characters of two texts.
    pub fn new(src: &str, tgt: &str) -> Self {
        let mut codes = Codes::new([src, tgt], [[None; 3]; 2]);
        let [src, tgt] = [src, tgt].map(|text| codes.of(text));
        Self { src, tgt, n_codes: codes.n_codes() }
    }
}

/// What a character is: a set of bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind(u8);

impl Kind {
    /// White space, as Python sees it.
    pub const SPACE: Kind = Kind(1);
    /// `.`, `?`, `!` or `…`.
    pub const TERMINAL_MARK: Kind = Kind(2);
    /// An ASCII digit but zero.
    pub const DIGIT: Kind = Kind(4);
    /// Either of them.
    pub const MARK_OR_DIGIT: Kind = Kind(2 | 4);
    /// It has the property Alphabetic.
    const ALPHABETIC: u32 = 3;
    /// Alphabetic and in a script of the source; the next bit is that of the target.
    const IN_SCRIPT: u32 = 4;

    /// Whether it shares a bit with another kind.
    pub fn is(self, other: Kind) -> bool {
        self.0 & other.0 != 0
    }

    /// 1 for a letter, otherwise 0.
    pub fn is_alphabetic(self) -> usize {
        usize::from(self.0 >> Self::ALPHABETIC & 1)
    }

    /// 1 for a letter in a script of the source (0) or the target (1), otherwise 0.
    pub fn is_in_script(self, side: u32) -> usize {
        usize::from(self.0 >> (Self::IN_SCRIPT + side) & 1)
    }
}

/// A table from characters to numbers, and from numbers to kinds: an ASCII character is its own
/// number, all others are found by open addressing.
pub struct Codes {
    others: Vec<(char, u16)>,
    kinds: Vec<Kind>,
    scripts: [[Option<Script>; 3]; 2],
}

impl Codes {
    /// A table for the characters of two texts, of which each is in some scripts.
    pub fn new(texts: [&str; 2], scripts: [[Option<Script>; 3]; 2]) -> Self {
        let n_others = |text: &str| {
            let text = text.as_bytes();
            // Four bytes a character are the most.
            let text = &text[..text.len().min(4 * MOST_CHARS)];
            text.iter().filter(|byte| **byte >= 0xc0).count()
        };
        // At most half full, so that a search ends soon.
        let n_slots = 2 * texts.map(n_others).iter().sum::<usize>();
        let others = vec![('\0', 0); n_slots.next_power_of_two().max(2)];
        let mut codes = Self { others, kinds: Vec::with_capacity(256), scripts };
        let latin = codes.letter(Script::Latin);
        let letter = Kind(1 << Kind::ALPHABETIC);
        codes.kinds.extend(ASCII.iter().map(|kind| if *kind == letter { latin } else { *kind }));
        codes
    }

    /// One more than the greatest number.
    pub fn n_codes(&self) -> usize {
        self.kinds.len()
    }

    /// What the character of a number is.
    pub fn kind(&self, code: u16) -> Kind {
        self.kinds[usize::from(code)]
    }

    /// The numbers of the first [`MOST_CHARS`] characters of a text, new ones for those that have
    /// none.
    pub fn of(&mut self, text: &str) -> Vec<u16> {
        if text.is_ascii() {
            let bytes = &text.as_bytes()[..text.len().min(MOST_CHARS)];
            return bytes.iter().map(|byte| u16::from(*byte)).collect();
        }
        // Of known length: a vector that grows asks before each character whether there is room.
        let mut numbers = vec![0; text.chars().count().min(MOST_CHARS)];
        for (number, c) in numbers.iter_mut().zip(text.chars()) {
            *number = self.code(c);
        }
        numbers
    }

    #[inline]
    fn code(&mut self, c: char) -> u16 {
        if c.is_ascii() {
            return c as u16;
        }
        let mask = self.others.len() - 1;
        let mut place = (u32::from(c).wrapping_mul(0x9e37_79b1) >> 12) as usize & mask;
        loop {
            match self.others[place] {
                (known, code) if known == c => return code,
                ('\0', _) => return self.insert(c, place),
                _ => place = (place + 1) & mask,
            }
        }
    }

    fn insert(&mut self, c: char, place: usize) -> u16 {
        let code = self.kinds.len() as u16;
        self.others[place] = (c, code);
        self.kinds.push(self.find_kind(c));
        code
    }

    /// What a character is, by Unicode.
    pub fn find_kind(&self, c: char) -> Kind {
        match ASCII.get(c as usize) {
            Some(_) => self.kinds[c as usize],
            None if is_alphabetic(c) => self.letter(SCRIPTS.get(c)),
            None if c == '…' => Kind::TERMINAL_MARK,
            None => Kind(u8::from(is_space(c))),
        }
    }

    fn letter(&self, script: Script) -> Kind {
        let in_script = |side: usize| u8::from(self.scripts[side].contains(&Some(script)));
        let in_scripts = in_script(0) | in_script(1) << 1;
        Kind(1 << Kind::ALPHABETIC | in_scripts << Kind::IN_SCRIPT)
    }
}

/// The kinds of the ASCII characters, letters without a script.
const ASCII: [Kind; 128] = {
    let mut kinds = [Kind(0); 128];
    let mut c = 0;
    while c < 128 {
        kinds[c as usize] = match c {
            b'\t'..=b'\r' | 0x1c..=b' ' => Kind::SPACE,
            b'.' | b'?' | b'!' => Kind::TERMINAL_MARK,
            b'1'..=b'9' => Kind::DIGIT,
            b'a'..=b'z' | b'A'..=b'Z' => Kind(1 << Kind::ALPHABETIC),
            _ => Kind(0),
        };
        c += 1;
    }
    kinds
};

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
    fn equal_characters_have_equal_numbers() {
        let coded = Coded::new("кот a語", "語 кит\n");
        assert_eq!(coded.src, [128, 129, 130, 32, 97, 131]);
        assert_eq!(coded.tgt, [131, 32, 128, 132, 130, 10]);
        assert_eq!(coded.n_codes, 133);
        assert_eq!(Coded::new("", "").n_codes, 128);
    }

    #[test]
    fn many_different_characters_keep_their_numbers() {
        let all: String = ('\u{4e00}'..='\u{6e00}').collect();
        let coded = Coded::new(&all, &all);
        assert_eq!((coded.src.len(), coded.n_codes), (MOST_CHARS, MOST_CHARS + 128));
        assert_eq!(coded.src, coded.tgt);
        let other: String = ('\u{6e00}'..='\u{9f00}').collect();
        assert_eq!(Coded::new(&all, &other).n_codes, 2 * MOST_CHARS + 128);
    }

    #[test]
    fn kinds_are_those_of_unicode() {
        let scripts = [[Some(Script::Latin), None, None], [Some(Script::Han); 3]];
        let codes = Codes::new([""; 2], scripts);
        let of = |c| codes.find_kind(c).0;
        for c in '\0'..='\x7f' {
            assert_eq!(codes.find_kind(c).is(Kind::SPACE), is_space(c), "{c:?}");
        }
        assert_eq!("aé語ж".chars().map(of).collect::<Vec<_>>(), [24, 24, 40, 8]);
        assert_eq!(" \u{85}\x1c…!10".chars().map(of).collect::<Vec<_>>(), [1, 1, 1, 2, 2, 4, 0]);
    }

    #[test]
    fn alphabetic_is_the_property_of_unicode() {
        for c in '\0'..=char::MAX {
            assert_eq!(is_alphabetic(c), ALPHABETIC.contains(c), "U+{:04X}", c as u32);
        }
    }
}
