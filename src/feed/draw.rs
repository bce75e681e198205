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

/// Numbers as text in checkpoints: `serde_json` may read a number back one bit off, and then a
/// resumed run would draw differently one day.
mod exact {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }

    pub mod map {
        use std::collections::BTreeMap;

        use serde::{Deserialize, Deserializer, Serializer, de::Error};

        pub fn serialize<S: Serializer>(
            values: &BTreeMap<String, f64>,
            to: S,
        ) -> Result<S::Ok, S::Error> {
            to.collect_map(values.iter().map(|(name, value)| (name, value.to_string())))
        }

        pub fn deserialize<'de, D: Deserializer<'de>>(
            from: D,
        ) -> Result<BTreeMap<String, f64>, D::Error> {
            let texts = BTreeMap::<String, String>::deserialize(from)?;
            let parsed = texts.into_iter().map(|(name, text)| Ok((name, text.parse()?)));
            parsed.collect::<Result<_, std::num::ParseFloatError>>().map_err(D::Error::custom)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn source(name: &str, rows: u64, per_row: u64, batch: usize) -> Source {
        Source {
            name: name.into(),
            rows,
            tokens: rows * per_row,
            order: BlockOrder::new(rows, batch, 17, name),
        }
    }

    fn stage(until: Option<u64>, weights: &[(&str, f64)]) -> Stage {
        Stage {
            until_tokens: until,
            weights: weights.iter().map(|(n, w)| (n.to_string(), *w)).collect(),
        }
    }

    proptest! {
        #[test]
        fn every_prefix_is_exact_to_one_micro_batch(
            weights in prop::collection::vec(0.0f64..1.0, 1..30),
            skew in 1i32..6,
            rows in prop::collection::vec(1u64..60, 30),
        ) {
            let batch = 4;
            let sources: Vec<Source> = weights.iter().enumerate()
                .map(|(i, _)| source(&format!("l{i:02}"), rows[i], 100 + i as u64, batch)).collect();
            let named: BTreeMap<String, f64> = weights.iter().enumerate()
                .map(|(i, w)| (format!("l{i:02}"), w.powi(skew) + 1e-4)).collect();
            let sum: f64 = named.values().sum();
            let largest = (batch * 130) as f64;
            let stages = [Stage { until_tokens: None, weights: named.clone() }];
            let mut draw = Draw::new(sources, &stages).unwrap();
            let mut had = vec![0.0; weights.len()];
            let mut all = 0.0;
            for _ in 0..600 {
                let (i, block) = draw.next();
                let tokens = block.rows as f64 * (100 + i as u64) as f64;
                had[i] += tokens;
                all += tokens;
                for (had, weight) in had.iter().zip(named.values()) {
                    let off = had - weight / sum * all;
                    prop_assert!(off.abs() <= largest + 1e-6, "off by {off} of {largest}");
                }
            }
        }

        #[test]
        fn seeking_and_restoring_equal_replaying(at in 0u64..300, from in 0u64..300) {
            let sources = vec![source("a", 33, 90, 4), source("b", 7, 50, 4), source("c", 0, 0, 4)];
            let stages = [
                stage(Some(40_000), &[("a", 3.0), ("b", 1.0), ("c", 2.0)]),
                stage(None, &[("a", 1.0), ("b", 2.0)]),
            ];
            let mut replayed = Draw::new(sources.clone(), &stages).unwrap();
            for _ in 0..at {
                replayed.next();
            }
            let mut sought = Draw::new(sources.clone(), &stages).unwrap();
            sought.seek(from);
            sought.seek(at);
            let json = serde_json::to_string(&replayed.state()).unwrap();
            let mut restored = Draw::new(sources, &stages).unwrap();
            restored.restore(&serde_json::from_str(&json).unwrap()).unwrap();
            for _ in 0..50 {
                let next = replayed.next();
                prop_assert_eq!(next, sought.next());
                prop_assert_eq!(next, restored.next());
            }
        }
    }

    proptest! {
        #[test]
        fn a_position_is_written_and_read_to_the_bit(value in proptest::num::f64::NORMAL) {
            let balance = BTreeMap::from([("a".to_string(), value)]);
            let state = DrawState { tokens: value, balance, ..DrawState::default() };
            let json = serde_json::to_string(&state).unwrap();
            prop_assert_eq!(serde_json::from_str::<DrawState>(&json).unwrap(), state);
        }
    }

    #[test]
    fn cursors_survive_a_change_of_weights() {
        let sources = vec![source("a", 40, 10, 4), source("b", 40, 10, 4)];
        let stages = [
            stage(Some(400), &[("a", 1.0)]),
            stage(Some(800), &[("b", 1.0)]),
            stage(None, &[("a", 1.0)]),
        ];
        let mut draw = Draw::new(sources.clone(), &stages).unwrap();
        let drawn: Vec<(usize, Block)> = (0..30).map(|_| draw.next()).collect();
        assert!(drawn[..10].iter().all(|(i, _)| *i == 0), "{drawn:?}");
        assert!(drawn[10..20].iter().all(|(i, _)| *i == 1), "{drawn:?}");
        let expected: Vec<Block> = (0..20).map(|i| sources[0].order.at(i)).collect();
        let of_a: Vec<Block> = drawn.iter().filter(|(i, _)| *i == 0).map(|(_, b)| *b).collect();
        assert_eq!(of_a, expected);
    }

    #[test]
    fn groups_without_weight_or_rows_are_never_drawn() {
        let sources = vec![source("a", 0, 0, 4), source("b", 9, 10, 4), source("c", 9, 10, 4)];
        let stages = [stage(None, &[("a", 5.0), ("b", 1.0), ("c", 0.0)])];
        let mut draw = Draw::new(sources.clone(), &stages).unwrap();
        assert!((0..100).all(|_| draw.next().0 == 1));
        let error = Draw::new(sources, &[stage(None, &[("a", 1.0)])]).unwrap_err();
        assert!(error.to_string().contains("no language"), "{error}");
    }

    #[test]
    fn nonsense_is_refused_with_the_valid_names() {
        let sources = vec![source("swh_Latn", 9, 10, 4)];
        let error = Draw::new(sources.clone(), &[stage(None, &[("swa_Latn", 1.0)])]).unwrap_err();
        assert_eq!(error.hint(), Some("did you mean `swh_Latn`?"));
        for weight in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(Draw::new(sources.clone(), &[stage(None, &[("swh_Latn", weight)])]).is_err());
        }
        assert!(Draw::new(sources, &[]).is_err());
    }
}
