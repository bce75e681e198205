//! Building mixtures: what there is, the plan of each stage, and the rows that are used.
//!
//! Groups are values of columns of `sized`. Of these the language (of pairs, both) names the group
//! in packs, and the values of the others, joined by `/`, are its part.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray, UInt32Array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use serde_json::Value;

use super::Project;
use super::build::Builder;
use super::config::{MinShare, MixConfig, StageConfig, UNITS, Weights, parse_until};
use super::key::Ingredients;
use super::node::{MIX_QUERY, Node};
use crate::error::{Error, Result};
use crate::feed;
use crate::mix::{self, PlanRow, Planned, Size, Strategy};
use crate::schema;
use crate::sql::session::Session;
use crate::store::manifest::Manifest;
use crate::store::part::PartWriter;
use crate::store::table::{Table, sweep};
use crate::store::verify::hash_file;
use crate::token::pack::{Pack, group_name};

/// What the query of the selection reads in place of `sized`: each row with its group and size.
const CANDIDATES: &str = "candidates";

impl Project {
    /// The mixture with a name.
    pub fn mix(&self, name: &str) -> Result<&MixConfig> {
        let mixes = &self.config.mix;
        mixes.get(name).ok_or_else(|| Error::unknown("mix", name, mixes.keys().map(String::as_str)))
    }
}

impl Builder<'_> {
    pub(super) fn mix_ingredients(&self, name: &str, found: &mut Ingredients) -> Result<()> {
        let config = self.project.mix(name)?;
        found.add("mix", format!("{config:?}"));
        for stage in &config.stages {
            if let Some(Weights::Table(table)) = &stage.weights {
                let file = self.project.dir.join(table);
                if file.is_file() {
                    found.add(format!("file {table}"), hash_file(&file)?.0);
                }
            }
        }
        found.add("seed", self.project.config.seed.to_string());
        self.query_ingredients(MIX_QUERY, found)
    }

    pub(super) fn build_mix(&mut self, name: &str, mut manifest: Manifest) -> Result<Manifest> {
        let config = self.project.mix(name)?;
        let batch = batch(config, &stages(self.project, &self.session, config)?)?;
        let dir = self.dir(&Node::Mix(name.into()));
        let mut writer = PartWriter::create(&dir, "", &manifest.key, &batch.schema())?;
        writer.write(&batch)?;
        manifest.parts = vec![writer.finish()?];
        manifest.rows_out = batch.num_rows() as u64;
        manifest.rows_in = batch.num_rows() as u64;
        // The plan's manifest comes last, so that a plan without its selection is never taken for
        // a finished mixture; the selection reads it as `plan`.
        self.session.add_table("plan", Table { dir: dir.clone(), manifest: manifest.clone() })?;
        self.session.add_view(CANDIDATES, &candidates(config))?;
        let query = self.project.query(MIX_QUERY)?;
        let params = self.project.params_of(MIX_QUERY)?;
        let selection = Manifest { node: format!("{MIX_QUERY}.{name}"), ..manifest.clone() };
        let selection = Manifest { parts: Vec::new(), rows_in: 0, rows_out: 0, ..selection };
        self.run_query(query, &format!("{MIX_QUERY}.{name}"), &params, selection)?;
        manifest.commit(&dir)?;
        sweep(&dir, &manifest)?;
        Ok(manifest)
    }
}

fn quoted(column: &str) -> String {
    format!("\"{}\"", column.replace('"', "\"\""))
}

/// A column of a group as text.
fn value(column: &str) -> String {
    format!("coalesce(CAST({} AS VARCHAR), '')", quoted(column))
}

fn unit(config: &MixConfig) -> &'static str {
    UNITS.iter().find(|(unit, _)| *unit == config.unit).map_or("tokens", |(_, column)| column)
}

/// The rows that may be selected, each with its group and size, in the order of `sized`.
fn candidates(config: &MixConfig) -> String {
    let parts: Vec<String> = config.parts().iter().map(|c| value(c)).collect();
    let part = if parts.is_empty() { "''".into() } else { parts.join(" || '/' || ") };
    format!(
        "SELECT doc_id, kind, lang, {part} AS part, tokens, CAST({} AS BIGINT) AS size FROM sized",
        unit(config)
    )
}

/// The grouping columns, the language among them, in the order of the levels.
fn columns(config: &MixConfig) -> Vec<&str> {
    let more = config.upsample.then_some("repeats");
    config.by.iter().map(String::as_str).chain(more).collect()
}

/// What there is of each group.
fn sizes(session: &Session, config: &MixConfig) -> Result<Vec<Size>> {
    let known = session.table_schema("sized")?;
    let columns = columns(config);
    for column in &columns {
        if known.column_with_name(column).is_none() {
            let names = known.fields().iter().map(|f| f.name().as_str());
            return Err(Error::unknown("column of `sized`", column, names).within("`by`"));
        }
    }
    let groups: Vec<String> = columns.iter().map(|c| value(c)).collect();
    let repeats = if config.upsample { "max(repeats)" } else { "1" };
    let places: Vec<String> = (0..=groups.len()).map(|i| (i + 1).to_string()).collect();
    let sql = format!(
        "SELECT kind, {}, CAST(sum({}) AS BIGINT), CAST({repeats} AS DOUBLE) FROM sized \
         GROUP BY {places} ORDER BY {places}",
        groups.join(", "),
        unit(config),
        places = places.join(", "),
    );
    let mut sizes = Vec::new();
    for batch in session.query(&sql)? {
        let n = columns.len();
        let texts: Vec<StringArray> =
            (0..=n).map(|i| super::text::strings(&batch, i)).collect::<Result<_>>()?;
        let available = batch.column(n + 1).as_primitive::<Int64Type>();
        let repeats = batch.column(n + 2).as_primitive::<Float64Type>();
        sizes.extend((0..batch.num_rows()).map(|row| Size {
            kind: texts[0].value(row).into(),
            group: texts[1..].iter().map(|column| column.value(row).into()).collect(),
            available: u64::try_from(available.value(row)).unwrap_or(0),
            repeats: repeats.value(row),
            weight: None,
        }));
    }
    Ok(sizes)
}

/// The strategies of a stage: one, or one for each column.
fn strategies(config: &MixConfig, stage: &StageConfig) -> Result<Vec<&'static Strategy>> {
    let mut all = vec![mix::strategy(&stage.strategy)?];
    let below = config.by.len() - 1;
    for i in 0..below.min(if config.within.is_empty() { 0 } else { below }) {
        let name = config.within.get(i).unwrap_or(&config.within[0]);
        all.push(mix::strategy(name)?);
    }
    if config.upsample {
        all.push(mix::strategy("proportional")?);
    }
    Ok(all)
}

fn options(
    project: &Project,
    session: &Session,
    config: &MixConfig,
    stage: &StageConfig,
) -> Result<mix::Options> {
    let list = |by: &BTreeMap<String, f64>| by.iter().map(|(n, v)| (n.clone(), *v)).collect();
    let (min_share, min_shares) = match &stage.min_share {
        Some(MinShare::All(min)) => (Some(*min), Vec::new()),
        Some(MinShare::ByName(by)) => (None, list(by)),
        None => (None, Vec::new()),
    };
    let weights = match &stage.weights {
        Some(Weights::ByName(by)) => list(by),
        Some(Weights::Table(name)) => weights_of(project, session, config, name)?,
        None => Vec::new(),
    };
    Ok(mix::Options {
        alpha: stage.alpha,
        budget: None,
        max_epochs: stage.max_epochs,
        pairs: Some(stage.pairs),
        min_share,
        min_shares,
        weights,
    })
}

/// The weights of a JSON file: numbers by group, or such an object as DoReMi writes it.
fn weights_of_json(path: &Path) -> Result<Vec<(String, f64)>> {
    let bytes = fs::read(path).map_err(|e| Error::io(path, e))?;
    let wrong = |what: String| {
        let example = "{\"isl_Latn\": 0.3, \"eng_Latn\": 0.7}";
        Error::input(path, what)
            .hint_with(format!("for example `{example}`, or that in `train_domain_weights`"))
    };
    let json: Value = serde_json::from_slice(&bytes).map_err(|e| wrong(format!("no JSON: {e}")))?;
    let weights = json.get("train_domain_weights").unwrap_or(&json);
    let Some(weights) = weights.as_object() else {
        return Err(wrong("expected an object of weights by group".into()));
    };
    let number = |(name, weight): (&String, &Value)| {
        let bad = || wrong(format!("the weight of `{name}` is {weight}; expected a number"));
        Ok((name.clone(), weight.as_f64().ok_or_else(bad)?))
    };
    weights.iter().map(number).collect()
}

/// The weights of a table or file, as `mixture` reads them.
fn weights_of(
    project: &Project,
    session: &Session,
    config: &MixConfig,
    name: &str,
) -> Result<Vec<(String, f64)>> {
    let file = project.dir.join(name);
    if file.extension().is_some_and(|e| e == "json") {
        return weights_of_json(&file);
    }
    let name = if file.is_file() { file.to_string_lossy().into_owned() } else { name.into() };
    let nested = !config.within.is_empty() || config.upsample;
    let columns = if nested { vec![config.by[0].as_str()] } else { columns(config) };
    let sql = format!(
        "SELECT * FROM mixture('sized', 'fixed', {{by: '{}', size: 'tokens', weights: '{}'}})",
        columns.join(", ").replace('\'', "''"),
        name.replace('\'', "''"),
    );
    let mut weights = Vec::new();
    for batch in session.query(&sql)? {
        let texts: Vec<StringArray> =
            (0..=columns.len()).map(|i| super::text::strings(&batch, i)).collect::<Result<_>>()?;
        let Some(given) = batch.column_by_name("weight") else { continue };
        let given = cast(given, &DataType::Float64)?;
        let given = given.as_primitive::<Float64Type>();
        for row in 0..batch.num_rows() {
            let path: Vec<&str> = texts[1..].iter().map(|column| column.value(row)).collect();
            let name = format!("{}:{}", texts[0].value(row), path.join("/"));
            weights.push((name, given.value(row)));
        }
    }
    Ok(weights)
}

/// The plans of all stages of a mixture over what there is now.
pub(super) fn stages(
    project: &Project,
    session: &Session,
    config: &MixConfig,
) -> Result<Vec<Planned>> {
    let sizes = sizes(session, config)?;
    if sizes.is_empty() {
        return Err(Error::usage("there is nothing to mix: no row of the training split is left")
            .hint_with(
                "`hexapla sql -c 'SELECT * FROM kept_dropped'` shows what was dropped and why",
            ));
    }
    let stages = config.stages.iter().enumerate().map(|(i, stage)| {
        let made = || -> Result<mix::Stage> {
            Ok(mix::Stage {
                until: parse_until(&stage.until)?,
                strategies: strategies(config, stage)?,
                options: options(project, session, config, stage)?,
            })
        };
        made().map_err(|e| e.within(format!("stage {}", i + 1)))
    });
    mix::schedule(&sizes, &stages.collect::<Result<Vec<_>>>()?)
}

/// The language of a row of the plan, and the values of its other columns joined by `/`.
fn lang_and_part<'r>(config: &MixConfig, row: &'r PlanRow) -> (&'r str, String) {
    let mut lang = "";
    let mut part: Vec<&str> = Vec::new();
    for (column, value) in columns(config).iter().zip(&row.group) {
        match *column {
            "lang" => lang = value,
            _ => part.push(value),
        }
    }
    (lang, part.join("/"))
}

/// The stages of a mixture for a feed over a pack: its groups' tokens, and where each stage ends.
///
/// Shares are of tokens. In another unit a group's tokens follow from what its pack has for what
/// was selected.
pub(super) fn feed_stages(
    project: &Project,
    session: &Session,
    mix: &str,
    pack: &Pack,
) -> Result<Vec<feed::Stage>> {
    let config = project.mix(mix)?;
    let planned = stages(project, session, config)?;
    let groups = planned.first().map_or(0, |stage| stage.rows.len());
    let all = |i: usize| planned.iter().map(|stage| stage.rows[i].target).sum::<u64>();
    let mut spent = 0.0;
    let mut stages = Vec::with_capacity(planned.len());
    for stage in &planned {
        let mut weights = BTreeMap::new();
        for i in 0..groups {
            let row = &stage.rows[i];
            let (lang, part) = lang_and_part(config, row);
            let name = group_name(lang, &part);
            // A group whose every row was too short to pack cannot be drawn from.
            // Held-out rows are told apart by language alone.
            let find = |name: &str| pack.groups.iter().find(|g| g.name == name && g.rows > 0);
            let Some(group) = find(&name).or_else(|| find(lang)) else { continue };
            let per_unit = match config.unit.as_str() {
                "tokens" => 1.0,
                _ => group.tokens() as f64 / all(i).min(row.available).max(1) as f64,
            };
            if row.target > 0 {
                *weights.entry(group.name.clone()).or_default() += row.target as f64 * per_unit;
            }
        }
        // What a cap leaves unspent is not trained on, so the stage ends so much sooner.
        spent += weights.values().sum::<f64>();
        if !weights.is_empty() {
            stages.push(feed::Stage { until_tokens: Some(spent.round() as u64), weights });
        }
    }
    Ok(stages)
}

/// Plans as rows of the table `mix`.
pub(super) fn batch(config: &MixConfig, planned: &[Planned]) -> Result<RecordBatch> {
    let Some(schema) = schema::table("mix") else {
        return Err(Error::internal("no schema for `mix`"));
    };
    let rows: Vec<(u32, &PlanRow)> = planned
        .iter()
        .enumerate()
        .flat_map(|(i, stage)| stage.rows.iter().map(move |row| (i as u32, row)))
        .collect();
    let text = |of: &dyn Fn(&PlanRow) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(|(_, row)| of(row))))
    };
    let count = |of: fn(&PlanRow) -> u64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|(_, row)| of(row) as i64)))
    };
    let number = |of: fn(&PlanRow) -> f64| -> ArrayRef {
        Arc::new(Float64Array::from_iter_values(rows.iter().map(|(_, row)| of(row))))
    };
    let first = rows.iter().map(|(_, row)| row.first_repeat.map(|n| n as i64));
    let columns = vec![
        Arc::new(UInt32Array::from_iter_values(rows.iter().map(|(stage, _)| *stage))) as ArrayRef,
        text(&|row| row.kind.clone()),
        text(&|row| lang_and_part(config, row).0.into()),
        text(&|row| lang_and_part(config, row).1),
        count(|row| row.available),
        number(|row| row.weight),
        count(|row| row.target),
        number(|row| row.epochs),
        Arc::new(first.collect::<Int64Array>()),
        count(|row| row.shortfall),
    ];
    Ok(RecordBatch::try_new(schema.arrow(), columns)?)
}
