//! Building tables: sources by ingest, queries by the runner, mixtures by a plan and a selection.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray, UInt32Array,
};
use arrow::datatypes::Int64Type;

use super::build::Builder;
use super::config::{MixConfig, parse_count};
use super::key::Ingredients;
use super::node::{MIX_QUERY, Node};
use crate::error::{Error, Result};
use crate::ingest;
use crate::mix::{self, PlanRow, Size};
use crate::schema;
use crate::source::SourceSpec;
use crate::sql::models;
use crate::sql::recipe::{self, ParamValue, Query};
use crate::sql::runner::command::Command;
use crate::sql::runner::{self, RunSpec};
use crate::store::manifest::{Manifest, Part};
use crate::store::part::PartWriter;
use crate::store::table::{Table, sweep};

/// The schema in which a query that names it finds what it made last.
const PREVIOUS: &str = "previous";

/// One row of a mixture's plan: a stage and one group in it.
#[derive(Debug, Clone, PartialEq)]
pub struct StageRow {
    /// The stage, from 0.
    pub stage: u32,
    /// The group's part in it.
    pub row: PlanRow,
}

impl Builder<'_> {
    fn specs(&self, table: &str) -> Vec<SourceSpec> {
        let sources = self.project.config.source.iter();
        sources
            .map(|(name, spec)| SourceSpec {
                name: name.clone(),
                languages: self.project.config.languages.clone(),
                ..spec.clone()
            })
            .filter(|spec| spec.table().table() == table)
            .collect()
    }

    pub(super) fn source_ingredients(&self, table: &str, found: &mut Ingredients) -> Result<()> {
        let specs = self.specs(table);
        if !specs.is_empty() {
            found.add("files", ingest::fingerprint(&specs, &self.project.dir)?);
        }
        Ok(())
    }

    pub(super) fn build_source(&self, table: &str, manifest: Manifest) -> Result<Manifest> {
        let specs = self.specs(table);
        let dir = self.dir(&Node::Source(table.into()));
        if !specs.is_empty() {
            let options = ingest::Options {
                threads: self.threads(),
                force: self.forced,
                max_errors: self.options.max_errors,
                // The node's own key also counts hexapla's version.
                identity: Some(manifest),
                ..ingest::Options::default()
            };
            let progress =
                |done: u64, total: u64| self.observer.progress(done, Some(total), "bytes");
            let done = ingest::ingest(&specs, &self.project.dir, &dir, &options, &progress)?;
            for refused in &done.refused {
                self.observer.note(&format!("{}: {}; no row of it", refused.path, refused.reason));
            }
            return Ok(done.manifest);
        }
        // A project without such sources has the table all the same, so that every query that
        // reads it runs.
        let Some(schema) = schema::table(table) else {
            return Err(Error::internal(format!("no schema for `{table}`")));
        };
        let part = PartWriter::create(&dir, "", &manifest.key, &schema.arrow())?.finish()?;
        let manifest = Manifest { parts: vec![part], ..manifest };
        manifest.commit(&dir)?;
        sweep(&dir, &manifest)?;
        Ok(manifest)
    }

    pub(super) fn query_ingredients(&self, name: &str, found: &mut Ingredients) -> Result<()> {
        let query = self.project.query(name)?;
        found.add("query", query.sql.clone());
        for layer in &query.layers {
            found.add("query below", layer.sql.clone());
        }
        for (param, value) in self.project.params_of(name)? {
            found.add(format!("parameter {param}"), value.to_json().to_string());
        }
        if let Some(command) = self.command(query)? {
            for (name, value) in command.ingredients() {
                found.add(name, value);
            }
        }
        let params = self.project.params_of(name)?;
        for (file, hash) in models::named(&self.bound(query, &params)?, &self.project.dir)? {
            found.add(format!("file {file}"), hash);
        }
        if query.sql.contains("$seed") {
            found.add("seed", self.project.config.seed.to_string());
        }
        for (function, version) in self.session.functions_in(&query.sql) {
            found.add(format!("function {function}"), version.to_string());
        }
        Ok(())
    }

    fn command(&self, query: &Query) -> Result<Option<Command>> {
        let params = self.project.params_of(&query.name)?;
        Command::of(query, &self.project.dir, &params, self.project.config.seed)
    }

    pub(super) fn build_query(
        &mut self,
        name: &str,
        manifest: Manifest,
        old: Option<&Manifest>,
    ) -> Result<Manifest> {
        let query = self.project.query(name)?;
        let params = self.project.params_of(name)?;
        let last = format!("{PREVIOUS}.{name}");
        if query.sql.contains(&last) {
            match old.map(|old| self.previous(name, &manifest, old)).transpose()?.flatten() {
                Some(table) => self.session.add_table(&last, table)?,
                None => self.session.add_unbuilt(&last, "it is there from the second build on")?,
            }
        }
        self.run_query(query, name, &params, manifest)
    }

    /// What the same query made last of other input, its dropped rows included, so that a query may
    /// go on from there; `None` when anything but the input has changed, or a part of it is gone.
    fn previous(&self, name: &str, new: &Manifest, old: &Manifest) -> Result<Option<Table>> {
        let node = Node::Query(name.into());
        let mut input: Vec<String> =
            self.project.needs(&node)?.iter().map(Node::to_string).collect();
        input.extend(self.project.dropped_read(&node)?);
        let question = |m: &Manifest| -> BTreeMap<String, String> {
            let all = m.inputs.clone().into_iter();
            all.filter(|(ingredient, _)| !input.contains(ingredient)).collect()
        };
        if self.forced || question(new) != question(old) {
            return Ok(None);
        }
        let dir = self.project.dir.join("tables");
        let mut manifest = old.clone();
        manifest.parts.clear();
        for table in [name.to_string(), format!("{name}_dropped")] {
            let made = Manifest::read(&dir.join(&table))?.unwrap_or_default().parts;
            let below = |part: Part| Part { file: format!("{table}/{}", part.file), ..part };
            manifest.parts.extend(made.into_iter().map(below));
        }
        let whole = manifest.parts.iter().all(|part| dir.join(&part.file).is_file());
        Ok(whole.then_some(Table { dir, manifest }))
    }

    /// A query's text with parameters and seed in place.
    pub(super) fn bound(
        &self,
        query: &Query,
        params: &BTreeMap<String, ParamValue>,
    ) -> Result<String> {
        recipe::bind(&query.sql, params, self.project.config.seed)
    }

    fn run_query(
        &self,
        query: &Query,
        table: &str,
        params: &BTreeMap<String, ParamValue>,
        manifest: Manifest,
    ) -> Result<Manifest> {
        let tables = self.project.dir.join("tables");
        let spec = RunSpec {
            query,
            params,
            seed: self.project.config.seed,
            dir: &self.project.dir,
            out_dir: tables.join(table),
            dropped_dir: tables.join(format!("{table}_dropped")),
            threads: self.threads(),
            force: self.forced,
            manifest: Manifest {
                params: params.iter().map(|(n, v)| (n.clone(), v.to_json())).collect(),
                ..manifest
            },
        };
        let progress = |done: u64, total: Option<u64>| self.observer.progress(done, total, "rows");
        runner::run(&self.session, &spec, &progress)
    }

    pub(super) fn mix_ingredients(&self, name: &str, found: &mut Ingredients) -> Result<()> {
        found.add("mix", format!("{:?}", self.mix_config(name)?));
        found.add("seed", self.project.config.seed.to_string());
        self.query_ingredients(MIX_QUERY, found)
    }

    pub(super) fn build_mix(&mut self, name: &str, mut manifest: Manifest) -> Result<Manifest> {
        let rows = self.mix_plan(name)?;
        let node = Node::Mix(name.into());
        let dir = self.dir(&node);
        let batch = plan_batch(&rows)?;
        let mut writer = PartWriter::create(&dir, "", &manifest.key, &batch.schema())?;
        writer.write(&batch)?;
        manifest.parts = vec![writer.finish()?];
        manifest.rows_out = rows.len() as u64;
        manifest.rows_in = rows.len() as u64;
        // The plan's manifest comes last, so that a plan without its selection is never taken for
        // a finished mixture; the selection reads it as `plan`.
        self.session.add_table("plan", Table { dir: dir.clone(), manifest: manifest.clone() })?;
        let query = self.project.query(MIX_QUERY)?;
        let params = self.project.params_of(MIX_QUERY)?;
        let selection = Manifest { node: format!("{MIX_QUERY}.{name}"), ..manifest.clone() };
        let selection = Manifest { parts: Vec::new(), rows_in: 0, rows_out: 0, ..selection };
        self.run_query(query, &format!("{MIX_QUERY}.{name}"), &params, selection)?;
        manifest.commit(&dir)?;
        sweep(&dir, &manifest)?;
        Ok(manifest)
    }

    fn mix_config(&self, name: &str) -> Result<&MixConfig> {
        let mixes = &self.project.config.mix;
        mixes.get(name).ok_or_else(|| Error::unknown("mix", name, mixes.keys().map(String::as_str)))
    }

    /// The plan of a mixture over the sizes as they are now.
    pub(super) fn mix_plan(&self, name: &str) -> Result<Vec<StageRow>> {
        stages(self.mix_config(name)?, &sizes(&self.session)?)
    }
}

/// The measured sizes of a project.
pub(super) fn sizes(session: &crate::sql::session::Session) -> Result<Vec<Size>> {
    let mut sizes = Vec::new();
    for batch in session.query("SELECT kind, lang, available FROM sizes")? {
        let text = |i: usize| -> Result<ArrayRef> {
            Ok(arrow::compute::cast(batch.column(i), &arrow::datatypes::DataType::Utf8)?)
        };
        let (kinds, langs) = (text(0)?, text(1)?);
        let available = batch.column(2).as_primitive::<Int64Type>();
        for i in 0..batch.num_rows() {
            sizes.push(Size {
                kind: kinds.as_string::<i32>().value(i).into(),
                lang: langs.as_string::<i32>().value(i).into(),
                available: u64::try_from(available.value(i)).unwrap_or(0),
            });
        }
    }
    Ok(sizes)
}

/// The plans of all stages of a mixture.
pub(super) fn stages(config: &MixConfig, sizes: &[Size]) -> Result<Vec<StageRow>> {
    if sizes.is_empty() {
        return Err(Error::usage("there is nothing to mix: no row of the training split is left")
            .hint_with(
                "`hexapla sql -c 'SELECT * FROM kept_dropped'` shows what was dropped and why",
            ));
    }
    let mut rows = Vec::new();
    let mut begin = 0;
    for (i, stage) in config.stages.iter().enumerate() {
        let end = parse_count(&stage.until)?;
        let options = mix::Options {
            alpha: stage.alpha,
            budget: Some(end - begin),
            max_epochs: stage.max_epochs,
            pairs: Some(stage.pairs),
            weights: stage.weights.iter().map(|(n, w)| (n.clone(), *w)).collect(),
        };
        let plan = mix::plan(sizes, mix::strategy(&stage.strategy)?, &options)
            .map_err(|e| e.within(format!("stage {}", i + 1)))?;
        rows.extend(plan.into_iter().map(|row| StageRow { stage: i as u32, row }));
        begin = end;
    }
    Ok(rows)
}

/// A plan as rows of the table `mix`.
pub fn plan_batch(rows: &[StageRow]) -> Result<RecordBatch> {
    let Some(schema) = schema::table("mix") else {
        return Err(Error::internal("no schema for `mix`"));
    };
    let text = |f: fn(&PlanRow) -> &str| -> ArrayRef {
        Arc::new(rows.iter().map(|r| Some(f(&r.row))).collect::<StringArray>())
    };
    let count = |f: fn(&PlanRow) -> u64| -> ArrayRef {
        Arc::new(rows.iter().map(|r| Some(f(&r.row) as i64)).collect::<Int64Array>())
    };
    let number = |f: fn(&PlanRow) -> f64| -> ArrayRef {
        Arc::new(rows.iter().map(|r| Some(f(&r.row))).collect::<Float64Array>())
    };
    let columns = vec![
        Arc::new(rows.iter().map(|r| Some(r.stage)).collect::<UInt32Array>()) as ArrayRef,
        text(|r| &r.kind),
        text(|r| &r.lang),
        count(|r| r.available),
        number(|r| r.weight),
        count(|r| r.target),
        number(|r| r.epochs),
        count(|r| r.shortfall),
    ];
    debug_assert!(columns.iter().all(|c| c.len() == rows.len()));
    Ok(RecordBatch::try_new(schema.arrow(), columns)?)
}
