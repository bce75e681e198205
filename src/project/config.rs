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
use crate::mix::Until;
use crate::source::SourceSpec;
use crate::token::Tokenizer;
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
    /// A `tokenizer.json`, a SentencePiece `.model`, or a Hugging Face folder.
    pub load: Option<String>,
    /// How to train one.
    pub train: Option<TrainSpec>,
    /// The tokens of a loaded tokenizer that stand for languages, by tag, such as
    /// `deu_Latn = "de_DE"`; without it, those that are spelled `<2deu_Latn>` or `deu_Latn`.
    #[serde(default)]
    pub lang_tokens: BTreeMap<String, String>,
}

impl TokenizerConfig {
    fn check(&self) -> Result<()> {
        if self.load.is_some() == self.train.is_some() {
            return Err(Error::usage("give either `load` or `train`"));
        }
        if self.train.is_some() && !self.lang_tokens.is_empty() {
            return Err(Error::usage("`lang_tokens` names tokens of a tokenizer that is loaded")
                .hint_with("`train = { lang_tokens = true }` makes one for each language"));
        }
        for lang in self.lang_tokens.keys() {
            let tag = crate::identify::lang_tag::lang_tag(lang);
            if tag.as_deref() != Some(lang.as_str()) {
                let error =
                    Error::usage(format!("`lang_tokens`: `{lang}` is no tag of a language"));
                return Err(error.hint_with(match tag {
                    Some(tag) => format!("did you mean `{tag}`?"),
                    None => "a tag is such as `deu_Latn`".into(),
                }));
            }
        }
        Ok(())
    }

    /// The tokenizer that is loaded, `path` being relative to a project's folder.
    pub(super) fn loaded(&self, dir: &Path, path: &str) -> Result<Tokenizer> {
        let tokenizer = Tokenizer::load(&dir.join(path))?;
        match self.lang_tokens.is_empty() {
            true => Ok(tokenizer),
            false => tokenizer.with_lang_tokens(&self.lang_tokens),
        }
    }
}

/// One mixture.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MixConfig {
    /// Grouping columns: `lang` and any columns of `sized`, such as `source`.
    #[serde(default = "default_by")]
    pub by: Vec<String>,
    /// Strategies for the columns after the first, one for each or one for all; without any, each
    /// combination of values is a group by itself.
    #[serde(default)]
    pub within: Vec<String>,
    /// What sizes, `until` and targets count: `"tokens"`, `"characters"`, `"bytes"` or
    /// `"documents"`.
    #[serde(default = "default_unit")]
    pub unit: String,
    /// Whether what stands for many copies counts more, by the weights of FineWeb-2: the column
    /// `repeats` of `sized` is the last grouping column then, divided by size.
    #[serde(default)]
    pub upsample: bool,
    /// Stages, one after the other.
    pub stages: Vec<StageConfig>,
}

/// One stage of a mixture.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageConfig {
    /// Its end, counted from the beginning of training: tokens (or the mixture's unit) such as
    /// `"15B"`, passes over everything as `"2 epochs"`, or over one group as
    /// `"2 epochs of isl_Latn"`.
    pub until: String,
    /// The strategy's name.
    pub strategy: String,
    /// Exponent of `temperature`: q ∝ p^alpha.
    pub alpha: Option<f64>,
    /// Most passes over a group, those of earlier stages included; 4 for `unimax` when left out.
    pub max_epochs: Option<f64>,
    /// Least share of the stage for each group of the first column that has anything, as far as
    /// `max_epochs` reaches: a number, or a table of them by group.
    pub min_share: Option<MinShare>,
    /// Weights of `fixed`: a table by group, or the name of a table or file with `weight` and
    /// grouping columns.
    pub weights: Option<Weights>,
    /// Share of the stage that comes from pairs.
    #[serde(default)]
    pub pairs: f64,
}

/// A minimum for all groups, or minimums by name.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "`min_share` is a number, or a table of numbers by group")]
pub enum MinShare {
    /// The same for all.
    All(f64),
    /// By name.
    ByName(BTreeMap<String, f64>),
}

/// Weights by name, or where they stand.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "`weights` is a table of numbers by group, or the name of a table")]
pub enum Weights {
    /// By name.
    ByName(BTreeMap<String, f64>),
    /// A table or file.
    Table(String),
}

/// The units of sizes, and their columns in `sized`; documents are its rows.
pub const UNITS: &[(&str, &str)] =
    &[("tokens", "tokens"), ("characters", "chars"), ("bytes", "bytes"), ("documents", "1")];

impl MixConfig {
    /// The grouping columns besides the language, in the order of the levels.
    pub fn parts(&self) -> Vec<&str> {
        let more = self.upsample.then_some("repeats");
        self.by.iter().map(String::as_str).filter(|c| *c != "lang").chain(more).collect()
    }

    fn check(&self) -> Result<()> {
        if self.stages.is_empty() {
            return Err(Error::usage("no stages")
                .hint_with("such as `stages = [{ until = \"1B\", strategy = \"unimax\" }]`"));
        }
        if !self.by.iter().any(|c| c == "lang") {
            return Err(Error::usage(format!("`by = {:?}` lacks \"lang\"", self.by)).hint_with(
                "a batch is of one language; name it beside others: `by = [\"lang\", \"source\"]`",
            ));
        }
        for (i, column) in self.by.iter().enumerate() {
            if self.by[..i].contains(column) || (self.upsample && column == "repeats") {
                return Err(Error::usage(format!("`{column}` stands twice in `by`")));
            }
        }
        if !UNITS.iter().any(|(unit, _)| *unit == self.unit) {
            return Err(Error::unknown("unit", &self.unit, UNITS.iter().map(|(unit, _)| *unit)));
        }
        if !self.within.is_empty()
            && self.within.len() != 1
            && self.within.len() + 1 != self.by.len()
        {
            return Err(Error::usage(format!(
                "`within` has {} strategies for {} columns after the first",
                self.within.len(),
                self.by.len() - 1
            )));
        }
        if !self.within.is_empty() && self.by.len() < 2 {
            return Err(Error::usage("`within` divides by a second column, but `by` has one"));
        }
        for name in &self.within {
            crate::mix::strategy(name).map_err(|e| e.within("`within`"))?;
        }
        for (i, stage) in self.stages.iter().enumerate() {
            let place = |e: Error| e.within(format!("stage {}", i + 1));
            crate::mix::strategy(&stage.strategy).map_err(place)?;
            parse_until(&stage.until).map_err(place)?;
            if !(0.0..=1.0).contains(&stage.pairs) {
                let message = format!("`pairs = {}`; expected a share in 0 to 1", stage.pairs);
                return Err(place(Error::usage(message)));
            }
        }
        Ok(())
    }
}

/// The end of a stage: a count, or passes as in `2 epochs` and `2 epochs of isl_Latn`.
///
/// ```
/// use hexapla::mix::Until;
/// use hexapla::project::config::parse_until;
/// assert_eq!(parse_until("2.5M").unwrap(), Until::Amount(2_500_000));
/// let of = Some("isl_Latn".to_string());
/// assert_eq!(parse_until("1 epoch of isl_Latn").unwrap(), Until::Epochs { passes: 1.0, of });
/// assert!(parse_until("2 epoches").is_err());
/// ```
pub fn parse_until(text: &str) -> Result<Until> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let passes = |number: &str, of: Option<&str>| {
        let passes: f64 = number.parse().ok().filter(|n| *n > 0.0 && f64::is_finite(*n))?;
        Some(Until::Epochs { passes, of: of.map(String::from) })
    };
    let found = match words.as_slice() {
        [number, "epoch" | "epochs"] => passes(number, None),
        [number, "epoch" | "epochs", "of", group] => passes(number, Some(group)),
        _ => parse_count(text).ok().map(Until::Amount),
    };
    found.ok_or_else(|| {
        Error::usage(format!("`until = \"{text}\"` is no end of a stage"))
            .hint_with("write a count such as `15B`, or `2 epochs`, or `2 epochs of isl_Latn`")
    })
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
    /// Tokens that a piece of a document longer than a row repeats of the piece before it.
    #[serde(default)]
    pub overlap: usize,
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
fn default_unit() -> String {
    "tokens".into()
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
            tokenizer.check().map_err(|e| e.within(format!("tokenizer `{name}`")))?;
        }
        for (name, mix) in &self.mix {
            mix.check().map_err(|e| e.within(format!("mix `{name}`")))?;
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
            if pack.overlap > (pack.length - 2) / 2 {
                return Err(Error::usage(format!(
                    "{place}: `overlap` must be in 0..={}, half of a row",
                    (pack.length - 2) / 2
                )));
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
    #[test]
    fn a_mixture_that_cannot_be_is_named() {
        let error = |mix: &str| Config::parse(&format!("[mix.main]\n{mix}")).unwrap_err();
        let stage = |rest: &str| format!("stages = [{{ until = '1M', strategy = {rest} }}]");
        let message = |mix: &str| error(mix).to_string();
        assert_eq!(
            message("stages = [{ until = '2 epoches', strategy = 'unimax' }]"),
            "mix `main`: stage 1: `until = \"2 epoches\"` is no end of a stage"
        );
        let typo = error(&stage("'unimacks'"));
        assert!(typo.to_string().starts_with("mix `main`: stage 1: unknown strategy `unimacks`"));
        assert_eq!(typo.hint(), Some("did you mean `unimax`?"));
        let plain = stage("'uniform'");
        assert!(message(&format!("by = ['source']\n{plain}")).contains("lacks \"lang\""));
        assert!(message(&format!("by = ['lang', 'lang']\n{plain}")).contains("twice in `by`"));
        assert!(message(&format!("unit = 'token'\n{plain}")).contains("unknown unit `token`"));
        assert!(message(&format!("within = ['uniform']\n{plain}")).contains("second column"));
        assert!(message(&stage("'uniform', pairs = 2.0")).contains("`pairs = 2`"));
        assert!(message(&stage("'uniform', min_share = 'x'")).contains("`min_share` is a number"));
        assert!(message("stages = []").contains("no stages"));
    }
}
