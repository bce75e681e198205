//! Runs a query into a table: part by part where rows do not depend on each other, else as a whole.
//!
//! A row-wise query is keyed and completed per input part: what an earlier run finished is taken
//! over, so a new input part costs itself and a kill loses the parts that were being written.
//! Every plan runs in one partition; row-wise queries run several parts at once. The bytes of a
//! table are therefore a function of its inputs, the query, its parameters and the seed alone.

pub mod command;
mod commanded;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::{cast, filter_record_batch, is_not_null, is_null};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::logical_expr::LogicalPlan;

use command::Command;

use super::models;
use super::recipe::{self, ParamValue, Query};
use super::rowwise;
use super::session::{Session, calls};
use super::sink::{Sink, written};
use crate::error::{Error, Result};
use crate::store::manifest::{MANIFEST, Manifest, Part};
use crate::store::part;
use crate::store::table::{Table, sweep};
use crate::{id, schema};

/// Parts of whole-table queries are closed at this many uncompressed bytes.
const PART_BYTES: u64 = 1 << 30;

/// The column that splits rows into kept and dropped.
pub const REASON: &str = "reason";

/// What to run, and where the result goes.
#[derive(Debug)]
pub struct RunSpec<'a> {
    /// The query; its result is checked against the schema of its name if there is one.
    pub query: &'a Query,
    /// Values of all its parameters.
    pub params: &'a BTreeMap<String, ParamValue>,
    /// The project's seed.
    pub seed: u64,
    /// The folder that models and lists are in, and that the command of a `-- run:` query is run
    /// in.
    pub dir: &'a Path,
    /// The folder of the table.
    pub out_dir: PathBuf,
    /// The folder for the rows with a reason.
    pub dropped_dir: PathBuf,
    /// How many parts are made at once.
    pub threads: usize,
    /// Make every part anew; otherwise what an earlier run finished is taken over.
    pub force: bool,
    /// The manifest to complete: node, version, key, inputs, parameters and seed are there.
    pub manifest: Manifest,
}

/// How a query is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// Part by part over this table.
    RowWise(String),
    /// As a whole.
    Whole,
}

/// How a query with its parameters in place would be run.
pub fn shape(session: &Session, sql: &str) -> Result<Shape> {
    let input = row_wise_input(session, &session.logical(sql)?)?;
    Ok(input.map_or(Shape::Whole, |(name, _)| Shape::RowWise(name)))
}

/// Runs a query into its table and returns the committed manifest. `progress` is told how many
/// rows are done and of how many, where that is known; it may be called from several threads.
pub fn run(
    session: &Session,
    spec: &RunSpec<'_>,
    progress: &(dyn Fn(u64, Option<u64>) + Sync),
) -> Result<Manifest> {
    let name = spec.query.name.as_str();
    let place = |e: Error| e.within(format!("query `{name}`"));
    let sql = recipe::bind(&spec.query.sql, spec.params, spec.seed).map_err(place)?;
    let plan = session.logical(&sql).map_err(place)?;
    if let Some(function) = rowwise::unsteady(&plan).map_err(|e| session.failed(e))? {
        return Err(place(Error::usage(format!("`{function}` gives another result each time")))
            .hint_with("chance is a function of the row: `uniform(doc_id, $seed)`"));
    }
    let command = Command::of(spec.query, spec.dir, spec.params, spec.seed).map_err(place)?;
    let columns = plan.schema().as_arrow().clone();
    let result = match &command {
        // What a command answers is known when it answers.
        Some(_) => Columns::default(),
        None => Columns::of(name, &columns).map_err(place)?,
    };
    let input = row_wise_input(session, &plan)?;
    let total = input.as_ref().map(|(_, t)| t.manifest.parts.iter().map(|p| p.rows).sum());
    let job = Job {
        session,
        spec,
        part_key: part_key(session, &sql, spec, &columns, command.as_ref()).map_err(place)?,
        sql,
        columns: result,
        hashes: [&spec.out_dir, &spec.dropped_dir]
            .into_iter()
            .flat_map(|dir| hashes(dir))
            .collect(),
        done: AtomicU64::new(0),
        total,
        progress,
    };
    let made = match (input, &command) {
        (Some((name, table)), Some(command)) => {
            return job.commanded(command, &name, table).map_err(place);
        }
        (None, Some(_)) => Err(Error::usage("a command reads one table row by row")
            .hint_with("make a table of the join or aggregate first, and name it in `-- in:`")),
        (Some((name, table)), None) => job.row_wise(&name, table),
        (None, None) => job.whole().map(|outcome| vec![outcome]),
    };
    job.commit(made.map_err(place)?)
}

/// The columns of a result.
#[derive(Debug, Clone, PartialEq)]
struct Columns {
    /// As they are written.
    schema: SchemaRef,
    /// The one that splits rows into kept and dropped.
    reason: Option<usize>,
}

impl Default for Columns {
    fn default() -> Self {
        Self { schema: SchemaRef::new(Schema::empty()), reason: None }
    }
}

impl Columns {
    /// Those of a query's table; errors when the table's schema asks for others.
    fn of(table: &str, found: &Schema) -> Result<Self> {
        let known = schema::table(table);
        if let Some(known) = known {
            known.check(found)?;
        }
        Ok(Self { schema: written(found, known), reason: reason_column(found)? })
    }
}

fn row_wise_input<'s>(
    session: &'s Session,
    plan: &LogicalPlan,
) -> Result<Option<(String, &'s Table)>> {
    let found = rowwise::row_wise(plan).map_err(|e| session.failed(e))?;
    let name = found.and_then(|provider| session.name_of(&provider));
    Ok(name.and_then(|name| session.stored(&name).map(|table| (name, table))))
}

/// A session in which a table is one of its parts.
fn alone(session: &Session, name: &str, table: &Table, part: &Part) -> Result<Session> {
    let manifest = Manifest { parts: vec![part.clone()], ..table.manifest.clone() };
    session.serial([(name, Table { dir: table.dir.clone(), manifest })])
}

/// What a part of the result depends on besides its input part.
fn part_key(
    session: &Session,
    sql: &str,
    spec: &RunSpec<'_>,
    columns: &Schema,
    command: Option<&Command>,
) -> Result<String> {
    let columns = format!("{:?}", written(columns, None));
    let mut fields = vec![env!("CARGO_PKG_VERSION").to_string(), sql.into(), columns];
    for (name, value) in command.into_iter().flat_map(Command::ingredients) {
        fields.extend([name, value]);
    }
    for (file, hash) in models::named(sql, spec.dir)? {
        fields.extend([file, hash]);
    }
    for (function, version) in session.functions_in(sql) {
        fields.extend([function, version.to_string()]);
    }
    for kernel in session.kernels() {
        let name = kernel.signature().name;
        if calls(sql, name) {
            fields.extend([name.to_string(), kernel.fingerprint().to_string()]);
        }
    }
    Ok(format!("{:016x}", id::hash_fields(fields.iter().map(String::as_str))))
}

fn reason_column(schema: &Schema) -> Result<Option<usize>> {
    let Some((i, field)) = schema.column_with_name(REASON) else { return Ok(None) };
    match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => Ok(Some(i)),
        other => {
            Err(Error::usage(format!("column `{REASON}` must be text or null; it is {other}")))
        }
    }
}

struct Job<'a> {
    session: &'a Session,
    spec: &'a RunSpec<'a>,
    sql: String,
    part_key: String,
    columns: Columns,
    /// The hashes of the parts that are committed now.
    hashes: BTreeMap<PathBuf, String>,
    done: AtomicU64,
    total: Option<u64>,
    progress: &'a (dyn Fn(u64, Option<u64>) + Sync),
}

/// What came of one plan.
#[derive(Default)]
struct Outcome {
    rows_in: u64,
    parts: Vec<Part>,
    dropped_parts: Vec<Part>,
    dropped: BTreeMap<String, u64>,
}

impl Job<'_> {
    fn advance(&self, rows: u64) {
        let done = self.done.fetch_add(rows, Ordering::Relaxed) + rows;
        (self.progress)(done, self.total);
    }

    fn row_wise(&self, input: &str, table: &Table) -> Result<Vec<Outcome>> {
        let parts: Vec<&Part> = table.runs().concat();
        let done: Vec<Mutex<Option<Result<Outcome>>>> =
            parts.iter().map(|_| Mutex::new(None)).collect();
        let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
        let work = || {
            while !failed.load(Ordering::Relaxed) {
                let i = next.fetch_add(1, Ordering::Relaxed);
                let Some(part) = parts.get(i) else { break };
                let outcome = self.one_part(input, table, part);
                failed.fetch_or(outcome.is_err(), Ordering::Relaxed);
                *done[i].lock().unwrap_or_else(|e| e.into_inner()) = Some(outcome);
            }
        };
        std::thread::scope(|scope| -> Result<()> {
            for _ in 1..self.spec.threads.min(parts.len()) {
                std::thread::Builder::new()
                    .name("part".into())
                    .stack_size(8 << 20)
                    .spawn_scoped(scope, work)
                    .map_err(|e| Error::io("starting a thread", e))?;
            }
            work();
            Ok(())
        })?;
        let mut outcomes = Vec::new();
        for slot in done {
            match slot.into_inner().unwrap_or_else(|e| e.into_inner()) {
                Some(Ok(outcome)) => outcomes.push(outcome),
                Some(Err(error)) => return Err(error),
                // Not begun, because a part failed; that one's error follows.
                None => {}
            }
        }
        Ok(outcomes)
    }

    fn one_part(&self, input: &str, table: &Table, part: &Part) -> Result<Outcome> {
        let key = self.key_of(part);
        if let Some(outcome) = self.finished(&key, part)? {
            self.advance(part.rows);
            return Ok(outcome);
        }
        let session = alone(self.session, input, table, part)?;
        let outcome = self.stream(&session, u64::MAX, &|_| key.clone())?;
        self.advance(part.rows);
        Ok(Outcome { rows_in: part.rows, ..outcome })
    }

    fn key_of(&self, part: &Part) -> String {
        format!("{} {}", self.part_key, part.xxh3)
    }

    /// What an earlier run made of this input part, if all of it is still there.
    fn finished(&self, key: &str, input: &Part) -> Result<Option<Outcome>> {
        if self.spec.force {
            return Ok(None);
        }
        let Some(part) = self.find(&self.spec.out_dir, key)? else { return Ok(None) };
        let dropped = part.dropped.clone();
        let mut dropped_parts = Vec::new();
        if dropped.values().sum::<u64>() > 0 {
            match self.find(&self.spec.dropped_dir, key)? {
                Some(part) => dropped_parts.push(part),
                None => return Ok(None),
            }
        }
        Ok(Some(Outcome { rows_in: input.rows, parts: vec![part], dropped_parts, dropped }))
    }

    /// A finished part, unless it is not any more what its manifest says.
    fn find(&self, dir: &Path, key: &str) -> Result<Option<Part>> {
        let listed = |part: &Part| self.hashes.get(&dir.join(&part.file));
        let found = part::find(dir, "", key)?;
        Ok(found.filter(|part| listed(part).is_none_or(|hash| *hash == part.xxh3)))
    }

    fn whole(&self) -> Result<Outcome> {
        let session = self.session.serial([])?;
        let key = |n: usize| format!("{} {n}", self.spec.manifest.key);
        self.stream(&session, PART_BYTES, &key)
    }

    /// A part without rows: a table has at least one part.
    fn empty(&self, dir: &Path) -> Result<Vec<Part>> {
        let sink = Sink::new(dir, self.columns.schema.clone(), u64::MAX, |_| {
            format!("{} empty", self.part_key)
        });
        sink.finish(true, &BTreeMap::new())
    }

    fn sinks<'s>(&'s self, limit: u64, key: &'s dyn Fn(usize) -> String) -> (Sink<'s>, Sink<'s>) {
        let sink = |dir: &Path| Sink::new(dir, self.columns.schema.clone(), limit, key);
        (sink(&self.spec.out_dir), sink(&self.spec.dropped_dir))
    }

    /// Runs the query in a session and writes its rows.
    fn stream(
        &self,
        session: &Session,
        limit: u64,
        key: &dyn Fn(usize) -> String,
    ) -> Result<Outcome> {
        let mut split = self.split(limit, key);
        session.stream(&self.sql, &mut |batch| {
            split.push(&batch)?;
            if self.total.is_none() {
                self.advance(batch.num_rows() as u64);
            }
            Ok(())
        })?;
        split.finish()
    }

    fn split<'s>(&'s self, limit: u64, key: &'s dyn Fn(usize) -> String) -> Split<'s> {
        let (kept, gone) = self.sinks(limit, key);
        Split { kept, gone, reason: self.columns.reason, dropped: BTreeMap::new() }
    }

    fn commit(&self, outcomes: Vec<Outcome>) -> Result<Manifest> {
        let (out_dir, dropped_dir) = (&self.spec.out_dir, &self.spec.dropped_dir);
        let mut manifest = Manifest { parts: Vec::new(), ..self.spec.manifest.clone() };
        let mut gone = Manifest { node: format!("{}_dropped", manifest.node), ..manifest.clone() };
        for outcome in outcomes {
            manifest.rows_in += outcome.rows_in;
            for (reason, rows) in outcome.dropped {
                *manifest.dropped.entry(reason).or_default() += rows;
            }
            manifest.parts.extend(outcome.parts);
            gone.parts.extend(outcome.dropped_parts);
        }
        if manifest.parts.is_empty() {
            manifest.parts = self.empty(out_dir)?;
        }
        manifest.rows_out = manifest.parts.iter().map(|p| p.rows).sum();
        // The table's own manifest comes last: it is what says that the node is done.
        if self.columns.reason.is_some() {
            if gone.parts.is_empty() {
                gone.parts = self.empty(dropped_dir)?;
            }
            gone.rows_out = gone.parts.iter().map(|p| p.rows).sum();
            gone.rows_in = manifest.rows_in;
            gone.commit(dropped_dir)?;
            manifest.commit(out_dir)?;
            sweep(dropped_dir, &gone)?;
        } else {
            manifest.commit(out_dir)?;
            // An earlier version of the query may have had reasons.
            remove(dropped_dir)?;
        }
        sweep(out_dir, &manifest)?;
        Ok(manifest)
    }
}

/// Rows on their way to the table of what is kept and that of what is dropped.
struct Split<'a> {
    kept: Sink<'a>,
    gone: Sink<'a>,
    reason: Option<usize>,
    dropped: BTreeMap<String, u64>,
}

impl Split<'_> {
    fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        let Some(column) = self.reason else { return self.kept.push(batch) };
        let reasons = batch.column(column);
        count(reasons, &mut self.dropped)?;
        self.kept.push(&select(batch, &is_null(reasons)?)?)?;
        self.gone.push(&select(batch, &is_not_null(reasons)?)?)
    }

    /// The part of dropped rows is finished before the part that counts them, so that the latter
    /// vouches for the former.
    fn finish(self) -> Result<Outcome> {
        let Self { kept, gone, dropped, .. } = self;
        let rows_in = kept.rows() + gone.rows();
        let dropped_parts = gone.finish(false, &BTreeMap::new())?;
        let parts = kept.finish(true, &dropped)?;
        Ok(Outcome { rows_in, parts, dropped_parts, dropped })
    }
}

/// The hashes of a table's parts; none when its manifest cannot be read.
fn hashes(dir: &Path) -> Vec<(PathBuf, String)> {
    let parts = Manifest::read(dir).ok().flatten().map(|m| m.parts).unwrap_or_default();
    parts.into_iter().map(|part| (dir.join(&part.file), part.xxh3)).collect()
}

/// Removes a table whose query does not make it any more; there may be none.
pub fn remove(dir: &Path) -> Result<()> {
    match fs::remove_file(dir.join(MANIFEST)) {
        Ok(()) => {}
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
        Err(e) => return Err(Error::io(dir, e)),
    }
    sweep(dir, &Manifest::default())?;
    // A folder with something else in it is not only ours.
    let _ = fs::remove_dir(dir);
    Ok(())
}

fn select(batch: &RecordBatch, rows: &BooleanArray) -> Result<RecordBatch> {
    Ok(filter_record_batch(batch, rows)?)
}

fn count(reasons: &ArrayRef, dropped: &mut BTreeMap<String, u64>) -> Result<()> {
    if reasons.null_count() == reasons.len() {
        return Ok(());
    }
    let reasons = cast(reasons, &DataType::Utf8View)?;
    for reason in reasons.as_string_view().iter().flatten() {
        match dropped.get_mut(reason) {
            Some(rows) => *rows += 1,
            None => drop(dropped.insert(reason.into(), 1)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
