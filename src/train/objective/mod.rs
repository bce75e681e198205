//! The registry of objectives: what is predicted, and how well it was.
//!
//! An objective turns rows into [`Work`] without looking at the model, then scores the model's
//! predictions one by one. Weights of languages and objectives are `loss`'s.

pub mod classify;
pub mod mask;
pub mod mlm;
pub mod tlm;

use tch::{Reduction, Tensor};

use crate::error::{Error, Result};
use crate::train::batch::{Kind, MicroBatch};
use crate::train::labelled::Examples;
use crate::train::model::Encoder;
use crate::train::vocabulary::Vocabulary;
use crate::train::work::Work;

/// Something to learn.
pub struct Objective {
    /// Its name in `objectives`.
    pub name: &'static str,
    /// What it is, in one sentence.
    pub doc: &'static str,
    /// Turns rows into work.
    pub prepare: fn(&Rows<'_>, &Setting<'_>) -> Result<Work>,
    /// −log P of each prediction (32-bit, one dimension).
    pub score: fn(&Encoder, &Work, bool) -> Result<Tensor>,
}

/// Every objective, in the order of the documentation.
pub const OBJECTIVES: &[&Objective] = &[&mlm::MLM, &tlm::TLM, &classify::CLASSIFY];

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
    /// The longest document that the model holds.
    pub longest: i64,
    /// Share of tokens to predict.
    pub mask_probability: f64,
    /// The key of every draw; a function of (seed, step, micro-batch).
    pub key: u64,
}

/// The objective of a name.
pub fn objective(name: &str) -> Result<&'static Objective> {
    let found = OBJECTIVES.iter().find(|objective| objective.name == name).copied();
    found.ok_or_else(|| Error::unknown("objective", name, OBJECTIVES.iter().map(|o| o.name)))
}

/// The objective that a micro-batch serves among those of a run: `tlm` for pairs where it is
/// wanted, else `mlm` over each side for itself.
pub fn for_batch<'a>(
    kind: Kind,
    wanted: impl IntoIterator<Item = &'a String>,
) -> Result<&'static Objective> {
    let wanted: Vec<&str> = wanted.into_iter().map(String::as_str).collect();
    let order: &[&str] = match kind {
        Kind::Documents => &["mlm"],
        Kind::Pairs => &["tlm", "mlm"],
    };
    match order.iter().find(|name| wanted.contains(name)) {
        Some(name) => objective(name),
        None => Err(Error::usage(format!(
            "the pack has documents, which none of the objectives ({}) learns from",
            wanted.join(", ")
        ))
        .hint_with("add `mlm`, or a mixture of pairs alone")),
    }
}

/// −log P of the gold classes under logits [n, classes], in 32 bits.
pub(crate) fn negative_log_likelihood(logits: &Tensor, gold: &Tensor) -> Result<Tensor> {
    let logits = logits.f_to_kind(tch::Kind::Float)?;
    Ok(logits.f_cross_entropy_loss(gold, None::<Tensor>, Reduction::None, -100, 0.0)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::config::OBJECTIVE_NAMES;

    #[test]
    fn the_registry_and_the_configuration_name_the_same() {
        let names: Vec<&str> = OBJECTIVES.iter().map(|o| o.name).collect();
        assert_eq!(names, OBJECTIVE_NAMES);
        assert!(OBJECTIVES.iter().all(|o| o.doc.ends_with('.')));
    }

    #[test]
    fn pairs_prefer_tlm() {
        let both = ["mlm".to_string(), "tlm".to_string()];
        assert_eq!(for_batch(Kind::Pairs, &both).unwrap().name, "tlm");
        assert_eq!(for_batch(Kind::Pairs, &both[..1]).unwrap().name, "mlm");
        assert_eq!(for_batch(Kind::Documents, &both).unwrap().name, "mlm");
        assert!(for_batch(Kind::Documents, &both[1..]).is_err());
    }
}
