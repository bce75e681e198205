//! Quality measures of a document and the peers' rule sets.
//!
//! Verdicts are columns; nothing here removes a row.

pub mod classes;
pub mod grams;
pub mod python;
pub mod repeats;
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

    use crate::function::Function;
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
}
