//! The mixture cursor: which group the next micro-batch comes from.
//!
//! Shares are counted in tokens. Each group has a balance: the tokens that it should have had so
//! far less those that it had. Among the groups that may be drawn without running more than one
//! micro-batch ahead, the one that would soonest fall a whole micro-batch behind is next (earliest
//! deadline; Liu and Layland 1973, Baruah et al. 1996). So no group is ever more than one
//! micro-batch off its share, for any prefix; plain largest deficit falls 1.7 behind with many
//! groups. No randomness, no data: a block counts as its rows times the group's mean tokens a row.
//!
//! In tokens drawn in all, a group of share w with a block of t tokens before it that has b to its
//! balance now may be drawn from when b is more than -w·t, and must be before it is more than t: at
//! now + (t - b) / w. Both times hold until the group is drawn, when the next ones follow from them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::due::Due;
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
    /// By group: its share, where it has one.
    #[serde(with = "exact::map", default)]
    pub share: BTreeMap<String, f64>,
    /// By group: the tokens drawn in all by which its next block must be drawn, where it has a share.
    #[serde(with = "exact::map", default)]
    pub deadline: BTreeMap<String, f64>,
}

/// Draws groups and their blocks.
#[derive(Debug, Clone)]
pub struct Draw {
    sources: Vec<Source>,
    // Where each stage ends, and its weights.
    stages: Vec<(f64, Weights)>,
    stage: usize,
    drawn: u64,
    tokens: f64,
    due: Due,
    // By source.
    cursors: Vec<Cursor>,
}

/// How far a group is, and what follows from it.
#[derive(Debug, Clone, Default)]
struct Cursor {
    /// Blocks and tokens drawn.
    blocks: u64,
    drawn: f64,
    /// The tokens drawn in all by which its next block must be drawn, where it has a share.
    deadline: f64,
    /// Without a share: what it is owed, or had before.
    resting: f64,
    /// The tokens of the next block, and its place in the epoch.
    upcoming: f64,
    within: u64,
    /// The place of the epoch's short block, and its tokens.
    short: (u64, f64),
    /// What never changes: blocks of an epoch, tokens of a block that is not short and of a row.
    count: u64,
    full: f64,
    mean: f64,
}

impl Cursor {
    /// At the beginning of a source.
    fn new(source: &Source) -> Self {
        let mean = source.tokens as f64 / source.rows.max(1) as f64;
        let full = mean * source.order.batch_rows() as f64;
        let mut cursor = Self { count: source.order.blocks(), full, mean, ..Self::default() };
        cursor.look_ahead(source);
        cursor
    }

    /// Finds the place in the epoch from `blocks`.
    fn look_ahead(&mut self, source: &Source) {
        if source.rows > 0 {
            self.within = self.blocks % self.count;
            let short = source.order.short(self.blocks / self.count);
            let tokens = |(place, rows)| (place, self.mean * rows as f64);
            self.short = short.map_or((u64::MAX, 0.0), tokens);
            self.see();
        }
    }

    /// The tokens of the next block.
    fn see(&mut self) {
        let (place, tokens) = self.short;
        self.upcoming = if self.within == place { tokens } else { self.full };
    }
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
        let shares = (0..sources.len()).map(|i| all.iter().map(|(_, w)| w.share[i]).sum());
        let mut draw = Self {
            due: Due::new(&shares.collect::<Vec<f64>>()),
            cursors: sources.iter().map(Cursor::new).collect(),
            sources,
            stages: all,
            stage: 0,
            drawn: 0,
            tokens: 0.0,
        };
        draw.set_balance(&vec![0.0; draw.sources.len()]);
        Ok(draw)
    }

    /// Draws the next micro-batch: the index of its group, and its block.
    #[expect(clippy::should_implement_trait, reason = "the sequence never ends")]
    pub fn next(&mut self) -> (usize, Block) {
        let group = self.pass();
        let source = &self.sources[group];
        match source.rows {
            0 => (group, EMPTY),
            _ => (group, source.order.at(self.cursors[group].blocks - 1)),
        }
    }

    /// Goes by the next micro-batch, and tells its group: only arithmetic, a look at each group.
    pub fn pass(&mut self) -> usize {
        let group = self.due.first(self.tokens);
        let cursor = &mut self.cursors[group];
        cursor.drawn += cursor.upcoming;
        self.tokens += cursor.upcoming;
        self.drawn += 1;
        cursor.blocks += 1;
        cursor.within += 1;
        if cursor.within == cursor.count {
            cursor.look_ahead(&self.sources[group]);
        } else {
            cursor.see();
        }
        let (until, weights) = &self.stages[self.stage];
        let period = cursor.upcoming * weights.inverse[group];
        // As `schedule` has it.
        cursor.deadline += period;
        self.due.set(group, cursor.deadline - period - cursor.upcoming, cursor.deadline);
        if self.tokens >= *until {
            let balance = self.balance();
            self.stage = self.stage_at(self.tokens);
            self.set_balance(&balance);
        }
        group
    }

    /// Sets the deadline of a group's next block; when it may be drawn follows from it.
    fn schedule(&mut self, group: usize, deadline: f64) {
        let cursor = &mut self.cursors[group];
        let period = cursor.upcoming * self.stages[self.stage].1.inverse[group];
        cursor.deadline = deadline;
        self.due.set(group, deadline - period - cursor.upcoming, deadline);
    }

    /// Of each group the tokens that it should have had less those that it had.
    fn balance(&self) -> Vec<f64> {
        let share = &self.stages[self.stage].1.share;
        share
            .iter()
            .zip(&self.cursors)
            .map(|(share, cursor)| match *share > 0.0 {
                true => cursor.upcoming - share * (cursor.deadline - self.tokens),
                false => cursor.resting,
            })
            .collect()
    }

    /// Sets the times of all groups from their balances, under the weights of the stage.
    fn set_balance(&mut self, balance: &[f64]) {
        for (i, balance) in balance.iter().enumerate() {
            let Weights { share, inverse } = &self.stages[self.stage].1;
            if share[i] > 0.0 {
                let upcoming = self.cursors[i].upcoming;
                self.schedule(i, self.tokens + (upcoming - balance) * inverse[i]);
            } else {
                self.cursors[i].resting = *balance;
                self.due.never(i);
            }
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
        self.stage
    }

    fn stage_at(&self, tokens: f64) -> usize {
        let at = self.stages.iter().position(|(until, _)| tokens < *until);
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
        self.cursors[source].blocks as f64 / blocks as f64
    }

    /// Goes to a micro-batch by repeating the arithmetic of all before it; reads no data.
    pub fn seek(&mut self, micro_batch: u64) {
        if micro_batch < self.drawn {
            self.cursors = self.sources.iter().map(Cursor::new).collect();
            (self.stage, self.drawn, self.tokens) = (0, 0, 0.0);
            self.set_balance(&vec![0.0; self.sources.len()]);
        }
        while self.drawn < micro_batch {
            self.pass();
        }
    }

    /// The position, to be kept in a checkpoint.
    pub fn state(&self) -> DrawState {
        let balance = self.balance();
        let numbers = |number: &dyn Fn(usize) -> f64| {
            self.sources.iter().enumerate().map(|(i, s)| (s.name.clone(), number(i))).collect()
        };
        let blocks = self.sources.iter().zip(&self.cursors);
        DrawState {
            drawn: self.drawn,
            tokens: self.tokens,
            blocks: blocks.map(|(source, cursor)| (source.name.clone(), cursor.blocks)).collect(),
            drawn_tokens: numbers(&|i| self.cursors[i].drawn),
            balance: numbers(&|i| balance[i]),
            share: self.of_shared(|i| self.weights()[i]),
            deadline: self.of_shared(|i| self.cursors[i].deadline),
        }
    }

    /// A number of each group that has a share.
    fn of_shared(&self, number: impl Fn(usize) -> f64) -> BTreeMap<String, f64> {
        let shared = self.weights().iter().enumerate().filter(|(_, share)| **share > 0.0);
        shared.map(|(i, _)| (self.sources[i].name.clone(), number(i))).collect()
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
        for (source, cursor) in self.sources.iter().zip(&mut self.cursors) {
            cursor.blocks = state.blocks.get(&source.name).copied().unwrap_or(0);
            cursor.drawn = state.drawn_tokens.get(&source.name).copied().unwrap_or(0.0);
            cursor.look_ahead(source);
        }
        self.drawn = state.drawn;
        self.tokens = state.tokens;
        self.stage = self.stage_at(self.tokens);
        let balance = |s: &Source| state.balance.get(&s.name).copied().unwrap_or(0.0);
        self.set_balance(&self.sources.iter().map(balance).collect::<Vec<_>>());
        // Under the same weights the times are those that they were, to the bit.
        if self.of_shared(|i| self.weights()[i]) == state.share {
            for i in 0..self.sources.len() {
                if let Some(deadline) = state.deadline.get(&self.sources[i].name) {
                    self.schedule(i, *deadline);
                }
            }
        }
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
