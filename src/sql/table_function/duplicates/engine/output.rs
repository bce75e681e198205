//! The rows of the result.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::measure::{KEPT, MARKS, MIXED, Measured};
use super::rows::{OLD, Rows, WAS_KEPT};
use super::{Drop, Rule};
use crate::error::Result;
use crate::id;
use crate::store::group::Along;

/// Rows in a batch of the result.
const BATCH_ROWS: usize = 8192;

/// The columns of the result; `side` only when two tables are compared.
pub(in crate::sql::table_function) fn schema(against: bool) -> SchemaRef {
    let id = |name: &str| Field::new(name, DataType::UInt64, false);
    let mut fields = vec![
        id("doc_id"),
        id("cluster_id"),
        id("cluster_size"),
        Field::new("keep", DataType::Boolean, false),
        id("kept_id"),
        Field::new("similarity", DataType::Float64, false),
        id("content"),
        Field::new("superseded", DataType::Boolean, false),
    ];
    if against {
        fields.push(Field::new("side", DataType::Utf8, false));
    }
    Arc::new(Schema::new(fields))
}

/// The options that decide which rows are duplicates, as a number.
pub(super) fn options(rule: &Rule) -> u64 {
    let near = rule.near.map_or((0, false), |near| (near.threshold.to_bits(), near.verify));
    id::hash64(format!("{} {near:?} 2", rule.recipe.name(false)).as_bytes())
}

/// The hash of a row's content, and of its place in the order of what is kept, under the options.
pub(super) fn content(rows: &Rows, number: u32, options: u64) -> u64 {
    let place = rows.order(number).iter().fold(options, |hash, rank| id::keyed(*rank, hash));
    rows.key[number as usize][1] ^ place
}

/// Hands all rows of the result to `emit`, in ascending order of id.
pub(super) fn write(
    rule: &Rule,
    rows: &Rows,
    measured: &Measured,
    emit: &mut dyn FnMut(RecordBatch) -> Result<()>,
) -> Result<()> {
    let options = options(rule);
    let mut out = Out::default();
    let mut measured = Along::new(measured)?;
    for place in 0..rows.len() {
        let number = rows.at(place);
        let (doc, old) = (rows.doc[number as usize], rows.has(number, OLD));
        // What has no record is by itself.
        let alone = [doc, doc, 1 << MARKS | KEPT, doc, 1f64.to_bits()];
        let [_, cluster, size, kept, similarity] = measured.at(doc)?.unwrap_or(alone);
        let (best, mixed) = (size & KEPT != 0, size & MIXED != 0);
        let keep = match rule.against {
            None => best,
            Some(_) if old && !mixed => continue,
            Some(Drop::Both) => best && !old,
            Some(_) if old => continue,
            Some(Drop::New) => best,
            Some(Drop::None) => true,
        };
        out.doc.push(doc);
        out.cluster.push(cluster);
        out.size.push(size >> MARKS);
        out.keep.push(keep);
        out.kept.push(kept);
        out.similarity.push(f64::from_bits(similarity));
        out.content.push(content(rows, number, options));
        out.superseded.push(!keep && rows.has(number, WAS_KEPT));
        out.side.push(if old { "old" } else { "new" });
        if out.doc.len() == BATCH_ROWS {
            emit(std::mem::take(&mut out).batch(rule)?)?;
        }
    }
    if out.doc.is_empty() { Ok(()) } else { emit(out.batch(rule)?) }
}

#[derive(Default)]
struct Out {
    doc: Vec<u64>,
    cluster: Vec<u64>,
    size: Vec<u64>,
    keep: Vec<bool>,
    kept: Vec<u64>,
    similarity: Vec<f64>,
    content: Vec<u64>,
    superseded: Vec<bool>,
    side: Vec<&'static str>,
}

impl Out {
    fn batch(self, rule: &Rule) -> Result<RecordBatch> {
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(UInt64Array::from(self.doc)),
            Arc::new(UInt64Array::from(self.cluster)),
            Arc::new(UInt64Array::from(self.size)),
            Arc::new(BooleanArray::from(self.keep)),
            Arc::new(UInt64Array::from(self.kept)),
            Arc::new(Float64Array::from(self.similarity)),
            Arc::new(UInt64Array::from(self.content)),
            Arc::new(BooleanArray::from(self.superseded)),
        ];
        if rule.against.is_some() {
            columns.push(Arc::new(StringArray::from(self.side)));
        }
        Ok(RecordBatch::try_new(schema(rule.against.is_some()), columns)?)
    }
}
