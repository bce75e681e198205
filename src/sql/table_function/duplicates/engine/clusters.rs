//! Components to clusters: their rows one after the other, and what there is to know of each.
//!
//! Rows of a cluster lie far apart, and arrays that do not fit into memory must be read from front
//! to back. So the rows of all clusters of several are sorted by cluster, with all that is known of
//! them. A row by itself is left out.

use super::candidates::Twins;
use super::known::Known;
use super::rows::{NEEDED, OLD, PLACE, Rows};
use super::{Joined, Space};
use crate::error::Result;
use crate::store::group::{Along, Sorted, Sorter};
use crate::store::mmap::{Scratch, ScratchWriter};

/// Words of a record: cluster and set, number and flags, place, what a former result says.
const WORDS: usize = 2 + PLACE + 2;

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
    pub place: [u64; PLACE],
    /// What is kept in place of its set, when that is known without a comparison.
    pub told: Option<Told>,
    pub fact: Fact,
}

impl Member {
    pub fn doc(&self) -> u64 {
        self.place[PLACE - 1]
    }
}

/// The row that is kept in place of another one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    pub number: u32,
    /// The first row of equal content or set.
    pub twin: u32,
    pub similarity: f64,
}

/// What there is to know of a cluster.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fact {
    /// The best row, an old one if there is any; the first of those equal to it; its id.
    pub best: u32,
    pub twin: u32,
    pub doc: u64,
    /// The least id.
    pub least: u64,
    pub size: u64,
    /// Whether there are new and old rows.
    pub mixed: bool,
    /// Whether any row has to be compared.
    pub compared: bool,
}

impl Fact {
    fn words(self) -> [u64; 4] {
        let size = self.size << 2 | u64::from(self.compared) << 1 | u64::from(self.mixed);
        [u64::from(self.best) << 32 | u64::from(self.twin), self.doc, self.least, size]
    }

    fn of([rows, doc, least, size]: [u64; 4]) -> Self {
        let (best, twin) = ((rows >> 32) as u32, rows as u32);
        let (mixed, compared) = (size & 1 == 1, size & 2 == 2);
        Self { best, twin, doc, least, size: size >> 2, mixed, compared }
    }
}

fn split(record: &[u64; WORDS]) -> (u32, u32, u32, u8) {
    let [rows, number, ..] = record;
    ((rows >> 32) as u32, *rows as u32, (number >> 8) as u32, *number as u8)
}

fn place(record: &[u64; WORDS]) -> [u64; PLACE] {
    let mut place = [0; PLACE];
    place.copy_from_slice(&record[2..2 + PLACE]);
    place
}

/// What a former result says of a row. Unless nothing else was kept in its cluster, that holds for
/// the cluster as a whole: one that is compared again is told nothing but its best row.
fn former(record: &[u64; WORDS], fact: &Fact) -> Option<Told> {
    let [.., kept, similarity] = *record;
    let (number, similarity) = (kept as u32, f64::from_bits(similarity));
    let twin = ((kept >> 32) as u32).checked_sub(1)?;
    let holds = similarity > 0.0 && (twin == fact.twin || !fact.compared);
    holds.then_some(Told { number, twin, similarity })
}

impl Clusters {
    /// Sorts the rows by cluster and finds the best one of each.
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
                && let Some([_, kept, similarity]) = known.at(number.into())?
            {
                record[2 + PLACE] = (u64::from(twins[kept as usize]) + 1) << 32 | kept;
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
        let mut last: Option<(u32, u32, Option<Told>)> = None;
        let mut at = 0;
        Ok(self.members.iter()?.map(move |record| {
            let record = record?;
            let (root, twin, number, flags) = split(&record);
            at += usize::from(last.is_some_and(|(before, ..)| before != root));
            let fact = Fact::of(self.facts[at]);
            let told = match last {
                Some((before, of, told)) if (before, of) == (root, twin) => told,
                _ if twin == fact.twin => Some(Told { number: fact.best, twin, similarity: 1.0 }),
                _ => former(&record, &fact),
            };
            last = Some((root, twin, told));
            Ok(Member { root, twin, number, flags, place: place(&record), told, fact })
        }))
    }
}

/// The cluster at hand.
struct Open {
    root: u32,
    /// Whether its best row is new, and the place of that.
    best: (bool, [u64; PLACE]),
    any_new: bool,
    fact: Fact,
}

impl Open {
    /// An old row is the best one wherever there is any.
    fn close(self) -> [u64; 4] {
        Fact { mixed: self.any_new && !self.best.0, ..self.fact }.words()
    }
}

/// One pass over the rows of all clusters.
fn facts(members: &Sorted<WORDS>, space: &Space) -> Result<Scratch<[u64; 4]>> {
    let mut facts: ScratchWriter<[u64; 4]> = space.writer();
    let mut open: Option<Open> = None;
    for record in members.iter()? {
        let record = record?;
        let (root, twin, number, flags) = split(&record);
        let (new, compared) = (flags & OLD == 0, flags & NEEDED != 0);
        let best = (new, place(&record));
        let doc = best.1[PLACE - 1];
        match &mut open {
            Some(open) if open.root == root => {
                open.any_new |= new;
                let fact = &mut open.fact;
                fact.compared |= compared;
                fact.size += 1;
                fact.least = fact.least.min(doc);
                if best < open.best {
                    open.best = best;
                    (fact.best, fact.twin, fact.doc) = (number, twin, doc);
                }
            }
            _ => {
                let (size, mixed) = (1, false);
                let fact = Fact { best: number, twin, doc, least: doc, size, mixed, compared };
                if let Some(before) = open.replace(Open { root, best, any_new: new, fact }) {
                    facts.push(before.close())?;
                }
            }
        }
    }
    if let Some(last) = open {
        facts.push(last.close())?;
    }
    facts.finish()
}
