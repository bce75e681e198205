//! The windows that stand earlier too, found at their anchors.
//!
//! 1. The texts give their anchors, each with the hash of all windows that it is the anchor of,
//!    about 2 records in 50 bytes. Sorted, equal anchors meet.
//! 2. Of the anchors whose windows are all equal, the first in the order keeps them and the others
//!    are copies: most of what is repeated is found here, without a look at single windows.
//! 3. Where one gram stands among different text, the windows of the first of each kind are hashed
//!    one by one and sorted.
//!
//! Hashes are of 128 bits of the content (88 bits for the windows of an anchor, besides 40 of the
//! anchor), which is what equality means here. Nothing is held in memory but the buffers of sorts.

use super::documents::Documents;
use super::{Repeats, Space};
use crate::dedup::spans::anchor::{Anchor, Windows};
use crate::dedup::spans::units::{Unit, Units};
use crate::error::Result;
use crate::id;
use crate::store::group::{Sorted, Sorter};

/// The lower 24 bits of a word are another number than the upper 40.
const LOW: u64 = (1 << 24) - 1;

/// `[anchor | windows: high, windows: low, order | unit: high, unit: low | distances]`.
type Anchors = Sorted<4>;
/// `[unit, order, distances]` of anchors whose windows are looked at one by one.
type Single = Sorted<3>;

/// An anchor at its place.
#[derive(Clone, Copy)]
struct Place {
    /// The place of its document in the order.
    order: u64,
    /// Its unit among those of all documents.
    unit: u64,
    /// How far before it its first and its last window begin.
    before: u64,
    after: u64,
}

impl Place {
    fn first(&self) -> u64 {
        self.unit - self.before
    }

    fn last(&self) -> u64 {
        self.unit - self.after
    }

    /// Whether the windows of another, which are equal and stand before these, end before they begin.
    fn is_clear_of(&self, other: &Self, length: u64) -> bool {
        self.order != other.order || self.unit - other.unit >= length
    }
}

/// Finds the windows of some length that stand earlier.
pub(super) fn repeats(
    documents: &Documents,
    windows: Windows,
    unit: Unit,
    space: &Space,
) -> Result<Repeats> {
    let anchors = anchors(documents, windows, unit, space)?;
    let (stretches, single) = classes(&anchors, windows, space)?;
    drop(anchors);
    let firsts = firsts(documents, &single, windows, unit, space)?;
    Ok(Repeats { stretches, firsts, length: windows.length() as u64 })
}

fn anchors(documents: &Documents, windows: Windows, unit: Unit, space: &Space) -> Result<Anchors> {
    let mut sorter: Sorter<4> = space.sorter(4);
    let all = documents.iter()?.map(|document| Ok((document?, ())));
    documents.visit(
        all,
        space,
        |document, text, (), push| {
            let units = Units::new(text, unit);
            windows.anchors(&units, &mut |anchor| {
                let Anchor { hash, at, first, last } = anchor;
                let of = id::hash128(units.bytes(first, last + windows.length()));
                let place = Place {
                    order: document.place,
                    unit: document.start + at as u64,
                    before: (at - first) as u64,
                    after: at.abs_diff(last) as u64,
                };
                push(pack(hash ^ document.within, of ^ u128::from(document.within), place))
            })
        },
        |record| sorter.push(record),
    )?;
    sorter.finish()
}

fn pack(anchor: u64, windows: u128, place: Place) -> [u64; 4] {
    [
        anchor & !LOW | (windows >> 64) as u64 & LOW,
        windows as u64,
        place.order << 24 | place.unit >> 40,
        place.unit << 24 | place.before << 12 | place.after,
    ]
}

fn unpack(record: [u64; 4]) -> Place {
    let [_, _, order, unit] = record;
    Place {
        order: order >> 24,
        unit: (order & LOW) << 40 | unit >> 24,
        before: unit >> 12 & 0xfff,
        after: unit & 0xfff,
    }
}

/// What is a copy at a whole anchor, `[start, end, unit of the copy before]`, and the anchors whose
/// windows have to be looked at.
fn classes(anchors: &Anchors, windows: Windows, space: &Space) -> Result<(Sorted<3>, Single)> {
    let length = windows.length() as u64;
    let mut stretches: Sorter<3> = space.sorter(16);
    let mut single: Sorter<3> = space.sorter(16);
    let mut look = |at: &Place| single.push([at.unit, at.order, at.before << 12 | at.after]);
    // The first record of the class, and the same while the anchor has no other class.
    let mut class: Option<([u64; 4], Place)> = None;
    let mut only = None;
    for record in anchors.iter()? {
        let record = record?;
        let place = unpack(record);
        match &class {
            Some((of, first)) if of[..2] == record[..2] => {
                if place.is_clear_of(first, length) {
                    stretches.push([place.first(), place.last() + length, first.first()])?;
                } else {
                    look(&place)?;
                }
                continue;
            }
            Some((of, _)) if (of[0] ^ record[0]) & !LOW == 0 => {
                if let Some(first) = only.take() {
                    look(&first)?;
                }
                look(&place)?;
            }
            _ => only = Some(place),
        }
        class = Some((record, place));
    }
    Ok((stretches.finish()?, single.finish()?))
}

/// `[unit, unit of the first equal window]` of the windows that stand earlier, by looking at each.
fn firsts(
    documents: &Documents,
    single: &Single,
    windows: Windows,
    unit: Unit,
    space: &Space,
) -> Result<Sorted<2>> {
    let length = windows.length();
    let mut hashes: Sorter<4> = space.sorter(4);
    documents.visit(
        documents.with(single.iter()?)?,
        space,
        |document, text, anchors, push| {
            let units = Units::new(text, unit);
            for [at, order, distances] in anchors {
                let (before, after) = (distances >> 12, distances & 0xfff);
                for window in at - before..=at - after {
                    let from = (window - document.start) as usize;
                    let hash =
                        id::hash128(units.bytes(from, from + length)) ^ u128::from(document.within);
                    push([(hash >> 64) as u64, hash as u64, *order, window])?;
                }
            }
            Ok(())
        },
        |record| hashes.push(record),
    )?;
    let mut firsts: Sorter<2> = space.sorter(16);
    let mut first: Option<[u64; 4]> = None;
    for record in hashes.finish()?.iter()? {
        let record = record?;
        match first {
            Some(of) if of[..2] == record[..2] => {
                let [_, _, order, window] = record;
                if of[2] != order || window - of[3] >= length as u64 {
                    firsts.push([window, of[3]])?;
                }
            }
            _ => first = Some(record),
        }
    }
    firsts.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_packed_in_the_order_of_documents_then_units() {
        let place = |order, unit| Place { order, unit, before: 4095, after: 7 };
        let places = [place(0, 5), place(0, 1 << 50), place(1, 3), place((1 << 40) - 1, u64::MAX)];
        let records = places.map(|place| pack(u64::MAX, u128::MAX, place));
        assert!(records.is_sorted());
        for (record, place) in records.into_iter().zip(places) {
            let found = unpack(record);
            assert_eq!((found.order, found.unit), (place.order, place.unit));
            assert_eq!((found.before, found.after), (4095, 7));
        }
    }
}
