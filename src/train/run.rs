//! A training run: what it starts from, and what it leaves behind.
//!
//! A run is bit-identical when it is resumed, also twice, at the same number of threads and ranks.
//! How it begins is `begin`'s, the loop itself `steps`'s.

use std::path::PathBuf;

use crate::error::Result;
use crate::train::batch::Source;
use crate::train::begin::Begun;
pub use crate::train::begin::{ADJUSTABLE, Run, Start, device};
use crate::train::data::{self, Labelled, Packed, Share};
use crate::train::labelled::Examples;
use crate::train::metrics::{Progress, Told};
use crate::train::validate::{Held, HeldOut};
use crate::train::vocabulary::Vocabulary;

/// What a run has come to.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The last checkpoint.
    pub checkpoint: PathBuf,
    /// The checkpoint with the lowest validation loss, where there was validation.
    pub best: Option<PathBuf>,
    /// Optimizer steps done.
    pub steps: u64,
    /// Tokens read, without padding.
    pub tokens: u64,
    /// The last line of the metrics; none when there was nothing left to do.
    pub last: Option<Progress>,
    /// Why it ended.
    pub end: End,
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// All steps are done.
    Done,
    /// Validation got no better for as long as was to be waited.
    Early,
    /// It was asked to stop; it can go on.
    Stopped,
}

/// Trains on packed rows with any objectives that read them.
///
/// `source` hands out `config.batch` rows at a time, of a group of processes this one's share.
/// Errors when the run exists and is not to be resumed, when it was made with another
/// configuration, when too many steps in a row would have done harm, or when a rank is gone.
pub fn pretrain(
    run: &Run<'_>,
    source: &mut dyn Source,
    validation: Option<&dyn HeldOut>,
    report: &mut dyn FnMut(Told<'_>),
) -> Result<Outcome> {
    let config = run.config;
    let vocabulary = Vocabulary::read(run.tokenizer)?;
    let steps = data::packed_steps(config, source.rows(), source.length())?;
    let length = source.length() as i64;
    let mut begun = Begun::new(run, &vocabulary, &[], Some(length))?;
    let architecture = begun.model.architecture().clone();
    let mut data = Packed {
        source,
        objectives: &config.objectives,
        vocabulary: &vocabulary,
        architecture: &architecture,
        masking: config.masking(),
        accumulate: config.accumulate,
        seed: run.seed,
        share: share(run),
    };
    let held = validation.map(|rows| Held::Packed(rows, &config.objectives, config.masking()));
    begun.train(run, &mut data, steps, held.as_ref(), &vocabulary, report)
}

/// Trains on labelled rows with `classify`; `labels` names the classes.
///
/// Errors as [`pretrain`] does.
pub fn finetune(
    run: &Run<'_>,
    examples: &Examples,
    labels: &[String],
    validation: Option<&Examples>,
    report: &mut dyn FnMut(Told<'_>),
) -> Result<Outcome> {
    let config = run.config;
    examples.validate(labels.len())?;
    if let Some(held) = validation {
        held.validate(labels.len())?;
    }
    let vocabulary = Vocabulary::read(run.tokenizer)?;
    let steps = data::labelled_steps(config, examples.len())?;
    let mut begun = Begun::new(run, &vocabulary, labels, config.length)?;
    let architecture = begun.model.architecture().clone();
    let mut data = Labelled {
        examples,
        vocabulary: &vocabulary,
        architecture: &architecture,
        batch: config.batch,
        accumulate: config.accumulate,
        seed: run.seed,
        share: share(run),
        order: None,
    };
    let held = validation.map(|examples| Held::Labelled(examples, config.batch));
    begun.train(run, &mut data, steps, held.as_ref(), &vocabulary, report)
}

fn share(run: &Run<'_>) -> Share {
    Share { rank: run.group.rank(), ranks: run.group.size() }
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
