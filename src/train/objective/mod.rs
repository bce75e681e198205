//! The registry of objectives: what is predicted, and how well it was.
//!
//! An objective turns rows into [`Work`] without looking at the model, then scores the model's
//! predictions one by one. Weights of languages and objectives are `loss`'s.

pub mod classify;
pub mod clm;
pub mod denoise;
pub mod mask;
pub mod mlm;
mod packed;
mod sides;
pub mod tlm;
pub mod translation;

use tch::Tensor;

use crate::error::{Error, Result};
use crate::train::batch::{Kind, MicroBatch};
use crate::train::config::{Masking, ModelKind};
use crate::train::labelled::Examples;
use crate::train::model::{Architecture, Model, Noise};
use crate::train::vocabulary::Vocabulary;
use crate::train::work::Work;

/// Something to learn.
pub struct Objective {
    /// Its name in `objectives`.
    pub name: &'static str,
    /// What it is, in one sentence.
    pub doc: &'static str,
    /// The kind of model that it trains.
    pub model: ModelKind,
    /// Turns rows into work.
    pub prepare: fn(&Rows<'_>, &Setting<'_>) -> Result<Work>,
    /// −log P of each prediction (32-bit, one dimension).
    pub score: fn(&Model, &Work, Noise) -> Result<Tensor>,
}

impl Objective {
    /// Whether the right answers are tokens, and not classes.
    pub fn predicts_tokens(&self) -> bool {
        self.name != classify::CLASSIFY.name
    }
}

/// Every objective, in the order of the documentation.
pub const OBJECTIVES: &[&Objective] = &[
    &mlm::MLM,
    &tlm::TLM,
    &clm::CLM,
    &translation::TRANSLATION,
    &denoise::DENOISE,
    &classify::CLASSIFY,
];

/// Rows as an objective receives them.
pub enum Rows<'a> {
    /// Of a pack.
    Packed(&'a MicroBatch),
    /// Labelled: the examples and which of them.
    Labelled(&'a Examples, &'a [usize]),
}

/// What `prepare` depends on besides the rows.
pub struct Setting<'a> {
    /// The tokenizer's ids.
    pub vocabulary: &'a Vocabulary,
    /// The model's shape.
    pub architecture: &'a Architecture,
    /// What masked objectives hide.
    pub masking: Masking,
    /// The key of every draw; a function of (seed, step, micro-batch).
    pub key: u64,
}

/// The objective of a name.
pub fn objective(name: &str) -> Result<&'static Objective> {
    let found = OBJECTIVES.iter().find(|objective| objective.name == name).copied();
    found.ok_or_else(|| Error::unknown("objective", name, OBJECTIVES.iter().map(|o| o.name)))
}

/// The objective that a micro-batch serves among those of a run: the first of the wanted ones that
/// reads its kind of rows, those made for pairs before those that read each side for itself.
pub fn for_batch<'a>(
    kind: Kind,
    wanted: impl IntoIterator<Item = &'a String>,
) -> Result<&'static Objective> {
    let wanted: Vec<&str> = wanted.into_iter().map(String::as_str).collect();
    let (rows, order): (_, &[&str]) = match kind {
        Kind::Documents => ("documents", &["mlm", "clm", "denoise"]),
        Kind::Pairs => ("pairs", &["tlm", "mlm", "clm", "translation"]),
    };
    match order.iter().find(|name| wanted.contains(name)) {
        Some(name) => objective(name),
        None => Err(Error::usage(format!(
            "the pack has {rows}, which none of the objectives ({}) learns from",
            wanted.join(", ")
        ))
        .hint_with(format!("add one of {}, or leave them out of the mixture", order.join(", ")))),
    }
}

/// Refuses objectives that train another kind of model.
pub fn check_model<'a>(
    wanted: impl IntoIterator<Item = &'a String>,
    architecture: &Architecture,
) -> Result<()> {
    for name in wanted {
        let (needs, is) = (objective(name)?.model, architecture.kind());
        if needs != is {
            let fitting = OBJECTIVES.iter().filter(|o| o.model == is).map(|o| o.name);
            return Err(Error::usage(format!(
                "objective `{name}` trains a model of type `{}`; this one is `{}`",
                needs.name(),
                is.name()
            ))
            .hint_with(format!(
                "objectives of `{}`: {}",
                is.name(),
                fitting.collect::<Vec<_>>().join(", ")
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
