//! Micro-batches over the mapped bytes of a pack.
//!
//! A batch is a block of rows of one group: usually the mapped bytes themselves, and a copy only
//! where the block crosses a record batch (counted). Nothing is masked, padded or moved here; that
//! is the trainer's business.

use std::sync::Arc;

use arrow::buffer::Buffer;

use super::draw::{Draw, DrawState, Source, Stage};
use super::order::BlockOrder;
use crate::error::{Error, Result};
use crate::token::pack::{GroupKind, Pack, RECORD_ROWS};

/// How a feed goes through its pack.
#[derive(Debug, Clone, PartialEq)]
pub struct FeedOptions {
    /// Rows of a micro-batch; a divisor of 1,024 keeps all batches uncopied.
    pub batch_rows: usize,
    /// Decides the order of blocks.
    pub seed: u64,
    /// The mixture; empty: groups by their tokens, all alike in epochs.
    pub stages: Vec<Stage>,
}

/// A micro-batch: rows of one group.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Its number, from 0.
    pub index: u64,
    /// The place of its group among those of the pack.
    pub group: usize,
    /// What its rows hold, and in which languages.
    pub kind: GroupKind,
    /// Rows; fewer than asked for at the end of a group.
    pub rows: usize,
    /// Ids per row.
    pub length: usize,
    /// `rows` × `length` ids of 32 bits, row after row.
    pub tokens: Buffer,
    /// Whether `tokens` is the mapped bytes themselves.
    pub aliased: bool,
    /// By row, the lengths of its documents; for pairs, source and target in turn.
    pub document_lengths: Vec<Vec<i32>>,
    /// Ids that are not padding.
    pub n_tokens: u64,
    /// How often the group was gone through before.
    pub epoch: u64,
}

impl Batch {
    /// The ids, row after row.
    pub fn ids(&self) -> &[i32] {
        self.tokens.typed_data()
    }
}

/// What a feed did so far; sums since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize)]
pub struct FeedCounters {
    /// Micro-batches handed out.
    pub batches: u64,
    /// Ids handed out that are not padding.
    pub tokens: u64,
    /// Bytes of ids handed out as they are mapped.
    pub bytes_aliased: u64,
    /// Bytes of ids that were copied because their block crosses a record batch.
    pub bytes_gathered: u64,
    /// Seconds that the trainer waited for batches.
    pub wait_seconds: f64,
}

/// Goes through a pack.
#[derive(Debug)]
pub struct Feed {
    pack: Arc<Pack>,
    draw: Draw,
    // Which of how many workers this one is.
    worker: (usize, usize),
    counters: FeedCounters,
}

impl Feed {
    /// A feed at its beginning; errors for a mixture that does not suit the pack.
    pub fn new(pack: Arc<Pack>, options: &FeedOptions) -> Result<Self> {
        if options.batch_rows == 0 || options.batch_rows > 1 << 16 {
            return Err(Error::usage(format!(
                "`{}` rows in a micro-batch; expected 1 to {}",
                options.batch_rows,
                1 << 16
            )));
        }
        let sources: Vec<Source> = pack
            .groups
            .iter()
            .map(|group| Source {
                name: group.name.clone(),
                rows: group.rows,
                tokens: group.tokens(),
                order: BlockOrder::new(group.rows, options.batch_rows, options.seed, &group.name),
            })
            .collect();
        let proportional = Stage {
            until_tokens: None,
            weights: sources.iter().map(|s| (s.name.clone(), s.tokens as f64)).collect(),
        };
        let draw = match options.stages.is_empty() {
            true => Draw::new(sources, &[proportional])?,
            false => Draw::new(sources, &options.stages)?,
        };
        Ok(Self { pack, draw, worker: (0, 1), counters: FeedCounters::default() })
    }

    /// This worker's part of a sequence that `workers` share: of each round of `workers`
    /// micro-batches the one at place `worker`.
    ///
    /// After as many batches each, all workers are at the same position and in the same state, so
    /// that any number of workers can go on from there; together they get what one would.
    pub fn shared(self, worker: usize, workers: usize) -> Result<Self> {
        if worker >= workers {
            return Err(Error::usage(format!("worker {worker} of {workers}"))
                .hint_with("workers are counted from 0"));
        }
        Ok(Self { worker: (worker, workers), ..self })
    }

    /// The next micro-batch; the sequence never ends.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Batch> {
        let (worker, workers) = self.worker;
        (0..worker).for_each(|_| _ = self.draw.pass());
        let index = self.draw.position();
        let (group, block) = self.draw.next();
        (worker + 1..workers).for_each(|_| _ = self.draw.pass());
        let source = &self.pack.groups[group];
        let (tokens, aliased) = source.read(block.first, block.rows)?;
        let document_lengths = source.document_lengths(block.first, block.rows)?;
        let n_tokens = document_lengths.iter().flatten().map(|n| *n as u64).sum();
        let bytes = tokens.len() as u64;
        match aliased {
            true => self.counters.bytes_aliased += bytes,
            false => self.counters.bytes_gathered += bytes,
        }
        self.counters.batches += 1;
        self.counters.tokens += n_tokens;
        Ok(Batch {
            index,
            group,
            kind: source.kind.clone(),
            rows: block.rows,
            length: source.length,
            tokens,
            aliased,
            document_lengths,
            n_tokens,
            epoch: block.epoch,
        })
    }

    /// Goes to a micro-batch by its number; reads no data.
    pub fn seek(&mut self, micro_batch: u64) {
        self.draw.seek(micro_batch);
    }

    /// The number of the next micro-batch.
    pub fn position(&self) -> u64 {
        self.draw.position()
    }

    /// The position with all cursors, for a checkpoint.
    pub fn state(&self) -> DrawState {
        self.draw.state()
    }

    /// Continues at a position, under the weights of this feed.
    pub fn restore(&mut self, state: &DrawState) -> Result<()> {
        self.draw.restore(state)
    }

    /// The mixture.
    pub fn draw(&self) -> &Draw {
        &self.draw
    }

    /// What it did so far.
    pub fn counters(&self) -> FeedCounters {
        self.counters
    }

    /// The pack.
    pub fn pack(&self) -> &Arc<Pack> {
        &self.pack
    }
}

/// Whether micro-batches of so many rows are never copied (but for the end of a group).
pub fn divides_records(batch_rows: usize) -> bool {
    batch_rows > 0 && RECORD_ROWS.is_multiple_of(batch_rows)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
