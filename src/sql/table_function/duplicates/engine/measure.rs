//! Which rows of a cluster are kept, and how near the others are to them.
//!
//! All rows of a cluster are compared with its best one. What is not near to it waits, sorted by the
//! order of what is kept, for [`survivors`](super::survivors). What comes out of each cluster is
//! sorted back by id.

use rayon::iter::{IntoParallelIterator, IntoParallelRefIterator, ParallelIterator};

use super::clusters::{Clusters, Member};
use super::rows::{OLD, PLACE, Rows};
use super::sets::Sets;
use super::survivors::{self, Waiting};
use super::{Near, Space};
use crate::dedup::jaccard::of_sets;
use crate::error::Result;
use crate::store::group::{Along, Sorted, Sorter};
use crate::store::mmap::{Scratch, ScratchWriter};

/// Rows that are measured at once.
const CHUNK: usize = 1 << 15;
/// `[doc_id, least id, size and marks, kept id, similarity]` of each row of a cluster of several.
pub(super) type Measured = Sorted<5>;
/// Mark of a row that is kept.
pub(super) const KEPT: u64 = 1;
/// Mark of a row whose cluster has both new and old rows.
pub(super) const MIXED: u64 = 2;
/// Bits that the marks take.
pub(super) const MARKS: u32 = 2;

/// `[cluster, whether it is new, place, first row of its set and number]` of the best row of each
/// set that waits.
type Waits = Sorter<{ PLACE + 3 }>;

/// Rows whose similarity decides, at the threshold; 0 keeps one row of each cluster.
pub(super) struct Measure<'a> {
    pub rows: &'a Rows,
    pub sets: Option<&'a Sets>,
    pub threshold: f64,
    pub space: &'a Space,
}

impl<'a> Measure<'a> {
    pub fn new(
        rows: &'a Rows,
        near: Option<Near>,
        sets: Option<&'a Sets>,
        space: &'a Space,
    ) -> Self {
        // What is not verified has no similarity that it must reach.
        let threshold = near.filter(|near| near.verify).map_or(0.0, |near| near.threshold);
        Self { rows, sets, threshold, space }
    }

    /// What the result says of each row of a cluster of several, by id.
    pub fn of(&self, clusters: &Clusters) -> Result<Measured> {
        let space = self.space;
        let mut out = Sorter::new(&space.dir, space.memory / 4);
        let mut waits = Waits::new(&space.dir, space.memory / 8);
        let mut members = clusters.members()?;
        let mut chunk: Vec<(Member, bool)> = Vec::new();
        // The set at hand, how near it is to the best row, and its own best row while it waits.
        let (mut set, mut similarity, mut best) = (None, 1.0, None);
        loop {
            for member in members.by_ref().take(CHUNK) {
                let member = member?;
                // Rows of one set are measured once.
                let at = Some((member.root, member.twin));
                let first = std::mem::replace(&mut set, at) != at;
                chunk.push((member, first));
            }
            if chunk.is_empty() {
                break;
            }
            let one = |(member, first): &(Member, bool)| self.to_best(member, *first);
            let found: Vec<f64> = space.threads.install(|| chunk.par_iter().map(one).collect());
            for ((member, first), found) in chunk.drain(..).zip(found) {
                if first {
                    similarity = found;
                    best.take().map_or(Ok(()), |best| waits.push(best))?;
                }
                let fact = member.fact;
                match member.told {
                    // Few rows of few clusters: their arrays are read out of order.
                    Some(told) if told.twin != fact.twin => {
                        let doc = self.rows.doc[told.number as usize];
                        out.push(line(&member, told.number, doc, similarity))?;
                    }
                    None if self.waits(&member, similarity) => {
                        let record = waiting(&member);
                        best = Some(best.map_or(record, |best: [u64; _]| best.min(record)));
                    }
                    _ => out.push(line(&member, fact.best, fact.doc, similarity))?,
                }
            }
        }
        best.map_or(Ok(()), |best| waits.push(best))?;
        self.rest(clusters, waits, &mut out)?;
        out.finish()
    }

    /// How near the set of a row is to the best row of its cluster; of its first row alone.
    fn to_best(&self, member: &Member, first: bool) -> f64 {
        match (member.told, self.sets) {
            (Some(told), _) => told.similarity,
            (None, Some(sets)) if first => {
                of_sets(sets.get(member.twin), sets.get(member.fact.twin))
            }
            _ => 1.0,
        }
    }

    /// Whether a row is not dropped for the best one of its cluster. Old rows are never dropped for
    /// each other: they are not compared.
    fn waits(&self, member: &Member, similarity: f64) -> bool {
        let old = self.threshold > 0.0 && self.rows.has(member.twin, OLD);
        old || similarity < self.threshold
    }

    /// Measures the rows that wait.
    fn rest(&self, clusters: &Clusters, waits: Waits, out: &mut Sorter<5>) -> Result<()> {
        let space = self.space;
        let waits = waits.finish()?;
        let (Some(sets), false) = (self.sets, waits.is_empty()) else { return Ok(()) };
        let choose = |(root, some, old): (u32, Scratch<Waiting>, usize)| {
            Ok((root, survivors::choose(some, old, self.threshold, sets, space)?))
        };
        let mut told: Sorter<4> = Sorter::new(&space.dir, space.memory / 8);
        // Clusters that are worked on at once, and the one that is read.
        let mut batch: Vec<(u32, Scratch<Waiting>, usize)> = Vec::new();
        let mut cluster: Option<(u32, ScratchWriter<Waiting>, usize)> = None;
        let mut held = 0;
        let mut records = waits.iter()?;
        loop {
            let record = records.next().transpose()?;
            let root = record.map(|record| record[0] as u32);
            if let Some((of, some, old)) = cluster.take_if(|(of, ..)| Some(*of) != root) {
                held += some.len();
                batch.push((of, some.finish()?, old));
            }
            if held >= CHUNK || record.is_none() {
                held = 0;
                let batch = std::mem::take(&mut batch).into_par_iter();
                let found: Vec<(u32, Scratch<survivors::Told>)> =
                    space.threads.install(|| batch.map(choose).collect::<Result<_>>())?;
                for (root, found) in found {
                    for [twin, number, doc, similarity] in found.iter() {
                        told.push([u64::from(root) << 32 | twin, *number, *doc, *similarity])?;
                    }
                }
            }
            let (Some(record), Some(root)) = (record, root) else { break };
            let (_, some, old) = cluster.get_or_insert_with(|| (root, space.writer(), 0));
            *old += usize::from(record[1] == 0);
            some.push([record[2 + PLACE], record[1 + PLACE]])?;
        }
        drop(records);
        let told = told.finish()?;
        let mut told = Along::new(&told)?;
        for member in clusters.members()? {
            let member = member?;
            let set = u64::from(member.root) << 32 | u64::from(member.twin);
            if let Some([_, number, doc, similarity]) = told.at(set)? {
                out.push(line(&member, number as u32, doc, f64::from_bits(similarity)))?;
            }
        }
        Ok(())
    }
}

/// The best of the rows of a set is the one of the least record.
fn waiting(member: &Member) -> [u64; PLACE + 3] {
    let mut record = [0; PLACE + 3];
    record[0] = member.root.into();
    record[1] = u64::from(member.flags & OLD == 0);
    record[2..2 + PLACE].copy_from_slice(&member.place);
    record[2 + PLACE] = u64::from(member.twin) << 32 | u64::from(member.number);
    record
}

/// A row with the one that is kept in its place.
fn line(member: &Member, number: u32, doc: u64, similarity: f64) -> [u64; 5] {
    let kept = if member.number == number { KEPT } else { 0 };
    let mixed = if member.fact.mixed { MIXED } else { 0 };
    let size = member.fact.size << MARKS | kept | mixed;
    [member.doc(), member.fact.least, size, doc, similarity.to_bits()]
}
