//! Components to clusters: which row is kept, and how near the others are to it.

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::candidates::Twins;
use super::known::Known;
use super::rows::{OLD, Rows};
use super::sets::Sets;
use super::{Joined, Space};
use crate::dedup::jaccard::of_sets;
use crate::error::Result;
use crate::store::group::Sorter;
use crate::store::mmap::Scratch;

/// Rows that are measured at once.
const CHUNK: u32 = 1 << 15;

/// The clusters of all rows; by the number of the first row of each.
pub(super) struct Clusters {
    root: Scratch<u32>,
    size: Scratch<u32>,
    /// The row of the least id.
    least: Scratch<u32>,
    kept: Scratch<u32>,
    /// Whether it has a row of the new table.
    fresh: Scratch<u8>,
}

/// For the first row of each component the best one, plus one: an old one if there is any.
pub(super) fn best(rows: &Rows, joined: &Joined, space: &Space) -> Result<Scratch<u32>> {
    let mut best: Scratch<u32> = space.array(rows.len())?;
    let mut several: Scratch<u8> = space.array(rows.len())?;
    let n = rows.len() as u32;
    for number in 0..n {
        let count = &mut several[joined.root(number) as usize];
        *count = count.saturating_add(1);
    }
    // Sorted rather than compared in place: rows of a cluster lie far apart, and arrays that do not
    // fit into memory must be read from front to back.
    let mut order: Sorter<11> = Sorter::new(&space.dir, space.memory / 4);
    for number in 0..n {
        let root = joined.root(number);
        if several[root as usize] == 1 {
            best[root as usize] = number + 1;
            continue;
        }
        let mut record = [0; 11];
        (record[0], record[1]) = (root.into(), u64::from(!rows.has(number, OLD)));
        record[2..10].copy_from_slice(&rows.place(number));
        record[10] = number.into();
        order.push(record)?;
    }
    let mut last = None;
    for record in order.finish()?.iter()? {
        let record = record?;
        if last.replace(record[0]) != Some(record[0]) {
            best[record[0] as usize] = record[10] as u32 + 1;
        }
    }
    Ok(best)
}

impl Clusters {
    /// Counts the rows of each component and chooses the one to keep.
    pub fn new(rows: &Rows, joined: Joined, space: &Space) -> Result<Self> {
        let kept = best(rows, &joined, space)?;
        let root = joined.finish();
        let mut size: Scratch<u32> = space.array(rows.len())?;
        let mut least: Scratch<u32> = space.array(rows.len())?;
        let mut fresh: Scratch<u8> = space.array(rows.len())?;
        for place in 0..rows.len() {
            // In the order of ids, so that the first row of a cluster has the least one.
            let number = rows.at(place);
            let root = root[number as usize] as usize;
            fresh[root] |= u8::from(!rows.has(number, OLD));
            if size[root] == 0 {
                least[root] = number;
            }
            size[root] += 1;
        }
        Ok(Self { root, size, least, kept, fresh })
    }

    /// How many rows the cluster of a row has.
    pub fn size(&self, number: u32) -> u64 {
        self.size[self.root[number as usize] as usize].into()
    }

    /// Whether its cluster has both new and old rows.
    pub fn is_mixed(&self, number: u32, rows: &Rows) -> bool {
        // An old row is the best one wherever there is any.
        let fresh = self.fresh[self.root[number as usize] as usize] == 1;
        fresh && rows.has(self.kept(number), OLD)
    }

    /// The row of its cluster with the least id.
    pub fn least(&self, number: u32) -> u32 {
        self.least[self.root[number as usize] as usize]
    }

    /// The best row of its cluster.
    pub fn kept(&self, number: u32) -> u32 {
        self.kept[self.root[number as usize] as usize].saturating_sub(1)
    }

    /// For the first row of each set its similarity to the kept row of the cluster.
    pub fn measure(
        &self,
        rows: &Rows,
        twins: &Twins,
        sets: Option<&Sets>,
        known: Option<&Known>,
        space: &Space,
    ) -> Result<Scratch<f64>> {
        let mut similarity: Scratch<f64> =
            space.array(if sets.is_some() { rows.len() } else { 0 })?;
        let Some(sets) = sets else { return Ok(similarity) };
        let n = rows.len() as u32;
        let mut chunk: Vec<u32> = Vec::new();
        let one = |number: &u32| {
            let kept = self.kept(*number);
            let told = known.and_then(|known| known.similarity(*number, kept, twins));
            told.unwrap_or_else(|| of_sets(sets.get(*number), sets.get(twins[kept as usize])))
        };
        for number in 0..n {
            let own = twins[number as usize] == number;
            if own && twins[self.kept(number) as usize] != number {
                chunk.push(number);
            }
            if chunk.len() as u32 == CHUNK || number + 1 == n {
                let found: Vec<f64> = space.threads.install(|| chunk.par_iter().map(one).collect());
                for (number, found) in chunk.drain(..).zip(found) {
                    similarity[number as usize] = found;
                }
            }
        }
        Ok(similarity)
    }
}
