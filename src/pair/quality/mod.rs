//! The rules of `pair_quality`: one file a profile, one a family of rules.
//!
//! A profile says which numbers are measured, in which order its rules stand, and what they are
//! called; the numbers are those of the peer, also where another definition would be fairer.
//! No models: language identification, alignment and embeddings are functions of their own.

pub mod bitwise;
pub mod coded;
pub mod html;
pub mod matcher;
pub mod numbers;
pub mod repetition;
pub mod side;

pub mod moses;
pub mod opuscleaner;
pub mod opusfilter;

use crate::error::{Error, Result};
use crate::identify::tag::{self, Tag};

/// A pair of texts and the languages that they are declared to be in, where those are known.
#[derive(Debug, Clone, Copy)]
pub struct Pair<'t> {
    /// The source and the target.
    pub texts: [&'t str; 2],
    /// Their languages.
    pub tags: [Option<Tag>; 2],
}

impl<'t> Pair<'t> {
    /// A pair with languages named by codes in any form; an unknown code counts as none.
    pub fn new(texts: [&'t str; 2], langs: [Option<&str>; 2]) -> Self {
        Self { texts, tags: langs.map(|lang| lang.and_then(tag::find)) }
    }
}

/// The numbers of a pair and the first rule that it breaks. What a profile does not measure is
/// `None`; of two numbers, the first is that of the source.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PairQuality {
    /// The first broken rule, by the peer's name; `None` when all hold.
    pub reason: Option<&'static str>,
    /// Words between white space.
    pub n_words: [usize; 2],
    /// Words of the longer side over those of the shorter; 0 when both are empty, infinite when
    /// one is.
    pub word_ratio: f64,
    /// Characters of the longest word.
    pub longest_word: [usize; 2],
    /// Mean characters of a word; 0 without words.
    pub mean_word_chars: Option<[f64; 2]>,
    /// Whether an HTML tag is found.
    pub has_html: Option<[bool; 2]>,
    /// Share of alphabetic characters.
    pub alphabetic_ratio: [Option<f64>; 2],
    /// Share of words that begin with a letter of the language.
    pub alphabetic_words: [Option<f64>; 2],
    /// Share of alphabetic characters that are in the script of the language.
    pub script_ratio: [Option<f64>; 2],
    /// Agreement of terminal punctuation, 0 or less.
    pub punctuation_score: Option<f64>,
    /// Likeness of the digits without zeros, in 0 to 1.
    pub numeral_similarity: Option<f64>,
    /// Numbers on both sides and one over those on one side alone and one.
    pub number_overlap: Option<f64>,
    /// The longest common substring over the length of the shorter side.
    pub common_substring: Option<f64>,
    /// The normalised Levenshtein similarity.
    pub copy_similarity: Option<f64>,
    /// How often a stretch is repeated in a row after it first stands, on the side where that is
    /// more; 0 below 2.
    pub n_repetitions: Option<usize>,
}

/// A set of rules: the numbers of a pair and its verdict.
pub type Profile = fn(Pair<'_>) -> PairQuality;

/// The profiles by name, the default first.
pub const PROFILES: &[(&str, Profile)] = &[
    ("opusfilter", opusfilter::opusfilter),
    ("opuscleaner", opuscleaner::opuscleaner),
    ("moses", moses::moses),
];

/// The profile of a name, `opusfilter` unless one is given; errors for an unknown name.
pub fn profile(name: Option<&str>) -> Result<Profile> {
    let Some(name) = name else { return Ok(PROFILES[0].1) };
    match PROFILES.iter().find(|(known, _)| *known == name) {
        Some((_, profile)) => Ok(*profile),
        None => Err(Error::unknown("profile", name, PROFILES.iter().map(|(known, _)| *known))),
    }
}

/// The reason of the first rule that is broken.
fn first_broken(rules: &[(bool, &'static str)]) -> Option<&'static str> {
    rules.iter().find(|(broken, _)| *broken).map(|(_, reason)| *reason)
}

/// `part / whole`, or what stands for it where `whole` is 0.
fn ratio(part: usize, whole: usize, of_nothing: f64) -> f64 {
    if whole == 0 { of_nothing } else { part as f64 / whole as f64 }
}

/// Words of the longer side over those of the shorter.
fn word_ratio(n_words: [usize; 2]) -> f64 {
    match (n_words[0].min(n_words[1]), n_words[0].max(n_words[1])) {
        (_, 0) => 0.0,
        (shorter, longer) => ratio(longer, shorter, f64::INFINITY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_have_names() {
        assert!(PROFILES.iter().all(|(name, _)| profile(Some(name)).is_ok()));
        let error = profile(Some("opusfiltre")).unwrap_err();
        assert_eq!(error.hint(), Some("did you mean `opusfilter`?"));
        assert!(profile(Some("bicleaner")).unwrap_err().to_string().contains("opuscleaner"));
    }

    #[test]
    fn nothing_divides_by_zero() {
        let hostile = ["", " ", "\u{85}", "\u{200f}", "…", "\u{378}", "|", "<", "\u{200d}\u{300}"];
        for (_, profile) in PROFILES {
            for (src, tgt) in hostile.iter().flat_map(|s| hostile.iter().map(move |t| (*s, *t))) {
                let pair = Pair::new([src, tgt], [Some("tha"), None]);
                let quality = profile(pair);
                assert!(!quality.word_ratio.is_nan());
                let numbers = [
                    quality.alphabetic_ratio[0],
                    quality.alphabetic_words[0],
                    quality.script_ratio[0],
                    quality.number_overlap,
                    quality.common_substring,
                    quality.copy_similarity,
                ];
                let in_range = |x: f64| (0.0..=1.0).contains(&x);
                assert!(numbers.into_iter().flatten().all(in_range), "{src:?} {tgt:?}");
            }
        }
    }

    #[test]
    fn ratios_of_nothing() {
        assert_eq!(word_ratio([0, 0]), 0.0);
        assert_eq!(word_ratio([0, 3]), f64::INFINITY);
        assert_eq!(word_ratio([3, 6]), 2.0);
        assert_eq!(ratio(0, 0, 1.0), 1.0);
    }
}
