//! Kernels of `contamination`: n-grams of folded words with their places in the text, a filter over
//! the n-grams of evaluation sets, and the spans that matches make.
//!
//! No tables and no files: `sql` reads evaluation sets and training texts and joins their n-grams.

pub mod filter;
pub mod fold;
pub mod grams;
pub mod spans;
