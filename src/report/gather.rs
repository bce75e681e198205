//! Reading what stands in a project's folders into a [`Report`].
//!
//! Tables are walked side by side by `doc_id`; texts are fetched for the few rows that are shown.
//! Nothing is built: what is not there is left out, and so is a damaged table, which is named.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::metrics;
use super::model::{
    Clusters, Contaminated, Contamination, Dropped, Eval, Flow, Group, Kind, Language, Mix, Report,
    Sample, Share, Stage, Step,
};
use super::pick::{Draw, fetch};
use super::realised::realised;
use super::rows::{Fault, Result, Rows, detected, float, text, uint};
use crate::error::{self, Error};
use crate::id;
use crate::store::group::Sorter;
use crate::store::manifest::Manifest;
use crate::store::table::Table;

/// Samples shown of what each rule dropped.
const SAMPLES: usize = 3;
/// Clusters shown.
const LARGEST: usize = 5;
/// Bytes that the survivors of clusters are sorted in.
const SORTED: usize = 32 << 20;

/// Reads a project's tables, runs and evaluations; what cannot be read is named in `unreadable`.
/// A project without any gives an empty report. Errors when the folders themselves cannot be read.
pub fn gather(project: &Path) -> error::Result<Report> {
    let tables = Tables { dir: project.join("tables"), damaged: RefCell::default() };
    let full = fs::canonicalize(project).map_err(|e| Error::io(project, e))?;
    let name = full.file_name().unwrap_or(full.as_os_str()).to_string_lossy().into_owned();
    let names = names(&tables.dir)?;
    let mut report = Report { project: name, ..Report::default() };
    for kind in [Kind::Documents, Kind::Pairs] {
        report.flows.extend(tables.without_damaged(|| flow(&tables, &names, kind)).flatten());
    }
    for name in &names {
        if let Some(mix) = name.strip_prefix("mix.") {
            report.mixes.extend(tables.without_damaged(|| plan(&tables, name, mix)).flatten());
        } else if let Some(eval) = name.strip_prefix("eval.") {
            let evals = tables.without_damaged(|| evaluation(&tables, name, eval));
            report.evals.extend(evals.into_iter().flatten());
        } else if name.ends_with("contaminated") {
            let found = tables.without_damaged(|| contamination(&tables, name));
            report.contaminations.extend(found.flatten());
        }
    }
    report.unreadable = tables.faults();
    match metrics::runs(&project.join("runs")) {
        Ok(runs) => {
            let names: Vec<String> = runs.iter().map(|run| run.name.clone()).collect();
            report.realised = realised(project, &names, &report.mixes);
            report.runs = runs;
        }
        Err(error) => report.unreadable.push(format!("runs: {error}")),
    }
    Ok(report)
}

/// The tables of a project, less those that turned out to be damaged.
struct Tables {
    dir: PathBuf,
    damaged: RefCell<BTreeMap<PathBuf, Error>>,
}

impl Tables {
    /// A table that was committed, if there is one and it is not known to be damaged.
    fn open(&self, name: &str) -> Result<Option<Table>> {
        let dir = self.dir.join(name);
        if self.damaged.borrow().contains_key(&dir) {
            return Ok(None);
        }
        match Manifest::read(&dir) {
            Ok(manifest) => Ok(manifest.map(|manifest| Table { dir, manifest })),
            Err(error) => Err(Fault { dir, error }),
        }
    }

    /// What `read` makes of the tables; it begins anew, without the table, when one is damaged.
    fn without_damaged<T>(&self, read: impl Fn() -> Result<T>) -> Option<T> {
        loop {
            match read() {
                Ok(found) => return Some(found),
                Err(Fault { dir, error }) => {
                    // Told twice of one table, there is nothing more to leave out.
                    if self.damaged.borrow_mut().insert(dir, error).is_some() {
                        return None;
                    }
                }
            }
        }
    }

    /// What is wrong, a sentence for each damaged table.
    fn faults(&self) -> Vec<String> {
        let damaged = self.damaged.borrow();
        let told = damaged.iter().map(|(dir, error)| {
            let name = dir.strip_prefix(&self.dir).unwrap_or(dir);
            format!("table `{}`: {error}", name.display())
        });
        told.collect()
    }
}

/// The folders of `tables/` by name.
fn names(tables: &Path) -> error::Result<Vec<String>> {
    let entries = match fs::read_dir(tables) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::io(tables, e)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| Error::io(tables, e))?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn flow(tables: &Tables, names: &[String], kind: Kind) -> Result<Option<Flow>> {
    let own = |name: &str| match kind {
        Kind::Documents => tables.open(name),
        Kind::Pairs => tables.open(&format!("pairs_{name}")),
    };
    let texts = tables.open(kind.name())?;
    let measured = own("measured")?;
    let Some(first) = measured.as_ref().or(texts.as_ref()) else { return Ok(None) };
    let selection = names.iter().find(|n| *n == "selection" || n.starts_with("selection."));
    let selection = selection.map(|name| tables.open(name)).transpose()?.flatten();
    let later = [
        (Stage::Kept, own("kept")?),
        (Stage::Deduped, own("deduped")?),
        (Stage::Training, tables.open("sized")?),
        (Stage::Selected, selection),
    ];
    let unreadable = texts.as_ref().map_or(0, |texts| texts.manifest.errors);
    let mut flow = Flow { kind, unreadable, ..Flow::default() };
    flow.languages = languages(kind, first, &later)?;

    let mut samples: BTreeMap<u64, Sample> = BTreeMap::new();
    let mut drawn: Vec<(String, u64, Vec<u64>)> = Vec::new();
    let mut lost: BTreeMap<Stage, Vec<(String, u64)>> = BTreeMap::new();
    for (stage, name) in [(Stage::Kept, "kept_dropped"), (Stage::Deduped, "deduped_dropped")] {
        let Some(table) = own(name)? else { continue };
        let reasons = reasons(&table)?;
        lost.insert(stage, reasons.iter().map(|(r, n, _)| (r.clone(), *n)).collect());
        if stage == Stage::Kept {
            samples.extend(
                reasons.iter().flat_map(|(_, _, ids)| ids).map(|id| (*id, Sample::default())),
            );
            drawn = reasons;
        }
    }
    let deduped = later[1].1.as_ref();
    let mut clusters = deduped.map(clusters).transpose()?;
    let largest = clusters.iter().flat_map(|c| &c.largest).map(|g| g.kept.doc_id);
    samples.extend(largest.map(|id| (id, Sample::default())));
    fetch(kind, texts.as_ref(), measured.as_ref(), &mut samples)?;

    let sample = |id: &u64| samples.get(id).cloned().unwrap_or_default();
    for group in clusters.iter_mut().flat_map(|c| &mut c.largest) {
        group.kept = sample(&group.kept.doc_id);
    }
    flow.clusters = clusters;
    flow.dropped = drawn
        .into_iter()
        .map(|(reason, rows, ids)| Dropped {
            reason,
            rows,
            samples: ids.iter().map(sample).collect(),
        })
        .collect();
    flow.steps = steps(&flow.languages, &later, lost);
    Ok(Some(flow))
}

/// Counts rows and characters of each language at each stage, in one walk.
fn languages(kind: Kind, first: &Table, later: &[(Stage, Option<Table>)]) -> Result<Vec<Language>> {
    let mut languages: BTreeMap<String, Language> = BTreeMap::new();
    let mut cursors = Vec::new();
    for (stage, table) in later {
        if let Some(table) = table {
            cursors.push((*stage, Rows::of(table)?));
        }
    }
    let mut rows = Rows::of(first)?;
    while let Some((batch, row)) = rows.row() {
        let Some(id) = rows.id() else { break };
        let cell = |column| text(batch, column, row);
        let pair;
        let lang = match kind {
            Kind::Documents => {
                cell("lang").or(detected(batch, row).map(|(lang, _)| lang)).unwrap_or("unknown")
            }
            Kind::Pairs => {
                let side = |column| cell(column).unwrap_or("unknown");
                pair = format!("{}-{}", side("src_lang"), side("tgt_lang"));
                &pair
            }
        };
        let length = |column| cell(column).map_or(0, |text| text.chars().count() as u64);
        let chars = uint(batch, "n_chars", row).unwrap_or_else(|| match kind {
            Kind::Documents => length("text"),
            Kind::Pairs => length("src") + length("tgt"),
        });
        if !languages.contains_key(lang) {
            let entry = Language { lang: lang.into(), ..Language::default() };
            languages.insert(lang.into(), entry);
        }
        let Some(language) = languages.get_mut(lang) else { break };
        language.rows[0] += 1;
        language.chars[0] += chars;
        for (stage, cursor) in &mut cursors {
            if cursor.seek(id)? {
                language.rows[stage.index()] += 1;
                language.chars[stage.index()] += chars;
            }
        }
        rows.step()?;
    }
    Ok(languages.into_values().collect())
}

/// The stages that exist, with what each lost; what no table explains is given a plain reason.
fn steps(
    languages: &[Language],
    later: &[(Stage, Option<Table>)],
    mut lost: BTreeMap<Stage, Vec<(String, u64)>>,
) -> Vec<Step> {
    let rows = |stage: Stage| languages.iter().map(|l| l.rows[stage.index()]).sum::<u64>();
    let mut steps = vec![Step { stage: Stage::Read, rows: rows(Stage::Read), lost: Vec::new() }];
    for (stage, table) in later {
        let Some(table) = table else { continue };
        let before = steps.last().map_or(0, |step| step.rows);
        let gone = before.saturating_sub(rows(*stage));
        let lost = lost.remove(stage).unwrap_or_else(|| match stage {
            Stage::Training => vec![("held out of training".into(), gone)],
            Stage::Selected => vec![("not in the mixture".into(), gone)],
            _ if !table.manifest.dropped.is_empty() => {
                ordered(table.manifest.dropped.clone().into_iter().collect())
            }
            _ => vec![("dropped".into(), gone)],
        });
        let lost = lost.into_iter().filter(|(_, n)| *n > 0).collect();
        steps.push(Step { stage: *stage, rows: rows(*stage), lost });
    }
    steps
}

fn ordered(mut reasons: Vec<(String, u64)>) -> Vec<(String, u64)> {
    reasons.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    reasons
}

/// The reasons of a table of dropped rows, most first, with a few ids of each.
fn reasons(table: &Table) -> Result<Vec<(String, u64, Vec<u64>)>> {
    let mut reasons: BTreeMap<String, (u64, Draw)> = BTreeMap::new();
    let mut rows = Rows::of(table)?;
    while let (Some(id), Some((batch, row))) = (rows.id(), rows.row()) {
        let reason = text(batch, "reason", row).unwrap_or("without a reason");
        if !reasons.contains_key(reason) {
            reasons.insert(reason.into(), (0, Draw::new(SAMPLES)));
        }
        if let Some((n, draw)) = reasons.get_mut(reason) {
            *n += 1;
            draw.offer(id);
        }
        rows.step()?;
    }
    let mut reasons: Vec<_> =
        reasons.into_iter().map(|(reason, (n, draw))| (reason, n, draw.ids().collect())).collect();
    reasons.sort_by(|a: &(String, u64, Vec<u64>), b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    Ok(reasons)
}

/// Sizes of clusters, and the largest of them with the first id of a row that survives.
///
/// A cluster may have several survivors, far apart in the table: they are sorted together.
fn clusters(deduped: &Table) -> Result<Clusters> {
    let mut clusters = Clusters::default();
    let mut survivors: Sorter<3> = Sorter::new(&std::env::temp_dir(), SORTED);
    let mut rows = Rows::of(deduped)?;
    while let (Some(id), Some((batch, row))) = (rows.id(), rows.row()) {
        match uint(batch, "cluster_size", row).unwrap_or(1) {
            0 | 1 => clusters.alone += 1,
            size => {
                let cluster = uint(batch, "cluster_id", row).unwrap_or(id);
                survivors.push([cluster, id, size]).map_err(Fault::of(deduped))?;
            }
        }
        rows.step()?;
    }
    let mut sizes: BTreeMap<(u64, u64), u64> = BTreeMap::new();
    let mut largest: Vec<(std::cmp::Reverse<u64>, u64)> = Vec::new();
    let survivors = survivors.finish().map_err(Fault::of(deduped))?;
    clusters.survivors = survivors.len();
    let mut last = None;
    for record in survivors.iter().map_err(Fault::of(deduped))? {
        let [cluster, id, size] = record.map_err(Fault::of(deduped))?;
        if last.replace(cluster) == Some(cluster) {
            continue;
        }
        *sizes.entry(range(size)).or_default() += 1;
        let entry = (std::cmp::Reverse(size), id);
        let place = largest.partition_point(|known| *known < entry);
        if place < LARGEST {
            largest.insert(place, entry);
            largest.truncate(LARGEST);
        }
    }
    clusters.sizes = sizes.into_iter().map(|((low, high), n)| (low, high, n)).collect();
    clusters.largest = largest
        .into_iter()
        .map(|(size, doc_id)| Group { size: size.0, kept: Sample { doc_id, ..Sample::default() } })
        .collect();
    Ok(clusters)
}

/// The range of sizes that a cluster is counted in: 2, 3, 4, then 5–8, 9–16 and so on.
fn range(size: u64) -> (u64, u64) {
    match size {
        0..=4 => (size, size),
        _ => {
            let high = size.checked_next_power_of_two().unwrap_or(u64::MAX);
            (high / 2 + 1, high)
        }
    }
}

/// What of each benchmark and language is found, in one walk; items are told by their hashes.
fn contamination(tables: &Tables, name: &str) -> Result<Option<Contamination>> {
    #[derive(Default)]
    struct Found {
        told: Contaminated,
        items: BTreeSet<u64>,
        document: Option<u64>,
        most: f64,
    }
    let Some(table) = tables.open(name)? else { return Ok(None) };
    let mut found: BTreeMap<(String, String), Found> = BTreeMap::new();
    let mut rows = Rows::of(&table)?;
    while let (Some(id), Some((batch, row))) = (rows.id(), rows.row()) {
        let cell = |column| text(batch, column, row).unwrap_or_default().to_string();
        let number = |column| uint(batch, column, row).unwrap_or_default();
        let one = found.entry((cell("benchmark"), cell("lang"))).or_default();
        // Of an item that has no language, the count is that of its benchmark.
        one.told.items = number("items");
        one.told.too_short = number("too_short");
        one.told.ngrams += number("matched");
        let item = [number("eval_id").to_string(), cell("eval_column")];
        one.items.insert(id::hash_fields(item.iter().map(String::as_str)));
        one.told.documents += u64::from(one.document.replace(id) != Some(id));
        let containment = float(batch, "containment", row).unwrap_or_default();
        if containment > one.most {
            one.most = containment;
            one.told.sample = Sample {
                doc_id: id,
                texts: vec![(cell("match"), cell("lang"))],
                note: format!(
                    "{} {} {} · containment {containment:.2}",
                    cell("benchmark"),
                    item[0],
                    item[1]
                ),
            };
        }
        rows.step()?;
    }
    let benchmarks = found.into_iter().map(|((benchmark, lang), one)| Contaminated {
        benchmark,
        lang,
        found: one.items.len() as u64,
        ..one.told
    });
    Ok(Some(Contamination { table: name.into(), benchmarks: benchmarks.collect() }))
}

fn plan(tables: &Tables, table: &str, name: &str) -> Result<Option<Mix>> {
    let Some(table) = tables.open(table)? else { return Ok(None) };
    let mut mix = Mix { name: name.into(), ..Mix::default() };
    each(&table, |batch, row| {
        let kind = match text(batch, "kind", row) {
            Some("pairs") => Kind::Pairs,
            _ => Kind::Documents,
        };
        mix.shares.push(Share {
            stage: uint(batch, "stage", row).unwrap_or_default() as u32,
            kind,
            lang: text(batch, "lang", row).unwrap_or("unknown").into(),
            available: uint(batch, "available", row).unwrap_or_default(),
            weight: float(batch, "weight", row).unwrap_or_default(),
            target: uint(batch, "target", row).unwrap_or_default(),
            epochs: float(batch, "epochs", row).unwrap_or_default(),
        });
    })?;
    mix.shares.sort_by(|a, b| (a.stage, a.kind, &a.lang).cmp(&(b.stage, b.kind, &b.lang)));
    Ok(Some(mix))
}

fn evaluation(tables: &Tables, table: &str, name: &str) -> Result<Vec<Eval>> {
    let mut evals = Vec::new();
    let Some(table) = tables.open(table)? else { return Ok(evals) };
    each(&table, |batch, row| {
        let cell = |column| text(batch, column, row).unwrap_or_default().to_string();
        let Some(value) = float(batch, "value", row).filter(|v| v.is_finite()) else { return };
        evals.push(Eval {
            table: name.into(),
            run: cell("run"),
            task: cell("task"),
            lang: cell("lang"),
            metric: cell("metric"),
            value,
            n: uint(batch, "n", row).unwrap_or_default(),
            baseline_majority: float(batch, "baseline_majority", row),
        });
    })?;
    Ok(evals)
}

/// Calls `see` for each row of a table, part by part.
fn each(table: &Table, mut see: impl FnMut(&arrow::array::RecordBatch, usize)) -> Result<()> {
    for part in &table.manifest.parts {
        for batch in table.batches(part).map_err(Fault::of(table))? {
            let batch = batch.map_err(Fault::of(table))?;
            (0..batch.num_rows()).for_each(|row| see(&batch, row));
        }
    }
    Ok(())
}
