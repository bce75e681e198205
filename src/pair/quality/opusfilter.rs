//! Profile `opusfilter`: the filters of OpusFilter 3.3 that need no model, with their defaults.
//!
//! Reasons are the names of its classes; the order is that of its `filters.py`. A word is what
//! lies between white space, so that a Chinese or Thai sentence counts as one.
//! `CharacterScoreFilter` has no default script: it takes the one of the language, for Japanese
//! kana and Han, for Korean Hangul and Han, for Chinese Han and Bopomofo, and is left out for an
//! unknown language. `RegExpFilter` has no default and so no rule; languages are `lang_match`'s.
//!
//! The numbers that compare characters are `None` for a side of more than 8,192 characters, which
//! breaks an earlier rule in any case. Where the peer fails on a text, such as `&#` with 4,300
//! digits, it has no verdict to follow.

use super::bitwise::Bitwise;
use super::coded::{Coded, Codes, MOST_CHARS};
use super::matcher;
use super::side::Side;
use super::{Pair, PairQuality, first_broken, ratio, word_ratio};
use super::{html::has_tag, repetition::repetitions};
use crate::pair::copy_similarity;
use crate::pair::punctuation_score::punctuation_score;
use crate::pair::script_match::scripts;

const WORDS: std::ops::RangeInclusive<usize> = 1..=100;
const MAX_WORD_RATIO: f64 = 3.0;
const MAX_WORD_CHARS: usize = 40;
const MEAN_WORD_CHARS: std::ops::RangeInclusive<f64> = 2.0..=20.0;
const MIN_ALPHABETIC: f64 = 0.75;
const MIN_IN_SCRIPT: f64 = 1.0;
const MIN_PUNCTUATION: f64 = -2.0;
const MIN_NUMERALS: f64 = 0.5;
const MAX_COMMON: f64 = 0.9;
const MAX_SIMILARITY: f64 = 0.9;
const MAX_REPETITIONS: usize = 2;

/// Digits of a side that are compared; more break an earlier rule: they are no letters, and in
/// 5,200 characters a quarter may be none.
const MOST_DIGITS: usize = 2048;
const _: () = assert!(MOST_DIGITS <= MOST_CHARS);

/// The numbers and the verdict of a pair by OpusFilter's rules.
pub fn opusfilter(pair: Pair<'_>) -> PairQuality {
    let mut codes = Codes::new(
        pair.texts,
        pair.tags.map(|tag| tag.map_or([None; 3], |tag| scripts(tag.script))),
    );
    let src = Side::new(pair.texts[0], 0, &mut codes);
    let tgt = Side::new(pair.texts[1], 1, &mut codes);
    let of_sides = |number: fn(&Side) -> f64| [number(&src), number(&tgt)];
    let n_words = [src.n_words, tgt.n_words];
    let longest_word = [src.longest_word, tgt.longest_word];
    let word_ratio = word_ratio(n_words);
    let mean_word_chars = of_sides(|side| ratio(side.n_word_chars, side.n_words, 0.0));
    let has_html = pair.texts.map(has_tag);
    let alphabetic = of_sides(|side| ratio(side.n_alphabetic, side.n_chars, 1.0));
    let in_script = of_sides(|side| ratio(side.n_in_script, side.n_alphabetic, 1.0));
    let script_ratio = [0, 1].map(|i| pair.tags[i].map(|_| in_script[i]));
    let punctuation = punctuation_score(src.n_terminal_marks, tgt.n_terminal_marks);
    let few_digits = src.digits.len().max(tgt.digits.len()) <= MOST_DIGITS;
    let numerals = few_digits.then(|| matcher::similarity(&src.digits, &tgt.digits, 10));
    let compared = (src.is_whole() && tgt.is_whole()).then(|| {
        let shorter = src.n_chars.min(tgt.n_chars);
        let n_repetitions = [&src, &tgt].map(|side| repetitions(&side.codes, &codes));
        let pair = Coded { src: src.codes, tgt: tgt.codes, n_codes: codes.n_codes() };
        let bits = Bitwise::new(&pair);
        let common = ratio(matcher::common_substring(&pair, &bits), shorter, 0.0);
        (common, copy_similarity::similarity(&pair, &bits), n_repetitions[0].max(n_repetitions[1]))
    });
    let common = compared.map(|(common, ..)| common);
    let similarity = compared.map(|(_, similarity, _)| similarity);
    let n_repetitions = compared.map(|(.., n)| n);
    let reason = first_broken(&[
        (!n_words.iter().all(|n| WORDS.contains(n)), "LengthFilter"),
        (word_ratio >= MAX_WORD_RATIO, "LengthRatioFilter"),
        (longest_word.iter().any(|n| *n >= MAX_WORD_CHARS), "LongWordFilter"),
        (
            !mean_word_chars.iter().all(|mean| MEAN_WORD_CHARS.contains(mean)),
            "AverageWordLengthFilter",
        ),
        (has_html.contains(&true), "HtmlTagFilter"),
        (alphabetic.iter().any(|share| *share < MIN_ALPHABETIC), "AlphabetRatioFilter"),
        (script_ratio.iter().flatten().any(|share| *share < MIN_IN_SCRIPT), "CharacterScoreFilter"),
        (punctuation < MIN_PUNCTUATION, "TerminalPunctuationFilter"),
        (numerals.is_some_and(|share| share < MIN_NUMERALS), "NonZeroNumeralsFilter"),
        (common.is_some_and(|share| share >= MAX_COMMON), "LongestCommonSubstringFilter"),
        (similarity.is_some_and(|share| share >= MAX_SIMILARITY), "SimilarityFilter"),
        (n_repetitions.is_some_and(|n| n >= MAX_REPETITIONS), "RepetitionFilter"),
    ]);
    PairQuality {
        reason,
        n_words,
        word_ratio,
        longest_word,
        mean_word_chars: Some(mean_word_chars),
        has_html: Some(has_html),
        alphabetic_ratio: alphabetic.map(Some),
        alphabetic_words: [None; 2],
        script_ratio,
        punctuation_score: Some(punctuation),
        numeral_similarity: numerals,
        number_overlap: None,
        common_substring: common,
        copy_similarity: similarity,
        n_repetitions,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(src: &str, tgt: &str) -> PairQuality {
        opusfilter(Pair::new([src, tgt], [Some("isl"), Some("rus")]))
    }

    fn reason(src: &str, tgt: &str) -> Option<&'static str> {
        of(src, tgt).reason
    }

    #[test]
    fn each_rule_has_its_reason() {
        assert_eq!(reason("Hundurinn sefur undir borðinu.", "Собака спит под столом."), None);
        assert_eq!(reason("", "Собака"), Some("LengthFilter"));
        assert_eq!(reason("", ""), Some("LengthFilter"));
        assert_eq!(reason(&"orð ".repeat(101), "слово"), Some("LengthFilter"));
        assert_eq!(reason("eitt og tvö", "раз"), Some("LengthRatioFilter"));
        assert_eq!(reason(&"orð".repeat(14), "слово"), Some("LongWordFilter"));
        assert_eq!(reason("á", "на реке"), Some("AverageWordLengthFilter"));
        assert_eq!(reason("hús <br> og bíll", "дом и машина"), Some("HtmlTagFilter"));
        assert_eq!(reason("hús 1234 56", "дом да нет"), Some("AlphabetRatioFilter"));
        assert_eq!(reason("húsið mitt", "мой house"), Some("CharacterScoreFilter"));
        assert_eq!(
            reason("Kannski. Aldrei. Jafnvel. Stundum. Kannski.", "возможно никогда"),
            Some("TerminalPunctuationFilter")
        );
        assert_eq!(
            reason("hundarnir sofa í húsi 12", "собаки спят в доме"),
            Some("NonZeroNumeralsFilter")
        );
        let copy = |a, b| opusfilter(Pair::new([a, b], [None; 2])).reason;
        assert_eq!(copy("слово дня", "нет слово дня нет"), Some("LongestCommonSubstringFilter"));
        let long = "Þetta er löng setning sem er næstum eins báðum megin";
        let near = long.replace("sem er", "sem eru");
        assert_eq!(copy(&long.replace("löng", "lóng"), &near), Some("SimilarityFilter"));
        assert_eq!(reason("haha haha haha", "и она смеялась"), Some("RepetitionFilter"));
    }

    #[test]
    fn numbers_are_exact() {
        let quality = of("Ég á 20 kýr.", "У меня 12 коров!");
        assert_eq!((quality.n_words, quality.longest_word), ([4, 4], [4, 6]));
        assert_eq!(quality.mean_word_chars, Some([9.0 / 4.0, 13.0 / 4.0]));
        assert_eq!(quality.alphabetic_ratio, [Some(6.0 / 12.0), Some(10.0 / 16.0)]);
        assert_eq!(quality.script_ratio, [Some(1.0), Some(1.0)]);
        assert_eq!(quality.punctuation_score, Some(0.0));
        assert_eq!(quality.numeral_similarity, Some(2.0 / 3.0));
        assert_eq!((quality.common_substring, quality.n_repetitions), (Some(1.0 / 12.0), Some(0)));
    }

    #[test]
    fn languages_decide_on_scripts() {
        let script =
            |text, lang| opusfilter(Pair::new([text, ""], [Some(lang), None])).script_ratio;
        assert_eq!(script("東京タワ", "ja"), [Some(1.0), None]);
        assert_eq!(script("大韓民國의", "ko"), [Some(1.0), None]);
        assert_eq!(script("ภาษา abc", "th")[0], Some(4.0 / 7.0));
        assert_eq!(script("ताज़ा", "xx"), [None, None]);
    }

    #[test]
    fn a_side_too_long_to_compare_breaks_another_rule() {
        let long = "ab ".repeat(3000);
        let quality = of(&long, &long);
        assert_eq!((quality.reason, quality.n_words), (Some("LengthFilter"), [3000, 3000]));
        assert_eq!((quality.common_substring, quality.copy_similarity), (None, None));
        let digits = of(&"123456789".repeat(300), "5");
        assert_eq!((digits.reason, digits.numeral_similarity), (Some("LongWordFilter"), None));
        // White space alone makes a side long: too few of its characters are alphabetic.
        let quality = of(&format!("orð{}orð", " ".repeat(9000)), "два слова");
        assert_eq!((quality.reason, quality.n_repetitions), (Some("AlphabetRatioFilter"), None));
    }
}
