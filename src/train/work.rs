//! A micro-batch with what is to be predicted in it: plain data, made before any forward pass.
//!
//! Predictions are known before the pass because a step's loss divides by their number over the
//! whole step. Ids that the objective changes stand in a buffer of their own.

use arrow::buffer::Buffer;

use crate::train::layout::Layout;
use crate::train::objective::Objective;

/// One micro-batch, ready to run.
#[derive(Clone)]
pub struct Work {
    /// What is learned from it.
    pub objective: &'static Objective,
    /// Token ids (i32) as the model sees them, `rows × length`.
    pub ids: Buffer,
    /// Where the documents lie.
    pub layout: Layout,
    /// What `ids` are predicted from besides themselves, for models with an encoder and a decoder.
    pub source: Option<Source>,
    /// The languages in it.
    pub langs: Vec<String>,
    /// For each place the language's index in `langs`; empty when there is one language.
    pub place_langs: Vec<u8>,
    /// For each prediction its place (for `classify`: its row's first place) in `rows × length`.
    pub places: Vec<i64>,
    /// For each prediction the language's index in `langs`.
    pub target_langs: Vec<u8>,
    /// The right answers: tokens or classes.
    pub gold: Vec<i64>,
    /// Tokens without padding.
    pub tokens: u64,
    /// Bytes of token ids that are the mapped file itself.
    pub bytes_aliased: u64,
    /// Bytes of token ids that were gathered.
    pub bytes_gathered: u64,
}

/// The source side of a micro-batch: as many rows, and as many documents in each.
#[derive(Clone)]
pub struct Source {
    /// Token ids (i32), `rows × length`.
    pub ids: Buffer,
    /// Where the documents lie.
    pub layout: Layout,
}
