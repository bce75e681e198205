//! What is equal is joined at once; what shares a band becomes groups of candidates.

use super::rows::{Bands, Contents, KNOWN, NEEDED, OLD, Rows};
use super::{Joined, Near, Space};
use crate::error::Result;
use crate::store::mmap::{Scratch, ScratchWriter};

/// For each row the first one of an equal set of shingles, or of equal content.
pub(super) type Twins = Scratch<u32>;

/// Groups of rows that share a band, each row with a set of its own: numbers, the last of a group
/// marked, those that have been compared before marked.
pub(super) struct Groups(Scratch<u64>);

/// The row is the last of its group.
const LAST: u64 = 1 << 63;
/// The row has been compared with all others that have been.
const SETTLED: u64 = 1 << 62;

/// A row of a group.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    pub number: u32,
    pub settled: bool,
}

impl Groups {
    /// The groups one after the other, in `group`; false after the last.
    pub fn next(&self, at: &mut usize, group: &mut Vec<Member>) -> bool {
        group.clear();
        while let Some(word) = self.0.get(*at) {
            *at += 1;
            group.push(Member { number: *word as u32, settled: word & SETTLED != 0 });
            if word & LAST != 0 {
                return true;
            }
        }
        false
    }
}

/// Joins rows of equal content.
pub(super) fn equal_content(
    contents: &Contents,
    n: usize,
    joined: &mut Joined,
    space: &Space,
) -> Result<Twins> {
    let mut twins: Twins = space.array(n)?;
    twins.iter_mut().zip(0..).for_each(|(twin, number)| *twin = number);
    let mut first = [0; 3];
    let mut any = false;
    for record in contents.iter()? {
        let record = record?;
        if any && record[..2] == first[..2] {
            joined.join(first[2] as u32, record[2] as u32);
            twins[record[2] as usize] = first[2] as u32;
        } else {
            first = record;
            any = true;
        }
    }
    Ok(twins)
}

/// Joins rows of equal sets, and lists the others that share a band.
///
/// Two sets of which each has a row that has been compared before (in a former result, or both in
/// the old table) are not compared: what links them is there already, or is not wanted.
pub(super) fn shared_bands(
    bands: &Bands,
    near: Near,
    rows: &mut Rows,
    joined: &mut Joined,
    twins: &mut Twins,
    space: &Space,
) -> Result<Groups> {
    let mut out = space.writer();
    let mut group: Vec<u64> = Vec::new();
    let mut node: Option<Node> = None;
    let mut at = None;
    for record in bands.iter()? {
        let [band, set, number] = record?;
        let number = number as u32;
        if at != Some((band, set)) {
            group.extend(node.take().map(Node::word));
            if at.is_some_and(|(last, _)| last != band) {
                close(&mut group, near, rows, joined, &mut out)?;
            }
            at = Some((band, set));
        }
        let (known, old) = (rows.has(number, KNOWN), rows.has(number, OLD));
        match &mut node {
            Some(node) => {
                joined.join(node.number, number);
                twins[number as usize] = node.number;
                node.known |= known;
                node.old &= old;
            }
            None => node = Some(Node { number, known, old }),
        }
    }
    group.extend(node.map(Node::word));
    close(&mut group, near, rows, joined, &mut out)?;
    Ok(Groups(out.finish()?))
}

/// Rows of one set in a band.
#[derive(Clone, Copy)]
struct Node {
    number: u32,
    /// Whether any row of the set is of a cluster that was taken over.
    known: bool,
    /// Whether all are of the old table.
    old: bool,
}

impl Node {
    fn word(self) -> u64 {
        u64::from(self.number) | if self.known || self.old { SETTLED } else { 0 }
    }
}

/// Writes a group if there is anything to compare in it, and empties it. Without verification its
/// rows are joined instead, all to one that has not been compared before.
fn close(
    group: &mut Vec<u64>,
    near: Near,
    rows: &mut Rows,
    joined: &mut Joined,
    out: &mut ScratchWriter<u64>,
) -> Result<()> {
    let fresh = group.iter().find(|word| **word & SETTLED == 0).copied();
    if let Some(fresh) = fresh.filter(|_| group.len() > 1) {
        for word in group.iter() {
            rows.flags[*word as u32 as usize] |= NEEDED;
            if !near.verify {
                joined.join(fresh as u32, *word as u32);
            }
        }
        if let (true, Some((last, before))) = (near.verify, group.split_last()) {
            out.extend(before)?;
            out.push(last | LAST)?;
        }
    }
    group.clear();
    Ok(())
}
