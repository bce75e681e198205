//! Which rows of a cluster survive beside its best one: those that are near to no better survivor.
//!
//! A cluster is held together by near pairs, and its ends need not be near each other. So its rows
//! are taken in the order of what is kept: the first one survives and takes with it all that are
//! near to it, of those that are left the first one survives, and so on. Every row that is dropped
//! is then near to the one that it is dropped for, and no two survivors are near each other.
//!
//! A row is compared with survivors alone, of many with those that share one of its rarest numbers.
//! These are held in memory up to a limit; once it is reached, rows that are near to none of them
//! wait for the next round, in their order, so that the limit changes nothing but the time.

use std::collections::HashMap;

use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};

use super::Space;
use super::rare::Rarity;
use super::sets::Sets;
use crate::dedup::jaccard::{at_least, of_sets};
use crate::error::Result;
use crate::store::mmap::Scratch;

/// Rows that are compared at once with the survivors before them.
const CHUNK: usize = 1 << 10;
/// Rows from which on they are not compared with each survivor.
#[cfg(not(test))]
const LARGE: usize = 128;
/// Small enough for tests to reach.
#[cfg(test)]
const LARGE: usize = 8;
/// Bytes of a rarest number of a survivor: a place in a hash table that is half empty, and a link.
const LINK: usize = 40;

/// The best of some rows of equal content: `[first of them and its own number, its id]`.
pub(super) type Waiting = [u64; 2];
/// What becomes of them: `[first of them, number of the survivor, its id, similarity to it]`.
pub(super) type Told = [u64; 4];

/// The number of the first row of equal content.
fn twin(row: &Waiting) -> u32 {
    (row[0] >> 32) as u32
}

/// Tells of all rows of a cluster, which come in the order of what is kept, which one survives in
/// their place. The first `fixed` survive themselves, whatever they are near to.
pub(super) fn choose(
    mut rows: Scratch<Waiting>,
    mut fixed: usize,
    threshold: f64,
    sets: &Sets,
    space: &Space,
) -> Result<Scratch<Told>> {
    let of = |row: &Waiting| sets.get(twin(row));
    let rarity = (rows.len() > LARGE).then(|| Rarity::of(rows.iter().map(of)));
    let rarest = |row: &Waiting| match &rarity {
        Some(rarity) => rarity.rarest(of(row), threshold),
        None => Vec::new(),
    };
    let threads = space.threads.current_num_threads();
    let limit = (space.memory / 8 / threads / LINK).min(1 << 31);
    let mut told = space.writer();
    while !rows.is_empty() {
        let mut survivors = Survivors::new(rarity.is_some(), threshold, sets);
        let (mut left, mut left_fixed) = (space.writer(), 0);
        for (some, start) in rows.chunks(CHUNK).zip((0..).step_by(CHUNK)) {
            // All threads look among those that survive already, one of them among those to come.
            let before = survivors.rows.len();
            let near = |row: &Waiting| {
                let rarest = rarest(row);
                (survivors.near(row, &rarest, 0), rarest)
            };
            let found: Vec<_> = some.par_iter().with_min_len(64).map(near).collect();
            for ((row, (near, rarest)), place) in some.iter().zip(found).zip(start..) {
                let near = match place < fixed {
                    true => None,
                    false => near.or_else(|| survivors.near(row, &rarest, before)),
                };
                if near.is_none() && survivors.links.len() >= limit && !survivors.rows.is_empty() {
                    left_fixed += usize::from(place < fixed);
                    left.push(*row)?;
                    continue;
                }
                let (survivor, similarity) = near.unwrap_or((*row, 1.0));
                if near.is_none() {
                    survivors.add(*row, &rarest);
                }
                let number = u64::from(survivor[0] as u32);
                told.push([twin(row).into(), number, survivor[1], similarity.to_bits()])?;
            }
        }
        (rows, fixed) = (left.finish()?, left_fixed);
    }
    told.finish()
}

/// Rows that survive, with what finds those that others may be near to.
struct Survivors<'a> {
    threshold: f64,
    sets: &'a Sets,
    rows: Vec<Waiting>,
    /// Of each how many numbers its set has, and how many of them are not among its rarest.
    sizes: Vec<(u32, u32)>,
    /// Whether they are found by their rarest numbers.
    linked: bool,
    /// For each such number the last link of it.
    last: HashMap<u64, u32>,
    /// Places of survivors, each with the link before plus one.
    links: Vec<(u32, u32)>,
}

impl<'a> Survivors<'a> {
    fn new(linked: bool, threshold: f64, sets: &'a Sets) -> Self {
        let (rows, sizes, links) = (Vec::new(), Vec::new(), Vec::new());
        Self { threshold, sets, rows, sizes, linked, last: HashMap::new(), links }
    }

    /// The first one from a place on that a row is near to, and how near.
    fn near(&self, row: &Waiting, rarest: &[u64], from: usize) -> Option<(Waiting, f64)> {
        let set = self.sets.get(twin(row));
        let check = |survivor: &Waiting| {
            let other = self.sets.get(twin(survivor));
            at_least(set, other, self.threshold).then(|| (*survivor, of_sets(set, other)))
        };
        if !self.linked {
            return self.rows.iter().skip(from).find_map(check);
        }
        // How many of the row's rarest numbers each survivor has among its own.
        let mut shared = vec![0u32; self.rows.len() - from];
        let mut places: Vec<usize> = Vec::new();
        for number in rarest {
            let mut next = self.last.get(number).copied().unwrap_or(0);
            while let Some((place, before)) = self.links.get((next as usize).wrapping_sub(1)) {
                // Later survivors have later links.
                let Some(place) = (*place as usize).checked_sub(from) else { break };
                if shared[place] == 0 {
                    places.push(place);
                }
                shared[place] += 1;
                next = *before;
            }
        }
        let rest = set.len() - rarest.len();
        places.retain(|place| {
            let (size, other) = self.sizes[from + place];
            // All others of them may be shared, of the set whose rarest numbers end first.
            let most = shared[*place] as usize + rest.max(other as usize);
            let all = (set.len() + size as usize) as f64;
            most as f64 >= all * self.threshold / (1.0 + self.threshold) - 1e-6
        });
        places.sort_unstable();
        places.into_iter().find_map(|place| check(&self.rows[from + place]))
    }

    fn add(&mut self, row: Waiting, rarest: &[u64]) {
        let place = self.rows.len() as u32;
        let size = self.sets.get(twin(&row)).len();
        self.rows.push(row);
        self.sizes.push((size as u32, (size - rarest.len()) as u32));
        for number in rarest {
            let last = self.last.entry(*number).or_default();
            self.links.push((place, *last));
            *last = self.links.len() as u32;
        }
    }
}
