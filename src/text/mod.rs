//! Kernels on one text: normal forms, words, counts.
//!
//! No language identification, no quality verdicts.

pub mod segment;

pub mod char_count;
pub mod normalize_text;
pub mod sentence_count;
pub mod word_count;
pub mod words;

use crate::function::Function;
use crate::identify::script;

/// The SQL functions of this family, in the order of the documentation.
pub const FUNCTIONS: &[&Function] = &[
    &normalize_text::NORMALIZE_TEXT,
    &script::SCRIPT,
    &words::WORDS,
    &word_count::WORD_COUNT,
    &sentence_count::SENTENCE_COUNT,
    &char_count::CHAR_COUNT,
];
