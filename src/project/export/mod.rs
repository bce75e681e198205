//! Building hand-offs: the rows of a mixture or of a pack, given to a format of `export/`.
//!
//! Everything is written into a folder beside the final one, which takes its place as a whole.

mod parts;
mod plan;
mod stream;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::json;

use super::Project;
use super::build::Builder;
use super::config::{Config, ExportConfig, parse_count};
use super::key::Ingredients;
use super::node::Node;
use super::pack::VALIDATION;
use crate::error::{Error, Result};
use crate::export::handoff::{Counts, Group, Handoff, Provenance};
use crate::export::{self, Content, Format, Layout, Settings, Takes};
use crate::store::manifest::{self, MANIFEST, Manifest, Part};
use crate::store::verify::hash_file;
use crate::token::pack::{self, Pack};

/// Bytes that the index of a file being written may hold before it goes to the disk.
const INDEX_MEMORY: usize = 1 << 20;

/// The tables whose dropped rows a card tells.
const DROPPING: &[&str] = &["kept", "deduped", "pairs_kept", "pairs_deduped"];

/// An export with its references found.
pub(super) struct Export<'a> {
    pub config: &'a ExportConfig,
    pub format: &'static dyn Format,
    pub takes: Takes,
    pub mix: String,
    /// The tokenizer, where the files hold token ids.
    pub tokenizer: Option<String>,
    /// The pack, where its rows are written.
    pub pack: Option<String>,
    /// Ids in a sample, where the format asks.
    pub length: usize,
}

/// What `[export.NAME]` says, held against the rest of the project file.
pub(super) fn resolve<'a>(export: &'a ExportConfig, config: &Config) -> Result<Export<'a>> {
    let format = export::format(&export.to)?;
    let takes = format.takes(export.layout).ok_or_else(|| {
        Error::usage(format!("`{}` has no `layout = \"stream\"`: it holds texts", format.name()))
            .hint_with("leave `layout` out: the weights of each stage are written beside the files")
    })?;
    let given = match (&export.mix, &export.pack) {
        (Some(_), Some(_)) => return Err(Error::usage("give either `mix` or `pack`")),
        (None, None) => return Err(Error::usage("nothing to write: give `mix` or `pack`")),
        (mix, pack) => (mix, pack),
    };
    if export.layout == Layout::Stream {
        let fault = match (given.1, &export.tokenizer, export.only, export.length) {
            (None, ..) => "writes the rows of a pack: name it with `pack`, not `mix`",
            (_, Some(_), ..) => "has the tokenizer of its pack, and no other",
            (_, _, Some(_), _) => "is the whole mixture; `only` is for `parts`",
            (_, _, _, Some(_)) => "has the length of its pack, and no other",
            _ => "",
        };
        if !fault.is_empty() {
            return Err(Error::usage(format!("`layout = \"stream\"` {fault}")));
        }
    }
    let pack =
        match given.1 {
            Some(name) => Some(config.pack.get(name).ok_or_else(|| {
                Error::unknown("pack", name, config.pack.keys().map(String::as_str))
            })?),
            None => None,
        };
    let mix = match (given.0, pack) {
        (Some(mix), _) => mix.clone(),
        (None, Some(pack)) => pack.mix.clone(),
        (None, None) => return Err(Error::internal("neither mix nor pack")),
    };
    if !config.mix.contains_key(&mix) {
        return Err(Error::unknown("mix", &mix, config.mix.keys().map(String::as_str)));
    }
    let tokenizer = match takes.content {
        Content::Tokens => {
            let named = export.tokenizer.clone().or_else(|| pack.map(|p| p.tokenizer.clone()));
            Some(named.map_or_else(|| only_tokenizer(config), Ok)?)
        }
        Content::Texts => None,
    };
    if let Some(name) = &tokenizer
        && !config.tokenizer.contains_key(name)
    {
        let known = config.tokenizer.keys().map(String::as_str);
        return Err(Error::unknown("tokenizer", name, known));
    }
    let length = export.length.or(pack.map(|pack| pack.length)).unwrap_or(0);
    if format.fixed_length() && !(2..=1 << 20).contains(&length) {
        return Err(Error::usage(format!(
            "samples of `{}` are of one length: give `length`, the context of the model",
            format.name()
        )));
    }
    if !(1..=1 << 16).contains(&export.batch) {
        return Err(Error::usage(format!("`batch = {}`; expected 1 to 65536", export.batch)));
    }
    export.step_tokens.as_deref().map(parse_count).transpose()?;
    let stream = export.layout == Layout::Stream;
    let pack = export.pack.clone().filter(|_| stream);
    Ok(Export { config: export, format, takes, mix, tokenizer, pack, length })
}

fn only_tokenizer(config: &Config) -> Result<String> {
    let mut names = config.tokenizer.keys();
    match (names.next(), names.next()) {
        (Some(only), None) => Ok(only.clone()),
        _ if config.tokenizer.contains_key("main") => Ok("main".into()),
        _ => Err(Error::usage("which tokenizer? there is no [tokenizer.main]; give `tokenizer`")),
    }
}

impl Project {
    /// The export with a name.
    pub(super) fn export(&self, name: &str) -> Result<Export<'_>> {
        let Some(export) = self.config.export.get(name) else {
            let known = self.config.export.keys().map(String::as_str);
            return Err(Error::unknown("export", name, known));
        };
        resolve(export, &self.config).map_err(|e| e.within(format!("export `{name}`")))
    }

    /// Where the rows of an export come from.
    fn provenance(&self, export: &Export<'_>) -> Result<Provenance> {
        if !export.format.has_card() {
            return Ok(Provenance::default());
        }
        let sources = self.config.source.iter();
        let sources = sources.map(|(name, spec)| (name.clone(), shown(spec.path.all()))).collect();
        let mut dropped = Vec::new();
        for table in DROPPING {
            let manifest = Manifest::read(&self.dir.join("tables").join(table))?;
            let reasons = manifest.unwrap_or_default().dropped;
            if !reasons.is_empty() {
                dropped.push((table.to_string(), reasons));
            }
        }
        Ok(Provenance { sources, dropped, license: export.config.license.clone() })
    }
}

/// What was written, by group.
type Written = BTreeMap<String, Group>;

impl Builder<'_> {
    pub(super) fn export_ingredients(&self, name: &str, found: &mut Ingredients) -> Result<()> {
        let export = self.project.export(name)?;
        found.add("export", format!("{:?}", export.config));
        found.add("seed", self.project.config.seed.to_string());
        // A plan may select other rows and stay the same in its numbers.
        let selection = self.project.dir.join("tables").join(format!("selection.{}", export.mix));
        found.add("selection", Manifest::expect(&selection)?.content());
        if let Some(pack) = &export.pack {
            let held = self.dir(&Node::Pack(pack.clone())).join(VALIDATION);
            found.add("validation", Manifest::expect(&held)?.content());
        }
        if export.format.has_card() {
            found.add("card", format!("{:?}", self.project.provenance(&export)?));
        }
        Ok(())
    }

    pub(super) fn build_export(&self, name: &str, manifest: Manifest) -> Result<Manifest> {
        let export = self.project.export(name)?;
        let dir = self.dir(&Node::Export(name.into()));
        let exports = dir.parent().unwrap_or(&self.project.dir).to_path_buf();
        let temp = exports.join(format!(".tmp-{name}"));
        sweep(&exports)?;
        fs::create_dir_all(&temp).map_err(|e| Error::io(&temp, e))?;
        let manifest = match self.fill(name, &export, &temp, manifest) {
            Ok(manifest) => manifest,
            Err(error) => {
                remove(&temp)?;
                return Err(error);
            }
        };
        // Between the renames there is none: whole or not at all.
        let old = exports.join(format!(".tmp-{name}.old"));
        if dir.exists() {
            fs::rename(&dir, &old).map_err(|e| Error::io(&dir, e))?;
        }
        fs::rename(&temp, &dir).map_err(|e| Error::io(&dir, e))?;
        manifest::sync_dir(&exports)?;
        remove(&old)?;
        Ok(manifest)
    }

    /// Writes a whole export into a folder.
    fn fill(
        &self,
        name: &str,
        export: &Export<'_>,
        dir: &Path,
        mut manifest: Manifest,
    ) -> Result<Manifest> {
        let pack = match &export.pack {
            Some(pack) => Some(Arc::new(pack::open(&self.dir(&Node::Pack(pack.clone())))?)),
            None => None,
        };
        let settings = self.settings(export, pack.as_deref())?;
        let planned = self.planned(export)?;
        let written = match &pack {
            Some(pack) => self.write_stream(export, pack, dir, &settings)?,
            None => self.write_parts(export, &planned, dir, &settings, &mut manifest)?,
        };
        if written.values().all(|group| group.train.rows == 0) {
            return Err(Error::usage("the mixture has no rows to write")
                .hint_with("`hexapla mix NAME --dry-run` shows what there is"));
        }
        let tokenizer = export.tokenizer.as_ref().and_then(|name| self.tokenizers.get(name));
        if let Some(tokenizer) = tokenizer {
            let folder = dir.join("tokenizer");
            fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, e))?;
            tokenizer.save_to(&folder)?;
        }
        let unit = self.project.mix(&export.mix)?.unit.as_str();
        let handoff = Handoff {
            name: name.into(),
            format: export.format,
            settings,
            seed: self.project.config.seed,
            tokenizer: tokenizer.map(|tokenizer| tokenizer.fingerprint()),
            stages: plan::shares(export, unit, &planned, &written),
            groups: written.into_values().collect(),
            step_tokens: export.config.step_tokens.as_deref().map(parse_count).transpose()?,
            provenance: self.project.provenance(export)?,
        };
        let mut texts = export.format.beside(&handoff)?;
        texts.push(("mixture.json".into(), handoff.mixture()));
        texts.push(("README.md".into(), export.format.readme(&handoff)));
        for (file, text) in texts {
            manifest::replace(&dir.join(file), text.as_bytes())?;
        }
        manifest.parts = hashed(dir)?;
        let counts = |c: &Counts| json!({ "rows": c.rows, "tokens": c.tokens });
        let groups: BTreeMap<String, serde_json::Value> = handoff
            .groups
            .iter()
            .map(|g| {
                let both =
                    json!({ "train": counts(&g.train), "validation": counts(&g.validation) });
                (g.name.clone(), both)
            })
            .collect();
        manifest.params.insert("format".into(), json!(export.format.name()));
        manifest.params.insert("layout".into(), json!(export.config.layout.name()));
        manifest.params.insert("groups".into(), json!(groups));
        let rows = handoff.groups.iter().map(|g| g.train.rows + g.validation.rows).sum();
        manifest.rows_out = rows;
        manifest.rows_in = rows + manifest.dropped.values().sum::<u64>();
        manifest.commit(dir)?;
        Ok(manifest)
    }

    /// What all files have in common; errors when an id of the tokenizer has no room in the format.
    fn settings(&self, export: &Export<'_>, pack: Option<&Pack>) -> Result<Settings> {
        let mut settings = Settings {
            layout: export.config.layout,
            vocab_size: 0,
            eos: 0,
            pad: 0,
            length: pack.map_or(export.length, |pack| pack.length),
            memory: INDEX_MEMORY,
        };
        let Some(name) = &export.tokenizer else { return Ok(settings) };
        let tokenizer = self
            .tokenizers
            .get(name)
            .ok_or_else(|| Error::internal(format!("tokenizer `{name}` was not taken up")))?;
        let special = tokenizer.special();
        settings.vocab_size = tokenizer.vocab_size();
        (settings.eos, settings.pad) = (special.eos, special.pad);
        let limit = export.format.ids_below();
        if settings.vocab_size as u64 > limit {
            let wide = export::FORMATS.iter().filter(|format| {
                format.ids_below() > limit
                    && format.takes(export.config.layout).is_some_and(|t| t == export.takes)
            });
            let wide: Vec<&str> = wide.map(|format| format.name()).collect();
            return Err(Error::usage(format!(
                "`{}` has room for ids below {limit}; tokenizer `{name}` has {} tokens",
                export.format.name(),
                settings.vocab_size
            ))
            .hint_with(format!(
                "train a smaller vocabulary, or write {}",
                wide.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
            )));
        }
        Ok(settings)
    }
}

/// Path patterns for a card: of absolute ones the last component, as a card may be published.
fn shown(patterns: &[String]) -> String {
    let short = |pattern: &String| match Path::new(pattern).file_name() {
        Some(name) if Path::new(pattern).is_absolute() => name.to_string_lossy().into_owned(),
        _ => pattern.clone(),
    };
    patterns.iter().map(short).collect::<Vec<_>>().join(", ")
}

/// All files below a folder with their hashes, in the order of their names.
fn hashed(dir: &Path) -> Result<Vec<Part>> {
    let mut files = Vec::new();
    walk(dir, &mut files)?;
    files.sort();
    let mut parts = Vec::with_capacity(files.len());
    for path in files {
        let (xxh3, bytes) = hash_file(&path)?;
        let below = path.strip_prefix(dir).unwrap_or(&path);
        let names: Vec<String> =
            below.iter().map(|name| name.to_string_lossy().into_owned()).collect();
        let file = names.join("/");
        if file != MANIFEST {
            parts.push(Part { file, xxh3, bytes, ..Part::default() });
        }
    }
    Ok(parts)
}

/// The files below a folder; its folders are made durable on the way.
fn walk(dir: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir).map_err(|e| Error::io(dir, e))? {
        let path = entry.map_err(|e| Error::io(dir, e))?.path();
        if path.is_dir() { walk(&path, files)? } else { files.push(path) }
    }
    manifest::sync_dir(dir)
}

/// Removes what killed runs left.
fn sweep(exports: &Path) -> Result<()> {
    let entries = match fs::read_dir(exports) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(Error::io(exports, e)),
    };
    for entry in entries {
        let path = entry.map_err(|e| Error::io(exports, e))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(".tmp-") && path.is_dir() {
            remove(&path)?;
        }
    }
    Ok(())
}

fn remove(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io(dir, e)),
        _ => Ok(()),
    }
}
