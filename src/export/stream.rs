//! The order of training, written down: the rows of a pack as the feed hands them out.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::handoff::Counts;
use super::{TokenRow, TokenSink};
use crate::error::{Error, Result};
use crate::feed::{Feed, FeedOptions};
use crate::token::pack::{Group, Pack};

/// Writes micro-batches until so many tokens were drawn; the counts of each group.
///
/// The last micro-batch is whole, as it is in training.
pub fn training(
    pack: &Arc<Pack>,
    options: &FeedOptions,
    until: u64,
    sink: &mut dyn TokenSink,
    progress: &dyn Fn(u64),
) -> Result<BTreeMap<String, Counts>> {
    let mut feed = Feed::new(pack.clone(), options)?;
    let mut counts: BTreeMap<String, Counts> = BTreeMap::new();
    let mut drawn = 0;
    while drawn < until {
        let batch = feed.next()?;
        if batch.n_tokens == 0 {
            return Err(Error::internal("a micro-batch without tokens"));
        }
        drawn += batch.n_tokens;
        let group = &pack.groups[batch.group];
        let count = counts.entry(group.name.clone()).or_default();
        for (ids, lengths) in batch.ids().chunks(batch.length).zip(&batch.document_lengths) {
            write(sink, ids, lengths, group, count)?;
        }
        progress(drawn);
    }
    Ok(counts)
}

/// Writes the rows of a group once, in the order of the pack.
pub fn once(pack: &Pack, group: usize, sink: &mut dyn TokenSink) -> Result<Counts> {
    let source = &pack.groups[group];
    let mut count = Counts::default();
    let mut row = 0;
    while row < source.rows {
        let some = (source.rows - row).min(1024) as usize;
        let (ids, _) = source.read(row, some)?;
        let lengths = source.document_lengths(row, some)?;
        for (ids, lengths) in ids.typed_data::<i32>().chunks(source.length).zip(&lengths) {
            write(sink, ids, lengths, source, &mut count)?;
        }
        row += some as u64;
    }
    Ok(count)
}

fn write(
    sink: &mut dyn TokenSink,
    row: &[i32],
    lengths: &[i32],
    group: &Group,
    count: &mut Counts,
) -> Result<()> {
    // Of pairs, the lengths are those of source and target in turn.
    let sides = group.kind.langs().len();
    let lengths: Vec<i32> = lengths.chunks(sides).map(|sides| sides.iter().sum()).collect();
    let filled = lengths.iter().map(|n| *n as usize).sum::<usize>();
    let Some(ids) = row.get(..filled) else {
        return Err(Error::internal("documents longer than their row"));
    };
    count.rows += 1;
    count.tokens += filled as u64;
    sink.row(&TokenRow { ids, lengths: &lengths, group: &group.name })
}
