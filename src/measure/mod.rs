//! Quality measures of a document and the peers' rule sets.
//!
//! Verdicts are columns; nothing here removes a row.

pub mod python;
pub mod repeats;
pub mod verdict;

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
