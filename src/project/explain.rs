//! What each rule costs: every rule of a query asked about every row, without building anything.
//!
//! A table of dropped rows knows the first rule that each row broke. Whether a rule matters is
//! told by the rows that it alone removes, and by what it removes together with each other rule.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, UInt64Type};
use serde::Serialize;

use super::Project;
use super::build::{self, Options};
use crate::error::{Error, Result};
use crate::id;
use crate::sql::recipe::{self, Query};
use crate::sql::rules::{Rules, rules};
use crate::sql::session::Session;
use crate::store::manifest::MANIFEST;

/// What is asked.
#[derive(Debug, Clone, Default)]
pub struct Ask {
    /// Only rows of these languages, as they stand in the answer; all when empty.
    pub langs: Vec<String>,
    /// Rows of each rule that are shown.
    pub samples: usize,
}

/// Rows and their characters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Amount {
    /// Rows.
    pub rows: u64,
    /// Code points of their text, where the table that is decided about says it.
    pub chars: u64,
}

/// What one rule does.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Rule {
    /// The reason that it gives.
    pub reason: String,
    /// What it would remove by itself, whatever the others do.
    pub all: Amount,
    /// What no other rule removes.
    pub alone: Amount,
    /// What carries its reason: it was the first to be broken.
    pub first: Amount,
    /// The same three by language.
    pub langs: BTreeMap<String, Share>,
    /// Some of its rows.
    pub samples: Vec<Sample>,
}

/// What a rule does in one language.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Share {
    /// As in [`Rule::all`].
    pub all: Amount,
    /// As in [`Rule::alone`].
    pub alone: Amount,
    /// As in [`Rule::first`].
    pub first: Amount,
}

/// A row that a rule removes.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Sample {
    /// The row.
    pub doc_id: u64,
    /// Its language.
    pub lang: String,
    /// Whether no other rule removes it.
    pub alone: bool,
    /// The beginning of its text, of a pair both sides.
    pub text: String,
}

/// What a language loses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Language {
    /// What there is.
    pub total: Amount,
    /// What no rule removes.
    pub kept: Amount,
}

/// What two rules remove together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Together {
    /// The reasons, the one that is asked first before the other.
    pub reasons: [String; 2],
    /// What breaks both.
    pub both: Amount,
}

/// What the rules of a query do.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Explained {
    /// The query.
    pub query: String,
    /// The rows that it decides about.
    pub total: Amount,
    /// Those that no rule removes.
    pub kept: Amount,
    /// Each rule that removes anything, in the order in which they are asked.
    pub rules: Vec<Rule>,
    /// Each two of them that remove anything together.
    pub together: Vec<Together>,
    /// Each language.
    pub langs: BTreeMap<String, Language>,
}

/// Code points of a text that a sample shows.
const SHOWN: usize = 200;

/// The queries of a project that drop rows by rules: those that are named, or all that decide about
/// stored rows that are built. One that finds duplicates anew is asked by its name only.
pub fn queries<'p>(project: &'p Project, names: &[String]) -> Result<Vec<&'p Query>> {
    let dropping = |q: &&Query| q.run.is_none() && matches!(bound(project, q), Ok(Some(_)));
    if names.is_empty() {
        let stored = |q: &&Query| matches!(bound(project, q), Ok(Some(Rules { stored: true, .. })));
        let built = |q: &&Query| {
            let table = |name: &String| project.dir.join("tables").join(name).join(MANIFEST);
            q.inputs.iter().all(|name| table(name).is_file())
        };
        return Ok(project.queries.iter().filter(dropping).filter(stored).filter(built).collect());
    }
    names
        .iter()
        .map(|name| {
            let query = project.query(name)?;
            match bound(project, query).map_err(|e| e.within(format!("query `{name}`")))? {
                Some(_) if query.run.is_none() => Ok(query),
                _ => {
                    let known = project.queries.iter().filter(dropping).map(|q| q.name.as_str());
                    Err(Error::unknown("query with a `reason`", name, known))
                }
            }
        })
        .collect()
}

fn bound(project: &Project, query: &Query) -> Result<Option<Rules>> {
    let params = project.params_of(&query.name)?;
    rules(&recipe::bind(&query.sql, &params, project.config.seed)?)
}

/// Asks every rule of a query about every row of the tables that it reads, as they are now, with
/// the parameters in force. Builds nothing. Errors when those tables are not there.
pub fn explain(
    project: &Project,
    query: &Query,
    ask: &Ask,
    options: &Options,
) -> Result<Explained> {
    let place = |e: Error| e.within(format!("query `{}`", query.name));
    let session = build::session(project, options)?;
    let Some(rules) = bound(project, query).map_err(place)? else {
        return Err(place(Error::usage("it has no `reason`")));
    };
    let columns = session.schema(&format!("SELECT * {}", rules.from)).map_err(place)?;
    let has = |name: &str| columns.field_with_name(name).is_ok();
    let lang = match () {
        () if has("src_lang") && has("tgt_lang") => "concat(src_lang, '-', tgt_lang)",
        () if has("lang") && has("detected") => "coalesce(lang, detected['lang'], 'und')",
        () if has("lang") => "coalesce(lang, 'und')",
        () => "''",
    };
    let doc_id = if has("doc_id") { "doc_id" } else { "CAST(0 AS BIGINT UNSIGNED)" };
    let chars = if has("n_chars") { "n_chars" } else { "0" };
    let mut asked =
        vec![doc_id.to_string(), format!("{lang} AS lang"), format!("{chars} AS chars")];
    asked.extend(rules.rules.iter().enumerate().map(|(i, rule)| format!("{rule} AS rule_{i}")));
    let sql = format!("SELECT {} {}", asked.join(", "), rules.from);
    let mut count = Count::new(ask, project.config.seed);
    session.stream(&sql, &mut |batch| count.batch(&batch)).map_err(place)?;
    let mut explained = count.finish(&query.name);
    if has("doc_id") {
        texts(&session, &mut explained.rules)?;
    }
    Ok(explained)
}

/// Rows being counted.
struct Count<'a> {
    ask: &'a Ask,
    seed: u64,
    explained: Explained,
    /// By the place of the rule and its reason.
    rules: BTreeMap<(usize, String), Found>,
    together: BTreeMap<[(usize, String); 2], Amount>,
}

#[derive(Default)]
struct Found {
    rule: Rule,
    /// Those with the smallest draws, those of the rule alone before others.
    samples: BTreeSet<(bool, u64, u64, String)>,
}

impl<'a> Count<'a> {
    fn new(ask: &'a Ask, seed: u64) -> Self {
        Self {
            ask,
            seed,
            explained: Explained::default(),
            rules: BTreeMap::new(),
            together: BTreeMap::new(),
        }
    }

    fn batch(&mut self, batch: &RecordBatch) -> Result<()> {
        let text = |column: &ArrayRef| Ok::<_, Error>(cast(column, &DataType::Utf8View)?);
        let ids = cast(batch.column(0), &DataType::UInt64)?;
        let (ids, langs) = (ids.as_primitive::<UInt64Type>(), text(batch.column(1))?);
        let langs = langs.as_string_view();
        let chars = cast(batch.column(2), &DataType::Float64)?;
        let chars = chars.as_primitive::<Float64Type>();
        let reasons = batch.columns()[3..].iter().map(text).collect::<Result<Vec<_>>>()?;
        for row in 0..batch.num_rows() {
            let lang = langs.value(row);
            if !self.ask.langs.is_empty() && !self.ask.langs.iter().any(|l| l == lang) {
                continue;
            }
            let amount = Amount { rows: 1, chars: chars.value(row).max(0.0) as u64 };
            let broken: Vec<(usize, &str)> = reasons
                .iter()
                .enumerate()
                .filter(|(_, reasons)| reasons.is_valid(row))
                .map(|(i, reasons)| (i, reasons.as_string_view().value(row)))
                .collect();
            self.row(ids.value(row), lang, amount, &broken);
        }
        Ok(())
    }

    fn row(&mut self, doc_id: u64, lang: &str, amount: Amount, broken: &[(usize, &str)]) {
        self.explained.total.add(amount);
        let language = entry(&mut self.explained.langs, lang);
        language.total.add(amount);
        if broken.is_empty() {
            self.explained.kept.add(amount);
            language.kept.add(amount);
        }
        let alone = broken.len() == 1;
        for (n, (i, reason)) in broken.iter().enumerate() {
            let found = self.rules.entry((*i, reason.to_string())).or_default();
            let share = entry(&mut found.rule.langs, lang);
            for (is, whole, part) in [
                (true, &mut found.rule.all, &mut share.all),
                (alone, &mut found.rule.alone, &mut share.alone),
                (n == 0, &mut found.rule.first, &mut share.first),
            ] {
                if is {
                    whole.add(amount);
                    part.add(amount);
                }
            }
            let draw = id::keyed(doc_id, self.seed);
            found.samples.insert((!alone, draw, doc_id, lang.to_string()));
            if found.samples.len() > self.ask.samples {
                found.samples.pop_last();
            }
            for other in &broken[n + 1..] {
                let both = [(*i, reason.to_string()), (other.0, other.1.to_string())];
                self.together.entry(both).or_default().add(amount);
            }
        }
    }

    fn finish(self, query: &str) -> Explained {
        let rules = self.rules.into_iter().map(|((_, reason), found)| {
            let sample = |(shared, _, doc_id, lang): (bool, u64, _, _)| Sample {
                doc_id,
                lang,
                alone: !shared,
                text: String::new(),
            };
            let samples = found.samples.into_iter().map(sample).collect();
            Rule { reason, samples, ..found.rule }
        });
        let together = self
            .together
            .into_iter()
            .map(|([(_, a), (_, b)], both)| Together { reasons: [a, b], both });
        Explained {
            query: query.into(),
            rules: rules.collect(),
            together: together.collect(),
            ..self.explained
        }
    }
}

impl Amount {
    fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.chars += other.chars;
    }
}

fn entry<'m, V: Default>(map: &'m mut BTreeMap<String, V>, key: &str) -> &'m mut V {
    if !map.contains_key(key) {
        map.insert(key.into(), V::default());
    }
    map.entry(key.into()).or_default()
}

/// Looks the texts of the samples up, in the first table that has them.
fn texts(session: &Session, rules: &mut [Rule]) -> Result<()> {
    let ids: BTreeSet<u64> = rules.iter().flat_map(|r| &r.samples).map(|s| s.doc_id).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let ids = ids.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    let mut found: BTreeMap<u64, String> = BTreeMap::new();
    let known = session.tables();
    for (table, text) in
        [("documents", "text"), ("pairs", "concat(src, ' ⇄ ', tgt)"), ("labelled", "text")]
    {
        if !found.is_empty() || !known.iter().any(|name| name == table) {
            continue;
        }
        let sql = format!(
            "SELECT doc_id, substr({text}, 1, {SHOWN}) FROM {table} WHERE doc_id IN ({ids})"
        );
        for batch in session.query(&sql)? {
            let texts = cast(batch.column(1), &DataType::Utf8View)?;
            let rows = batch.column(0).as_primitive::<UInt64Type>().values().iter();
            for (id, text) in rows.zip(texts.as_string_view().iter()) {
                found.insert(*id, text.unwrap_or_default().to_string());
            }
        }
    }
    for sample in rules.iter_mut().flat_map(|r| &mut r.samples) {
        sample.text = found.get(&sample.doc_id).cloned().unwrap_or_default();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_counted_in_all_alone_first_and_together() {
        let ask = Ask { samples: 2, ..Ask::default() };
        let mut count = Count::new(&ask, 17);
        let amount = Amount { rows: 1, chars: 10 };
        for id in 0..4 {
            count.row(id, "swh_Latn", amount, &[(0, "short"), (1, "script")]);
        }
        count.row(4, "swh_Latn", amount, &[(1, "script")]);
        count.row(5, "jpn_Jpan", amount, &[]);
        count.row(6, "jpn_Jpan", amount, &[(0, "short")]);
        let found = count.finish("kept");
        assert_eq!((found.total.rows, found.kept.rows), (7, 1));
        let rows: Vec<_> = found
            .rules
            .iter()
            .map(|r| (r.reason.as_str(), r.all.rows, r.alone.rows, r.first.rows))
            .collect();
        assert_eq!(rows, [("short", 5, 1, 5), ("script", 5, 1, 1)]);
        assert_eq!((found.together.len(), found.together[0].both.chars), (1, 40));
        assert_eq!(found.rules[0].langs["swh_Latn"].all.rows, 4);
        assert_eq!(found.langs["jpn_Jpan"].kept.rows, 1);
        // The row that only this rule removes comes first.
        let samples = &found.rules[0].samples;
        assert_eq!((samples.len(), samples[0].doc_id, samples[0].alone), (2, 6, true));
    }
}
