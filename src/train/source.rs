//! A feed as the trainer's source of micro-batches.
//!
//! The bytes stay where the feed has them; only the description changes.

use std::sync::Arc;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::feed::{DrawState, Feed, FeedOptions, Stage};
use crate::token::pack::{GroupKind, Pack};
use crate::train::batch::{Kind, MicroBatch, Plan, Source};
use crate::train::data::Share;
use crate::train::validate::HeldOut;

/// The rows of a pack that is held out, in their order.
pub struct PackRows {
    pack: Arc<Pack>,
    /// Group, first row, rows.
    blocks: Vec<(usize, u64, usize)>,
}

impl PackRows {
    /// The first `most` rows of each group, `batch` at a time. The rows of a pack are shuffled, so
    /// the first ones are as good as any.
    pub fn new(pack: Arc<Pack>, batch: usize, most: usize) -> Self {
        let mut blocks = Vec::new();
        for (i, group) in pack.groups.iter().enumerate() {
            let rows = group.rows.min(most as u64);
            let firsts = (0..rows).step_by(batch.max(1));
            blocks.extend(firsts.map(|at| (i, at, batch.min((rows - at) as usize))));
        }
        Self { pack, blocks }
    }
}

impl HeldOut for PackRows {
    fn batches(&self) -> usize {
        self.blocks.len()
    }

    fn batch(&self, i: usize) -> Result<MicroBatch> {
        let (place, first, rows) = self.blocks[i];
        let group = &self.pack.groups[place];
        let (tokens, aliased) = group.read(first, rows)?;
        Ok(MicroBatch {
            kind: kind(&group.kind),
            langs: group.kind.langs().into_iter().map(String::from).collect(),
            rows,
            length: group.length,
            tokens,
            document_lengths: group.document_lengths(first, rows)?,
            aliased,
            group: place,
        })
    }
}

fn kind(group: &GroupKind) -> Kind {
    match group {
        GroupKind::Documents { .. } => Kind::Documents,
        GroupKind::Pairs { .. } => Kind::Pairs,
    }
}

/// A pack, read through a feed.
pub struct PackSource {
    feed: Feed,
    batch_rows: usize,
    stages: Vec<Stage>,
}

impl PackSource {
    /// The source over a pack, of a group of processes this one's share.
    ///
    /// Errors for a mixture that does not suit the pack.
    pub fn new(pack: Arc<Pack>, options: &FeedOptions, share: Share) -> Result<Self> {
        let feed = Feed::new(pack, options)?.shared(share.rank, share.ranks)?;
        Ok(Self { feed, batch_rows: options.batch_rows, stages: options.stages.clone() })
    }
}

/// What a number of micro-batches of a mixture goes through: groups as name, tokens and tokens in
/// a micro-batch; stages as in a feed. Returns the tokens that each group gives in all, and those
/// that it gives until the plan ends.
fn walk(
    groups: &[(String, u64, f64)],
    stages: &[Stage],
    batches: f64,
) -> (Vec<f64>, Option<Vec<f64>>) {
    let mut given = vec![0.0; groups.len()];
    let (mut left, mut before) = (batches, 0.0);
    let mut planned = None;
    for (i, stage) in stages.iter().enumerate() {
        let weight = |group: &(String, u64, f64)| {
            if group.1 == 0 { 0.0 } else { stage.weights.get(&group.0).copied().unwrap_or(0.0) }
        };
        let sum: f64 = groups.iter().map(weight).sum();
        // Shares are of tokens, so a micro-batch holds the harmonic mean of theirs.
        let per_token: f64 = groups.iter().map(|g| weight(g) / sum / g.2.max(1.0)).sum();
        let room = stage.until_tokens.map_or(f64::INFINITY, |until| until as f64 - before);
        before += room;
        let last = i + 1 == stages.len();
        let within = (room * per_token).min(left);
        let give = |batches: f64, given: &mut Vec<f64>| {
            for (given, group) in given.iter_mut().zip(groups) {
                *given += weight(group) / sum * batches / per_token;
            }
        };
        give(within, &mut given);
        left -= within;
        if last && left > 0.0 {
            planned = Some(given.clone());
            give(left, &mut given);
        }
    }
    (given, planned)
}

impl Source for PackSource {
    fn next(&mut self) -> Result<MicroBatch> {
        let batch = self.feed.next()?;
        Ok(MicroBatch {
            kind: kind(&batch.kind),
            langs: batch.kind.langs().into_iter().map(String::from).collect(),
            rows: batch.rows,
            length: batch.length,
            tokens: batch.tokens,
            document_lengths: batch.document_lengths,
            aliased: batch.aliased,
            group: batch.group,
        })
    }

    fn state(&self) -> Value {
        serde_json::to_value(self.feed.state()).unwrap_or_default()
    }

    fn seek(&mut self, state: &Value) -> Result<()> {
        let state: DrawState = serde_json::from_value(state.clone())
            .map_err(|e| Error::usage(format!("the checkpoint's place in the pack: {e}")))?;
        self.feed.restore(&state)
    }

    fn rows(&self) -> u64 {
        self.feed.pack().groups.iter().map(|g| g.rows).sum()
    }

    fn length(&self) -> usize {
        self.feed.pack().length
    }

    fn plan(&self, batches: u64) -> Plan {
        let pack = self.feed.pack();
        let per_batch = |tokens: u64, rows: u64| {
            tokens as f64 / rows.max(1) as f64 * self.batch_rows.min(rows as usize) as f64
        };
        let groups: Vec<(String, u64, f64)> = pack
            .groups
            .iter()
            .map(|g| (g.name.clone(), g.tokens(), per_batch(g.tokens(), g.rows)))
            .collect();
        let proportional = Stage {
            until_tokens: None,
            weights: groups.iter().map(|g| (g.0.clone(), g.1 as f64)).collect(),
        };
        let stages = match self.stages.is_empty() {
            true => std::slice::from_ref(&proportional),
            false => self.stages.as_slice(),
        };
        let (given, planned) = walk(&groups, stages, batches as f64);
        let epochs = |given: f64, tokens: u64| given / tokens.max(1) as f64;
        let mut warnings = Vec::new();
        let total: f64 = given.iter().sum();
        if let Some(planned) = planned.filter(|planned| total > 1.01 * planned.iter().sum::<f64>())
        {
            let more = |i: &usize| given[*i] - planned[*i];
            let most = (0..groups.len()).max_by(|a, b| more(a).total_cmp(&more(b))).unwrap_or(0);
            warnings.push(format!(
                "the run reads about {:.0} tokens and its mixture plans {:.0}: the shares of the \
                 last stage go on, {} for {:.1} epochs instead of {:.1}",
                total,
                planned.iter().sum::<f64>(),
                groups[most].0,
                epochs(given[most], groups[most].1),
                epochs(planned[most], groups[most].1),
            ));
        }
        let each = groups.into_iter().zip(given);
        let groups = each.map(|((name, tokens, _), given)| (name, tokens, epochs(given, tokens)));
        Plan { groups: groups.filter(|g| g.2 > 0.0).collect(), warnings }
    }

    fn langs(&self) -> Vec<String> {
        let groups = &self.feed.pack().groups;
        groups.iter().flat_map(|g| g.kind.langs()).map(String::from).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_is_longer_than_its_plan_repeats_what_the_last_stage_has() {
        let groups = [("isl_Latn".to_string(), 1000, 100.0), ("yor_Latn".to_string(), 100, 50.0)];
        let stage = |until, isl, yor| Stage {
            until_tokens: Some(until),
            weights: [("isl_Latn".to_string(), isl), ("yor_Latn".into(), yor)].into(),
        };
        let stages = [stage(1000, 900.0, 100.0), stage(1200, 1.0, 1.0)];
        // 9 micro-batches and 2 in the first stage, 1 and 2 in the second.
        let (given, planned) = walk(&groups, &stages, 14.0);
        assert!((given[0] - 1000.0).abs() < 1e-6 && (given[1] - 200.0).abs() < 1e-6, "{given:?}");
        assert_eq!(planned, None);
        let (given, planned) = walk(&groups, &stages, 14.0 + 3.0);
        assert!((given[1] - 300.0).abs() < 1e-6, "{given:?}");
        assert!((planned.unwrap()[1] - 200.0).abs() < 1e-6);
        let (given, _) = walk(&groups, &stages, 5.5);
        assert!((given[0] - 450.0).abs() < 1e-6, "{given:?}");
    }
}
