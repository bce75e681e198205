//! Tokenizers and packs.
//!
//! A tokenizer is a `tokenizer.json` that `transformers` opens as it is; a pack is the token ids of
//! a mixture as mapped Arrow files. No SQL, no tensors; packs know nothing of epochs or batches.

pub mod evaluate;
pub mod functions;
pub mod pack;
pub mod tokenizer;
pub mod train;
pub mod trim;

mod bpe;
mod charsmap;
mod encode;
mod hasher;
mod load;
mod sample;
mod sentencepiece;
mod unigram;
mod words;

pub use tokenizer::{Special, Tokenizer};
