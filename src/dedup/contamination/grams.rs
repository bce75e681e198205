//! The words of a text with their places, and the hash of every n-gram of them in constant time.
//!
//! Words are cut by script (Chinese, Japanese, Thai and the like by dictionary) and
//! [folded](super::fold). Each word is a 64-bit number; the hash of the `n` words from `i` on is a
//! difference of two prefixes of a polynomial over these numbers, so any number of widths costs one
//! pass over the words. A second hash tells what agrees in the first by chance.

use std::ops::Range;

use super::fold::Fold;
use crate::id;
use crate::text::segment;

/// The polynomial's odd base.
const BASE: u64 = 0x9e37_79b9_7f4a_7c15;

/// The words of one text; holds what it needs for the next.
#[derive(Debug, Default)]
pub struct Words {
    hashes: Vec<u64>,
    places: Vec<(u32, u32)>,
    /// The polynomial over the words before each place.
    prefix: Vec<u64>,
    fold: Fold,
}

impl Words {
    /// Reads a text in place of the one before.
    pub fn read(&mut self, text: &str) {
        self.hashes.clear();
        self.places.clear();
        self.prefix.clear();
        self.prefix.push(0);
        let mut rest = 0;
        while let Some((token, ascii)) = stretch(text, rest) {
            rest = token.end;
            if ascii {
                self.ascii(text, token);
            } else {
                let mut at = token.start;
                for segment in segment::segments(&text[token], None) {
                    let start = at;
                    at += segment.text.len();
                    if segment.is_word {
                        self.word(segment.text, start);
                    }
                }
            }
        }
    }

    /// Cuts a stretch of ASCII as UAX #29 does, without its tables.
    fn ascii(&mut self, whole: &str, stretch: Range<usize>) {
        let text = whole.as_bytes();
        let mut at = stretch.start;
        while at < stretch.end {
            if !is_word_byte(text[at]) {
                at += 1;
                continue;
            }
            let start = at;
            at += 1;
            while at < stretch.end {
                let before = text[at - 1];
                let after = text.get(at + 1).filter(|_| at + 1 < stretch.end);
                let joins = |of: fn(&u8) -> bool| of(&before) && after.is_some_and(of);
                let inside = match text[at] {
                    b if is_word_byte(b) => true,
                    b'.' | b'\'' => joins(u8::is_ascii_alphabetic) || joins(u8::is_ascii_digit),
                    b',' | b';' => joins(u8::is_ascii_digit),
                    _ => false,
                };
                if !inside {
                    break;
                }
                at += 1;
            }
            let word = &whole[start..at];
            if word.bytes().any(|b| b.is_ascii_alphanumeric()) {
                self.word(word, start);
            }
        }
    }

    fn word(&mut self, word: &str, start: usize) {
        let folded = self.fold.word(word);
        if folded.is_empty() {
            return;
        }
        let hash = id::hash64(folded);
        let before = self.prefix.last().copied().unwrap_or_default();
        self.prefix.push(before.wrapping_mul(BASE).wrapping_add(hash));
        self.hashes.push(hash);
        self.places.push((start as u32, (start + word.len()) as u32));
    }

    /// How many words there are.
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// The hashes of all n-grams of a width, by the place of their first word.
    pub fn grams(&self, width: &Width) -> impl Iterator<Item = u64> + '_ {
        let ends = self.prefix.get(width.words..).unwrap_or_default();
        let Width { power, salt, .. } = *width;
        self.prefix.iter().zip(ends).map(move |(start, end)| of(*start, *end, power, salt))
    }

    /// The hash of the n-gram that begins at a place; `None` when the text ends before it does.
    pub fn gram(&self, start: usize, width: &Width) -> Option<u64> {
        let end = self.prefix.get(start + width.words)?;
        Some(of(self.prefix[start], *end, width.power, width.salt))
    }

    /// The second hash of one n-gram.
    pub fn check(&self, start: usize, width: usize) -> u32 {
        let of = |hash: u64, word: &u64| mixed(hash.rotate_left(29) ^ word);
        (self.hashes[start..start + width].iter().fold(BASE, of) >> 32) as u32
    }

    /// The bytes of the text from the first to the last word of an n-gram.
    pub fn bytes(&self, start: usize, width: usize) -> Range<usize> {
        self.places[start].0 as usize..self.places[start + width - 1].1 as usize
    }
}

/// A number of words, with what the hashes of n-grams of so many need.
#[derive(Debug, Clone, Copy)]
pub struct Width {
    /// The words.
    pub words: usize,
    power: u64,
    salt: u64,
}

impl Width {
    /// n-grams of some number of words.
    pub fn new(words: usize) -> Self {
        let power = (0..words).fold(1u64, |power, _| power.wrapping_mul(BASE));
        // Widths share no hash: one more word is not one more n-gram of the same words.
        Self { words, power, salt: id::keyed(words as u64, BASE) }
    }
}

fn of(start: u64, end: u64, power: u64, salt: u64) -> u64 {
    mixed(end.wrapping_sub(start.wrapping_mul(power)) ^ salt)
}

/// Spreads a number over all its bits (the finaliser of MurmurHash3).
fn mixed(mut x: u64) -> u64 {
    x ^= x >> 33;
    x = x.wrapping_mul(0xff51_afd7_ed55_8ccd);
    x ^= x >> 33;
    x = x.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x ^ x >> 33
}

fn is_word_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}

/// The next stretch of a text between spaces, from a byte on: of ASCII alone, or none of whose
/// tokens is. No word reaches over a space, so each stretch is cut by itself.
fn stretch(text: &str, from: usize) -> Option<(Range<usize>, bool)> {
    let bytes = text.as_bytes();
    let (mut end, mut kind) = (from, None);
    let mut at = from;
    while at < bytes.len() {
        let mut ascii = true;
        let mut next = at;
        while next < bytes.len() && !is_space(bytes[next]) {
            ascii &= bytes[next].is_ascii();
            next += 1;
        }
        while next < bytes.len() && is_space(bytes[next]) {
            next += 1;
        }
        if kind.is_some_and(|kind| kind != ascii) {
            break;
        }
        (kind, end, at) = (Some(ascii), next, next);
    }
    kind.map(|ascii| (from..end, ascii))
}

fn is_space(b: u8) -> bool {
    matches!(b, b' ' | b'\n' | b'\t' | b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(text: &str) -> Vec<&str> {
        let mut words = Words::default();
        words.read(text);
        words.places.iter().map(|(a, b)| &text[*a as usize..*b as usize]).collect()
    }

    fn grams(text: &str, width: usize) -> Vec<(u64, u32)> {
        let mut words = Words::default();
        words.read(text);
        words
            .grams(&Width::new(width))
            .enumerate()
            .map(|(i, g)| (g, words.check(i, width)))
            .collect()
    }

    /// As the segmenter cuts, less what folds to nothing.
    fn expected(text: &str) -> Vec<&str> {
        let mut fold = Fold::default();
        segment::words(text).filter(|w| !fold.word(w).is_empty()).collect()
    }

    #[test]
    fn equal_words_are_equal_grams_wherever_they_stand() {
        for (a, b) in [
            ("Það er 25. desember í dag!", "já: það er 1. DESEMBER i dag"),
            ("Цена — 12 рублей за", "и, цена 500 рублеи за"),
            ("السعر ١٢٫٥ ريال في", "قال السعر 3 ريال في"),
            ("我们今天去北京参观", "我们，我们今天去北京参观"),
            ("วันนี้เราไปเที่ยว", "ก็ วันนี้เราไปเที่ยว"),
        ] {
            let (one, other) = (grams(a, 4), grams(b, 4));
            assert!(!one.is_empty() && other.contains(&one[0]), "{a} / {b}");
        }
        assert_ne!(grams("a b c", 3), grams("c b a", 3));
        assert!(grams("a b", 3).is_empty() && grams("", 1).is_empty());
        // Widths do not meet.
        assert!(grams("a a", 1).iter().all(|(g, _)| grams("a a", 2)[0].0 != *g));
    }

    #[test]
    fn places_are_those_of_the_text() {
        let text = "Ὀδυσσεύς, ﬁn — 北京。don't ½ 3,5";
        let mut words = Words::default();
        words.read(text);
        assert_eq!(&text[words.bytes(1, 2)], "ﬁn — 北京");
        assert_eq!(&text[words.bytes(3, 1)], "don't");
        assert_eq!(&text[words.bytes(words.len() - 1, 1)], "3,5");
    }

    proptest! {
        #[test]
        fn ascii_is_cut_as_unicode_says(text in "[aB3_'.,;: \n\"-]{0,24}") {
            prop_assert_eq!(words(&text), expected(&text));
        }

        #[test]
        fn stretches_change_nothing(text in "[aé3'.,: 北京ไทй\u{301}\u{a0}\u{3000}\n]{0,24}") {
            prop_assert_eq!(words(&text), expected(&text));
        }
    }
}
