//! Clusters of duplicate rows in bounded memory: what `exact_duplicates` and `near_duplicates` share.
//!
//! Two rows are linked when their content is equal, or when they share a band of their signatures
//! and (verified) the Jaccard similarity of their shingles reaches the threshold. Clusters are the
//! connected components of **all** such links: what else is in the table changes none of them, and
//! neither does the order of rows, the number of threads or the memory. Of each cluster the best row
//! is kept; verified, so is every other one that is not near a better row that is kept.
//!
//! 1. [`rows`] reads the texts, or their signatures, once. Each row gets a number; what is known of
//!    it stands in arrays in mapped files, its content key and bands in external sorts.
//! 2. [`known`] takes over the clusters of a former result that are still whole.
//! 3. [`candidates`] joins equal content and equal sets, and lists the rows that share a band with
//!    another set, unless both have been compared before.
//! 4. [`sets`] reads the texts of these a second time and keeps their shingles in a mapped file.
//! 5. [`links`] compares them: never two that are in one component already.
//! 6. [`clusters`] sorts the rows by component, [`measure`] compares them with the best one of each,
//!    and [`survivors`] chooses what else is kept: rows that are near to no better one that is. So
//!    every row that is dropped is near the row that it is dropped for.
//!
//! In memory are the buffers of the sorts; the arrays are pages that the system may write out. They
//! are read from front to back wherever all rows are; out of order are only rows that have
//! duplicates, in arrays of few bytes a row (components, twins, flags), and sets that are compared.

mod candidates;
mod clusters;
mod known;
mod links;
mod measure;
mod output;
mod rare;
mod rows;
mod sets;
mod survivors;
mod view;

use std::path::PathBuf;

use arrow::array::RecordBatch;

use super::super::{Batches, Limits};
use crate::dedup::components::Components;
use crate::dedup::recipe::Recipe;
use crate::error::{Error, Result};
use crate::store::mmap::{Plain, Scratch, ScratchWriter};

pub(super) use output::schema;

/// Memory when there is no limit.
const DEFAULT_MEMORY: usize = 1 << 30;

/// Which rows are duplicates of each other, and what becomes of them.
#[derive(Debug, Clone)]
pub(in crate::sql::table_function) struct Rule {
    /// What is compared.
    pub recipe: Recipe,
    /// Whether rows have two texts.
    pub pair: bool,
    /// When rows of different content are duplicates.
    pub near: Option<Near>,
    /// Of each column of the order whether the smallest comes first.
    pub ascending: Vec<bool>,
    /// What happens to rows that are also in the other table, when there is one.
    pub against: Option<Drop>,
}

/// When rows of different content are duplicates.
#[derive(Debug, Clone, Copy)]
pub(in crate::sql::table_function) struct Near {
    /// The least Jaccard similarity.
    pub threshold: f64,
    /// Whether it is checked, or sharing a band is enough.
    pub verify: bool,
}

/// What happens to rows of a table that have duplicates in the one it is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sql::table_function) enum Drop {
    /// The new ones are not kept.
    New,
    /// Neither the new nor the old ones are.
    Both,
    /// All are kept, and told what they match.
    None,
}

/// Ranges of ids, both ends included.
pub(in crate::sql::table_function) type Ranges = [(u64, u64)];

/// Reads the texts of a table once more: of the old one or not, and of all rows or of those in
/// some ranges of ids.
pub(in crate::sql::table_function) type Texts<'a> =
    dyn Fn(bool, Option<&Ranges>) -> Result<Batches> + 'a;

/// Where the rows come from.
pub(in crate::sql::table_function) struct Inputs<'a> {
    /// The table.
    pub table: Batches,
    /// The table that it is compared with.
    pub against: Option<Batches>,
    /// A former result over the same table.
    pub previous: Option<Batches>,
    /// The texts, for those that are compared.
    pub texts: &'a Texts<'a>,
}

/// What the stages work in.
struct Space {
    /// Where sorts and arrays spill.
    dir: PathBuf,
    /// Bytes for everything.
    memory: usize,
    threads: rayon::ThreadPool,
}

impl Space {
    fn new(limits: &Limits) -> Result<Self> {
        let threads = rayon::ThreadPoolBuilder::new().num_threads(limits.threads.max(1)).build();
        Ok(Self {
            dir: limits.temp.clone().unwrap_or_else(std::env::temp_dir),
            memory: limits.memory.unwrap_or(DEFAULT_MEMORY),
            threads: threads.map_err(|e| Error::io("starting threads", e))?,
        })
    }

    /// What an array may hold in memory: there are up to twelve at once.
    fn small(&self) -> usize {
        self.memory / 64
    }

    fn array<T: Plain>(&self, len: usize) -> Result<Scratch<T>> {
        Scratch::zeroed(&self.dir, len, self.small())
    }

    fn writer<T: Plain>(&self) -> ScratchWriter<T> {
        ScratchWriter::new(&self.dir, self.small())
    }
}

/// The components of rows by their numbers.
type Joined = Components<Scratch<u32>>;

/// Finds the duplicates of all rows and hands the result to `emit`, in ascending order of `doc_id`.
pub(in crate::sql::table_function) fn run(
    rule: &Rule,
    inputs: Inputs<'_>,
    limits: &Limits,
    emit: &mut dyn FnMut(RecordBatch) -> Result<()>,
) -> Result<()> {
    let space = Space::new(limits)?;
    let (mut rows, contents, bands) = rows::read(rule, inputs.table, inputs.against, &space)?;
    let mut joined = Components::over(space.array(rows.len())?)?;
    let known = match inputs.previous {
        Some(previous) => known::read(previous, rule, &mut rows, &mut joined, &space)?,
        None => None,
    };
    let mut twins = candidates::equal_content(&contents, rows.len(), &mut joined, &space)?;
    drop(contents);
    let mut sets = None;
    if let (Some(near), Some(bands)) = (rule.near, bands) {
        let groups =
            candidates::shared_bands(&bands, near, &mut rows, &mut joined, &mut twins, &space)?;
        drop(bands);
        if let Some(known) = &known {
            known::need(known, &mut rows, &mut joined, &twins, &space)?;
        }
        let found = sets::collect(inputs.texts, rule, &rows, &space)?;
        if near.verify {
            links::join(&groups, near.threshold, &found, &mut joined, &space)?;
        }
        sets = Some(found);
    }
    let clusters = clusters::Clusters::new(&rows, &mut joined, &twins, known.as_ref(), &space)?;
    drop((joined, twins, known));
    let measured = measure::Measure::new(&rows, rule.near, sets.as_ref(), &space).of(&clusters)?;
    drop((clusters, sets));
    output::write(rule, &rows, &measured, emit)
}

#[cfg(test)]
mod tests;
