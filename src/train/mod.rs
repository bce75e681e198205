//! The trainer: models, objectives, optimizer, checkpoints, the loop.
//!
//! Reading order is the order of a step: `config` says what is wanted, `batch` and `labelled` hand
//! out rows, `layout` gives them positions and documents, `objective` decides what is predicted,
//! `model` predicts it, `loss` weighs it, `optim` and `schedule` move the weights, `checkpoint`
//! keeps them, and `run` is the loop. It never sees text, SQL or a source file; without the
//! feature `train` only the configuration exists.

pub mod config;

#[cfg(feature = "train")]
pub mod batch;
#[cfg(feature = "train")]
mod begin;
#[cfg(feature = "train")]
pub mod checkpoint;
#[cfg(feature = "train")]
pub mod data;
#[cfg(feature = "train")]
pub mod ffi;
#[cfg(feature = "train")]
pub mod fresh;
#[cfg(feature = "train")]
pub mod labelled;
#[cfg(feature = "train")]
pub mod layout;
#[cfg(feature = "train")]
pub mod loss;
#[cfg(feature = "train")]
pub mod metrics;
#[cfg(feature = "train")]
pub mod model;
#[cfg(feature = "train")]
pub mod objective;
#[cfg(feature = "train")]
pub mod optim;
#[cfg(feature = "train")]
pub mod predict;
#[cfg(feature = "train")]
pub mod retention;
#[cfg(feature = "train")]
pub mod run;
#[cfg(feature = "train")]
pub mod schedule;
#[cfg(feature = "train")]
pub mod source;
#[cfg(feature = "train")]
pub mod vocabulary;
#[cfg(feature = "train")]
pub mod weights;
#[cfg(feature = "train")]
pub mod work;

#[cfg(feature = "train")]
impl From<tch::TchError> for crate::error::Error {
    fn from(error: tch::TchError) -> Self {
        // libtorch appends its C++ stack to the first line.
        let text = error.to_string();
        let line = text.lines().next().unwrap_or_default();
        Self::internal(format!("libtorch: {line}"))
    }
}
