//! Profile `opuscleaner`: OpusCleaner 0.7's `max_length`, `src_trg_ratio`, `alpha_ratio`,
//! `max_word_length` and `num_mismatch`, with the defaults of the scripts.
//!
//! Reasons are the names of the scripts; OpusCleaner has no order of its own. Two deviations:
//! `alpha_ratio` there has a list of the letters of each language in CLDR, here all letters of
//! its script count, so that names from abroad and rarer Han do not; and `src_trg_ratio` there
//! fails on an empty target. Its web page proposes 0.4 of the words and 0.5 of the characters for
//! `alpha_ratio`, where the script says 0.6 and 0.4.

use std::borrow::Cow;

use icu_properties::props::{GeneralCategoryGroup, Script};
use icu_properties::{CodePointMapData, props::GeneralCategory};
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use super::coded::is_alphabetic;
use super::{Pair, PairQuality, first_broken, numbers, ratio, word_ratio};
use crate::pair::script_match::scripts;
use crate::text::segment::is_space;

const WORDS: std::ops::RangeInclusive<usize> = 1..=150;
const MIN_RATIO: f64 = 0.6;
const MIN_ALPHABETIC_WORDS: f64 = 0.6;
const MIN_ALPHABETIC: f64 = 0.4;
const MAX_WORD_CHARS: usize = 150;
const MIN_NUMBER_OVERLAP: f64 = 1.0;

/// The numbers and the verdict of a pair by OpusCleaner's rules.
pub fn opuscleaner(pair: Pair<'_>) -> PairQuality {
    let n_words = pair.texts.map(|text| words(text).count());
    // Between spaces alone: other white space belongs to the word.
    let longest = |text: &str| text.split(' ').map(|word| word.chars().count()).max();
    let longest_word = pair.texts.map(|text| longest(text).unwrap_or_default());
    let letters = [0, 1].map(|i| {
        let known = scripts(pair.tags[i]?.script);
        Some(letters(pair.texts[i], known))
    });
    let alphabetic_words = letters.map(|shares| shares.map(|(words, _)| words));
    let alphabetic_ratio = letters.map(|shares| shares.map(|(_, chars)| chars));
    let below = |shares: [Option<f64>; 2], least| shares.into_iter().flatten().any(|s| s < least);
    let number_overlap = numbers::overlap(pair.texts[0], pair.texts[1]);
    let src_tgt = ratio(n_words[0], n_words[1], f64::INFINITY);
    let reason = first_broken(&[
        (!n_words.iter().all(|n| WORDS.contains(n)), "max_length"),
        (!(MIN_RATIO..=1.0 / MIN_RATIO).contains(&src_tgt), "src_trg_ratio"),
        (
            below(alphabetic_words, MIN_ALPHABETIC_WORDS)
                || below(alphabetic_ratio, MIN_ALPHABETIC),
            "alpha_ratio",
        ),
        (longest_word.iter().any(|n| *n > MAX_WORD_CHARS), "max_word_length"),
        (number_overlap.is_some_and(|share| share < MIN_NUMBER_OVERLAP), "num_mismatch"),
    ]);
    PairQuality {
        reason,
        n_words,
        word_ratio: word_ratio(n_words),
        longest_word,
        alphabetic_ratio,
        alphabetic_words,
        number_overlap,
        ..PairQuality::default()
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_space).filter(|word| !word.is_empty())
}

/// The share of words that begin with a letter of the scripts, and of characters but spaces that
/// are one, in normal form C; 0 for a text without words.
fn letters(text: &str, scripts: [Option<Script>; 3]) -> (f64, f64) {
    let text = text.trim_matches(is_space);
    let text: Cow<'_, str> = match is_nfc_quick(text.chars()) {
        IsNormalized::Yes => text.into(),
        _ => text.nfc().collect::<String>().into(),
    };
    let is_own = |c: char| is_letter_or_mark(c) && scripts.contains(&Some(script(c)));
    let (mut n_words, mut with_letter) = (0, 0);
    for word in words(&text) {
        n_words += 1;
        with_letter += usize::from(word.starts_with(is_own));
    }
    let (mut n_chars, mut own) = (0, 0);
    for c in text.chars().filter(|c| *c != ' ') {
        n_chars += 1;
        own += usize::from(is_own(c));
    }
    (ratio(with_letter, n_words, 0.0), ratio(own, n_chars, 0.0))
}

fn script(c: char) -> Script {
    CodePointMapData::<Script>::new().get(c)
}

/// Vowel signs and viramas belong to the letters of CLDR too.
fn is_letter_or_mark(c: char) -> bool {
    let category = CodePointMapData::<GeneralCategory>::new().get(c);
    is_alphabetic(c) || GeneralCategoryGroup::Mark.contains(category)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(src: &str, tgt: &str) -> PairQuality {
        opuscleaner(Pair::new([src, tgt], [Some("hi"), Some("de")]))
    }

    #[test]
    fn each_rule_has_its_reason() {
        let reason = |src: &str, tgt: &str| of(src, tgt).reason;
        assert_eq!(reason("कुत्ता सोता है", "der Hund schläft"), None);
        assert_eq!(reason("", "der Hund"), Some("max_length"));
        assert_eq!(reason(&"शब्द ".repeat(151), &"Wort ".repeat(150)), Some("max_length"));
        assert_eq!(reason("कुत्ता है", "der Hund schläft jetzt"), Some("src_trg_ratio"));
        assert_eq!(reason("कुत्ता सोता है", "der Хунд (schläft)"), Some("alpha_ratio"));
        assert_eq!(reason("कुत्ता", "H-2---(!)"), Some("alpha_ratio"));
        assert_eq!(reason("शब्द", &"a".repeat(151)), Some("max_word_length"));
        assert_eq!(reason("कुत्ता सोता 3 बजे", "der Hund schläft um 4"), Some("num_mismatch"));
    }

    #[test]
    fn shares_are_of_words_and_of_characters() {
        let quality = of("कुत्ता 12 है", "(ja) u\u{308}ber");
        assert_eq!(quality.alphabetic_words, [Some(2.0 / 3.0), Some(0.5)]);
        assert_eq!(quality.alphabetic_ratio, [Some(8.0 / 10.0), Some(6.0 / 8.0)]);
        let unknown = opuscleaner(Pair::new(["12", "12"], [None; 2]));
        assert_eq!((unknown.reason, unknown.alphabetic_words), (None, [None; 2]));
    }

    #[test]
    fn five_to_three_is_the_widest_ratio() {
        let pair = |n: usize, m: usize| {
            opuscleaner(Pair::new([&"ab ".repeat(n), &"ab ".repeat(m)], [None; 2])).reason
        };
        assert_eq!((pair(3, 5), pair(5, 3)), (None, None));
        assert_eq!((pair(4, 7), pair(7, 4)), (Some("src_trg_ratio"), Some("src_trg_ratio")));
    }
}
