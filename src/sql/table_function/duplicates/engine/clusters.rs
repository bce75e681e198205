//! Components to clusters: which row is kept, and how near the others are to it.
//!
//! Rows of a cluster lie far apart, and arrays that do not fit into memory must be read from front
//! to back. So the rows of all clusters of several are sorted by cluster, with all that is known of
//! them, and what comes out of each cluster is sorted back by id. A row by itself needs neither.

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::candidates::Twins;
use super::known::Known;
use super::rows::{OLD, PLACE, Rows};
use super::sets::Sets;
use super::{Joined, Space};
use crate::dedup::jaccard::of_sets;
use crate::error::Result;
use crate::store::group::{Along, Sorted, Sorter};
use crate::store::mmap::{Scratch, ScratchWriter};

/// Rows that are measured at once.
const CHUNK: usize = 1 << 15;
/// Words of a record: cluster and set, number and flags, place, what a former result says.
const WORDS: usize = 2 + PLACE + 2;
/// `[doc_id, least id, size and marks, kept id, similarity]` of each row of a cluster of several.
pub(super) type Measured = Sorted<5>;
/// Mark of a row that is the kept one.
pub(super) const KEPT: u64 = 1;
/// Mark of a row whose cluster has both new and old rows.
pub(super) const MIXED: u64 = 2;
/// Bits that the marks take.
pub(super) const MARKS: u32 = 2;

/// The clusters of several rows.
pub(super) struct Clusters {
    members: Sorted<WORDS>,
    /// Of each cluster, in their order.
    facts: Scratch<[u64; 4]>,
}

/// A row of a cluster of several.
pub(super) struct Member {
    /// The first row of the cluster.
    pub root: u32,
    /// The first row of equal content or set, which comes before the others of them.
    pub twin: u32,
    pub number: u32,
    pub flags: u8,
    doc: u64,
    /// The similarity to the kept row, when it is known without their sets.
    pub told: Option<f64>,
    fact: Fact,
}

/// What there is to know of a cluster.
#[derive(Clone, Copy)]
struct Fact {
    /// The best row, an old one if there is any; the first of those equal to it; its id.
    kept: u32,
    twin: u32,
    doc: u64,
    /// The least id.
    least: u64,
    size: u64,
    mixed: bool,
}

impl Fact {
    fn words(self) -> [u64; 4] {
        let size = self.size << 1 | u64::from(self.mixed);
        [u64::from(self.kept) << 32 | u64::from(self.twin), self.doc, self.least, size]
    }

    fn of([rows, doc, least, size]: [u64; 4]) -> Self {
        let (kept, twin) = ((rows >> 32) as u32, rows as u32);
        Self { kept, twin, doc, least, size: size >> 1, mixed: size & 1 == 1 }
    }
}

fn split(record: &[u64; WORDS]) -> (u32, u32, u32, u8) {
    let [rows, number, ..] = record;
    ((rows >> 32) as u32, *rows as u32, (number >> 8) as u32, *number as u8)
}

impl Clusters {
    /// Sorts the rows by cluster and chooses the one to keep of each.
    pub fn new(
        rows: &Rows,
        joined: &mut Joined,
        twins: &Twins,
        known: Option<&Known>,
        space: &Space,
    ) -> Result<Self> {
        let roots = joined.flatten();
        let mut several: Scratch<u8> = space.array(rows.len())?;
        for (root, number) in roots.iter().zip(0..) {
            if *root != number {
                several[*root as usize] = 1;
            }
        }
        let mut members = Sorter::new(&space.dir, space.memory / 4);
        let mut known = known.map(Along::new).transpose()?;
        for (root, number) in roots.iter().zip(0u32..) {
            if *root == number && several[number as usize] == 0 {
                continue;
            }
            let twin = twins[number as usize];
            let mut record = [0; WORDS];
            record[0] = u64::from(*root) << 32 | u64::from(twin);
            record[1] = u64::from(number) << 8 | u64::from(rows.flags[number as usize]);
            record[2..2 + PLACE].copy_from_slice(&rows.place(number));
            if let Some(known) = &mut known
                && let Some([_, before, similarity]) = known.at(number.into())?
            {
                record[2 + PLACE] = u64::from(twins[before as usize]) + 1;
                record[3 + PLACE] = similarity;
            }
            members.push(record)?;
        }
        let members = members.finish()?;
        let facts = facts(&members, space)?;
        Ok(Self { members, facts })
    }

    /// All rows of clusters of several: by cluster, then by set.
    pub fn members(&self) -> Result<impl Iterator<Item = Result<Member>>> {
        let mut last: Option<(u32, u32, Option<f64>)> = None;
        let mut place = 0;
        Ok(self.members.iter()?.map(move |record| {
            let record = record?;
            let (root, twin, number, flags) = split(&record);
            place += usize::from(last.is_some_and(|(before, ..)| before != root));
            let fact = Fact::of(self.facts[place]);
            let told = match last {
                Some((before, of, told)) if (before, of) == (root, twin) => told,
                _ if twin == fact.twin => Some(1.0),
                _ => {
                    let similarity = f64::from_bits(record[3 + PLACE]);
                    let same = record[2 + PLACE] == u64::from(fact.twin) + 1;
                    Some(similarity).filter(|s| same && *s > 0.0)
                }
            };
            last = Some((root, twin, told));
            Ok(Member { root, twin, number, flags, doc: record[1 + PLACE], told, fact })
        }))
    }

    /// What the result says of each row of a cluster of several, by id.
    pub fn measure(&self, sets: Option<&Sets>, space: &Space) -> Result<Measured> {
        let mut out = Sorter::new(&space.dir, space.memory / 4);
        let mut members = self.members()?;
        let mut chunk: Vec<(Member, bool)> = Vec::new();
        let (mut set, mut similarity) = (None, 1.0);
        let one = |(member, first): &(Member, bool)| match (member.told, sets) {
            (Some(told), _) => told,
            (None, Some(sets)) if *first => {
                of_sets(sets.get(member.twin), sets.get(member.fact.twin))
            }
            _ => 1.0,
        };
        loop {
            for member in members.by_ref().take(CHUNK) {
                let member = member?;
                // Rows of one set are measured once.
                let first =
                    set.replace((member.root, member.twin)) != Some((member.root, member.twin));
                chunk.push((member, first));
            }
            if chunk.is_empty() {
                return out.finish();
            }
            let found: Vec<f64> = space.threads.install(|| chunk.par_iter().map(one).collect());
            for ((member, first), found) in chunk.drain(..).zip(found) {
                if first {
                    similarity = found;
                }
                let fact = member.fact;
                let kept = if member.number == fact.kept { KEPT } else { 0 };
                let mixed = if fact.mixed { MIXED } else { 0 };
                let size = fact.size << MARKS | kept | mixed;
                out.push([member.doc, fact.least, size, fact.doc, similarity.to_bits()])?;
            }
        }
    }
}

/// One pass over the rows of all clusters.
fn facts(members: &Sorted<WORDS>, space: &Space) -> Result<Scratch<[u64; 4]>> {
    let mut facts: ScratchWriter<[u64; 4]> = space.writer();
    // The cluster at hand: its first row, the place of its best one, whether it has a new one.
    let mut open: Option<(u32, [u64; 1 + PLACE], bool, Fact)> = None;
    let mut close = |open: Option<(u32, [u64; 1 + PLACE], bool, Fact)>| match open {
        // An old row is the best one wherever there is any.
        Some((_, best, fresh, fact)) => {
            facts.push(Fact { mixed: fresh && best[0] == 0, ..fact }.words())
        }
        None => Ok(()),
    };
    for record in members.iter()? {
        let record = record?;
        let (root, twin, number, flags) = split(&record);
        let old = flags & OLD != 0;
        let mut place = [u64::from(!old); 1 + PLACE];
        place[1..].copy_from_slice(&record[2..2 + PLACE]);
        let doc = record[1 + PLACE];
        match &mut open {
            Some((of, best, fresh, fact)) if *of == root => {
                *fresh |= !old;
                fact.size += 1;
                fact.least = fact.least.min(doc);
                if place < *best {
                    *best = place;
                    (fact.kept, fact.twin, fact.doc) = (number, twin, doc);
                }
            }
            _ => {
                let fact = Fact { kept: number, twin, doc, least: doc, size: 1, mixed: false };
                close(open.replace((root, place, !old, fact)))?;
            }
        }
    }
    close(open)?;
    facts.finish()
}
