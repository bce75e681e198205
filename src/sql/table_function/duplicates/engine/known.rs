//! What a former result says: clusters that are still whole need no comparison.
//!
//! A cluster is taken over when all of its rows are in the table with the content they had. Its
//! links are then all there, and two such clusters have none between them. The rows of any other
//! cluster count as new. The hash of the content also stands for the options, so that a result that
//! was made with others says nothing.

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

/// `[doc_id, cluster, content, size of the cluster and whether the row was kept, similarity]`.
type Former = Sorted<5>;

/// Marks a cluster that is still whole, beside the number of its kept row plus one.
const WHOLE: u64 = 1 << 63;

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
    // row is not what it was, size and whether kept, similarity]`.
    let options = output::options(rule);
    let mut clusters: Sorter<5> = Sorter::new(&space.dir, space.memory / 8);
    let mut near = 0;
    for record in former.iter()? {
        let [doc, cluster, content, word, similarity] = record?;
        let number = rows.find(doc, &mut near);
        if let (Some(number), 1) = (number, word & 1) {
            rows.flags[number as usize] |= WAS_KEPT;
        }
        let same = number.filter(|i| output::content(rows, *i, options) == content);
        let same = same.map_or(0, |number| u64::from(number) + 1);
        clusters.push([cluster, doc, same, word, similarity])?;
    }
    drop(former);
    let clusters = clusters.finish()?;
    let verdicts = verdicts(&clusters, space)?.finish()?;
    let mut known = Sorter::new(&space.dir, space.memory / 8);
    let (mut cluster, mut place, mut first) = (None, 0, 0);
    for record in clusters.iter()? {
        let [id, _, number, _, similarity] = record?;
        let begins = cluster.replace(id) != Some(id);
        place += usize::from(begins);
        let verdict = verdicts[place - 1];
        // A whole cluster has the numbers of all of its rows.
        let Some(number) = (number as u32).checked_sub(1).filter(|_| verdict & WHOLE != 0) else {
            continue;
        };
        if begins {
            first = number;
        }
        rows.flags[number as usize] |= KNOWN;
        joined.join(first, number);
        if let Some(kept) = (verdict as u32).checked_sub(1) {
            known.push([number.into(), kept.into(), similarity])?;
        }
    }
    Ok(Some(known.finish()?))
}

/// Of each cluster whether it is whole; and of several rows the one that was kept.
fn verdicts(clusters: &Sorted<5>, space: &Space) -> Result<ScratchWriter<u64>> {
    let mut verdicts = space.writer();
    let (mut cluster, mut n, mut size, mut intact, mut kept) = (None, 0, 0, true, 0);
    let word = |n: u64, size, intact, kept: u64| {
        let whole = intact && (size == 0 || size == n);
        (if whole { WHOLE } else { 0 }) | if n > 1 { kept } else { 0 }
    };
    for record in clusters.iter()? {
        let [id, _, number, marks, _] = record?;
        if cluster.replace(id).is_some_and(|before| before != id) {
            verdicts.push(word(n, size, intact, kept))?;
            (n, intact, kept) = (0, true, 0);
        }
        n += 1;
        size = marks >> 1;
        intact &= number != 0;
        if marks & 1 == 1 {
            kept = number;
        }
    }
    verdicts.push(word(n, size, intact, kept))?;
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
        let (doc, cluster, content, size) =
            (id("doc_id")?, id("cluster_id")?, id("content")?, id("size")?);
        let kept = column("kept", DataType::Boolean)?;
        let similarity = column("similarity", DataType::Float64)?;
        for row in 0..batch.num_rows() {
            let of = |column: &arrow::array::ArrayRef| {
                let valid = column.is_valid(row);
                if valid { column.as_primitive::<UInt64Type>().value(row) } else { 0 }
            };
            let kept = kept.is_valid(row) && kept.as_boolean().value(row);
            let similarity = match similarity.is_valid(row) {
                true => similarity.as_primitive::<Float64Type>().value(row),
                false => 0.0,
            };
            let word = of(&size) << 1 | u64::from(kept);
            former.push([of(&doc), of(&cluster), of(&content), word, similarity.to_bits()])?;
        }
    }
    former.finish()
}

/// Marks the rows of taken-over clusters that may get another kept row: of clusters that a needed
/// row is in, and of those whose best row is another one now.
pub(super) fn need(
    known: &Known,
    rows: &mut Rows,
    joined: &mut Joined,
    twins: &Twins,
    space: &Space,
) -> Result<()> {
    let clusters = Clusters::new(rows, joined, twins, Some(known), space)?;
    let mut touched: ScratchWriter<u8> = space.writer();
    let mut open: Option<(u32, bool)> = None;
    for member in clusters.members()? {
        let member = member?;
        let touches = member.flags & NEEDED != 0 || member.told.is_none();
        match &mut open {
            Some((root, touched)) if *root == member.root => *touched |= touches,
            _ => {
                if let Some((_, before)) = open.replace((member.root, touches)) {
                    touched.push(before.into())?;
                }
            }
        }
    }
    if let Some((_, last)) = open {
        touched.push(last.into())?;
    }
    let touched = touched.finish()?;
    let (mut root, mut place) = (None, 0);
    for member in clusters.members()? {
        let member = member?;
        place += usize::from(root.replace(member.root) != Some(member.root));
        if touched[place - 1] == 1 {
            rows.flags[member.twin as usize] |= NEEDED;
        }
    }
    Ok(())
}
