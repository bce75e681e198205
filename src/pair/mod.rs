//! Measures of a translation pair, and the peers' rules for one.
//!
//! No alignment models.

pub mod copy_similarity;
pub mod digits;
pub mod lang_match;
pub mod length_ratio;
pub mod numeral_agreement;
pub mod pair_quality;
pub mod punctuation_score;
pub mod quality;
pub mod script_match;

use crate::function::Function;

/// The SQL functions of the family, in the order of the listing.
pub const FUNCTIONS: &[&Function] = &[
    &length_ratio::LENGTH_RATIO,
    &copy_similarity::COPY_SIMILARITY,
    &numeral_agreement::NUMERAL_AGREEMENT,
    &punctuation_score::PUNCTUATION_SCORE,
    &script_match::SCRIPT_MATCH,
    &lang_match::LANG_MATCH,
    &pair_quality::PAIR_QUALITY,
];
