//! The lines that stand in several documents.
//!
//! Each line gives the hash of itself without white space at its ends; sorted, equal lines meet.
//! How many documents have a line is known only at the end of its group, which may be longer than
//! memory: the sorted records are therefore read by two readers, one a group ahead of the other.

use super::documents::Documents;
use super::{Repeats, Space};
use crate::error::Result;
use crate::id;
use crate::store::group::Sorter;

/// Which lines are removed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lines {
    /// Code points that a line has at least, without white space at its ends.
    pub least: u64,
    /// Documents that have it, at least.
    pub documents: u64,
    /// Whether the first copy stays.
    pub keep_first: bool,
}

/// Finds the lines to remove, each with its line break.
pub(super) fn repeats(documents: &Documents, rule: &Lines, space: &Space) -> Result<Repeats> {
    let mut sorter: Sorter<5> = space.sorter(4);
    let all = documents.iter()?.map(|document| Ok((document?, ())));
    documents.visit(
        all,
        space,
        |document, text, (), push| {
            let mut start = document.start;
            for line in text.split_inclusive('\n') {
                let end = start + line.len() as u64;
                let trimmed = line.trim();
                if trimmed.chars().count() as u64 >= rule.least {
                    let hash = id::hash128(trimmed.as_bytes()) ^ u128::from(document.within);
                    push([(hash >> 64) as u64, hash as u64, document.place, start, end])?;
                }
                start = end;
            }
            Ok(())
        },
        |record| sorter.push(record),
    )?;
    let sorted = sorter.finish()?;
    let mut stretches: Sorter<3> = space.sorter(16);
    let mut ahead = sorted.iter()?.peekable();
    let mut behind = sorted.iter()?;
    while let Some(first) = ahead.next().transpose()? {
        let (mut lines, mut documents, mut last) = (1u64, 1u64, first[2]);
        while let Some(record) =
            ahead.next_if(|r| r.as_ref().map_or(true, |r| r[..2] == first[..2]))
        {
            let record = record?;
            lines += 1;
            documents += u64::from(record[2] != last);
            last = record[2];
        }
        let removed = documents >= rule.documents;
        for i in 0..lines {
            let Some(record) = behind.next().transpose()? else { break };
            if removed && (i > 0 || !rule.keep_first) {
                stretches.push([
                    record[3],
                    record[4],
                    if rule.keep_first { first[3] } else { 0 },
                ])?;
            }
        }
    }
    Ok(Repeats { stretches: stretches.finish()?, firsts: space.sorter(32).finish()?, length: 0 })
}
