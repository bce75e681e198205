//! Ingest: files of any known format to a table of parts, with rejected rows kept.
//!
//! Files are numbered by their names alone and packed whole into parts; a part is a function of
//! its files' bytes and of what was said about them. What did not change is taken over: parts of
//! the last commit, and parts that a killed run had finished. One rejected row never stops the
//! others. Filters nothing: what a row is worth is the business of queries.

pub mod columns;
pub mod plan;
pub mod publish;
pub mod rows;
pub mod stream;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};

use arrow::array::AsArray;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::source::SourceSpec;
use crate::store::manifest::{Manifest, Part};
use crate::store::reject::{self, ERRORS};
use crate::store::{part, remote, table};
use plan::{Plan, Planned};
use rows::Writer;

/// How an ingest is done; nothing here changes a row.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Threads; 0 for as many as there are processors.
    pub threads: usize,
    /// Reads everything again, whatever is there.
    pub force: bool,
    /// Bytes of input that a part holds about; 0 for 64 MiB.
    pub part_bytes: u64,
    /// Rows that may be unreadable; `None` for a hundredth of all rows, and 100 at least.
    pub max_errors: Option<u64>,
    /// Where the table is published to: parts of the last commit are there, not in the folder.
    pub published: Option<String>,
    /// What the committed manifest calls itself (node, version, key, inputs, seed), where that is
    /// not the ingest's own: a table is committed once, under one key.
    pub identity: Option<Manifest>,
}

/// Rows that may be unreadable by default, however few rows there are.
const FEW_ERRORS: u64 = 100;

/// What came of one source.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct SourceRows {
    /// Files read, now or in an earlier run.
    pub files: u64,
    /// Rows in the table.
    pub rows: u64,
    /// Rows that could not be read.
    pub rejected: u64,
}

/// What an ingest did.
#[derive(Debug, Clone)]
pub struct Ingested {
    /// The table, as committed.
    pub manifest: Manifest,
    /// Files that the table is made of.
    pub files: u64,
    /// Parts that were written by this call; the others were taken over.
    pub parts_written: usize,
    /// Each source by its name.
    pub sources: BTreeMap<String, SourceRows>,
    /// Files that were refused as a whole by this call, and why.
    pub refused: Vec<Refused>,
}

/// A file that gave no row.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Refused {
    /// The file, of a pair both.
    pub path: String,
    /// Why.
    pub reason: String,
}

/// The key of the table that `ingest` would make: equal to the `key` of its manifest as long as
/// neither the files nor what is said about them changed. Reads all files once, without decoding.
///
/// Errors as [`ingest`] does before its first row.
pub fn fingerprint(specs: &[SourceSpec], root: &Path) -> Result<String> {
    Ok(Plan::new(specs, root)?.key())
}

/// Reads all files of sources of one kind into the table in `out`.
///
/// `progress` is told the bytes done and the bytes in all, from several threads. The rows do not
/// depend on the number of threads. Errors when the sources do not fill the same table, a pattern
/// matches nothing, two files would have the same ids, a column that is asked for is missing, more
/// rows than [`Options::max_errors`] cannot be read, or the system refuses; also when the one file
/// there is gives nothing but the reason why not. After an error the table is what it was before.
pub fn ingest(
    specs: &[SourceSpec],
    root: &Path,
    out: &Path,
    options: &Options,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Ingested> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(options.threads.min(256))
        .build()
        .map_err(|e| Error::io("threads", e))?;
    let plan = pool.install(|| Plan::new(specs, root))?;
    // First of all it tells a file from a folder; under the lock it is read again.
    Manifest::read(out)?;
    let result = pool.install(|| read_all(&plan, out, options, progress));
    if result.is_err() {
        // Folders that hold nothing are as good as never made; others stay.
        let _ = fs::remove_dir(out.join(ERRORS));
        let _ = fs::remove_dir(out);
    }
    result
}

fn read_all(
    plan: &Plan,
    out: &Path,
    options: &Options,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Ingested> {
    let _lock = lock(out)?;
    let old = if options.force { None } else { Manifest::read(out)? };
    let size = if options.part_bytes == 0 { plan::PART_BYTES } else { options.part_bytes };
    let planned = plan.parts(old.as_ref().map_or(&[], |m| &m.parts), size);
    let done = AtomicU64::new(0);
    let total = plan.bytes();
    let failed = AtomicBool::new(false);
    let limit = Limit::new(options.max_errors);
    let made: Vec<Result<Option<Made>>> = planned
        .par_iter()
        .with_max_len(1)
        .map(|part| {
            if failed.load(Relaxed) {
                return Ok(None);
            }
            let tick = |bytes: u64| progress((done.load(Relaxed) + bytes).min(total), total);
            let made = make(plan, part, old.as_ref(), out, options, &limit, &tick);
            done.fetch_add(plan.bytes_of(part), Relaxed);
            failed.fetch_or(made.is_err(), Relaxed);
            made.map(Some)
        })
        .collect();
    let mut parts = Vec::new();
    // The first error by the order of parts, whichever came first by the clock.
    for result in made {
        parts.extend(result?);
    }
    progress(total, total);
    if let ([one], [_]) = (&parts[..], &plan.files[..])
        && let Some(Refused { path, reason }) = one.refused.first()
    {
        // A later run must not take the empty part over as if it were fine.
        for part in [Some(&one.part), one.errors.as_ref()].into_iter().flatten() {
            let path = out.join(&part.file);
            fs::remove_file(&path).map_err(|e| Error::io(&path, e))?;
        }
        return Err(Error::input(path, reason));
    }
    few_errors(&parts, out, options.max_errors)?;
    commit(plan, parts, out, old, options)
}

/// How many rows were unreadable so far, of all that may be.
pub struct Limit {
    max: Option<u64>,
    rejected: AtomicU64,
}

impl Limit {
    /// Of so many at most, if that is said.
    fn new(max: Option<u64>) -> Self {
        Self { max, rejected: AtomicU64::new(0) }
    }

    /// Counts a row; an error when it is one too many.
    fn count(&self, path: &str, row: u32, reason: &str) -> Result<()> {
        let rejected = self.rejected.fetch_add(1, Relaxed) + 1;
        match self.max {
            Some(max) if rejected > max => {
                Err(too_many(&format!("more than {max}"), path, row, reason))
            }
            _ => Ok(()),
        }
    }
}

fn too_many(how_many: &str, path: &str, row: u32, reason: &str) -> Error {
    Error::input(path, format!("row {row}: {reason}; {how_many} rows cannot be read"))
        .hint_with("`--max-errors N` goes on with up to N; the table stays as it was")
}

/// An error when more rows than allowed were unreadable, with the first of them.
fn few_errors(made: &[Made], out: &Path, max: Option<u64>) -> Result<()> {
    let rejected = |m: &Made| m.errors.as_ref().map_or(0, |errors| errors.rows);
    let bad: u64 = made.iter().map(rejected).sum();
    let rows: u64 = made.iter().map(|m| m.part.rows).sum::<u64>() + bad;
    let allowed = max.unwrap_or(FEW_ERRORS.max(rows / 100));
    if bad <= allowed {
        return Ok(());
    }
    // Parts that were taken over may lie elsewhere.
    match made.iter().filter(|m| m.written).find_map(|m| m.errors.as_ref()) {
        Some(errors) => {
            let (path, row, reason) = reject::first(&out.join(&errors.file))?;
            Err(too_many(&format!("{bad} of {rows}"), &path, row, &reason))
        }
        None => Err(Error::usage(format!("{bad} of {rows} rows cannot be read"))
            .hint_with("`--max-errors N` goes on with up to N; the table stays as it was")),
    }
}

/// Keeps others from sweeping parts that are not committed yet. The folder itself is locked, so
/// that nothing is left behind.
fn lock(out: &Path) -> Result<File> {
    fs::create_dir_all(out).map_err(|e| Error::io(out, e))?;
    let folder = File::open(out).map_err(|e| Error::io(out, e))?;
    match folder.try_lock() {
        Ok(()) => Ok(folder),
        Err(fs::TryLockError::WouldBlock) => {
            let message = format!("{}: another hexapla is writing this table", out.display());
            Err(Error::usage(message).hint_with("wait until it has ended"))
        }
        Err(fs::TryLockError::Error(e)) => Err(Error::io(out, e)),
    }
}

/// A part of the table, made or taken over.
struct Made {
    part: Part,
    errors: Option<Part>,
    /// Its files that were refused, if they were just read.
    refused: Vec<Refused>,
    written: bool,
    sources: BTreeMap<String, SourceRows>,
}

/// Takes a part over from the last commit or from a killed run, or reads its files.
fn make(
    plan: &Plan,
    planned: &Planned,
    old: Option<&Manifest>,
    out: &Path,
    options: &Options,
    limit: &Limit,
    tick: &dyn Fn(u64),
) -> Result<Made> {
    let key = planned.key.as_str();
    if let Some((part, errors)) = take_over(key, old, out, options)? {
        let sources = count(plan, planned, out, options, &part, errors.as_ref())?;
        return Ok(Made { part, errors, refused: Vec::new(), written: false, sources });
    }
    let mut writer = Writer::create(out, key, plan.into, limit, tick)?;
    let mut sources = BTreeMap::new();
    let mut refused = Vec::new();
    for file in planned.files.iter().map(|i| &plan.files[*i]) {
        let before = writer.counts();
        if let Some(reason) = writer.read(file)? {
            refused.push(Refused { path: file.unit.name(), reason });
        }
        let after = writer.counts();
        let rows: &mut SourceRows = sources.entry(file.unit.spec.name.clone()).or_default();
        rows.files += 1;
        rows.rows += after.0 - before.0;
        rows.rejected += after.1 - before.1;
    }
    let (part, errors) = writer.finish(plan.sources(planned))?;
    Ok(Made { part, errors, refused, written: true, sources })
}

/// A finished part with its rejected rows, if both are there.
fn take_over(
    key: &str,
    old: Option<&Manifest>,
    out: &Path,
    options: &Options,
) -> Result<Option<(Part, Option<Part>)>> {
    if options.force {
        return Ok(None);
    }
    let listed = |parts: &[Part]| {
        let there = |p: &&Part| {
            options.published.is_some()
                || fs::metadata(out.join(&p.file)).is_ok_and(|found| found.len() == p.bytes)
        };
        parts.iter().find(|p| p.key == key).filter(there).cloned()
    };
    let part = match old.and_then(|old| listed(&old.parts)) {
        Some(part) => part,
        None => match part::find(out, "", key)? {
            Some(part) => part,
            None => return Ok(None),
        },
    };
    if !part.dropped.contains_key(REJECTED) {
        return Ok(Some((part, None)));
    }
    let errors = match old.and_then(|old| listed(&old.error_parts)) {
        Some(errors) => Some(errors),
        None => part::find(out, ERRORS, key)?,
    };
    Ok(errors.map(|errors| (part, Some(errors))))
}

/// What a part notes its rejected rows under.
const REJECTED: &str = "rejected";

/// The rows of each source in a part that was taken over.
fn count(
    plan: &Plan,
    planned: &Planned,
    out: &Path,
    options: &Options,
    part: &Part,
    errors: Option<&Part>,
) -> Result<BTreeMap<String, SourceRows>> {
    let mut sources: BTreeMap<String, SourceRows> = BTreeMap::new();
    let mut by_path = BTreeMap::new();
    for file in planned.files.iter().map(|i| &plan.files[*i]) {
        sources.entry(file.unit.spec.name.clone()).or_default().files += 1;
        by_path.insert(file.unit.source_path().to_string(), file.unit.spec.name.clone());
    }
    if sources.len() == 1 {
        for rows in sources.values_mut() {
            (rows.rows, rows.rejected) = (part.rows, errors.map_or(0, |errors| errors.rows));
        }
        return Ok(sources);
    }
    let values = |part: &Part, column| match (&options.published, out.join(&part.file)) {
        (Some(url), path) if !path.is_file() => {
            let fetched = remote::fetch(&format!("{url}/{}", part.file))?;
            values(fetched.path(), column)
        }
        (_, path) => values(&path, column),
    };
    for (name, rows) in values(part, "source")? {
        sources.entry(name).or_default().rows += rows;
    }
    if let Some(errors) = errors {
        for (path, rows) in values(errors, "source_path")? {
            let name = by_path.get(&path).cloned().unwrap_or_default();
            sources.entry(name).or_default().rejected += rows;
        }
    }
    Ok(sources)
}

/// How often each value of a column of strings is there.
fn values(path: &Path, column: &str) -> Result<BTreeMap<String, u64>> {
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(file).map_err(|e| Error::input(path, e))?;
    let mask = ProjectionMask::columns(builder.parquet_schema(), [column]);
    let reader = builder.with_projection(mask).build().map_err(|e| Error::input(path, e))?;
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for batch in reader {
        let batch = batch.map_err(|e| Error::input(path, e))?;
        let Some(texts) = batch.column(0).as_string_opt::<i32>() else { continue };
        for text in texts.iter().flatten() {
            match counts.get_mut(text) {
                Some(n) => *n += 1,
                None => drop(counts.insert(text.to_string(), 1)),
            }
        }
    }
    Ok(counts)
}

fn commit(
    plan: &Plan,
    made: Vec<Made>,
    out: &Path,
    old: Option<Manifest>,
    options: &Options,
) -> Result<Ingested> {
    let mut manifest = Manifest {
        node: plan.into.table().into(),
        version: env!("CARGO_PKG_VERSION").into(),
        key: plan.key(),
        inputs: plan.inputs(),
        params: plan.params(),
        ..Manifest::default()
    };
    let mut sources: BTreeMap<String, SourceRows> = BTreeMap::new();
    let parts_written = made.iter().filter(|m| m.written).count();
    let mut refused = Vec::new();
    for made in made {
        refused.extend(made.refused);
        for (name, rows) in made.sources {
            let all = sources.entry(name).or_default();
            all.files += rows.files;
            all.rows += rows.rows;
            all.rejected += rows.rejected;
        }
        manifest.rows_out += made.part.rows;
        for (reason, rows) in &made.part.dropped {
            manifest.rows_in += rows;
            match reason.as_str() {
                REJECTED => manifest.errors += rows,
                _ => *manifest.dropped.entry(reason.clone()).or_default() += rows,
            }
        }
        manifest.parts.push(made.part);
        manifest.error_parts.extend(made.errors);
    }
    manifest.rows_in += manifest.rows_out;
    manifest.parts.sort_by(|a, b| (a.ids, &a.file).cmp(&(b.ids, &b.file)));
    manifest.error_parts.sort_by(|a, b| a.file.cmp(&b.file));
    if let Some(Manifest { node, version, key, inputs, seed, .. }) = options.identity.clone() {
        manifest = Manifest { node, version, key, inputs, seed, ..manifest };
    }
    if old.as_ref() != Some(&manifest) {
        manifest.commit(out)?;
    }
    table::sweep(out, &manifest)?;
    Ok(Ingested { manifest, files: plan.files.len() as u64, parts_written, sources, refused })
}

#[cfg(test)]
mod tests;
