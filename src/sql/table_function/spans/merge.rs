//! Repeats to rows: what touches is one stretch, cut between characters and counted in code points,
//! with the document that keeps a copy.

use super::documents::Documents;
use super::{Repeats, Space};
use crate::dedup::spans::cut;
use crate::dedup::spans::units::{Unit, Units};
use crate::error::{Error, Result};
use crate::store::group::{Sorted, Sorter};

/// `[doc_id, start, length, kept_id]`; the last is 0 where no copy stays.
pub(super) type Rows = Sorted<4>;

/// The rows of the result.
pub(super) fn rows(
    documents: &Documents,
    repeats: &Repeats,
    unit: Unit,
    kept: bool,
    space: &Space,
) -> Result<Rows> {
    let stretches = union(repeats, space)?;
    let stretches = if kept { keepers(documents, repeats, &stretches, space)? } else { stretches };
    let mut rows: Sorter<4> = space.sorter(8);
    documents.visit(
        documents.with(stretches.iter()?)?,
        space,
        |document, text, stretches, push| {
            let units = Units::new(text, unit);
            let (mut byte, mut chars) = (0, 0);
            for [start, end, kept] in stretches {
                let offset = |place: u64| units.offset((place - document.start) as usize);
                let Some(cut) = cut::inside(text, offset(*start)..offset(*end)) else { continue };
                chars += text[byte..cut.start].chars().count();
                let length = text[cut.clone()].chars().count();
                push([document.id, chars as u64 + 1, length as u64, *kept])?;
                byte = cut.end;
                chars += length;
            }
            Ok(())
        },
        |row| rows.push(row),
    )?;
    rows.finish()
}

/// `[start, end, unit of a copy of the first window]`, as long as they get.
fn union(repeats: &Repeats, space: &Space) -> Result<Sorted<3>> {
    let mut union: Sorter<3> = space.sorter(16);
    let mut open: Option<[u64; 3]> = None;
    let mut stretches = repeats.stretches.iter()?.peekable();
    let mut firsts = repeats
        .firsts
        .iter()?
        .map(|record| record.map(|[window, first]| [window, window + repeats.length, first]))
        .peekable();
    loop {
        let next = match (stretches.peek(), firsts.peek()) {
            (Some(Ok(stretch)), Some(Ok(first))) if first < stretch => firsts.next(),
            // An error comes out as soon as it is seen.
            (_, Some(Err(_))) => firsts.next(),
            (Some(_), _) => stretches.next(),
            (None, _) => firsts.next(),
        };
        let Some(next) = next.transpose()? else { break };
        match &mut open {
            Some([_, end, _]) if next[0] <= *end => *end = next[1].max(*end),
            _ => {
                if let Some(done) = open.replace(next) {
                    union.push(done)?;
                }
            }
        }
    }
    if let Some(done) = open {
        union.push(done)?;
    }
    union.finish()
}

/// The stretches with the document of the first copy, by its id.
fn keepers(
    documents: &Documents,
    repeats: &Repeats,
    stretches: &Sorted<3>,
    space: &Space,
) -> Result<Sorted<3>> {
    let mut by_copy: Sorter<3> = space.sorter(16);
    for stretch in stretches.iter()? {
        let [start, end, copy] = stretch?;
        by_copy.push([copy, start, end])?;
    }
    let by_copy = by_copy.finish()?;
    // The copy that was found may itself be one of an earlier window, which then is the first.
    let mut by_first: Sorter<3> = space.sorter(16);
    let mut firsts = repeats.firsts.iter()?;
    let mut known = firsts.next().transpose()?;
    for stretch in by_copy.iter()? {
        let [copy, start, end] = stretch?;
        while known.is_some_and(|[window, _]| window < copy) {
            known = firsts.next().transpose()?;
        }
        let first = known.filter(|[window, _]| *window == copy).map_or(copy, |[_, first]| first);
        by_first.push([first, start, end])?;
    }
    let mut kept: Sorter<3> = space.sorter(16);
    let mut documents = documents.iter()?;
    let mut document = documents.next().transpose()?;
    for stretch in by_first.finish()?.iter()? {
        let [first, start, end] = stretch?;
        while document.is_some_and(|d| d.start + d.units <= first) {
            document = documents.next().transpose()?;
        }
        let id = document.ok_or_else(|| Error::internal("a copy after all documents"))?.id;
        kept.push([start, end, id])?;
    }
    kept.finish()
}
