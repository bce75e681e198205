//! Languages and scripts: of characters and texts, tags and their conversion, measured labels.
//!
//! The only place that knows language codes.

pub mod languages;
pub mod script;
pub mod tag;

pub mod fasttext;
pub mod hans;
pub mod ngram;
mod whatlang;

pub mod detect_lang;
pub mod detect_langs;
pub mod detect_spans;
pub mod lang_known;
pub mod lang_tag;

use crate::function::Function;

/// The SQL functions of this family, in the order of the documentation.
pub const FUNCTIONS: &[&Function] = &[
    &lang_tag::LANG_TAG,
    &detect_lang::DETECT_LANG,
    &detect_langs::DETECT_LANGS,
    &detect_spans::DETECT_SPANS,
    &lang_known::LANG_KNOWN,
];
