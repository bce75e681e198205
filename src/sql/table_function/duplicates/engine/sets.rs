//! The second pass: the shingle sets of the rows that have candidates, in a mapped file.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::rows::{NEEDED, OLD, Rows};
use super::view::View;
use super::{Rule, Space, Texts};
use crate::error::{Error, Result};
use crate::store::mmap::Scratch;

/// Ranges of ids asked for at once: more make the query slower than what they leave out.
const RANGES: usize = 64;

/// Shingle sets by number.
pub(super) struct Sets {
    /// Where a row's set begins in `sets`, plus one; 0 for a row without.
    place: Scratch<u64>,
    /// Each set's length, then its numbers.
    sets: Scratch<u64>,
}

impl Sets {
    /// The set of a row, ascending; empty for one that has none.
    pub fn get(&self, number: u32) -> &[u64] {
        match self.place[number as usize] as usize {
            0 => &[],
            place => {
                self.sets.get(place..place + self.sets[place - 1] as usize).unwrap_or_default()
            }
        }
    }
}

/// Reads the rows that are needed.
pub(super) fn collect(texts: &Texts<'_>, rule: &Rule, rows: &Rows, space: &Space) -> Result<Sets> {
    let mut place: Scratch<u64> = space.array(rows.len())?;
    let mut sets = space.writer::<u64>();
    for old in [false, true] {
        let side = |number: u32| rows.has(number, OLD) == old;
        let needed = |number: u32| side(number) && rows.has(number, NEEDED);
        let all = (0..rows.len() as u32).filter(|number| side(*number)).count();
        let wanted = (0..rows.len() as u32).filter(|number| needed(*number)).count();
        if wanted == 0 {
            continue;
        }
        // Whole row groups are read either way: a few rows are worth asking for.
        let ranges = (wanted <= all / 10).then(|| ranges(rows, &needed));
        let (mut near, mut seen) = (0, 0);
        for batch in texts(old, ranges.as_deref())? {
            let view = View::new(&batch?)?;
            let mut found: Vec<(usize, u32)> = Vec::new();
            for (row, doc) in view.ids().iter().enumerate() {
                let number = rows.find(*doc, &mut near).filter(|number| needed(*number));
                found.extend(number.map(|number| (row, number)));
            }
            let one = |(row, number): &(usize, u32)| {
                (*number, view.shingles(*row, rule).map(|(_, set)| set))
            };
            let found: Vec<(u32, Option<Vec<u64>>)> =
                space.threads.install(|| found.par_iter().map(one).collect());
            for (number, set) in found {
                // A signature may be all that there is of a row.
                let Some(set) = set else { continue };
                seen += 1;
                sets.push(set.len() as u64)?;
                place[number as usize] = sets.len() as u64;
                sets.extend(&set)?;
            }
        }
        if seen < wanted && rule.near.is_some_and(|near| near.verify) {
            let missing = (0..rows.len() as u32).find(|n| needed(*n) && place[*n as usize] == 0);
            let doc = missing.map_or(0, |number| rows.doc[number as usize]);
            let message =
                format!("the texts of {} rows are not there (`doc_id` {doc})", wanted - seen);
            return Err(Error::usage(message)
                .hint_with("candidates are compared by their texts; without, `verify: false`"));
        }
    }
    Ok(Sets { place, sets: sets.finish()? })
}

/// Ranges of ids that hold all rows that are needed, cut where the most others lie between.
fn ranges(rows: &Rows, needed: &dyn Fn(u32) -> bool) -> Vec<(u64, u64)> {
    let places = || (0..rows.len()).filter(|place| needed(rows.at(*place)));
    let mut widest = BinaryHeap::new();
    for (a, b) in places().zip(places().skip(1)) {
        widest.push(Reverse((b - a, a)));
        if widest.len() >= RANGES {
            widest.pop();
        }
    }
    let mut cuts: Vec<usize> = widest.into_iter().map(|Reverse((_, place))| place).collect();
    cuts.sort_unstable();
    let doc = |place: usize| rows.doc[rows.at(place) as usize];
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    let (mut open, mut last) = (None, None);
    let mut cuts = cuts.into_iter().peekable();
    for place in places() {
        let from = *open.get_or_insert(place);
        last = Some((from, place));
        if cuts.next_if_eq(&place).is_some() {
            ranges.push((doc(from), doc(place)));
            (open, last) = (None, None);
        }
    }
    ranges.extend(last.map(|(from, to)| (doc(from), doc(to))));
    ranges
}
