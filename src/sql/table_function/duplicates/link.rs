//! Pairs of rows that may be duplicates, from the sorted records of the survey.
//!
//! Rows of equal content stand for each other: the least id of them, their representative, is the
//! only one that is compared with other content. A band that very many rows share does not make a
//! pair of each two of them: in an order that depends on the band and the content alone, each is
//! paired with the [`NEIGHBOURS`] before it, and as the order differs from band to band, what
//! belongs together is linked all the same.

use std::collections::VecDeque;

use super::Space;
use super::survey::{Bands, Contents};
use crate::error::Result;
use crate::store::group::{Sorted, Sorter};

/// With how many rows of its band, at most, a row is paired by those after it.
const NEIGHBOURS: usize = 8;

/// `[a, b]`, ids of two rows.
pub(super) type Pairs = Sorted<2>;

/// `[id, representative]` of each row whose content is also that of a row with a smaller id.
pub(super) fn equal_content(contents: &Contents, space: &Space) -> Result<Pairs> {
    let mut pairs = Sorter::new(&space.dir, space.memory);
    let mut first: Option<[u64; 3]> = None;
    for record in contents.iter()? {
        let record = record?;
        match first {
            Some([high, low, representative]) if [high, low] == record[..2] => {
                pairs.push([record[2], representative])?;
            }
            _ => first = Some(record),
        }
    }
    pairs.finish()
}

/// `[a, b]` with `a < b`, representatives of different content that share a band; a pair stands as
/// often as there are bands that made it.
pub(super) fn shared_bands(bands: &Bands, space: &Space) -> Result<Pairs> {
    let mut pairs = Sorter::new(&space.dir, space.memory);
    let mut band = [0; 2];
    let mut before: VecDeque<(u64, u64)> = VecDeque::new();
    for record in bands.iter()? {
        let [high, low, order, doc] = record?;
        if [high, low] != band {
            band = [high, low];
            before.clear();
        }
        // The same content again: the first has the least id.
        if before.back().is_some_and(|(last, _)| *last == order) {
            continue;
        }
        for (_, other) in &before {
            pairs.push([doc.min(*other), doc.max(*other)])?;
        }
        if before.len() == NEIGHBOURS {
            before.pop_front();
        }
        before.push_back((order, doc));
    }
    pairs.finish()
}

/// The distinct pairs in ascending order.
pub(super) fn distinct(pairs: &Pairs) -> Result<impl Iterator<Item = Result<[u64; 2]>>> {
    let mut last = None;
    Ok(pairs.iter()?.filter(move |pair| match pair {
        Ok(pair) => last.replace(*pair) != Some(*pair),
        Err(_) => true,
    }))
}

/// The distinct ids of some pairs, ascending.
pub(super) fn ids(pairs: &[&Pairs], space: &Space) -> Result<Vec<u64>> {
    let mut sorter = Sorter::new(&space.dir, space.memory);
    for pairs in pairs {
        for pair in distinct(pairs)? {
            let [a, b] = pair?;
            sorter.push([a])?;
            sorter.push([b])?;
        }
    }
    let mut ids: Vec<u64> = Vec::new();
    for id in sorter.finish()?.iter()? {
        let [id] = id?;
        if ids.last() != Some(&id) {
            ids.push(id);
        }
    }
    Ok(ids)
}
