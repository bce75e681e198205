//! The trainer: models, objectives, optimizer, checkpoints, the loop.
//!
//! Reading order is the order of a step: `config` says what is wanted, `batch` and `labelled` hand
//! out rows, `layout` gives them positions and documents, `objective` decides what is predicted,
//! `model` predicts it, `loss` weighs it, `optim` and `schedule` move the weights, `checkpoint`
//! keeps them, and `run` is the loop. It never sees text, SQL or a source file; without the
//! feature `train` there is only `config` (see `lib.rs`).

mod ahead;
pub mod batch;
mod begin;
pub mod checkpoint;
pub mod config;
pub mod data;
pub mod ffi;
pub mod fresh;
pub mod group;
pub mod guard;
pub mod labelled;
pub mod layout;
pub mod loss;
pub mod metrics;
pub mod model;
pub mod objective;
pub mod optim;
pub mod peaks;
pub mod pieces;
pub mod predict;
pub mod probe;
pub mod retention;
pub mod run;
pub mod save;
pub mod schedule;
pub mod source;
mod steps;
mod summary;
pub mod sums;
pub mod tensorboard;
pub mod token_bytes;
pub mod validate;
pub mod vocabulary;
pub mod weights;
pub mod work;

impl From<tch::TchError> for crate::error::Error {
    fn from(error: tch::TchError) -> Self {
        // libtorch appends its C++ stack to the first line.
        let text = error.to_string();
        let line = text.lines().next().unwrap_or_default();
        Self::internal(format!("libtorch: {line}"))
    }
}
