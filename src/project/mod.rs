//! Projects: `hexapla.toml`, nodes, keys, and building what is out of date.
//!
//! Prints nothing; an [`build::Observer`] is told what happens.

pub mod build;
pub mod config;
pub mod evaluate;
pub mod explain;
pub mod init;
pub mod lid;
pub mod node;
pub mod packed;
pub mod show;
pub mod thresholds;
pub mod tokens;
pub mod why;

mod beside;
mod data;
mod export;
mod key;
#[cfg(feature = "train")]
mod learn;
#[cfg(not(feature = "train"))]
#[path = "learn_disabled.rs"]
mod learn;
mod mixture;
mod pack;
#[cfg(feature = "train")]
mod proof;
mod text;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use self::config::{Config, PackConfig};
use crate::error::{Error, Result, nearest};
use crate::identify::tag;
use crate::sql::recipe::{self, ParamValue, Query};
use crate::train::config::TrainConfig;

/// A project: its folder, its file, its queries, and parameters set for this run.
pub struct Project {
    /// The folder.
    pub dir: PathBuf,
    /// The project file.
    pub config: Config,
    /// The queries in force, built-in and the project's own.
    pub queries: Vec<Query>,
    /// The project's checks.
    pub checks: Vec<Query>,
    overrides: BTreeMap<String, BTreeMap<String, ParamValue>>,
}

impl Project {
    /// Opens the project in a folder; wrong names in its file or queries are errors here.
    pub fn open(dir: &Path) -> Result<Self> {
        let config = Config::read(dir)?;
        let queries = recipe::resolve(&recipe::read_dir(&dir.join("queries"))?)?;
        let checks = recipe::read_dir(&dir.join("checks"))?;
        let project =
            Self { dir: dir.to_path_buf(), config, queries, checks, overrides: BTreeMap::new() };
        project.check()?;
        Ok(project)
    }

    /// Sets a parameter for this run from `query.name=value`.
    pub fn set_param(&mut self, text: &str) -> Result<()> {
        let bad = || {
            Error::usage(format!("`{text}` sets no parameter"))
                .hint_with("write `--param query.name=value`, such as `kept.min_confidence=0.7`")
        };
        let (name, value) = text.split_once('=').ok_or_else(bad)?;
        let (query, param) = name.trim().split_once('.').ok_or_else(bad)?;
        let value = self.param_value(&toml_value(value.trim())).map_err(|e| e.within(name))?;
        self.overrides.entry(query.into()).or_default().insert(param.into(), value);
        self.check_params(query, [param].into_iter())?;
        recipe::typed(self.query(query)?, self.params_of(query)?).map(|_| ())
    }

    /// Sets a key of a run from `a.b=value`, as if the project file said so.
    pub fn set_run(&mut self, run: &str, text: &str) -> Result<()> {
        let bad = || {
            Error::usage(format!("`{text}` sets no key"))
                .hint_with("write `--set key=value`, such as `--set optimizer.lr=1e-3`")
        };
        let (key, value) = text.split_once('=').ok_or_else(bad)?;
        let mut whole =
            toml::Value::try_from(self.train(run)?).map_err(|e| Error::internal(e.to_string()))?;
        let mut place = &mut whole;
        let path: Vec<&str> = key.trim().split('.').collect();
        let (last, folders) = path.split_last().ok_or_else(bad)?;
        for folder in folders {
            let table = place.as_table_mut().ok_or_else(bad)?;
            place = table.entry(*folder).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        }
        place.as_table_mut().ok_or_else(bad)?.insert((*last).into(), toml_value(value.trim()));
        let config: TrainConfig = whole
            .try_into()
            .map_err(|e: toml::de::Error| config::worded(e.message()).within(text))?;
        config.validate().map_err(|e| e.within(text))?;
        self.config.train.insert(run.into(), config);
        Ok(())
    }

    /// The query that makes a table.
    pub fn query(&self, name: &str) -> Result<&Query> {
        self.queries.iter().find(|q| q.name == name).ok_or_else(|| {
            Error::unknown("query", name, self.queries.iter().map(|q| q.name.as_str()))
        })
    }

    /// The parameters in force for a query: the header's defaults, the project file's values, and
    /// those set for this run.
    pub fn params_of(&self, query: &str) -> Result<BTreeMap<String, ParamValue>> {
        let mut params: BTreeMap<String, ParamValue> =
            self.query(query)?.params.iter().map(|p| (p.name.clone(), p.default.clone())).collect();
        for (name, value) in self.config.params.get(query).into_iter().flatten() {
            let place = format!("[params.{query}] {name}");
            let value = self.param_value(value).map_err(|e| e.within(place))?;
            params.insert(name.clone(), value);
        }
        if let Some(values) = self.overrides.get(query) {
            params.extend(values.clone());
        }
        Ok(params)
    }

    /// The pack with a name.
    pub fn pack(&self, name: &str) -> Result<&PackConfig> {
        self.config.pack.get(name).ok_or_else(|| {
            Error::unknown("pack", name, self.config.pack.keys().map(String::as_str))
        })
    }

    /// The run with a name.
    pub fn train(&self, name: &str) -> Result<&TrainConfig> {
        self.config.train.get(name).ok_or_else(|| {
            Error::unknown("run", name, self.config.train.keys().map(String::as_str))
        })
    }

    /// The tokenizer of a run: its pack's, else that of the run it begins with, else the only one.
    pub fn run_tokenizer(&self, name: &str) -> Result<Option<String>> {
        let run = self.train(name)?;
        if let Some(pack) = &run.pack {
            return Ok(Some(self.pack(pack)?.tokenizer.clone()));
        }
        match run.init.as_deref() {
            Some(init) => match init.strip_prefix("train.") {
                Some(first) if first != name => self.run_tokenizer(first),
                // A Hugging Face folder brings its own.
                _ => Ok(None),
            },
            None => {
                let mut names = self.config.tokenizer.keys();
                match (names.next(), names.next()) {
                    (Some(only), None) => Ok(Some(only.clone())),
                    _ if self.config.tokenizer.contains_key("main") => Ok(Some("main".into())),
                    _ => Err(Error::usage(format!(
                        "train `{name}`: which tokenizer? it has neither `pack` nor `init`, and \
                         there is no [tokenizer.main]"
                    ))),
                }
            }
        }
    }

    /// A parameter as the project file writes it: a scalar, or a table with `default` and keys. A
    /// key is the name of a source, else a language, which becomes its tag: `pick` compares it
    /// with what stands in the tables.
    fn param_value(&self, value: &toml::Value) -> Result<ParamValue> {
        let json = serde_json::to_value(value).map_err(|e| Error::usage(e.to_string()))?;
        let (default, given) = match ParamValue::from_json(&json)? {
            ParamValue::Keyed { default, keys } => (default, keys),
            scalar => return Ok(scalar),
        };
        let mut keys = BTreeMap::new();
        for (given, value) in given {
            let key = match tag::find(&given) {
                Some(tag) if !self.config.source.contains_key(&given) => tag.to_string(),
                None if !self.config.source.contains_key(&given) => {
                    return Err(self.unknown_key(&given));
                }
                _ => given.clone(),
            };
            if keys.insert(key.clone(), value).is_some() {
                return Err(Error::usage(format!("`{given}`: a value for `{key}` is there twice")));
            }
        }
        Ok(ParamValue::Keyed { default, keys })
    }

    fn unknown_key(&self, key: &str) -> Error {
        let sources: Vec<&str> = self.config.source.keys().map(String::as_str).collect();
        let named = match sources.is_empty() {
            true => "the name of a source".to_string(),
            false => format!("one of the sources {}", sources.join(", ")),
        };
        let error = Error::usage(format!(
            "unknown key `{key}`; expected `default`, {named}, or a language such as `isl_Latn`"
        ));
        let near = nearest(key, &[&["default"], sources.as_slice()].concat());
        let language = tag::tag(key).err();
        match (near, language.as_ref().and_then(Error::hint)) {
            (Some(near), _) => error.hint_with(format!("did you mean `{near}`?")),
            (None, Some(hint)) => error.hint_with(hint),
            (None, None) => error,
        }
    }

    fn check(&self) -> Result<()> {
        for query in &self.queries {
            check_name(&query.name).map_err(|e| match &query.origin {
                recipe::Origin::Project(path) => e.within(path.display()),
                recipe::Origin::BuiltIn => e,
            })?;
        }
        for (query, params) in &self.config.params {
            self.query(query).map_err(|e| e.within("[params]"))?;
            self.check_params(query, params.keys().map(String::as_str))?;
            recipe::typed(self.query(query)?, self.params_of(query)?)?;
        }
        for (name, model) in &self.config.model {
            model.validate().map_err(|e| e.within(format!("model `{name}`")))?;
        }
        for (name, run) in &self.config.train {
            let place = format!("train `{name}`");
            run.validate().map_err(|e| e.within(&place))?;
            if let Some(model) = &run.model
                && !self.config.model.contains_key(model)
            {
                let known = self.config.model.keys().map(String::as_str);
                return Err(Error::unknown("model", model, known).within(place));
            }
        }
        // Also finds tables that nobody makes and circles.
        self.nodes().map(|_| ())
    }

    fn check_params<'a>(&self, query: &str, names: impl Iterator<Item = &'a str>) -> Result<()> {
        let known = &self.query(query)?.params;
        for name in names {
            if !known.iter().any(|p| p.name == name) {
                let valid = known.iter().map(|p| p.name.as_str());
                return Err(Error::unknown("parameter", name, valid).within(query));
            }
        }
        Ok(())
    }
}

/// Whether a query may make a table of this name: it is a folder's name and an SQL identifier.
fn check_name(name: &str) -> Result<()> {
    let why = if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
        "has only letters, digits and `_`"
    } else if node::SOURCE_TABLES.contains(&name) {
        "is none of those that the sources fill"
    } else if name.ends_with("_dropped") {
        "does not end with `_dropped`, where rows with a reason go"
    } else {
        return Ok(());
    };
    Err(Error::usage(format!("a query makes a table `{name}`; the name of such a table {why}"))
        .hint_with("change `-- out:`"))
}

/// What TOML reads as a number, truth value or table is one; anything else is text.
fn toml_value(text: &str) -> toml::Value {
    toml::from_str::<toml::Table>(&format!("v = {text}"))
        .ok()
        .and_then(|mut t| t.remove("v"))
        .unwrap_or_else(|| toml::Value::String(text.into()))
}
