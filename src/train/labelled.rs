//! Labelled examples and the order in which an epoch reads them.
//!
//! The order is a function of (seed, epoch): a permutation, sorted by length inside pools of many
//! batches so that rows of a batch need little padding, with the batches in permuted order again.
//! No buffer is shuffled and nothing is kept between steps.

use crate::error::{Error, Result};
use crate::id;

/// Batches per pool inside which examples are sorted by length.
const POOL: usize = 32;

/// Examples that are already token ids, with a class each.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Examples {
    /// Token ids with special tokens.
    pub ids: Vec<Vec<i32>>,
    /// The class of each, an index into the names of the labels.
    pub labels: Vec<i64>,
    /// The language of each.
    pub langs: Vec<String>,
}

impl Examples {
    /// Number of examples.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Checks that the lists run parallel and every class has a name.
    pub fn validate(&self, classes: usize) -> Result<()> {
        if self.is_empty() {
            return Err(Error::usage("no labelled rows to train on"));
        }
        if self.labels.len() != self.len() || self.langs.len() != self.len() {
            return Err(Error::internal(
                "labelled rows: ids, labels and languages differ in length",
            ));
        }
        match self.labels.iter().find(|&&label| label < 0 || label >= classes as i64) {
            Some(label) => {
                Err(Error::internal(format!("label {label} outside of {classes} classes")))
            }
            None => Ok(()),
        }
    }

    /// Batches of an epoch: lists of row numbers, each row exactly once.
    pub fn epoch(&self, batch: usize, seed: u64, epoch: u64) -> Vec<Vec<usize>> {
        let n = self.len() as u64;
        let key = id::keyed(epoch, seed);
        let order: Vec<usize> = (0..n).map(|i| id::permute(i, n, key) as usize).collect();
        let mut batches = Vec::with_capacity(self.len().div_ceil(batch));
        for pool in order.chunks(batch * POOL) {
            let mut pool = pool.to_vec();
            // Stable, so that equal lengths keep the permuted order.
            pool.sort_by_key(|&row| self.ids[row].len());
            batches.extend(pool.chunks(batch).map(<[usize]>::to_vec));
        }
        let n = batches.len() as u64;
        let key = id::keyed(1, key);
        let places: Vec<usize> = (0..n).map(|i| id::permute(i, n, key) as usize).collect();
        places.into_iter().map(|place| std::mem::take(&mut batches[place])).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_reads_each_example_once_and_epochs_differ() {
        let examples = Examples {
            ids: (0..333).map(|i| vec![7; 3 + i * 7 % 50]).collect(),
            labels: vec![0; 333],
            langs: vec!["isl_Latn".into(); 333],
        };
        examples.validate(1).unwrap();
        let first = examples.epoch(8, 17, 0);
        assert_eq!(first.len(), 333usize.div_ceil(8));
        let mut rows: Vec<usize> = first.concat();
        rows.sort_unstable();
        assert_eq!(rows, (0..333).collect::<Vec<_>>());
        assert_eq!(first, examples.epoch(8, 17, 0));
        assert_ne!(first, examples.epoch(8, 17, 1));
        assert_ne!(first, examples.epoch(8, 18, 0));
        // Lengths of a batch lie together.
        let spread = |b: &Vec<usize>| {
            let lengths = b.iter().map(|&r| examples.ids[r].len());
            lengths.clone().max().unwrap() - lengths.min().unwrap()
        };
        assert!(first.iter().map(spread).sum::<usize>() < 10 * first.len());
    }
}
