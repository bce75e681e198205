//! Validation: losses on rows that are held out, the best of them, and languages learned by heart.
//!
//! Rows are read as a stream and shared by the ranks; nothing but sums is kept. Masks and rows are
//! the same at every validation, so that its losses can be compared.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::train::batch::MicroBatch;
use crate::train::checkpoint::State;
use crate::train::config::{Masking, Weight};
use crate::train::data::{self, Share};
use crate::train::group::Group;
use crate::train::labelled::Examples;
use crate::train::model::{Architecture, Model};
use crate::train::objective::{self, Rows, Setting};
use crate::train::sums::{Key, Sum, Sums, named};
use crate::train::vocabulary::Vocabulary;
use crate::train::work::Work;

/// A language is learned by heart when its validation loss has risen by this share above its
/// lowest, and its training loss lies as far below as the second number says.
const RISEN: f64 = 1.02;
const BELOW: f64 = 0.9;

/// Nothing is hidden of labelled rows.
const NONE: Masking = Masking { probability: 0.0, whole_words: false };

/// Rows that are held out, in micro-batches that can be asked for in any order.
pub trait HeldOut {
    /// How many micro-batches there are.
    fn batches(&self) -> usize;

    /// One of them.
    fn batch(&self, i: usize) -> Result<MicroBatch>;
}

/// Held-out work.
pub enum Held<'a> {
    /// Packed rows, with the objectives of the run and what masked ones hide.
    Packed(&'a dyn HeldOut, &'a BTreeMap<String, Weight>, Masking),
    /// Labelled rows, and how many are read at a time.
    Labelled(&'a Examples, usize),
}

impl Held<'_> {
    fn batches(&self) -> usize {
        match self {
            Self::Packed(rows, ..) => rows.batches(),
            Self::Labelled(examples, batch) => examples.len().div_ceil(*batch),
        }
    }

    fn work(&self, i: usize, vocabulary: &Vocabulary, architecture: &Architecture) -> Result<Work> {
        let setting =
            |masking| Setting { vocabulary, architecture, masking, key: data::key(0, 0, i) };
        match self {
            Self::Packed(rows, objectives, masking) => {
                let batch = rows.batch(i)?;
                let objective = objective::for_batch(batch.kind, objectives.keys())?;
                (objective.prepare)(&Rows::Packed(&batch), &setting(*masking))
            }
            Self::Labelled(examples, batch) => {
                let last = examples.len().min((i + 1) * batch);
                let rows: Vec<usize> = (i * batch..last).collect();
                let objective = objective::objective("classify")?;
                (objective.prepare)(&Rows::Labelled(examples, &rows), &setting(NONE))
            }
        }
    }
}

/// What a validation found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    /// Sums by objective and language.
    pub sums: BTreeMap<Key, Sum>,
}

/// Measures a model on held-out rows, together with the other ranks.
pub fn measure(
    model: &Model,
    held: &Held<'_>,
    vocabulary: &Vocabulary,
    token_bytes: &[u32],
    mut sums: Sums,
    group: &Group,
) -> Result<Found> {
    let _guard = tch::no_grad_guard();
    let share = Share { rank: group.rank(), ranks: group.size() };
    for i in (share.rank..held.batches()).step_by(share.ranks) {
        let work = held.work(i, vocabulary, model.architecture())?;
        if !work.places.is_empty() {
            let losses = (work.objective.score)(model, &work, None)?;
            sums.add(&work, &losses, token_bytes)?;
        }
    }
    Ok(Found { sums: sums.take(group, &[])?.0 })
}

impl Found {
    /// The loss that decides which checkpoint is the best: `mean` over all predictions, `macro`
    /// over languages, or one of them by name.
    pub fn metric(&self, name: &str) -> Result<f64> {
        let all = self.sums.values();
        match name {
            "mean" => {
                let (nats, count) = all.fold((0.0, 0.0), |(n, c), s| (n + s.nats, c + s.count));
                Ok(nats / count)
            }
            "macro" => Ok(all.map(Sum::mean).sum::<f64>() / self.sums.len() as f64),
            _ => {
                let by = named(&self.sums, |sum| Some(sum.mean()));
                by.get(name).copied().ok_or_else(|| {
                    let names = ["mean", "macro"].into_iter().chain(by.keys().map(String::as_str));
                    Error::unknown("loss in `best_by`", name, names)
                })
            }
        }
    }

    /// Remembers the loss of a step; tells whether it is the best so far.
    pub fn remember(&self, state: &mut State, metric: &str) -> Result<bool> {
        let loss = self.metric(metric)?;
        let better = loss.is_finite() && state.best.is_none_or(|(_, best)| loss < best);
        match better {
            true => (state.best, state.worse) = (Some((state.step, loss)), 0),
            false => state.worse += 1,
        }
        Ok(better)
    }

    /// Words on each language that has begun to be learned by heart: its validation loss rises
    /// while its training loss, which is given, is far below. Remembers the lowest.
    pub fn overfitted(&self, state: &mut State, training: &BTreeMap<String, f64>) -> Vec<String> {
        let mut words = Vec::new();
        for (name, loss) in named(&self.sums, |sum| Some(sum.mean())) {
            let lowest = state.lowest.entry(name.clone()).or_insert((state.step, loss));
            if loss <= lowest.1 {
                *lowest = (state.step, loss);
            } else if let Some(training) = training.get(&name)
                && loss > lowest.1 * RISEN
                && *training < loss * BELOW
            {
                words.push(format!(
                    "{name} is being learned by heart: validation {loss:.2} (lowest {:.2} at step \
                     {}), training {training:.2}; give it a smaller share, or fewer epochs",
                    lowest.1, lowest.0
                ));
            }
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(losses: &[(&str, f64, f64)]) -> Found {
        let sum = |nats, count| Sum { nats, count, bytes: 2.0 * count };
        let each = losses.iter().map(|(l, mean, n)| (("mlm", l.to_string()), sum(mean * n, *n)));
        Found { sums: each.collect() }
    }

    fn state() -> State {
        State { step: 10, ..State::default() }
    }

    #[test]
    fn the_best_is_by_predictions_by_languages_or_by_one() {
        let both = found(&[("isl_Latn", 2.0, 300.0), ("yor_Latn", 6.0, 100.0)]);
        assert_eq!(both.metric("mean").unwrap(), 3.0);
        assert_eq!(both.metric("macro").unwrap(), 4.0);
        assert_eq!(both.metric("mlm/yor_Latn").unwrap(), 6.0);
        let error = both.metric("mlm/yor").unwrap_err().to_string();
        assert!(error.contains("mean, macro, mlm/isl_Latn, mlm/yor_Latn"), "{error}");
        let bits = both.sums.values().next().and_then(Sum::bits_per_byte).unwrap();
        assert!((bits - 1.0 / std::f64::consts::LN_2).abs() < 1e-12);
        let mut state = state();
        assert!(both.remember(&mut state, "macro").unwrap());
        state.step = 20;
        assert!(!both.remember(&mut state, "macro").unwrap());
        assert_eq!((state.best, state.worse), (Some((10, 4.0)), 1));
        let better = found(&[("isl_Latn", 3.0, 1.0)]);
        assert!(better.remember(&mut state, "macro").unwrap());
        assert_eq!((state.best, state.worse), (Some((20, 3.0)), 0));
    }

    #[test]
    fn a_small_language_that_is_learned_by_heart_is_named() {
        let mut state = state();
        let training = |loss| {
            BTreeMap::from([("mlm/yor_Latn".to_string(), loss), ("mlm/isl_Latn".into(), 3.0)])
        };
        let at = |yor| found(&[("isl_Latn", 3.1, 10.0), ("yor_Latn", yor, 10.0)]);
        assert!(at(4.0).overfitted(&mut state, &training(4.1)).is_empty());
        // A little worse, and trained as well as it generalises: nothing to say.
        assert!(at(4.05).overfitted(&mut state, &training(3.0)).is_empty());
        assert!(at(4.5).overfitted(&mut state, &training(4.4)).is_empty());
        state.step = 30;
        let words = at(4.5).overfitted(&mut state, &training(2.0));
        assert_eq!(words.len(), 1);
        assert!(words[0].starts_with(
            "mlm/yor_Latn is being learned by heart: validation 4.50 (lowest 4.00 at step 10)"
        ));
    }
}
