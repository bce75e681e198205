//! Building tables: sources by ingest, queries by the runner.

use std::collections::BTreeMap;

use super::build::Builder;
use super::key::Ingredients;
use super::node::Node;
use crate::error::{Error, Result};
use crate::ingest;
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

    pub(super) fn run_query(
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
}
