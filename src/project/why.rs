//! Why a row was dropped, or whose duplicate it is, or which evaluation item it holds.
//!
//! A table's own columns say which of these is asked: a cluster, a reason, a match. Reads only; asks
//! the rules of a query about one row, and compares the texts of two.

use std::path::Path;

use arrow::array::RecordBatch;
use arrow::util::display::array_value_to_string;

use super::Project;
use super::config::PROJECT_FILE;
use super::show::{Asked, Tables, text};
use crate::dedup::diff::{Change, diff};
use crate::dedup::jaccard::jaccard;
use crate::error::{Error, Result};
use crate::sql::recipe;
use crate::sql::rules::{columns_read, rules};

/// Rows of a cluster, and matches, that are named.
pub const NAMED: usize = 20;
/// Words of equal text that stand on each side of a difference.
const KEEP: usize = 8;
/// What is appended to a table's name for the rows that were dropped.
const DROPPED: &str = "_dropped";

/// What happened to a row.
#[derive(Debug)]
pub struct Why {
    /// The table that the row stands in.
    pub table: String,
    /// The row; several where the table has several of one id.
    pub rows: RecordBatch,
    /// The reason that it was dropped for; none for a row that was kept.
    pub reason: Option<String>,
    /// The rule behind the reason.
    pub rule: Option<Rule>,
    /// Its cluster of duplicates.
    pub cluster: Option<Cluster>,
    /// The evaluation items that it holds, the one with most of an item first.
    pub items: Vec<Item>,
}

/// The rule that dropped a row.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// The query that it stands in.
    pub query: String,
    /// The rule as an expression, with the parameters in force.
    pub rule: String,
    /// The columns that it reads, and what they hold in this row.
    pub measures: Vec<(String, String)>,
}

/// The cluster of duplicates that a row is in.
#[derive(Debug)]
pub struct Cluster {
    /// The cluster.
    pub id: u64,
    /// How many rows it has.
    pub size: u64,
    /// The row that survives in its place; itself when it survives.
    pub kept: u64,
    /// The similarity to that row, in 0 to 1; none when a text is not here.
    pub similarity: Option<f64>,
    /// Other rows of the cluster, at most [`NAMED`].
    pub others: Vec<u64>,
    /// Those of them that survive.
    pub survivors: Vec<u64>,
    /// Of each column of text, what makes this row's text of the kept one's.
    pub changes: Vec<(String, Vec<Change>)>,
}

/// An evaluation item that a document holds.
#[derive(Debug, PartialEq)]
pub struct Item {
    /// The evaluation set.
    pub benchmark: String,
    /// The item's row in it.
    pub eval_id: u64,
    /// The column of that row.
    pub eval_column: String,
    /// The share of the item's n-grams that the document has.
    pub containment: f64,
    /// The column of the document.
    pub column: String,
    /// Where the longest span begins there, in code points from 1.
    pub start: u64,
    /// The span as it stands there, at most 300 code points.
    pub text: String,
    /// The item's own text, where the table of labelled rows has it.
    pub item: Option<String>,
}

/// What happened to the row of a table with an id; `table` is the name of one of the project's, with
/// or without `_dropped`, or a folder.
///
/// Errors when there is no such table, it has no ids, or neither it nor its dropped rows have this
/// one: then with the nearest id there is, or the table that dropped it earlier.
pub fn why(dir: &Path, table: &str, id: u64) -> Result<Why> {
    let base = table.strip_suffix(DROPPED).unwrap_or(table);
    let tables = match Tables::open(dir, base) {
        Ok(tables) if tables.require_ids(base).is_ok() || base == table => tables,
        _ => Tables::open(dir, table)?,
    };
    tables.require_ids(&tables.asked.name)?;
    let mut standing = tables.asked.name.clone();
    let mut rows = tables.rows(&tables.asked, id)?;
    if rows.num_rows() == 0 {
        standing = format!("{base}{DROPPED}");
        rows = match tables.named(&standing) {
            Some(dropped) => tables.rows(&dropped, id)?,
            None => rows,
        };
    }
    if rows.num_rows() == 0 {
        return Err(missing(&tables, base, id)?);
    }
    let reason = text(&rows, "reason");
    let cluster = cluster(&tables, base, &rows, id)?;
    let contaminated = match base {
        "contaminated" => true,
        _ => reason.as_deref() == Some("contaminated"),
    };
    let matches = text(&rows, "match").is_some();
    let items = match (matches, tables.named("contaminated").filter(|_| contaminated)) {
        (true, _) => items(&tables, &rows)?,
        (false, Some(table)) => items(&tables, &tables.rows(&table, id)?)?,
        (false, None) => Vec::new(),
    };
    let rule = match &reason {
        Some(reason) if cluster.is_none() => rule(dir, &tables, base, reason, id)?,
        _ => None,
    };
    Ok(Why { table: standing, rows, reason, rule, cluster, items })
}

impl Tables {
    /// A table of the session, when it was built.
    fn named(&self, name: &str) -> Option<Asked> {
        let known = self.session.tables().iter().any(|table| table == name);
        known.then(|| self.stored(name))
    }
}

/// The error of an id that neither a table nor its dropped rows have.
fn missing(tables: &Tables, table: &str, id: u64) -> Result<Error> {
    let error = tables.missing(table, id)?;
    for name in tables.session.tables() {
        let Some(earlier) = name.strip_suffix(DROPPED).filter(|earlier| *earlier != table) else {
            continue;
        };
        let found = tables.named(&name).map(|dropped| tables.rows(&dropped, id));
        if let Some(Ok(rows)) = found
            && rows.num_rows() > 0
        {
            let hint = format!("`{earlier}` dropped it: `hexapla why {earlier} {id}` says why");
            return Ok(error.hint_with(hint));
        }
    }
    Ok(error)
}

/// The rule of the query that gives a row its reason; none for a query that does not decide row by
/// row, or whose tables have changed since.
fn rule(dir: &Path, tables: &Tables, table: &str, reason: &str, id: u64) -> Result<Option<Rule>> {
    if !dir.join(PROJECT_FILE).exists() {
        return Ok(None);
    }
    let project = Project::open(dir)?;
    let Ok(query) = project.query(table) else { return Ok(None) };
    let bound = recipe::bind(&query.sql, &project.params_of(table)?, project.config.seed)?;
    let Ok(Some(found)) = rules(&bound) else { return Ok(None) };
    let ask = |what: &str| -> Option<String> {
        let sql = format!(
            "SELECT value FROM (SELECT doc_id, {what} AS value {}) WHERE doc_id = {id}",
            found.from
        );
        let batches = tables.session.query(&sql).ok()?;
        let batch = batches.iter().find(|batch| batch.num_rows() > 0)?;
        array_value_to_string(batch.column(0), 0).ok()
    };
    for rule in &found.rules {
        if ask(rule).as_deref() != Some(reason) {
            continue;
        }
        let mut measures = Vec::new();
        for column in columns_read(rule)? {
            // The numbers behind a verdict stand beside it.
            let verdict = [".reason", "['reason']"].iter().find_map(|end| column.strip_suffix(end));
            let column = verdict.map_or(column.clone(), str::to_string);
            if let Some(value) = ask(&column)
                && !measures.iter().any(|(known, _)| *known == column)
            {
                measures.push((column, value));
            }
        }
        return Ok(Some(Rule { query: table.into(), rule: rule.clone(), measures }));
    }
    Ok(None)
}

fn cluster(tables: &Tables, base: &str, rows: &RecordBatch, id: u64) -> Result<Option<Cluster>> {
    let number = |column| text(rows, column).and_then(|text| text.parse::<u64>().ok());
    let (Some(cluster), Some(kept)) = (number("cluster_id"), number("kept_id")) else {
        return Ok(None);
    };
    let size = number("cluster_size").unwrap_or(1);
    let (mut others, mut survivors) = (Vec::new(), Vec::new());
    if size > 1 {
        let dropped = tables.named(&format!("{base}{DROPPED}"));
        let divided = dropped.is_some();
        for (table, survive) in [(tables.named(base), divided), (dropped, false)] {
            let Some(table) = table else { continue };
            let sql = format!(
                "SELECT doc_id FROM {} WHERE cluster_id = {cluster} AND doc_id <> {id} \
                 ORDER BY doc_id LIMIT {NAMED}",
                table.sql
            );
            for batch in tables.session.query(&sql)? {
                for row in 0..batch.num_rows() {
                    let other = array_value_to_string(batch.column(0), row)?.parse::<u64>();
                    survivors.extend(other.clone().ok().filter(|_| survive));
                    others.extend(other);
                }
            }
        }
        others.sort_unstable();
        others.truncate(NAMED);
        survivors.retain(|survivor| others.contains(survivor));
    }
    let mut found = Cluster {
        id: cluster,
        size,
        kept,
        similarity: text(rows, "similarity").and_then(|text| text.parse().ok()),
        others,
        survivors,
        changes: Vec::new(),
    };
    if kept != id
        && let (Some(this), Some(other)) = (texts(tables, id)?, texts(tables, kept)?)
    {
        if found.similarity.is_none() {
            let all = |texts: &Texts| {
                let texts: Vec<&str> =
                    texts.columns.iter().map(|(_, text)| text.as_str()).collect();
                texts.join("\n")
            };
            found.similarity = Some(jaccard(&all(&this), &all(&other), &this.lang));
        }
        for ((column, new), (_, old)) in this.columns.iter().zip(&other.columns) {
            found.changes.push((column.clone(), diff(old, new, KEEP)));
        }
    }
    Ok(Some(found))
}

/// The texts of a row, by column.
struct Texts {
    columns: Vec<(String, String)>,
    /// Its language, empty for a pair.
    lang: String,
}

/// The texts of a row in the first table of texts that has it.
fn texts(tables: &Tables, id: u64) -> Result<Option<Texts>> {
    for source in &tables.sources {
        let rows = tables.rows(source, id)?;
        if rows.num_rows() == 0 {
            continue;
        }
        let columns = ["src", "tgt", "text", "text_pair"].into_iter();
        let columns = columns.filter_map(|column| Some((column.to_string(), text(&rows, column)?)));
        let lang = text(&rows, "lang").unwrap_or_default();
        return Ok(Some(Texts { columns: columns.collect(), lang }));
    }
    Ok(None)
}

/// The items of rows of `contaminated`.
fn items(tables: &Tables, rows: &RecordBatch) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    for row in 0..rows.num_rows() {
        let row = rows.slice(row, 1);
        let cell = |column| text(&row, column).unwrap_or_default();
        let number = |column| cell(column).parse::<u64>().unwrap_or_default();
        items.push(Item {
            benchmark: cell("benchmark"),
            eval_id: number("eval_id"),
            eval_column: cell("eval_column"),
            containment: cell("containment").parse().unwrap_or_default(),
            column: cell("column"),
            start: number("start"),
            text: cell("match"),
            item: None,
        });
    }
    items.sort_by(|a: &Item, b: &Item| b.containment.total_cmp(&a.containment));
    items.truncate(NAMED);
    if let Some(labelled) = tables.named("labelled") {
        for item in &mut items {
            let rows = tables.rows(&labelled, item.eval_id)?;
            if rows.num_rows() > 0 {
                item.item = text(&rows, &item.eval_column);
            }
        }
    }
    Ok(items)
}
