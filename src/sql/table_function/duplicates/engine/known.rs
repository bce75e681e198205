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
use super::clusters;
use super::rows::{KNOWN, NEEDED, Rows, WAS_KEPT};
use super::{Joined, Rule, Space, output};
use crate::error::{Error, Result};
use crate::store::group::{Sorted, Sorter};
use crate::store::mmap::{Scratch, ScratchWriter};

/// What is known of the rows of clusters that were taken over.
pub(super) struct Known {
    /// The number of the row that was kept in the cluster, plus one; 0 for a new row.
    kept: Scratch<u32>,
    /// The similarity to it; 0 when it is not known.
    similarity: Scratch<f64>,
}

/// `[cluster, doc_id, content, size of the cluster and whether the row was kept, similarity]`.
type Former = Sorted<5>;

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
    let options = output::options(rule);
    let mut whole: ScratchWriter<u8> = space.writer();
    let mut near = 0;
    let (mut cluster, mut n, mut size, mut intact) = (None, 0, 0, true);
    for record in former.iter()? {
        let [id, doc, content, word, _] = record?;
        if cluster != Some(id) {
            if cluster.is_some() {
                whole.push(u8::from(intact && (size == 0 || size == n)))?;
            }
            (cluster, n, intact) = (Some(id), 0, true);
        }
        n += 1;
        size = word >> 1;
        let number = rows.find(doc, &mut near);
        intact &= number.is_some_and(|i| output::content(rows, i, options) == content);
        if let (Some(number), 1) = (number, word & 1) {
            rows.flags[number as usize] |= WAS_KEPT;
        }
    }
    whole.push(u8::from(intact && (size == 0 || size == n)))?;
    let whole = whole.finish()?;
    let mut known = Known { kept: space.array(rows.len())?, similarity: space.array(rows.len())? };
    let mut kept: Scratch<u32> = space.array(whole.len())?;
    // The kept row is known only when the whole cluster has been seen: once to join, once to tell.
    for telling in [false, true] {
        let (mut cluster, mut place, mut first) = (None, 0, 0);
        for record in former.iter()? {
            let [id, doc, _, word, similarity] = record?;
            if cluster != Some(id) {
                place += usize::from(cluster.is_some());
                cluster = Some(id);
                first = u32::MAX;
            }
            if whole[place] == 0 {
                continue;
            }
            let Some(number) = rows.find(doc, &mut near) else { continue };
            if telling {
                known.kept[number as usize] = kept[place];
                known.similarity[number as usize] = f64::from_bits(similarity);
                continue;
            }
            rows.flags[number as usize] |= KNOWN;
            if word & 1 == 1 {
                kept[place] = number + 1;
            }
            if first == u32::MAX {
                first = number;
            }
            joined.join(first, number);
        }
    }
    Ok(Some(known))
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
            former.push([of(&cluster), of(&doc), of(&content), word, similarity.to_bits()])?;
        }
    }
    former.finish()
}

impl Known {
    /// The similarity of a row to the one that is kept now, when that has the content of the one
    /// that was kept before.
    pub fn similarity(&self, number: u32, kept: u32, twins: &Twins) -> Option<f64> {
        let before = self.kept[number as usize].checked_sub(1)?;
        let same = twins[before as usize] == twins[kept as usize];
        Some(self.similarity[number as usize]).filter(|s| same && *s > 0.0)
    }

    /// Marks the rows of taken-over clusters that may get another kept row: of clusters that a
    /// needed row is in, and of those whose best row is another one now.
    pub fn need(
        &self,
        rows: &mut Rows,
        joined: &Joined,
        twins: &Twins,
        space: &Space,
    ) -> Result<()> {
        let best = clusters::best(rows, joined, space)?;
        let mut touched: Scratch<u8> = space.array(rows.len())?;
        for number in 0..rows.len() as u32 {
            let root = joined.root(number) as usize;
            let kept = best[root] - 1;
            let alone = twins[number as usize] == twins[kept as usize];
            let told = alone || self.similarity(twins[number as usize], kept, twins).is_some();
            if rows.has(number, NEEDED) || !told {
                touched[root] = 1;
            }
        }
        for number in 0..rows.len() as u32 {
            if touched[joined.root(number) as usize] == 1 {
                rows.flags[twins[number as usize] as usize] |= NEEDED;
            }
        }
        Ok(())
    }
}
