//! Quality measures of a document and the peers' rule sets.
//!
//! Verdicts are columns; nothing here removes a row.

pub mod classes;
pub mod grams;
pub mod python;
pub mod repeats;
pub mod sentences;
pub mod stop_words;
pub mod stretch;
pub mod thresholds;
pub mod tokens;
pub mod verdict;

pub mod dolma;

pub mod c4_quality;
pub mod fineweb_quality;
pub mod gopher_quality;
pub mod gopher_repetition;
pub mod text_stats;
pub mod url_blocked;

use crate::function::Function;

/// The SQL functions of this family, in the order of the documentation.
pub const FUNCTIONS: &[&Function] = &[
    &text_stats::TEXT_STATS,
    &gopher_quality::GOPHER_QUALITY,
    &gopher_repetition::GOPHER_REPETITION,
    &c4_quality::C4_QUALITY,
    &fineweb_quality::FINEWEB_QUALITY,
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::c4_quality::{C4Rules, c4_quality};
    use super::dolma;
    use super::fineweb_quality::{FinewebRules, fineweb_quality};
    use super::gopher_quality::{GopherQualityRules, gopher_quality};
    use super::gopher_repetition::{GopherRepetitionRules, gopher_repetition};
    use super::text_stats::text_stats;
    use super::tokens::tokens;
    use crate::function::Function;
    use crate::text::segment;
    use crate::{identify, measure, text};

    #[test]
    fn functions_are_documented_and_named_once() {
        let all: Vec<&Function> =
            [text::FUNCTIONS, identify::FUNCTIONS, measure::FUNCTIONS].concat();
        let names: BTreeSet<&str> = all.iter().map(|f| f.signature.name).collect();
        assert_eq!(names.len(), all.len());
        for function in all {
            let signature = &function.signature;
            assert!(signature.doc.ends_with('.') && !signature.doc.contains("  "));
            assert!(signature.examples.len() >= 2, "{}", signature.name);
            for (expression, value) in signature.examples {
                assert!(expression.contains(&format!("{}(", signature.name)), "{expression}");
                assert!(!value.is_empty(), "{expression}");
            }
            // Optional arguments come last.
            assert!(signature.args.is_sorted_by_key(|a| a.default.is_some()));
        }
    }

    fn measure_all(text: &str, lang: Option<&str>) {
        let tokens = tokens(text, lang);
        let given = || tokens.iter().copied();
        let quality = gopher_quality(text, given(), &GopherQualityRules::hexapla(lang));
        let repetition = gopher_repetition(text, given(), &GopherRepetitionRules::DATATROVE);
        let fineweb = fineweb_quality(text, tokens.len(), &FinewebRules::DATATROVE);
        let stats = text_stats(text, lang);
        let dolma = dolma::gopher_repetition(text);
        for ratio in [
            &[quality.mean_word_chars, quality.alpha_ratio, fineweb.char_dup_ratio][..],
            &[fineweb.list_ratio, stats.mean_word_chars, stats.alpha_ratio],
            &[dolma::gopher_quality(text).mean_word_chars],
            &repetition.lines,
            &repetition.top,
            &repetition.repeated,
            &dolma.lines,
            &dolma.top,
            &dolma.repeated,
        ]
        .concat()
        {
            assert!(ratio.is_finite() && 0.0 <= ratio, "{ratio}");
        }
        let n = c4_quality(text, &C4Rules::TFDS, |line| segment::sentences(line).count());
        assert!(n.n_lines_kept <= n.n_lines);
        assert!(dolma::c4_quality(text).n_lines_kept <= text.len() + 1);
    }

    #[test]
    fn hostile_text_is_measured() {
        let small = ["", "a", "字", "\u{0}", "\n", "\u{200f}", "\u{200d}", "\u{378}", "\u{10ffff}"];
        for text in small {
            for lang in [None, Some("en"), Some("zh"), Some("th"), Some("fi"), Some("no such")] {
                measure_all(text, lang);
                measure_all(&text.repeat(3), lang);
            }
        }
    }

    /// What takes quadratic time in any of them takes hours.
    #[test]
    fn long_text_takes_linear_time() {
        measure_all(&"x".repeat(10_000_000), None);
        let parts = [
            "x ",
            "\n",
            "[",
            "[1",
            "{",
            "-\n",
            ".",
            "…",
            "'s",
            "a.",
            "@",
            "://",
            "的",
            "ก",
            "ဗ",
            "\u{200d}",
            "\u{202e}א",
            "\u{301}",
            "\u{e0fff}",
            "\u{1f1e6}",
            "\r",
            "\u{2028}",
            "#",
        ];
        for part in parts {
            measure_all(&part.repeat(200_000), None);
            measure_all(&part.repeat(50_000), Some("zh"));
        }
    }
}
