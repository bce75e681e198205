//! A feed as the trainer's source of micro-batches.
//!
//! The bytes stay where the feed has them; only the description changes.

use std::sync::Arc;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::feed::{DrawState, Feed};
use crate::token::pack::{GroupKind, Pack};
use crate::train::batch::{Kind, MicroBatch, Source};
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
}

impl PackSource {
    /// The source over a feed, from where the feed stands.
    pub fn new(feed: Feed) -> Self {
        Self { feed }
    }
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

    fn langs(&self) -> Vec<String> {
        let groups = &self.feed.pack().groups;
        groups.iter().flat_map(|g| g.kind.langs()).map(String::from).collect()
    }
}
