//! Clusters of duplicate rows in bounded memory: what `exact_duplicates` and `near_duplicates` share.
//!
//! 1. [`survey`] reads the texts once and keeps narrow records of them, sorted externally: the rows
//!    by id, their content keys, and the bands of their signatures. No text and no signature stays.
//! 2. [`link`] makes pairs of rows that share a content key or a band.
//! 3. [`sets`] reads the texts a second time, for the rows that share a band with another, and
//!    writes their shingle sets to an unnamed file.
//! 4. [`cluster`] joins the pairs that are near enough, chooses the kept row of each cluster and
//!    measures the others against it.
//!
//! In memory are the buffers of the sorts and about 60 bytes for each row that has a duplicate or a
//! candidate for one. The result is a function of the rows alone: neither the order they are read
//! in nor the number of threads or the memory limit changes it.

mod cluster;
mod link;
mod query;
mod sets;
mod survey;

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{BooleanArray, Float64Array, RecordBatch, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::TableProvider;

use super::{Args, Batches, Lazy, Limits, Named};
use crate::error::{Error, Result};
use cluster::Clusters;

/// An option of both functions, with its meaning.
pub(super) const WITHIN_LANGUAGE: (&str, &str) =
    ("within_language", "false; whether rows of different languages are never duplicates");
/// An option of both functions, with its meaning.
pub(super) const ORDER: (&str, &str) = (
    "order",
    "a numeric column of the table, with ` asc` or ` desc`: the first row by it is kept, and the \
     number of characters decides only between equals",
);

/// Rows in a batch of the result.
const BATCH_ROWS: usize = 8192;
/// Memory for the sorts when there is no limit.
const DEFAULT_MEMORY: usize = 1 << 30;

/// Which rows are duplicates of each other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    /// Whether rows of different languages are never duplicates.
    pub within_language: bool,
    /// When rows of different content are.
    pub near: Option<Near>,
}

/// When rows of different content are duplicates.
#[derive(Debug, Clone, Copy)]
pub(super) struct Near {
    /// The least Jaccard similarity.
    pub threshold: f64,
    /// Bands of the signature.
    pub bands: u64,
    /// Numbers in each band.
    pub rows: u64,
    /// Words in a shingle.
    pub ngram: u64,
    /// Whether the similarity is checked.
    pub verify: bool,
}

/// What the stages work in.
struct Space {
    /// Where sorts spill.
    dir: PathBuf,
    /// Bytes for one sort; up to four are held at once, and half of the limit is left to the scan.
    memory: usize,
    threads: rayon::ThreadPool,
}

impl Space {
    fn new(limits: &Limits) -> Result<Self> {
        let threads = rayon::ThreadPoolBuilder::new().num_threads(limits.threads.max(1)).build();
        Ok(Self {
            dir: limits.temp.clone().unwrap_or_else(std::env::temp_dir),
            memory: limits.memory.unwrap_or(DEFAULT_MEMORY) / 8,
            threads: threads.map_err(|e| Error::io("starting threads", e))?,
        })
    }
}

/// The table of a call.
pub(super) fn table(
    args: &Args<'_>,
    table: &Named,
    order: Option<String>,
    rule: Rule,
) -> Result<Arc<dyn TableProvider>> {
    let measured = args.known("measured")?.is_some_and(|t| t.require(&["detected"]).is_ok());
    let sql = query::texts(table, order.as_deref(), measured)?;
    // Near duplicates are compared in a second pass over the same rows.
    let passes = if rule.near.is_some() { 2 } else { 1 };
    Ok(Lazy {
        name: args.function.name,
        schema: schema(),
        sorted: true,
        inputs: vec![sql; passes],
        work: Arc::new(move |inputs, limits, emit| run(&rule, inputs, limits, emit)),
    }
    .table())
}

fn schema() -> SchemaRef {
    let id = |name: &str| Field::new(name, DataType::UInt64, false);
    Arc::new(Schema::new(vec![
        id("doc_id"),
        id("cluster_id"),
        id("cluster_size"),
        Field::new("keep", DataType::Boolean, false),
        id("kept_id"),
        Field::new("similarity", DataType::Float64, false),
    ]))
}

fn run(
    rule: &Rule,
    inputs: Vec<Batches>,
    limits: &Limits,
    emit: &mut dyn FnMut(RecordBatch) -> Result<()>,
) -> Result<()> {
    let space = Space::new(limits)?;
    let mut inputs = inputs.into_iter();
    let mut next = || inputs.next().ok_or_else(|| Error::internal("a pass without an input"));
    let survey = survey::survey(next()?, rule, &space)?;
    let equal = link::equal_content(&survey.contents, &space)?;
    drop(survey.contents);
    let clusters = match &rule.near {
        None => Clusters::new(&equal, None, &survey.rows, &space)?,
        Some(near) => {
            let shared = link::shared_bands(&survey.bands, &space)?;
            drop(survey.bands);
            let sets = sets::collect(next()?, &shared, near, &space)?;
            Clusters::new(&equal, Some((near, &shared, &sets)), &survey.rows, &space)?
        }
    };
    let mut out = Out::default();
    for row in clusters.all(&survey.rows)? {
        let row = row?;
        out.doc.push(row.doc_id);
        out.cluster.push(row.cluster_id);
        out.size.push(row.cluster_size);
        out.kept.push(row.kept_id);
        out.similarity.push(row.similarity);
        if out.doc.len() == BATCH_ROWS {
            emit(std::mem::take(&mut out).batch()?)?;
        }
    }
    if out.doc.is_empty() { Ok(()) } else { emit(out.batch()?) }
}

#[derive(Default)]
struct Out {
    doc: Vec<u64>,
    cluster: Vec<u64>,
    size: Vec<u64>,
    kept: Vec<u64>,
    similarity: Vec<f64>,
}

impl Out {
    fn batch(self) -> Result<RecordBatch> {
        let keep: BooleanArray =
            self.doc.iter().zip(&self.kept).map(|(doc, kept)| Some(doc == kept)).collect();
        let columns: Vec<arrow::array::ArrayRef> = vec![
            Arc::new(UInt64Array::from(self.doc)),
            Arc::new(UInt64Array::from(self.cluster)),
            Arc::new(UInt64Array::from(self.size)),
            Arc::new(keep),
            Arc::new(UInt64Array::from(self.kept)),
            Arc::new(Float64Array::from(self.similarity)),
        ];
        Ok(RecordBatch::try_new(schema(), columns)?)
    }
}

#[cfg(test)]
mod tests;
