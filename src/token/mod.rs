//! Tokenizers and packs.
//!
//! A tokenizer is a `tokenizer.json` that `transformers` opens as it is; a pack is the token ids of
//! a mixture as mapped Arrow files. No SQL, no tensors; packs know nothing of epochs or batches.

pub mod functions;
pub mod pack;
pub mod tokenizer;
pub mod train;

mod bpe;
mod sample;
mod unigram;

pub use tokenizer::{Special, Tokenizer};
