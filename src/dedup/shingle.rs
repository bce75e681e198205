//! Shingles: the set of a text's word 5-grams, by which near duplicates are compared.
//!
//! The text is folded as for [`content_key`](super::content), cut into the words of its language,
//! and each word loses its accents (non-spacing marks) and has every number as `0`; punctuation is
//! gone with the cutting. This is what datatrove's `simplify_text` does, word by word. Texts of
//! equal content have equal shingles.
//!
//! A text of fewer than 5 words has no shingles: it is near to nothing, and only its content key
//! finds its duplicates.

use icu_properties::CodePointMapData;
use icu_properties::props::GeneralCategory;
use unicode_normalization::UnicodeNormalization;

use super::content::folded;
use crate::id::hash64;
use crate::text::segment;

/// Words in a shingle.
pub const WIDTH: usize = 5;

/// The hashes of a text's distinct shingles, ascending.
pub fn shingles(text: &str, lang: &str) -> Vec<u64> {
    shingles_of(&folded(text), lang, WIDTH)
}

/// The same of a text that is folded already, with `width` words to a shingle.
pub fn shingles_of(folded: &str, lang: &str, width: usize) -> Vec<u64> {
    let mut words = Vec::new();
    let mut plain = String::new();
    for word in segment::words_in(folded, (!lang.is_empty()).then_some(lang)) {
        if !word.is_ascii() || word.bytes().any(|b| b.is_ascii_digit()) {
            plain.clear();
            fold_word(word, &mut plain);
            if !plain.is_empty() {
                words.push(hash64(plain.as_bytes()));
            }
        } else {
            words.push(hash64(word.as_bytes()));
        }
    }
    let mut bytes = Vec::with_capacity(width * 8);
    let mut set: Vec<u64> = words
        .windows(width.max(1))
        .map(|window| {
            bytes.clear();
            window.iter().for_each(|w| bytes.extend_from_slice(&w.to_le_bytes()));
            hash64(&bytes)
        })
        .collect();
    set.sort_unstable();
    set.dedup();
    set
}

/// Appends a word without its accents and with each of its numbers as `0`.
fn fold_word(word: &str, out: &mut String) {
    let category = CodePointMapData::<GeneralCategory>::new();
    let mut in_number = false;
    let mut letters = word.nfd().peekable();
    while let Some(c) = letters.next() {
        match category.get(c) {
            GeneralCategory::NonspacingMark => {}
            GeneralCategory::DecimalNumber => {
                if !in_number {
                    out.push('0');
                }
                in_number = true;
            }
            // `1,234.5` is one number: a separator between digits belongs to it.
            _ if in_number && is_separator(c) && letters.peek().is_some_and(|n| n.is_numeric()) => {
            }
            _ => {
                in_number = false;
                out.push(c);
            }
        }
    }
}

fn is_separator(c: char) -> bool {
    matches!(c, '.' | ',' | '\'' | '’' | '٫' | '٬' | '،' | '…')
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
