//! Thresholds of a language, derived from what its texts measure.
//!
//! A bound stands in the language as far from the median of its documents, in standard deviations,
//! as the bound of English stands from the median of English ones: `m + (b - e) * s / t`. Medians
//! and deviations are taken in any SQL; a language label is believed from one deviation below the
//! median of its scores, but from 0.3 at the least and 0.9 at the most, as FineWeb-2 has it
//! (arXiv 2506.20920). No files, no measuring.

use super::super::fineweb_quality::FinewebRules;
use super::super::gopher_quality::GopherQualityRules;
use super::super::gopher_repetition::GopherRepetitionRules;
use super::super::stop_words::StopWords;
use super::{
    DUP_LINE_FRAC, DUP_N_GRAMS, LINE_PUNCT_THR, LanguageThresholds, MAX_AVG_WORD_LENGTH,
    MAX_NON_ALPHA_WORDS_RATIO, MIN_AVG_WORD_LENGTH, NEW_LINE_RATIO, Range, TOP_N_GRAMS,
};
use crate::error::{Error, Result};
use crate::identify::script;

/// Least share of a stop word among the words of its language.
const STOP_WORD_SHARE: f64 = 0.008;
/// Fewest stop words: the most frequent words, if too few reach that share.
const MIN_STOP_WORDS: usize = 8;
const MAX_STOP_WORDS: usize = 64;

/// Median and standard deviation of a measure over the documents of a language.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The median.
    pub median: f64,
    /// The standard deviation.
    pub deviation: f64,
}

/// What the documents of a language measure; fields of the structs of the functions named.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// `score` of `detect_lang`.
    pub language_score: Spread,
    /// `dup_line_frac` of `gopher_repetition`.
    pub dup_line_frac: Spread,
    /// `top_2_gram` to `top_4_gram` of `gopher_repetition`.
    pub top_n_grams: [Spread; 3],
    /// `duplicated_5_n_grams` to `duplicated_10_n_grams` of `gopher_repetition`.
    pub dup_n_grams: [Spread; 6],
    /// `line_punct_ratio` of `fineweb_quality`.
    pub line_punct_ratio: Spread,
    /// `list_ratio` of `fineweb_quality`.
    pub list_ratio: Spread,
    /// `mean_word_chars` of `gopher_quality`.
    pub mean_word_chars: Spread,
    /// `alpha_ratio` of `gopher_quality`.
    pub alpha_ratio: Spread,
}

/// The thresholds of a language from its measures, those of English, and the occurrences of its
/// words; errors without at least 8 different words.
///
/// Shares are rounded to thousandths and kept within what a file may hold; lengths of words are
/// rounded away from the median.
pub fn derive(
    measured: &Measured,
    english: &Measured,
    words: &[(&str, u64)],
) -> Result<LanguageThresholds> {
    let share = |range: &Range, bound: f64, of: fn(&Measured) -> Spread| {
        thousandths(range.clamp(moved(bound, of(measured), of(english))))
    };
    let score = measured.language_score;
    let fineweb = FinewebRules::DATATROVE;
    let quality = GopherQualityRules::datatrove();
    let repetition = GopherRepetitionRules::DATATROVE;
    let [shortest, longest] = quality
        .mean_word_chars
        .map(|bound| moved(bound, measured.mean_word_chars, english.mean_word_chars));
    let mut top_n_grams = repetition.top;
    for (n, bound) in top_n_grams.iter_mut().enumerate() {
        let bound_there = moved(*bound, measured.top_n_grams[n], english.top_n_grams[n]);
        *bound = thousandths(TOP_N_GRAMS.clamp(bound_there));
    }
    let mut dup_n_grams = repetition.repeated;
    for (n, bound) in dup_n_grams.iter_mut().enumerate() {
        let bound_there = moved(*bound, measured.dup_n_grams[n], english.dup_n_grams[n]);
        *bound = thousandths(DUP_N_GRAMS.clamp(bound_there));
    }
    Ok(LanguageThresholds {
        language_score: thousandths((score.median - score.deviation).clamp(0.3, 0.9)),
        dup_line_frac: share(&DUP_LINE_FRAC, repetition.lines[0].unwrap_or(1.0), |m| {
            m.dup_line_frac
        }),
        top_n_grams,
        dup_n_grams,
        line_punct_thr: share(&LINE_PUNCT_THR, fineweb.line_punct_ratio, |m| m.line_punct_ratio),
        new_line_ratio: share(&NEW_LINE_RATIO, fineweb.list_ratio, |m| m.list_ratio),
        min_avg_word_length: MIN_AVG_WORD_LENGTH.clamp(shortest.floor()),
        max_avg_word_length: MAX_AVG_WORD_LENGTH.clamp(longest.ceil()),
        max_non_alpha_words_ratio: share(&MAX_NON_ALPHA_WORDS_RATIO, quality.alpha_ratio, |m| {
            m.alpha_ratio
        }),
        stopwords: stop_words(words)?,
    })
}

/// The stop words among the words of a language with their occurrences: those that are at least
/// 0.8 % of all, but at least the 8 and at most the 64 most frequent; errors if there are not 8.
///
/// A word has a letter; of equally frequent ones the first in the order of bytes counts.
pub fn stop_words(words: &[(&str, u64)]) -> Result<StopWords> {
    let all: u64 = words.iter().map(|(_, n)| n).sum();
    let mut words: Vec<(&str, u64)> =
        words.iter().copied().filter(|(word, _)| word.chars().any(script::is_letter)).collect();
    words.sort_unstable_by(|(a, n), (b, m)| m.cmp(n).then(a.cmp(b)));
    if words.len() < MIN_STOP_WORDS {
        return Err(Error::usage(format!(
            "there are {} different words; stop words are chosen from at least {MIN_STOP_WORDS}",
            words.len()
        )));
    }
    let frequent = words.partition_point(|(_, n)| *n as f64 >= STOP_WORD_SHARE * all as f64);
    let n = frequent.clamp(MIN_STOP_WORDS, MAX_STOP_WORDS).min(words.len());
    Ok(StopWords::new(words[..n].iter().map(|(word, _)| *word)))
}

/// The place of a bound of English in another language; the same where English does not vary.
fn moved(bound: f64, of: Spread, english: Spread) -> f64 {
    let distance = (bound - english.median) / english.deviation;
    let there = of.median + distance * of.deviation;
    if there.is_finite() { there } else { bound }
}

fn thousandths(x: f64) -> f64 {
    (x * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::super::Thresholds;
    use super::*;
    use crate::identify::tag;

    const fn spread(median: f64, deviation: f64) -> Spread {
        Spread { median, deviation }
    }

    const ENGLISH: Measured = Measured {
        language_score: spread(0.95, 0.1),
        dup_line_frac: spread(0.1, 0.1),
        top_n_grams: [spread(0.02, 0.02); 3],
        dup_n_grams: [spread(0.0, 0.05); 6],
        line_punct_ratio: spread(0.6, 0.3),
        list_ratio: spread(0.05, 0.05),
        mean_word_chars: spread(5.0, 0.5),
        alpha_ratio: spread(0.9, 0.05),
    };

    const WORDS: [(&str, u64); 11] = [
        ("и", 300),
        ("в", 250),
        ("не", 120),
        ("на", 90),
        ("2026", 80),
        ("я", 70),
        ("что", 60),
        ("он", 8),
        ("кот", 7),
        ("пёс", 6),
        ("дом", 5),
    ];

    #[test]
    fn english_stays_as_it_is() {
        let english = derive(&ENGLISH, &ENGLISH, &WORDS).unwrap();
        assert_eq!(english.gopher_repetition().top, GopherRepetitionRules::DATATROVE.top);
        assert_eq!(english.gopher_repetition().repeated, GopherRepetitionRules::DATATROVE.repeated);
        assert_eq!(english.fineweb().line_punct_ratio, 0.12);
        assert_eq!(english.gopher_quality().mean_word_chars, [3.0, 10.0]);
        assert_eq!(english.language_score, 0.85);
    }

    #[test]
    fn bounds_move_with_median_and_deviation() {
        let measured = Measured {
            language_score: spread(0.5, 0.4),
            mean_word_chars: spread(6.5, 0.75),
            dup_line_frac: spread(0.2, 0.9),
            line_punct_ratio: spread(0.1, 0.3),
            ..ENGLISH
        };
        let language = derive(&measured, &ENGLISH, &WORDS).unwrap();
        assert_eq!(language.language_score, 0.3);
        assert_eq!(language.gopher_quality().mean_word_chars, [3.0, 14.0]);
        // Beyond what can be meant: kept in the range.
        assert_eq!((language.dup_line_frac, language.line_punct_thr), (1.0, 0.0));
        let file = Thresholds::new([(tag::tag("ru").unwrap(), language)]);
        assert_eq!(Thresholds::parse(&file.to_toml()).unwrap(), file);
    }

    #[test]
    fn a_measure_that_does_not_vary_divides_nothing() {
        let flat = Measured { alpha_ratio: spread(1.0, 0.0), ..ENGLISH };
        assert_eq!(derive(&ENGLISH, &flat, &WORDS).unwrap().max_non_alpha_words_ratio, 0.8);
    }

    #[test]
    fn frequent_words_are_stop_words() {
        // Of 996: 7.97 and more are 0.8 %; a number is no word.
        let words = stop_words(&WORDS).unwrap();
        assert_eq!(words.words().len(), 8);
        assert!(words.words().iter().any(|word| word == "кот"));
        assert!(!words.words().iter().any(|word| word == "2026" || word == "пёс"));
        assert!(stop_words(&WORDS[..7]).is_err());
        assert!(stop_words(&[]).is_err());
    }
}
