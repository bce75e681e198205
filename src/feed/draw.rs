//! The mixture cursor: which group the next micro-batch comes from.
//!
//! Shares are counted in tokens. Each group has a balance: the tokens that it should have had so
//! far less those that it had. Among the groups that may be drawn without running more than one
//! micro-batch ahead, the one that would soonest fall a whole micro-batch behind is next (earliest
//! deadline; Liu and Layland 1973, Baruah et al. 1996). So no group is ever more than one
//! micro-batch off its share, for any prefix; plain largest deficit falls 1.7 behind with many
//! groups. No randomness, no data: a block counts as its rows times the group's mean tokens a row.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::exact;
use super::order::{Block, BlockOrder};
use crate::error::{Error, Result};

/// Weights that hold until some number of tokens was drawn in all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// The end of the stage; `None` and the last stage have none.
    #[serde(default)]
    pub until_tokens: Option<u64>,
    /// Weights by the name of the group, of any sum; groups that are missing have 0.
    pub weights: BTreeMap<String, f64>,
}

/// What the mixture knows of a group.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// Its rows.
    pub rows: u64,
    /// Its tokens, padding not counted.
    pub tokens: u64,
    /// The order of its blocks.
    pub order: BlockOrder,
}

/// The position of a mixture; restoring it continues the same sequence.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DrawState {
    /// Micro-batches drawn.
    pub drawn: u64,
    /// Tokens drawn in all.
    #[serde(with = "exact")]
    pub tokens: f64,
    /// By group: blocks drawn, which is also where its next epoch continues.
    pub blocks: BTreeMap<String, u64>,
    /// By group: tokens drawn.
    #[serde(with = "exact::map")]
    pub drawn_tokens: BTreeMap<String, f64>,
    /// By group: tokens it should have had less tokens it had.
    #[serde(with = "exact::map")]
    pub balance: BTreeMap<String, f64>,
}

/// Draws groups and their blocks.
#[derive(Debug, Clone)]
pub struct Draw {
    sources: Vec<Source>,
    // Normalised weights by stage, then by source.
    stages: Vec<(f64, Vec<f64>)>,
    drawn: u64,
    tokens: f64,
    blocks: Vec<u64>,
    drawn_tokens: Vec<f64>,
    balance: Vec<f64>,
    // The next block of each source with its tokens; it follows from `blocks`.
    upcoming: Vec<(Block, f64)>,
}

impl Draw {
    /// A mixture at its beginning.
    ///
    /// Errors for unknown groups, for weights that are no finite number of at least 0, for stages
    /// out of order, and for a stage in which nothing can be drawn. Groups without rows are never
    /// drawn; the others share their weight in proportion.
    pub fn new(sources: Vec<Source>, stages: &[Stage]) -> Result<Self> {
        if stages.is_empty() {
            return Err(Error::usage("a mixture needs at least one stage"));
        }
        let mut all = Vec::with_capacity(stages.len());
        let mut before = 0;
        for (i, stage) in stages.iter().enumerate() {
            let last = i + 1 == stages.len();
            let until = match stage.until_tokens {
                Some(until) if !last && until <= before => {
                    return Err(Error::usage(format!(
                        "stage {} of the mixture ends at {until} tokens, the one before at {before}",
                        i + 1
                    )));
                }
                Some(until) if !last => until,
                None if !last => {
                    return Err(Error::usage(format!("stage {} of the mixture has no end", i + 1)));
                }
                _ => u64::MAX,
            };
            before = until;
            all.push((if last { f64::INFINITY } else { until as f64 }, shares(&sources, stage)?));
        }
        let n = sources.len();
        let mut draw = Self {
            sources,
            stages: all,
            drawn: 0,
            tokens: 0.0,
            blocks: vec![0; n],
            drawn_tokens: vec![0.0; n],
            balance: vec![0.0; n],
            upcoming: vec![(EMPTY, 0.0); n],
        };
        (0..n).for_each(|i| draw.look_ahead(i));
        Ok(draw)
    }

    /// Draws the next micro-batch: the index of its group, and its block.
    #[expect(clippy::should_implement_trait, reason = "the sequence never ends")]
    pub fn next(&mut self) -> (usize, Block) {
        let stage = self.stage();
        let weights = &self.stages[stage].1;
        // (index, block, tokens, when due) of the best so far, first among those that may be drawn.
        let mut best: Option<(bool, f64, usize, Block, f64)> = None;
        for (i, (block, tokens)) in self.upcoming.iter().copied().enumerate() {
            let weight = weights[i];
            if weight <= 0.0 {
                continue;
            }
            let entitled = self.balance[i] + weight * tokens;
            let may = entitled > 0.0;
            let due = if may { (tokens - self.balance[i]) / weight } else { -entitled };
            let better = best.as_ref().is_none_or(|(best_may, best_due, ..)| {
                (may, best_may) == (true, &false) || may == *best_may && due < *best_due
            });
            if better {
                best = Some((may, due, i, block, tokens));
            }
        }
        // `new` has seen to it that each stage has a group with weight and rows.
        let Some((_, _, chosen, block, tokens)) = best else { return (0, EMPTY) };
        for (balance, weight) in self.balance.iter_mut().zip(weights) {
            *balance += weight * tokens;
        }
        self.balance[chosen] -= tokens;
        self.drawn_tokens[chosen] += tokens;
        self.tokens += tokens;
        self.blocks[chosen] += 1;
        self.drawn += 1;
        self.look_ahead(chosen);
        (chosen, block)
    }

    fn look_ahead(&mut self, i: usize) {
        let source = &self.sources[i];
        if source.rows > 0 {
            let block = source.order.at(self.blocks[i]);
            self.upcoming[i] = (block, source.mean() * block.rows as f64);
        }
    }

    /// Micro-batches drawn so far.
    pub fn position(&self) -> u64 {
        self.drawn
    }

    /// Tokens drawn so far in all.
    pub fn tokens(&self) -> f64 {
        self.tokens
    }

    /// The stage of the next micro-batch, from 0.
    pub fn stage(&self) -> usize {
        let at = self.stages.iter().position(|(until, _)| self.tokens < *until);
        at.unwrap_or(self.stages.len() - 1)
    }

    /// The normalised weights of the groups in the current stage.
    pub fn weights(&self) -> &[f64] {
        &self.stages[self.stage()].1
    }

    /// The groups.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// How often a group was gone through, in epochs and parts of the current one.
    pub fn epochs(&self, source: usize) -> f64 {
        let blocks = self.sources[source].order.blocks().max(1);
        self.blocks[source] as f64 / blocks as f64
    }

    /// Goes to a micro-batch by repeating the arithmetic of all before it; reads no data.
    pub fn seek(&mut self, micro_batch: u64) {
        if micro_batch < self.drawn {
            self.drawn = 0;
            self.tokens = 0.0;
            self.blocks.fill(0);
            self.drawn_tokens.fill(0.0);
            self.balance.fill(0.0);
            (0..self.sources.len()).for_each(|i| self.look_ahead(i));
        }
        while self.drawn < micro_batch {
            self.next();
        }
    }

    /// The position, to be kept in a checkpoint.
    pub fn state(&self) -> DrawState {
        let by_name = |values: &[f64]| {
            self.sources.iter().zip(values).map(|(s, v)| (s.name.clone(), *v)).collect()
        };
        DrawState {
            drawn: self.drawn,
            tokens: self.tokens,
            blocks: self
                .sources
                .iter()
                .zip(&self.blocks)
                .map(|(s, n)| (s.name.clone(), *n))
                .collect(),
            drawn_tokens: by_name(&self.drawn_tokens),
            balance: by_name(&self.balance),
        }
    }

    /// Continues at a position, under the weights of this mixture: cursors survive a change of
    /// weights. A group that is new starts at its beginning; one that is gone is an error.
    pub fn restore(&mut self, state: &DrawState) -> Result<()> {
        if let Some(gone) =
            state.blocks.keys().find(|n| !self.sources.iter().any(|s| s.name == **n))
        {
            return Err(Error::usage(format!("the position is of a pack with `{gone}`"))
                .hint_with("continue with the pack that the run began with"));
        }
        for (i, source) in self.sources.iter().enumerate() {
            self.blocks[i] = state.blocks.get(&source.name).copied().unwrap_or(0);
            self.drawn_tokens[i] = state.drawn_tokens.get(&source.name).copied().unwrap_or(0.0);
            self.balance[i] = state.balance.get(&source.name).copied().unwrap_or(0.0);
        }
        self.drawn = state.drawn;
        self.tokens = state.tokens;
        (0..self.sources.len()).for_each(|i| self.look_ahead(i));
        Ok(())
    }
}

const EMPTY: Block = Block { first: 0, rows: 0, epoch: 0 };

impl Source {
    /// Mean tokens of a row.
    fn mean(&self) -> f64 {
        self.tokens as f64 / self.rows as f64
    }
}

/// Normalised weights of the sources in a stage; those without rows get 0.
fn shares(sources: &[Source], stage: &Stage) -> Result<Vec<f64>> {
    for (name, weight) in &stage.weights {
        if !sources.iter().any(|s| s.name == *name) {
            let names = sources.iter().map(|s| s.name.as_str());
            return Err(Error::unknown("language of the mixture", name, names));
        }
        if !weight.is_finite() || *weight < 0.0 {
            return Err(Error::usage(format!(
                "weight `{weight}` of `{name}`; expected a number of at least 0"
            )));
        }
    }
    let weights: Vec<f64> = sources
        .iter()
        .map(|s| match s.rows > 0 && s.tokens > 0 {
            true => stage.weights.get(&s.name).copied().unwrap_or(0.0),
            false => 0.0,
        })
        .collect();
    let sum: f64 = weights.iter().sum();
    if !(sum > 0.0 && sum.is_finite()) {
        return Err(Error::usage("no language of the mixture has both weight and rows"));
    }
    Ok(weights.into_iter().map(|weight| weight / sum).collect())
}

#[cfg(test)]
mod tests;
