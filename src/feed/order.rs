//! The order of a group's rows: blocks of B rows, permuted anew in each epoch.
//!
//! The rows inside a block stay together, because the pack has shuffled them already and a block
//! can then be handed out as the mapped bytes it is. Constant memory; no state.

use crate::id;

/// Blocks of `batch_rows` rows; the last one may be smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockOrder {
    rows: u64,
    batch_rows: u64,
    key: u64,
}

/// Consecutive rows of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// The first row.
    pub first: u64,
    /// How many rows.
    pub rows: usize,
    /// How often the group was gone through before.
    pub epoch: u64,
}

impl BlockOrder {
    /// The order of a group under a seed; groups of different names are permuted differently.
    pub fn new(rows: u64, batch_rows: usize, seed: u64, group: &str) -> Self {
        let key = id::keyed(id::hash_fields(["feed", group]), seed);
        Self { rows, batch_rows: batch_rows as u64, key }
    }

    /// Rows of a block that is not the last one of an epoch.
    pub fn batch_rows(&self) -> u64 {
        self.batch_rows
    }

    /// Blocks of one epoch.
    pub fn blocks(&self) -> u64 {
        self.rows.div_ceil(self.batch_rows)
    }

    /// The block at a place in the sequence of all epochs; the group must not be empty.
    pub fn at(&self, place: u64) -> Block {
        let blocks = self.blocks();
        let (epoch, within) = (place / blocks, place % blocks);
        // The rounds of a permutation use successive keys, so epochs need keys far apart.
        let block = id::permute(within, blocks, id::keyed(epoch, self.key));
        let first = block * self.batch_rows;
        let rows = self.batch_rows.min(self.rows - first) as usize;
        Block { first, rows, epoch }
    }
}

impl BlockOrder {
    /// The place in an epoch of the one block that has fewer rows than the others, with its rows;
    /// `None` when all are alike.
    pub fn short(&self, epoch: u64) -> Option<(u64, u64)> {
        let rows = self.rows % self.batch_rows;
        let last = self.blocks().checked_sub(1).filter(|_| rows > 0)?;
        Some((id::unpermute(last, self.blocks(), id::keyed(epoch, self.key)), rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn each_epoch_has_each_row_once(
            rows in 1u64..500, batch in 1usize..40, seed: u64, epoch in 0u64..4,
        ) {
            let order = BlockOrder::new(rows, batch, seed, "swh_Latn");
            let mut seen: Vec<u64> = Vec::new();
            for i in 0..order.blocks() {
                let block = order.at(epoch * order.blocks() + i);
                prop_assert_eq!(block.epoch, epoch);
                let short = order.short(epoch).filter(|(place, _)| *place == i);
                prop_assert_eq!(block.rows as u64, short.map_or(batch as u64, |(_, rows)| rows));
                seen.extend(block.first..block.first + block.rows as u64);
            }
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..rows).collect::<Vec<_>>());
        }
    }

    #[test]
    fn epochs_seeds_and_groups_differ() {
        let list = |seed, group, epoch: u64| -> Vec<u64> {
            let order = BlockOrder::new(1000, 10, seed, group);
            (0..100).map(|i| order.at(epoch * 100 + i).first).collect()
        };
        let base = list(17, "isl_Latn", 0);
        assert_eq!(base, list(17, "isl_Latn", 0));
        assert_ne!(base, list(17, "isl_Latn", 1));
        assert_ne!(base, list(18, "isl_Latn", 0));
        assert_ne!(base, list(17, "eng_Latn", 0));
    }
}
