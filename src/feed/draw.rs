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
    // Where each stage ends, and its weights.
    stages: Vec<(f64, Weights)>,
    drawn: u64,
    tokens: f64,
    blocks: Vec<u64>,
    drawn_tokens: Vec<f64>,
    balance: Vec<f64>,
    // What follows from `blocks`, by source: the tokens of the next block, its place in the epoch,
    // and the place of the epoch's short block with its rows.
    upcoming: Vec<f64>,
    within: Vec<u64>,
    short: Vec<(u64, u64)>,
    // What never changes: blocks of an epoch, rows of a block that is not short, tokens of a row.
    counts: Vec<u64>,
    full: Vec<u64>,
    mean: Vec<f64>,
}

/// The weights of a stage by source; they sum to 1.
#[derive(Debug, Clone)]
struct Weights {
    share: Vec<f64>,
    // One over each share.
    inverse: Vec<f64>,
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
            let share = shares(&sources, stage)?;
            let inverse = share.iter().map(|share| 1.0 / share).collect();
            let until = if last { f64::INFINITY } else { until as f64 };
            all.push((until, Weights { share, inverse }));
        }
        let n = sources.len();
        let mut draw = Self {
            counts: sources.iter().map(|s| s.order.blocks()).collect(),
            full: sources.iter().map(|s| s.order.batch_rows()).collect(),
            mean: sources.iter().map(|s| s.tokens as f64 / s.rows.max(1) as f64).collect(),
            within: vec![0; n],
            short: vec![(u64::MAX, 0); n],
            sources,
            stages: all,
            drawn: 0,
            tokens: 0.0,
            blocks: vec![0; n],
            drawn_tokens: vec![0.0; n],
            balance: vec![0.0; n],
            upcoming: vec![0.0; n],
        };
        (0..n).for_each(|i| draw.look_ahead(i));
        Ok(draw)
    }

    /// Draws the next micro-batch: the index of its group, and its block.
    #[expect(clippy::should_implement_trait, reason = "the sequence never ends")]
    pub fn next(&mut self) -> (usize, Block) {
        let group = self.pass();
        let source = &self.sources[group];
        match source.rows {
            0 => (group, EMPTY),
            _ => (group, source.order.at(self.blocks[group] - 1)),
        }
    }

    /// Goes by the next micro-batch, and tells its group: only arithmetic, a pass over the groups.
    pub fn pass(&mut self) -> usize {
        let stage = self.stage();
        let Weights { share, inverse } = &self.stages[stage].1;
        // The group that is due first among those that may be drawn; else the one that soonest may.
        let (mut due, mut chosen) = (f64::INFINITY, None);
        let (mut late, mut waiting) = (f64::INFINITY, None);
        let groups = share.iter().zip(inverse).zip(&self.balance).zip(&self.upcoming).enumerate();
        for (i, (((share, inverse), balance), upcoming)) in groups {
            if *share <= 0.0 {
                continue;
            }
            let entitled = balance + share * upcoming;
            if entitled > 0.0 {
                let at = (upcoming - balance) * inverse;
                if at < due {
                    (due, chosen) = (at, Some(i));
                }
            } else if -entitled < late {
                (late, waiting) = (-entitled, Some(i));
            }
        }
        // `new` has seen to it that each stage has a group with weight and rows.
        let Some(chosen) = chosen.or(waiting) else { return 0 };
        let tokens = self.upcoming[chosen];
        for (balance, share) in self.balance.iter_mut().zip(share) {
            *balance += share * tokens;
        }
        self.balance[chosen] -= tokens;
        self.drawn_tokens[chosen] += tokens;
        self.tokens += tokens;
        self.blocks[chosen] += 1;
        self.within[chosen] += 1;
        self.drawn += 1;
        if self.within[chosen] == self.counts[chosen] {
            self.look_ahead(chosen);
        } else {
            self.upcoming[chosen] = self.size(chosen);
        }
        chosen
    }

    /// Finds the place in the epoch from `blocks`.
    fn look_ahead(&mut self, i: usize) {
        let source = &self.sources[i];
        if source.rows > 0 {
            let epoch = self.blocks[i] / self.counts[i];
            self.within[i] = self.blocks[i] % self.counts[i];
            self.short[i] = source.order.short(epoch).unwrap_or((u64::MAX, 0));
            self.upcoming[i] = self.size(i);
        }
    }

    /// The tokens of the next block of a group.
    fn size(&self, i: usize) -> f64 {
        let (place, rows) = self.short[i];
        let rows = if self.within[i] == place { rows } else { self.full[i] };
        self.mean[i] * rows as f64
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
        &self.stages[self.stage()].1.share
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
            self.pass();
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
