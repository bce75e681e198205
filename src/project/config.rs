//! `hexapla.toml`: the project file's types, its reading, and what it may not say.
//!
//! An unknown key is an error that names the nearest known one. Paths stay as written; they are
//! relative to the project's folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::export::Layout;
use crate::source::SourceSpec;
use crate::token::train::TrainSpec;
use crate::train::config::{ModelConfig, TrainConfig};

/// The file's name in a project's folder.
pub const PROJECT_FILE: &str = "hexapla.toml";

/// A whole project file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Everything random is a function of it and of row ids.
    #[serde(default = "default_seed")]
    pub seed: u64,
    /// Languages that sources with a `{lang}`, `{src}` or `{tgt}` placeholder are read in, as
    /// `iso639-3` codes or `iso639-3_Script` tags; empty: all.
    #[serde(default)]
    pub languages: Vec<String>,
    /// Memory for queries, such as `"4GB"`; without it, half of the machine's.
    pub memory_limit: Option<String>,
    /// Threads; without it, the machine's.
    pub threads: Option<usize>,
    /// Files to read, by source name.
    #[serde(default)]
    pub source: BTreeMap<String, SourceSpec>,
    /// Parameters of queries: `[params.kept] min_confidence = 0.6`, or keyed by source or language.
    #[serde(default)]
    pub params: BTreeMap<String, BTreeMap<String, toml::Value>>,
    /// Tokenizers by name.
    #[serde(default)]
    pub tokenizer: BTreeMap<String, TokenizerConfig>,
    /// Mixtures by name.
    #[serde(default)]
    pub mix: BTreeMap<String, MixConfig>,
    /// Packs by name.
    #[serde(default)]
    pub pack: BTreeMap<String, PackConfig>,
    /// Model architectures by name.
    #[serde(default)]
    pub model: BTreeMap<String, ModelConfig>,
    /// Training runs by name.
    #[serde(default)]
    pub train: BTreeMap<String, TrainConfig>,
    /// Evaluations by name.
    #[serde(default)]
    pub eval: BTreeMap<String, EvalConfig>,
    /// Hand-offs to other engines by name.
    #[serde(default)]
    pub export: BTreeMap<String, ExportConfig>,
}

/// One tokenizer: loaded, or trained on the project's training split.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenizerConfig {
    /// A `tokenizer.json` or a folder that holds one.
    pub load: Option<String>,
    /// How to train one.
    pub train: Option<TrainSpec>,
}

/// One mixture.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MixConfig {
    /// Grouping columns; only `["lang"]` so far.
    #[serde(default = "default_by")]
    pub by: Vec<String>,
    /// Stages, one after the other.
    pub stages: Vec<StageConfig>,
}

/// One stage of a mixture.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageConfig {
    /// Tokens seen in training when the stage ends, such as `"15B"`.
    pub until: String,
    /// The strategy's name.
    pub strategy: String,
    /// Exponent of `temperature`: q ∝ p^alpha.
    pub alpha: Option<f64>,
    /// Epoch cap of `unimax`.
    pub max_epochs: Option<f64>,
    /// Weights of `fixed` by language.
    #[serde(default)]
    pub weights: BTreeMap<String, f64>,
    /// Share of the stage's tokens that comes from pairs.
    #[serde(default)]
    pub pairs: f64,
}

/// One pack.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackConfig {
    /// The mixture that selects its rows.
    pub mix: String,
    /// The tokenizer.
    pub tokenizer: String,
    /// Tokens in a row.
    pub length: usize,
}

/// One evaluation.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvalConfig {
    /// Runs, such as `train.senti`; `train.pretrain@0` is the run's model before its first step.
    pub runs: Vec<String>,
    /// A query: with `text`, `label`, `lang` it is a classification, with `src`, `tgt`, `lang` a
    /// retrieval of parallel sentences.
    pub data: String,
    /// Rows per language, at most.
    #[serde(default = "default_rows")]
    pub rows: usize,
}

/// One hand-off to another engine.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportConfig {
    /// The format, such as `megatron` or `huggingface`.
    pub to: String,
    /// Who mixes: the engine (`parts`: every document once, and weights for each stage) or hexapla
    /// (`stream`: the order of training, repeats included). `parts` when left out.
    #[serde(default)]
    pub layout: Layout,
    /// The mixture whose rows are written; for `parts`.
    pub mix: Option<String>,
    /// The pack whose rows are written; for `stream`. For `parts` its mixture and tokenizer.
    pub pack: Option<String>,
    /// The tokenizer; that of the pack, else the only one or `main`, when left out.
    pub tokenizer: Option<String>,
    /// Only `documents` or only `pairs` of the mixture; the others share its tokens.
    pub only: Option<Only>,
    /// Ids in a sample, for formats whose samples are of one length; the pack's when left out.
    pub length: Option<usize>,
    /// Rows of a micro-batch, which decides the order of `stream` as it does in training.
    #[serde(default = "default_batch")]
    pub batch: usize,
    /// Tokens in a step of the engine, such as `"2M"`, for engines that count stages in steps.
    pub step_tokens: Option<String>,
    /// The licence to name in the card of a data set, such as `cc-by-4.0`.
    pub license: Option<String>,
}

/// One kind of rows of a mixture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Only {
    /// Texts in one language.
    Documents,
    /// Translation pairs.
    Pairs,
}

fn default_batch() -> usize {
    32
}
fn default_seed() -> u64 {
    17
}
fn default_by() -> Vec<String> {
    vec!["lang".into()]
}
fn default_rows() -> usize {
    1000
}

impl Config {
    /// Reads a project's file.
    pub fn read(dir: &Path) -> Result<Self> {
        let path = dir.join(PROJECT_FILE);
        let text = fs::read_to_string(&path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => {
                Error::usage(format!("{}: no project here (no {PROJECT_FILE})", dir.display()))
                    .hint_with(
                        "`hexapla init DIR` writes one; `--project DIR` names another folder",
                    )
            }
            _ => Error::io(&path, e),
        })?;
        Self::parse(&text).map_err(|e| e.within(path.display()))
    }

    /// Parses a project file's text.
    pub fn parse(text: &str) -> Result<Self> {
        let config: Config = toml::from_str(text).map_err(|e| toml_error(text, &e))?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<()> {
        let names = |what: &str, keys: Vec<&String>| match keys
            .into_iter()
            .find(|k| !k.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-'))
        {
            Some(bad) => Err(Error::usage(format!(
                "{what} `{bad}`: a name has only letters, digits, `_` and `-`"
            ))),
            None => Ok(()),
        };
        names("source", self.source.keys().collect())?;
        names("tokenizer", self.tokenizer.keys().collect())?;
        names("mix", self.mix.keys().collect())?;
        names("pack", self.pack.keys().collect())?;
        names("train", self.train.keys().collect())?;
        names("eval", self.eval.keys().collect())?;
        names("export", self.export.keys().collect())?;
        for (name, tokenizer) in &self.tokenizer {
            if tokenizer.load.is_some() == tokenizer.train.is_some() {
                return Err(Error::usage(format!(
                    "tokenizer `{name}`: give either `load` or `train`"
                )));
            }
        }
        for (name, mix) in &self.mix {
            if mix.stages.is_empty() {
                return Err(Error::usage(format!("mix `{name}`: no stages")));
            }
            if mix.by != ["lang"] {
                return Err(Error::usage(format!("mix `{name}`: `by` must be [\"lang\"]")));
            }
            let mut last = 0;
            for stage in &mix.stages {
                let until =
                    parse_count(&stage.until).map_err(|e| e.within(format!("mix `{name}`")))?;
                if until <= last {
                    return Err(Error::usage(format!(
                        "mix `{name}`: `until = \"{}\"` does not lie after the stage before",
                        stage.until
                    )));
                }
                if !(0.0..=1.0).contains(&stage.pairs) {
                    return Err(Error::usage(format!(
                        "mix `{name}`: `pairs = {}` is no share in [0, 1]",
                        stage.pairs
                    )));
                }
                last = until;
            }
        }
        for (name, pack) in &self.pack {
            let place = format!("pack `{name}`");
            if !self.mix.contains_key(&pack.mix) {
                let known = self.mix.keys().map(String::as_str);
                return Err(Error::unknown("mix", &pack.mix, known).within(place));
            }
            if !self.tokenizer.contains_key(&pack.tokenizer) {
                let known = self.tokenizer.keys().map(String::as_str);
                return Err(Error::unknown("tokenizer", &pack.tokenizer, known).within(place));
            }
            if !(8..=65_536).contains(&pack.length) {
                return Err(Error::usage(format!("{place}: `length` must be in 8..=65536")));
            }
        }
        for (name, export) in &self.export {
            super::export::resolve(export, self)
                .map(drop)
                .map_err(|e| e.within(format!("export `{name}`")))?;
        }
        Ok(())
    }
}

/// A TOML error as one line with its place, and the nearest key where one is unknown.
fn toml_error(text: &str, error: &toml::de::Error) -> Error {
    let line = error.span().map(|s| text[..s.start.min(text.len())].matches('\n').count() + 1);
    let message = error.message();
    match line {
        Some(line) => worded(message).within(format!("line {line}")),
        None => worded(message),
    }
}

/// What the reader of TOML says, with the nearest key where one is unknown.
pub(super) fn worded(message: &str) -> Error {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    match quoted.split_first() {
        Some((name, valid)) if message.starts_with("unknown field") => {
            Error::unknown("key", name, valid.iter().copied())
        }
        _ => Error::usage(message),
    }
}

/// A count with an optional decimal suffix: `1500`, `"15k"`, `"2.5M"`, `"15B"`, `"1T"`.
///
/// ```
/// use hexapla::project::config::parse_count;
/// assert_eq!(parse_count("2.5M").unwrap(), 2_500_000);
/// assert!(parse_count("2.5Q").is_err());
/// ```
pub fn parse_count(text: &str) -> Result<u64> {
    let bad = || {
        Error::usage(format!("`{text}` is no count"))
            .hint_with("a count is a number with an optional k, M, B or T, such as `2.5M`")
    };
    let compact: String = text.trim().chars().filter(|c| *c != '_').collect();
    let (digits, factor) = match compact.chars().last() {
        Some('k' | 'K') => (&compact[..compact.len() - 1], 1e3),
        Some('m' | 'M') => (&compact[..compact.len() - 1], 1e6),
        Some('b' | 'B' | 'g' | 'G') => (&compact[..compact.len() - 1], 1e9),
        Some('t' | 'T') => (&compact[..compact.len() - 1], 1e12),
        _ => (compact.as_str(), 1.0),
    };
    let value = digits.parse::<f64>().map_err(|_| bad())? * factor;
    if value.is_finite() && (0.0..=9e15).contains(&value) {
        Ok(value.round() as u64)
    } else {
        Err(bad())
    }
}

/// A size in bytes: `"4GB"`, `"512 MiB"`, `"2g"`; decimal units are powers of 1000.
///
/// ```
/// use hexapla::project::config::parse_bytes;
/// assert_eq!(parse_bytes("2GB").unwrap(), 2_000_000_000);
/// assert_eq!(parse_bytes("512 MiB").unwrap(), 512 << 20);
/// ```
pub fn parse_bytes(text: &str) -> Result<usize> {
    let lower = text.trim().to_ascii_lowercase();
    let split = lower.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(lower.len());
    let (digits, unit) = lower.split_at(split);
    let factor = match unit.trim() {
        "" | "b" => 1.0,
        "k" | "kb" => 1e3,
        "m" | "mb" => 1e6,
        "g" | "gb" => 1e9,
        "t" | "tb" => 1e12,
        "kib" => 1024.0,
        "mib" => 1024.0 * 1024.0,
        "gib" => 1024.0 * 1024.0 * 1024.0,
        _ => f64::NAN,
    };
    let value = digits.trim().parse::<f64>().unwrap_or(f64::NAN) * factor;
    if value.is_finite() && value > 0.0 {
        return Ok(value as usize);
    }
    Err(Error::usage(format!("`{text}` is no size in bytes"))
        .hint_with("a size is a number with a unit, such as `512MB` or `4GB`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_names_the_nearest() {
        let error =
            Config::parse("seed = 1\n[source.a]\npath = 'x'\nfromat = 'jsonl'\n").unwrap_err();
        assert!(error.to_string().starts_with("line 4: unknown key `fromat`"), "{error}");
        assert_eq!(error.hint(), Some("did you mean `format`?"));
    }

    #[test]
    fn a_pack_of_an_unknown_mix_is_refused() {
        let error = Config::parse(
            "[mix.main]\nstages = [{ until = '1M', strategy = 'temperature' }]\n\
             [tokenizer.main]\nload = 't'\n[pack.main]\nmix = 'mian'\ntokenizer = 'main'\nlength = 64",
        )
        .unwrap_err();
        assert_eq!(error.to_string(), "pack `main`: unknown mix `mian`; expected one of: main");
    }
}
