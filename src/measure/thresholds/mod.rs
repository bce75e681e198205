//! Per-language thresholds and stop words: the file they stand in, and the rules they make.
//!
//! The keys are those of FineWeb-2's configurations (arXiv 2506.20920), one table a language:
//!
//! ```toml
//! [isl_Latn]
//! language_score = 0.84              # least score of a language label
//! dup_line_frac = 0.27               # largest share of repeated lines
//! top_n_grams = [[2, 0.17], [3, 0.15], [4, 0.14]]
//! dup_n_grams = [[5, 0.14], [6, 0.13], [7, 0.13], [8, 0.12], [9, 0.11], [10, 0.1]]
//! line_punct_thr = 0.02              # least share of lines that end a sentence, -1 for none
//! new_line_ratio = 0.15              # most line feeds per token
//! min_avg_word_length = 2            # in code points, 0 for none
//! max_avg_word_length = 14
//! max_non_alpha_words_ratio = 0.77   # least share of tokens with a letter, whatever it is called
//! stopwords = ["og", "að", "er", "sem"]
//! ```
//!
//! A value that cannot be meant is refused: a rule by it would keep all or nothing. Files are read
//! by others; how values are found is in `derive`.

pub mod derive;

use std::collections::BTreeMap;

use serde::Deserialize;

use super::fineweb_quality::FinewebRules;
use super::gopher_quality::GopherQualityRules;
use super::gopher_repetition::GopherRepetitionRules;
use super::stop_words::StopWords;
use crate::error::{Error, Result};
use crate::identify::tag::{self, Tag};

/// The thresholds of some languages.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Thresholds(BTreeMap<Tag, LanguageThresholds>);

/// The thresholds of one language.
#[derive(Debug, Clone, PartialEq)]
pub struct LanguageThresholds {
    /// Least score of a language label.
    pub language_score: f64,
    /// Largest share of repeated lines.
    pub dup_line_frac: f64,
    /// Largest share of the most frequent 2-, 3- and 4-gram.
    pub top_n_grams: [f64; 3],
    /// Largest share of repeated 5- to 10-grams.
    pub dup_n_grams: [f64; 6],
    /// Least share of lines that end a sentence; -1 asks for none.
    pub line_punct_thr: f64,
    /// Most line feeds per token.
    pub new_line_ratio: f64,
    /// Least mean length of the words in code points.
    pub min_avg_word_length: f64,
    /// Largest mean length of the words in code points.
    pub max_avg_word_length: f64,
    /// Least share of tokens with a letter.
    pub max_non_alpha_words_ratio: f64,
    /// Words of which two different ones occur in running text.
    pub stopwords: StopWords,
}

/// As it stands in a file; all keys are needed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    language_score: f64,
    dup_line_frac: f64,
    top_n_grams: Vec<(usize, f64)>,
    dup_n_grams: Vec<(usize, f64)>,
    line_punct_thr: f64,
    new_line_ratio: f64,
    min_avg_word_length: f64,
    max_avg_word_length: f64,
    max_non_alpha_words_ratio: f64,
    stopwords: Vec<String>,
}

/// Values of a key that can be meant, ends included.
#[derive(Debug, Clone, Copy)]
pub struct Range {
    /// The key.
    pub key: &'static str,
    /// The least value.
    pub least: f64,
    /// The largest value.
    pub most: f64,
}

impl Range {
    const fn of(key: &'static str, least: f64, most: f64) -> Self {
        Self { key, least, most }
    }

    /// A value moved into the range.
    pub fn clamp(&self, value: f64) -> f64 {
        value.clamp(self.least, self.most)
    }

    fn check(&self, value: f64) -> Result<f64> {
        let Self { key, least, most } = self;
        // Not a number is in no range.
        if (*least..=*most).contains(&value) {
            return Ok(value);
        }
        Err(Error::usage(format!("`{key}` is {value}; it has to be from {least} to {most}")))
    }
}

// A share of 0 repetition would drop nearly all, more than 1 keeps all; no language's mean word
// has more than 50 letters; a text with more line feeds than tokens is no text.
const LANGUAGE_SCORE: Range = Range::of("language_score", 0.0, 1.0);
const DUP_LINE_FRAC: Range = Range::of("dup_line_frac", 0.01, 1.0);
const TOP_N_GRAMS: Range = Range::of("top_n_grams", 0.01, 1.0);
const DUP_N_GRAMS: Range = Range::of("dup_n_grams", 0.01, 1.0);
const LINE_PUNCT_THR: Range = Range::of("line_punct_thr", 0.0, 1.0);
const NEW_LINE_RATIO: Range = Range::of("new_line_ratio", 0.01, 1.0);
const MIN_AVG_WORD_LENGTH: Range = Range::of("min_avg_word_length", 0.0, 50.0);
const MAX_AVG_WORD_LENGTH: Range = Range::of("max_avg_word_length", 1.0, 50.0);
const MAX_NON_ALPHA_WORDS_RATIO: Range = Range::of("max_non_alpha_words_ratio", 0.0, 1.0);
/// What stands for no rule at all in FineWeb-2's files.
const NO_RULE: f64 = -1.0;
const MAX_STOP_WORDS: usize = 256;

impl Thresholds {
    /// Thresholds of languages.
    pub fn new(languages: impl IntoIterator<Item = (Tag, LanguageThresholds)>) -> Self {
        Self(languages.into_iter().collect())
    }

    /// Reads a file; errors name the language, the key, the value and the values that can be
    /// meant.
    pub fn parse(text: &str) -> Result<Self> {
        let tables: BTreeMap<String, toml::Value> = toml::from_str(text)
            .map_err(|error| Error::usage(format!("no thresholds file: {}", error.message())))?;
        let mut languages = BTreeMap::new();
        for (code, table) in tables {
            let tag = tag::tag(&code)?;
            let language = table
                .try_into()
                .map_err(|error: toml::de::Error| Error::usage(error.message()))
                .and_then(LanguageThresholds::checked)
                .map_err(|error| error.within(format!("`{code}`")))?;
            if languages.insert(tag, language).is_some() {
                return Err(Error::usage(format!("`{code}`: `{tag}` is there twice")));
            }
        }
        Ok(Self(languages))
    }

    /// The thresholds of a language, named by a code in any form.
    pub fn of(&self, lang: &str) -> Option<&LanguageThresholds> {
        self.0.get(&tag::find(lang)?)
    }

    /// The languages.
    pub fn languages(&self) -> impl Iterator<Item = (Tag, &LanguageThresholds)> {
        self.0.iter().map(|(tag, language)| (*tag, language))
    }

    /// The file, which [`Thresholds::parse`] reads.
    pub fn to_toml(&self) -> String {
        let tables: Vec<String> = self
            .0
            .iter()
            .map(|(tag, language)| format!("[{tag}]\n{}", language.to_toml()))
            .collect();
        tables.join("\n")
    }
}

impl LanguageThresholds {
    fn checked(written: Written) -> Result<Self> {
        let language = Self {
            language_score: LANGUAGE_SCORE.check(written.language_score)?,
            dup_line_frac: DUP_LINE_FRAC.check(written.dup_line_frac)?,
            top_n_grams: grams(&TOP_N_GRAMS, 2, &written.top_n_grams)?,
            dup_n_grams: grams(&DUP_N_GRAMS, 5, &written.dup_n_grams)?,
            line_punct_thr: match written.line_punct_thr {
                NO_RULE => NO_RULE,
                share => LINE_PUNCT_THR.check(share)?,
            },
            new_line_ratio: NEW_LINE_RATIO.check(written.new_line_ratio)?,
            min_avg_word_length: MIN_AVG_WORD_LENGTH.check(written.min_avg_word_length)?,
            max_avg_word_length: MAX_AVG_WORD_LENGTH.check(written.max_avg_word_length)?,
            max_non_alpha_words_ratio: MAX_NON_ALPHA_WORDS_RATIO
                .check(written.max_non_alpha_words_ratio)?,
            stopwords: stop_words(&written.stopwords)?,
        };
        let (least, most) = (language.min_avg_word_length, language.max_avg_word_length);
        if least > most {
            return Err(Error::usage(format!(
                "`min_avg_word_length` is {least}; it has to be at most `max_avg_word_length`, \
                 which is {most}"
            )));
        }
        Ok(language)
    }

    /// The rules of Gopher's quality.
    pub fn gopher_quality(&self) -> GopherQualityRules<'_> {
        GopherQualityRules {
            mean_word_chars: [self.min_avg_word_length, self.max_avg_word_length],
            alpha_ratio: self.max_non_alpha_words_ratio,
            stop_words: Some((&self.stopwords, 2)),
            ..GopherQualityRules::datatrove()
        }
    }

    /// The rules of Gopher's repetition; of lines and paragraphs only the number of lines counts.
    pub fn gopher_repetition(&self) -> GopherRepetitionRules {
        GopherRepetitionRules {
            paragraphs: [None; 2],
            lines: [Some(self.dup_line_frac), None],
            top: self.top_n_grams,
            repeated: self.dup_n_grams,
        }
    }

    /// The rules of FineWeb; short lines are not asked for, a tenth may be duplicated.
    pub fn fineweb(&self) -> FinewebRules {
        FinewebRules {
            line_punct_ratio: self.line_punct_thr,
            short_line_ratio: None,
            char_dup_ratio: 0.1,
            list_ratio: self.new_line_ratio,
        }
    }

    fn to_toml(&self) -> String {
        let grams = |first: usize, shares: &[f64]| -> String {
            let pairs: Vec<String> =
                shares.iter().zip(first..).map(|(share, n)| format!("[{n}, {share}]")).collect();
            pairs.join(", ")
        };
        let words: Vec<String> = self
            .stopwords
            .words()
            .iter()
            .map(|word| toml::Value::String(word.clone()).to_string())
            .collect();
        format!(
            "language_score = {}\ndup_line_frac = {}\ntop_n_grams = [{}]\ndup_n_grams = [{}]\n\
             line_punct_thr = {}\nnew_line_ratio = {}\nmin_avg_word_length = {}\n\
             max_avg_word_length = {}\nmax_non_alpha_words_ratio = {}\nstopwords = [{}]\n",
            self.language_score,
            self.dup_line_frac,
            grams(2, &self.top_n_grams),
            grams(5, &self.dup_n_grams),
            self.line_punct_thr,
            self.new_line_ratio,
            self.min_avg_word_length,
            self.max_avg_word_length,
            self.max_non_alpha_words_ratio,
            words.join(", "),
        )
    }
}

/// The shares of `N` n-grams, written as pairs of n and share from `first` on.
fn grams<const N: usize>(range: &Range, first: usize, pairs: &[(usize, f64)]) -> Result<[f64; N]> {
    let last = first + N - 1;
    if !pairs.iter().map(|(n, _)| *n).eq(first..=last) {
        let ns: Vec<String> = pairs.iter().map(|(n, _)| n.to_string()).collect();
        return Err(Error::usage(format!(
            "`{}` has n of {}; it has to have each from {first} to {last}",
            range.key,
            if ns.is_empty() { "none".into() } else { ns.join(", ") },
        )));
    }
    let mut shares = [0.0; N];
    for (share, (_, written)) in shares.iter_mut().zip(pairs) {
        *share = range.check(*written)?;
    }
    Ok(shares)
}

fn stop_words(words: &[String]) -> Result<StopWords> {
    if let Some(word) = words.iter().find(|word| word.split_whitespace().ne([word.as_str()])) {
        return Err(Error::usage(format!("`stopwords` has `{word}`; it has to have single words")));
    }
    let stop_words = StopWords::new(words.iter().map(String::as_str));
    let n = stop_words.words().len();
    if !(2..=MAX_STOP_WORDS).contains(&n) {
        return Err(Error::usage(format!(
            "`stopwords` has {n} words; it has to have from 2 to {MAX_STOP_WORDS}"
        )));
    }
    Ok(stop_words)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ICELANDIC: &str = "
        [isl_Latn]
        language_score = 0.84
        dup_line_frac = 0.27
        top_n_grams = [[2, 0.17], [3, 0.15], [4, 0.14]]
        dup_n_grams = [[5, 0.14], [6, 0.13], [7, 0.13], [8, 0.12], [9, 0.11], [10, 0.1]]
        line_punct_thr = -1
        new_line_ratio = 0.15
        min_avg_word_length = 2
        max_avg_word_length = 14
        max_non_alpha_words_ratio = 0.77
        stopwords = ['og', 'að', 'er', 'sem']
    ";

    #[test]
    fn a_file_is_read_and_written() {
        let thresholds = Thresholds::parse(ICELANDIC).unwrap();
        let language = thresholds.of("is").unwrap();
        assert_eq!(language.gopher_quality().mean_word_chars, [2.0, 14.0]);
        assert_eq!(language.gopher_repetition().top, [0.17, 0.15, 0.14]);
        assert_eq!(language.fineweb().line_punct_ratio, -1.0);
        assert_eq!(Thresholds::parse(&thresholds.to_toml()).unwrap(), thresholds);
        assert_eq!(thresholds.of("fo"), None);
        assert_eq!(thresholds.languages().count(), 1);
        assert_eq!(Thresholds::parse("").unwrap(), Thresholds::default());
    }

    #[test]
    fn values_that_cannot_be_meant_are_refused() {
        for (of, by, message) in [
            (
                "dup_line_frac = 0.27",
                "dup_line_frac = 1.32",
                "`dup_line_frac` is 1.32; it has to be from 0.01 to 1",
            ),
            (
                "max_avg_word_length = 14",
                "max_avg_word_length = 3141",
                "`max_avg_word_length` is 3141; it has to be from 1 to 50",
            ),
            (
                "new_line_ratio = 0.15",
                "new_line_ratio = 7.25",
                "`new_line_ratio` is 7.25; it has to be from 0.01 to 1",
            ),
            (
                "line_punct_thr = -1",
                "line_punct_thr = -0.5",
                "`line_punct_thr` is -0.5; it has to be from 0 to 1",
            ),
            (
                "language_score = 0.84",
                "language_score = nan",
                "`language_score` is NaN; it has to be from 0 to 1",
            ),
            (
                "max_avg_word_length = 14",
                "max_avg_word_length = 1.5",
                "`min_avg_word_length` is 2; it has to be at most `max_avg_word_length`, which is 1.5",
            ),
            (
                "[4, 0.14]",
                "[5, 0.14]",
                "`top_n_grams` has n of 2, 3, 5; it has to have each from 2 to 4",
            ),
            ("[10, 0.1]", "[10, 11]", "`dup_n_grams` is 11; it has to be from 0.01 to 1"),
            (
                "['og', 'að', 'er', 'sem']",
                "[]",
                "`stopwords` has 0 words; it has to have from 2 to 256",
            ),
            ("'og'", "'og er'", "`stopwords` has `og er`; it has to have single words"),
        ] {
            let text = ICELANDIC.replace(of, by);
            assert_ne!(text, ICELANDIC);
            let error = Thresholds::parse(&text).unwrap_err();
            assert_eq!(error.to_string(), format!("`isl_Latn`: {message}"));
        }
    }

    #[test]
    fn a_file_of_something_else_is_refused() {
        let error = |text: &str| Thresholds::parse(text).unwrap_err().to_string();
        assert!(error("[isl_Latn]\nname = 'x'").starts_with("`isl_Latn`: unknown field `name`"));
        assert!(error("[isl_Latn]").starts_with("`isl_Latn`: missing field `language_score`"));
        assert_eq!(error("[dee]"), "unknown language code `dee`");
        assert!(error("=").starts_with("no thresholds file: "));
        let twice = format!("{ICELANDIC}{}", ICELANDIC.replace("isl_Latn", "is"));
        assert_eq!(error(&twice), "`isl_Latn`: `isl_Latn` is there twice");
    }
}
