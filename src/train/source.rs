//! A feed as the trainer's source of micro-batches.
//!
//! The bytes stay where the feed has them; only the description changes.

use serde_json::Value;

use crate::error::{Error, Result};
use crate::feed::{DrawState, Feed};
use crate::token::pack::GroupKind;
use crate::train::batch::{Kind, MicroBatch, Source};

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
        let kind = match batch.kind {
            GroupKind::Documents { .. } => Kind::Documents,
            GroupKind::Pairs { .. } => Kind::Pairs,
        };
        Ok(MicroBatch {
            kind,
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
}
