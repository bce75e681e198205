//! The first pass: every row gets a number, and what is known of it becomes arrays and records.

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::super::super::Batches;
use super::view::{Found, View};
use super::{Rule, Space};
use crate::error::{Error, Result};
use crate::sql::table_function::order::RANKS;
use crate::store::group::{Sorted, Sorter};
use crate::store::mmap::{Scratch, ScratchWriter};

/// `[content key: high, low, number]` of every row with a text.
pub(super) type Contents = Sorted<3>;
/// `[band key, hash of the set, number]`.
pub(super) type Bands = Sorted<3>;

/// The row is of the table that the other one is compared with.
pub(super) const OLD: u8 = 1;
/// The row has no text.
pub(super) const EMPTY: u8 = 2;
/// The row is in a cluster that was taken over from a former result.
pub(super) const KNOWN: u8 = 4;
/// The row was kept in the former result.
pub(super) const WAS_KEPT: u8 = 8;
/// The shingles of the row are needed.
pub(super) const NEEDED: u8 = 16;

/// Words of the place of a row; the last one is its id.
pub(super) const PLACE: usize = RANKS + 4;

/// All rows, by number: in the order in which they were read, the old ones first. So the first row of
/// any set of rows is an old one if one of them is.
pub(super) struct Rows {
    pub doc: Scratch<u64>,
    /// The content key, high and low.
    pub key: Scratch<[u64; 2]>,
    pub chars: Scratch<u64>,
    pub flags: Scratch<u8>,
    /// For each column of the order a number of which the largest comes first.
    ranks: Vec<Scratch<u64>>,
    /// `[doc_id, number]` in order of the first, unless numbers have that order themselves.
    by_doc: Option<Scratch<[u64; 2]>>,
}

impl Rows {
    pub fn len(&self) -> usize {
        self.doc.len()
    }

    pub fn has(&self, number: u32, flag: u8) -> bool {
        self.flags[number as usize] & flag != 0
    }

    /// The number at a place in the order of ids.
    pub fn at(&self, place: usize) -> u32 {
        match &self.by_doc {
            Some(by_doc) => by_doc[place][1] as u32,
            None => place as u32,
        }
    }

    /// The number of an id; `near` is where the last one stood, as ids are mostly asked in order.
    pub fn find(&self, doc: u64, near: &mut usize) -> Option<u32> {
        let id = |place: usize| match &self.by_doc {
            Some(by_doc) => by_doc[place][0],
            None => self.doc[place],
        };
        let n = self.len();
        if *near + 1 < n && id(*near + 1) == doc {
            *near += 1;
            return Some(self.at(*near));
        }
        let (mut low, mut high) = (0, n);
        while low < high {
            let middle = low + (high - low) / 2;
            if id(middle) < doc { low = middle + 1 } else { high = middle }
        }
        if low == n || id(low) != doc {
            return None;
        }
        *near = low;
        Some(self.at(low))
    }

    /// The explicit order of what is kept as numbers: of two rows the one of the lesser comes first.
    pub fn place(&self, number: u32) -> [u64; PLACE] {
        let i = number as usize;
        let mut place = [0; PLACE];
        place[..=RANKS].copy_from_slice(&self.order(number));
        let [high, low] = self.key[i];
        place[RANKS + 1..].copy_from_slice(&[high, low, self.doc[i]]);
        place
    }

    /// The part of its place that is neither its content nor its id.
    pub fn order(&self, number: u32) -> [u64; RANKS + 1] {
        let mut order = [0; RANKS + 1];
        for (order, rank) in order.iter_mut().zip(&self.ranks) {
            *order = !rank[number as usize];
        }
        order[RANKS] = !self.chars[number as usize];
        order
    }
}

/// Reads all rows.
pub(super) fn read(
    rule: &Rule,
    table: Batches,
    against: Option<Batches>,
    space: &Space,
) -> Result<(Rows, Contents, Option<Bands>)> {
    let (mut doc, mut key, mut chars, mut flags) =
        (space.writer::<u64>(), space.writer(), space.writer(), space.writer::<u8>());
    let mut ranks: Vec<ScratchWriter<u64>> =
        rule.ascending.iter().map(|_| space.writer()).collect();
    let mut contents = Sorter::new(&space.dir, space.memory / 8);
    let mut bands = rule.near.map(|_| Sorter::new(&space.dir, space.memory * 3 / 8));
    let permutations = rule.near.map(|_| rule.recipe.permutations());
    let (mut last, mut ascending) = (None, true);
    for (input, side) in [(against, OLD), (Some(table), 0)] {
        for batch in input.into_iter().flatten() {
            let view = View::new(&batch?)?;
            view.check_forms(rule)?;
            let one = |row| view.found(row, rule, permutations.as_ref());
            let n = view.ids().len();
            let found: Vec<Found> =
                space.threads.install(|| (0..n).into_par_iter().map(one).collect::<Result<_>>())?;
            for row in found {
                let number = doc.len() as u64;
                ascending &= last.replace(row.doc).is_none_or(|last| last < row.doc);
                doc.push(row.doc)?;
                for (ranks, rank) in ranks.iter_mut().zip(row.ranks) {
                    ranks.push(rank)?;
                }
                let Some(text) = row.content else {
                    key.push([0, 0])?;
                    chars.push(0)?;
                    flags.push(side | EMPTY)?;
                    continue;
                };
                let [high, low] = [(text.key >> 64) as u64, text.key as u64];
                key.push([high, low])?;
                chars.push(text.chars)?;
                flags.push(side)?;
                contents.push([high, low, number])?;
                if let Some(bands) = &mut bands {
                    text.bands.iter().try_for_each(|band| bands.push([*band, text.set, number]))?;
                }
            }
        }
    }
    let doc = doc.finish()?;
    let flags = flags.finish()?;
    let by_doc = if ascending { None } else { Some(order(&doc, &flags, space)?) };
    let ranks = ranks.into_iter().map(ScratchWriter::finish).collect::<Result<_>>()?;
    let rows = Rows { doc, key: key.finish()?, chars: chars.finish()?, flags, ranks, by_doc };
    let bands = bands.map(Sorter::finish).transpose()?;
    Ok((rows, contents.finish()?, bands))
}

/// `[doc_id, number]` in order; errors when an id stands twice.
fn order(doc: &[u64], flags: &[u8], space: &Space) -> Result<Scratch<[u64; 2]>> {
    let mut sorter = Sorter::new(&space.dir, space.memory / 8);
    for (doc, number) in doc.iter().zip(0u64..) {
        sorter.push([*doc, number])?;
    }
    let mut ordered = space.writer::<[u64; 2]>();
    let mut last: Option<[u64; 2]> = None;
    for record in sorter.finish()?.iter()? {
        let record = record?;
        if let Some(before) = last.replace(record).filter(|before| before[0] == record[0]) {
            let old = |number: u64| flags[number as usize] & OLD != 0;
            let place = match old(before[1]) == old(record[1]) {
                true => "stands twice in the table",
                false => "stands in both tables",
            };
            return Err(Error::usage(format!("`doc_id` {} {place}", record[0]))
                .hint_with("duplicates are told apart by `doc_id`, which must be unique"));
        }
        ordered.push(record)?;
    }
    ordered.finish()
}
