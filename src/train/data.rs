//! The rows of an optimizer step, from a pack or from labelled examples, ready to run.
//!
//! Every draw is keyed by (seed, step, micro-batch), so a resumed run sees what it would have seen.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::error::{Error, Result};
use crate::id;
use crate::train::batch::{Plan, Source};
use crate::train::config::{Masking, TrainConfig, Weight};
use crate::train::labelled::Examples;
use crate::train::model::Architecture;
use crate::train::objective::{self, Rows, Setting};
use crate::train::vocabulary::Vocabulary;
use crate::train::work::Work;

/// Which of the processes that share a run's steps this one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Its number, from 0.
    pub rank: usize,
    /// How many there are.
    pub ranks: usize,
}

impl Share {
    /// All of it.
    pub const WHOLE: Self = Self { rank: 0, ranks: 1 };

    /// The micro-batches of a step that are this one's, by their number in the step.
    ///
    /// Errors when they cannot be shared evenly.
    pub fn of(self, accumulate: usize) -> Result<impl Iterator<Item = usize>> {
        if !accumulate.is_multiple_of(self.ranks) {
            return Err(Error::usage(format!(
                "a step of `accumulate` = {accumulate} micro-batches cannot be shared evenly by \
                 {} ranks",
                self.ranks
            ))
            .hint_with(format!(
                "`accumulate = {0}` with 1/{0} of the `batch` is the same step for any number of \
                 ranks that divides {0}",
                self.ranks
            )));
        }
        Ok((self.rank..accumulate).step_by(self.ranks))
    }
}

/// Where the work of a step comes from.
pub trait Data: Send {
    /// The micro-batches of a step; steps are asked for in order.
    fn step(&mut self, step: u64) -> Result<Vec<Work>>;

    /// The languages that may come.
    fn langs(&self) -> Vec<String>;

    /// What so many steps go through, where that is known.
    fn plan(&self, _steps: u64) -> Plan {
        Plan::default()
    }

    /// The place in the data after the last step asked for.
    fn state(&self) -> Value;

    /// Goes to a place that `state` told.
    fn seek(&mut self, state: &Value) -> Result<()>;
}

/// The key of the draws of a micro-batch.
pub fn key(seed: u64, step: u64, micro: usize) -> u64 {
    id::keyed(micro as u64, id::keyed(step, seed))
}

/// Packed rows from a source.
pub struct Packed<'a> {
    /// The source.
    pub source: &'a mut dyn Source,
    /// The objectives of the run.
    pub objectives: &'a BTreeMap<String, Weight>,
    /// The tokenizer's ids.
    pub vocabulary: &'a Vocabulary,
    /// The model's shape.
    pub architecture: &'a Architecture,
    /// What masked objectives hide.
    pub masking: Masking,
    /// Micro-batches per step, over all ranks.
    pub accumulate: usize,
    /// The run's seed.
    pub seed: u64,
    /// Which of a step's micro-batches are read; the source hands out these alone.
    pub share: Share,
}

impl Data for Packed<'_> {
    fn step(&mut self, step: u64) -> Result<Vec<Work>> {
        self.share
            .of(self.accumulate)?
            .map(|micro| {
                let batch = self.source.next()?;
                let objective = objective::for_batch(batch.kind, self.objectives.keys())?;
                let setting = Setting {
                    vocabulary: self.vocabulary,
                    architecture: self.architecture,
                    masking: self.masking,
                    key: key(self.seed, step, micro),
                };
                (objective.prepare)(&Rows::Packed(&batch), &setting)
            })
            .collect()
    }

    fn langs(&self) -> Vec<String> {
        self.source.langs()
    }

    fn plan(&self, steps: u64) -> Plan {
        self.source.plan(steps * self.accumulate as u64)
    }

    fn state(&self) -> Value {
        self.source.state()
    }

    fn seek(&mut self, state: &Value) -> Result<()> {
        self.source.seek(state)
    }
}

/// Labelled examples, epoch after epoch.
pub struct Labelled<'a> {
    /// The examples.
    pub examples: &'a Examples,
    /// The tokenizer's ids.
    pub vocabulary: &'a Vocabulary,
    /// The model's shape.
    pub architecture: &'a Architecture,
    /// Rows per micro-batch.
    pub batch: usize,
    /// Micro-batches per step, over all ranks.
    pub accumulate: usize,
    /// The run's seed.
    pub seed: u64,
    /// Which of a step's micro-batches are read.
    pub share: Share,
    /// The order of the epoch that was read last.
    pub order: Option<(u64, Vec<Vec<usize>>)>,
}

impl Data for Labelled<'_> {
    fn step(&mut self, step: u64) -> Result<Vec<Work>> {
        let objective = objective::objective("classify")?;
        let per_epoch = self.examples.len().div_ceil(self.batch) as u64;
        let mut works = Vec::with_capacity(self.accumulate);
        for micro in self.share.of(self.accumulate)? {
            let nth = step * self.accumulate as u64 + micro as u64;
            let (epoch, place) = (nth / per_epoch, (nth % per_epoch) as usize);
            let order = match self.order.take() {
                Some((of, order)) if of == epoch => order,
                _ => self.examples.epoch(self.batch, self.seed, epoch),
            };
            let setting = Setting {
                vocabulary: self.vocabulary,
                architecture: self.architecture,
                masking: Masking { probability: 0.0, whole_words: false },
                key: key(self.seed, step, micro),
            };
            works.push((objective.prepare)(
                &Rows::Labelled(self.examples, &order[place]),
                &setting,
            )?);
            self.order = Some((epoch, order));
        }
        Ok(works)
    }

    fn langs(&self) -> Vec<String> {
        self.examples.langs.iter().collect::<BTreeSet<_>>().into_iter().cloned().collect()
    }

    fn state(&self) -> Value {
        // The step alone says which rows come next.
        Value::Null
    }

    fn seek(&mut self, _: &Value) -> Result<()> {
        Ok(())
    }
}

/// Optimizer steps of a run over packed rows.
pub fn packed_steps(config: &TrainConfig, rows: u64, length: usize) -> Result<u64> {
    let per_step = (config.batch * config.accumulate) as u64;
    match (config.steps, config.epochs, config.tokens) {
        (Some(steps), _, _) => Ok(steps),
        (_, Some(epochs), _) => Ok(((epochs * rows as f64) / per_step as f64).ceil() as u64),
        (_, _, Some(tokens)) => Ok(tokens.div_ceil(per_step * length as u64)),
        _ => Err(Error::usage("how long to train is not said")
            .hint_with("give one of `steps`, `epochs`, `tokens`")),
    }
}

/// Optimizer steps of a run over labelled examples; three epochs unless something else is said.
pub fn labelled_steps(config: &TrainConfig, examples: usize) -> Result<u64> {
    const EPOCHS: f64 = 3.0;
    if config.tokens.is_some() {
        return Err(Error::usage("`tokens` with labelled rows")
            .hint_with("give `steps` or `epochs` instead"));
    }
    let per_epoch = examples.div_ceil(config.batch) as f64 / config.accumulate as f64;
    let steps = (config.epochs.unwrap_or(EPOCHS) * per_epoch).ceil() as u64;
    Ok(config.steps.unwrap_or(steps))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_runs_are_counted_in_steps() {
        let config = |text: &str| toml::from_str::<TrainConfig>(text).unwrap();
        let some = config("batch = 4\naccumulate = 2\nepochs = 1.5");
        assert_eq!(packed_steps(&some, 100, 16).unwrap(), 19);
        assert_eq!(labelled_steps(&some, 100).unwrap(), 19);
        assert_eq!(packed_steps(&config("batch = 4\ntokens = 1000"), 100, 16).unwrap(), 16);
        assert_eq!(labelled_steps(&config("batch = 32"), 100).unwrap(), 12);
        assert!(packed_steps(&config("batch = 4"), 100, 16).is_err());
    }
}
