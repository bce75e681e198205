//! Kernels on one text: normal forms, markup, words, counts.
//!
//! No language identification, no quality verdicts.

pub mod segment;
pub mod wikitext;

pub mod char_count;
pub mod fix_text;
pub mod mask_pii;
pub mod normalize_text;
pub mod remove_spans;
pub mod sentence_count;
pub mod strip_markup;
pub mod word_count;
pub mod words;

use crate::function::Function;
use crate::identify::script;

/// The SQL functions of this family, in the order of the documentation.
pub const FUNCTIONS: &[&Function] = &[
    &normalize_text::NORMALIZE_TEXT,
    &fix_text::FIX_TEXT,
    &mask_pii::MASK_PII,
    &remove_spans::REMOVE_SPANS,
    &strip_markup::STRIP_MARKUP,
    &script::SCRIPT,
    &words::WORDS,
    &word_count::WORD_COUNT,
    &sentence_count::SENTENCE_COUNT,
    &char_count::CHAR_COUNT,
];
