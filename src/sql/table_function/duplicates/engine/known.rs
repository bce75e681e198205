//! What a former result says: clusters that are still whole need no comparison.
//!
//! A cluster is taken over when all of its rows are in the table with the content they had. Its
//! links are then all there, and two such clusters have none between them. The rows of any other
//! cluster count as new. The hash of the content also stands for the options and for the row's place
//! in the order of what is kept, so that a result that was made with others says nothing.

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, UInt64Type};

use super::super::super::Batches;
use super::candidates::Twins;
use super::clusters::Clusters;
use super::rows::{KNOWN, NEEDED, Rows, WAS_KEPT};
use super::{Joined, Rule, Space, output};
use crate::error::{Error, Result};
use crate::store::group::{Sorted, Sorter};
use crate::store::mmap::ScratchWriter;

/// `[number, number of the row that was kept, similarity to it]` of the rows of clusters of several
/// that were taken over; the similarity is 0 when it is not known.
pub(super) type Known = Sorted<3>;

/// `[doc_id, cluster, content, size of the cluster and whether the row was kept, kept id,
/// similarity]`.
type Former = Sorted<6>;

/// A cluster that is not whole any more; one that is, of one row; and one of several.
const BROKEN: u8 = 0;
const ALONE: u8 = 1;
const SEVERAL: u8 = 2;

/// Joins the clusters that are still whole; `None` when the former result has no rows.
pub(super) fn read(
    previous: Batches,
    rule: &Rule,
    rows: &mut Rows,
    joined: &mut Joined,
    space: &Space,
) -> Result<Option<Known>> {
    let former = sorted(previous, space)?;
    if former.is_empty() {
        return Ok(None);
    }
    // By id, as the rows are, and then by cluster: `[cluster, doc_id, number plus one or 0 when the
    // row is not what it was, size and whether kept, kept id, similarity]`.
    let options = output::options(rule);
    let mut clusters: Sorter<6> = Sorter::new(&space.dir, space.memory / 8);
    let mut near = 0;
    for record in former.iter()? {
        let [doc, cluster, content, word, kept, similarity] = record?;
        let number = rows.find(doc, &mut near);
        if let (Some(number), 1) = (number, word & 1) {
            rows.flags[number as usize] |= WAS_KEPT;
        }
        let same = number.filter(|i| output::content(rows, *i, options) == content);
        let same = same.map_or(0, |number| u64::from(number) + 1);
        clusters.push([cluster, doc, same, word, kept, similarity])?;
    }
    drop(former);
    let clusters = clusters.finish()?;
    let verdicts = verdicts(&clusters, space)?.finish()?;
    // By the kept row, whose number is looked up in the order of ids.
    let mut by_kept: Sorter<3> = Sorter::new(&space.dir, space.memory / 8);
    let (mut cluster, mut place, mut first) = (None, 0, 0);
    for record in clusters.iter()? {
        let [id, _, number, _, kept, similarity] = record?;
        let begins = cluster.replace(id) != Some(id);
        place += usize::from(begins);
        let verdict = verdicts[place - 1];
        // A whole cluster has the numbers of all of its rows.
        let Some(number) = (number as u32).checked_sub(1).filter(|_| verdict != BROKEN) else {
            continue;
        };
        if begins {
            first = number;
        }
        rows.flags[number as usize] |= KNOWN;
        joined.join(first, number);
        if verdict == SEVERAL {
            by_kept.push([kept, number.into(), similarity])?;
        }
    }
    drop(clusters);
    let mut known = Sorter::new(&space.dir, space.memory / 8);
    let mut near = 0;
    for record in by_kept.finish()?.iter()? {
        let [kept, number, similarity] = record?;
        // What a result without kept ids, or a wrong one, says is found out again.
        if let Some(kept) = rows.find(kept, &mut near)
            && joined.find(kept) == joined.find(number as u32)
        {
            known.push([number, kept.into(), similarity])?;
        }
    }
    Ok(Some(known.finish()?))
}

/// Of each cluster whether it is whole, and of several rows.
fn verdicts(clusters: &Sorted<6>, space: &Space) -> Result<ScratchWriter<u8>> {
    let mut verdicts = space.writer();
    let (mut cluster, mut n, mut size, mut intact) = (None, 0, 0, true);
    let verdict = |n: u64, size, intact| match intact && (size == 0 || size == n) {
        false => BROKEN,
        true if n > 1 => SEVERAL,
        true => ALONE,
    };
    for record in clusters.iter()? {
        let [id, _, number, marks, ..] = record?;
        if cluster.replace(id).is_some_and(|before| before != id) {
            verdicts.push(verdict(n, size, intact))?;
            (n, intact) = (0, true);
        }
        n += 1;
        size = marks >> 1;
        intact &= number != 0;
    }
    verdicts.push(verdict(n, size, intact))?;
    Ok(verdicts)
}

fn sorted(previous: Batches, space: &Space) -> Result<Former> {
    let mut former = Sorter::new(&space.dir, space.memory / 8);
    for batch in previous {
        let batch = batch?;
        let column = |name: &str, ty: DataType| match batch.column_by_name(name) {
            Some(column) => Ok(cast(column, &ty)?),
            None => Err(Error::internal(format!("a former result without `{name}`"))),
        };
        let id = |name: &str| column(name, DataType::UInt64);
        let (doc, cluster, content) = (id("doc_id")?, id("cluster_id")?, id("content")?);
        let (size, kept_id) = (id("size")?, id("kept_id")?);
        let kept = column("kept", DataType::Boolean)?;
        let similarity = column("similarity", DataType::Float64)?;
        for row in 0..batch.num_rows() {
            let of = |column: &arrow::array::ArrayRef| {
                let valid = column.is_valid(row);
                if valid { column.as_primitive::<UInt64Type>().value(row) } else { 0 }
            };
            let kept = kept.is_valid(row) && kept.as_boolean().value(row);
            let similarity = match similarity.is_valid(row) && kept_id.is_valid(row) {
                true => similarity.as_primitive::<Float64Type>().value(row),
                false => 0.0,
            };
            let word = of(&size) << 1 | u64::from(kept);
            let (cluster, kept_id) = (of(&cluster), of(&kept_id));
            let similarity = similarity.to_bits();
            former.push([of(&doc), cluster, of(&content), word, kept_id, similarity])?;
        }
    }
    former.finish()
}

/// Marks the rows of taken-over clusters of which others may be kept now: of clusters that a needed
/// row is in, and of those whose best row is another one.
pub(super) fn need(
    known: &Known,
    rows: &mut Rows,
    joined: &mut Joined,
    twins: &Twins,
    space: &Space,
) -> Result<()> {
    let clusters = Clusters::new(rows, joined, twins, Some(known), space)?;
    let mut touched: ScratchWriter<u8> = space.writer();
    let mut open: Option<(u32, Seen)> = None;
    for member in clusters.members()? {
        let member = member?;
        let seen = Seen {
            untold: member.told.is_none(),
            other: member.told.is_some_and(|told| told.twin != member.fact.twin),
            new: member.flags & KNOWN == 0,
        };
        match &mut open {
            Some((root, before)) if *root == member.root => before.add(seen),
            _ => {
                if let Some((_, before)) = open.replace((member.root, seen)) {
                    touched.push(before.touched().into())?;
                }
            }
        }
    }
    if let Some((_, last)) = open {
        touched.push(last.touched().into())?;
    }
    let touched = touched.finish()?;
    let (mut root, mut place) = (None, 0);
    for member in clusters.members()? {
        let member = member?;
        place += usize::from(root.replace(member.root) != Some(member.root));
        if member.fact.compared || touched[place - 1] == 1 {
            rows.flags[member.twin as usize] |= NEEDED;
        }
    }
    Ok(())
}

/// What the rows of a cluster are.
#[derive(Clone, Copy)]
struct Seen {
    /// A former result says nothing of a row.
    untold: bool,
    /// A row was not dropped for the one that is the best of its cluster now.
    other: bool,
    /// A row is new.
    new: bool,
}

impl Seen {
    fn add(&mut self, other: Seen) {
        self.untold |= other.untold;
        self.other |= other.other;
        self.new |= other.new;
    }

    /// Whether other rows may be kept than before. Rows that are near to the best one are dropped
    /// for it whatever else there is; but a new row that is equal to any other one may bring that
    /// forward in the order.
    fn touched(self) -> bool {
        self.untold || self.other && self.new
    }
}
