//! Shingles: the set of a text's word 5-grams, by which near duplicates are compared.
//!
//! The text is folded as for [`content_key`](super::content), cut into the words of its language,
//! and each word loses its accents (non-spacing marks) and has every number as `0`; punctuation is
//! gone with the cutting. This is what datatrove's `simplify_text` does, word by word. Texts of
//! equal content have equal shingles.
//!
//! A text of fewer than 5 words has no shingles: it is near to nothing, and only its content key
//! finds its duplicates.

use super::content::folded;
use super::words::{each_plain_word, plain_word};
use crate::id::hash64;
use crate::text::segment;

/// Words in a shingle.
pub const WIDTH: usize = 5;

/// The hashes of a text's distinct shingles, ascending.
pub fn shingles(text: &str, lang: &str) -> Vec<u64> {
    shingles_of(&folded(text), lang, WIDTH)
}

/// The same of a text that is folded already, with `width` words to a shingle. The language is
/// only asked whether a colon may stand inside of a word.
pub fn shingles_of(folded: &str, lang: &str, width: usize) -> Vec<u64> {
    let mut hashes = Vec::with_capacity(folded.len() / 6);
    let mut add = |word: &str| {
        if !word.is_empty() {
            hashes.push(hash64(word.as_bytes()));
        }
    };
    if lang.is_empty() {
        each_plain_word(folded, add);
    } else {
        let mut plain = String::new();
        segment::words_in(folded, Some(lang)).for_each(|word| add(plain_word(word, &mut plain)));
    }
    set_of(windows(&hashes, width))
}

/// The hashes of all runs of `width` numbers.
pub(super) fn windows(numbers: &[u64], width: usize) -> Vec<u64> {
    let mut bytes = vec![0; width.max(1) * 8];
    let hash = |window: &[u64]| {
        for (place, number) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(window) {
            *place = number.to_le_bytes();
        }
        hash64(&bytes)
    };
    numbers.windows(width.max(1)).map(hash).collect()
}

/// The distinct numbers, ascending.
pub(super) fn set_of(mut numbers: Vec<u64>) -> Vec<u64> {
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accents_case_numbers_and_punctuation_do_not_count() {
        for (a, b, lang) in [
            ("Það er 25. desember í dag!", "það er 1. desember i dag", "isl_Latn"),
            ("Le café, élève de 1.234,5 ans", "le cafe eleve de 7 ans", "fra_Latn"),
            ("Цена — 12 рублей за штуку", "цена 500 рублеи за штуку", "rus_Cyrl"),
            ("السعر ١٢٫٥ ريال في السوق اليوم", "السعر 3 ريال في السوق اليوم", "arb_Arab"),
        ] {
            assert_eq!(shingles(a, lang), shingles(b, lang), "{a} / {b}");
            assert!(!shingles(a, lang).is_empty(), "{a}");
        }
    }

    #[test]
    fn scripts_without_spaces_have_words() {
        for (text, lang) in [
            ("我们今天去北京参观博物馆和公园。", "cmn_Hans"),
            ("私たちは今日東京の博物館に行きました。", "jpn_Jpan"),
            ("วันนี้เราไปเที่ยวพิพิธภัณฑ์ที่กรุงเทพมหานคร", "tha_Thai"),
        ] {
            assert!(shingles(text, lang).len() > 1, "{text}");
        }
    }

    #[test]
    fn short_texts_have_none_and_repetition_adds_none() {
        assert!(shingles("fjögur orð eru fá", "isl_Latn").is_empty());
        assert!(shingles("", "").is_empty());
        let once = shingles("eitt tvö þrjú fjögur fimm", "isl_Latn");
        assert_eq!(once.len(), 1);
        let round = "eitt tvö þrjú fjögur fimm ".repeat(9);
        assert_eq!(shingles(&round, "isl_Latn").len(), 5);
    }
}
