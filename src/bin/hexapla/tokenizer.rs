//! `hexapla tokenizer`: tokenizers from a query, what one makes of each language, and smaller ones.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray, UInt64Array};
use hexapla::error::{Error, Result};
use hexapla::project::config::{PROJECT_FILE, parse_bytes, parse_count};
use hexapla::project::{Project, tokens};
use hexapla::report;
use hexapla::report::tokens::{LangRates, TokenizerRates};
use hexapla::token::evaluate::{Evaluation, LangTokens};
use hexapla::token::train::TrainSpec;
use hexapla::token::trim;
use serde_json::{Map, json};

use crate::table::{self, Format};
use crate::ui::{Ui, group};

/// Train, evaluate and trim tokenizers
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Train or load the project's tokenizers named
    Build(crate::run::Named<crate::run::TokenizerKind>),
    /// Train a tokenizer on the rows of a query
    Train {
        /// A query that gives `text` and `lang`, and `doc_id` if documents are to be sampled by it
        #[arg(short = 'c', value_name = "QUERY")]
        query: String,
        /// The folder of the tokenizer, which `transformers` opens
        #[arg(short, long, value_name = "DIR")]
        out: PathBuf,
        /// How the vocabulary is learned: unigram, bpe, char or byte
        #[arg(long, value_name = "KIND", default_value = "unigram")]
        kind: String,
        /// Tokens in all
        #[arg(long, value_name = "N", default_value = "32000")]
        vocab: String,
        /// Sampling over languages: 1 by size, 0 all alike
        #[arg(long, value_name = "A", default_value_t = 0.3)]
        alpha: f64,
        /// Characters to sample in all
        #[arg(long, value_name = "N", default_value = "100M")]
        max_chars: String,
        /// Share of character occurrences that get a token of their own
        #[arg(long, value_name = "SHARE", default_value_t = 0.9995)]
        coverage: f64,
        /// Write characters without a token as unknown rather than in bytes
        #[arg(long)]
        no_byte_fallback: bool,
        /// The form of text: nfkc, nmt_nfkc, nfc or none [default: nfkc, for byte none]
        #[arg(long, value_name = "FORM")]
        normalizer: Option<String>,
        /// Drop the case of letters
        #[arg(long)]
        lowercase: bool,
        /// Drop marks above and below letters
        #[arg(long)]
        strip_accents: bool,
        /// What no token reaches across: metaspace, whitespace, bert or byte_level [default:
        /// metaspace, for byte byte_level]
        #[arg(long, value_name = "NAME")]
        pre_tokenizer: Option<String>,
        /// Make each digit a token by itself
        #[arg(long)]
        split_digits: bool,
        /// Add a token `<2deu_Latn>` for each language
        #[arg(long)]
        lang_tokens: bool,
        /// Decides which documents are sampled
        #[arg(long, value_name = "N", default_value_t = 0)]
        seed: u64,
        #[command(flatten)]
        tables: crate::sql::TableArgs,
    },
    /// Drop the tokens that the texts of a query have no use for, and the model rows that go with
    /// them
    Trim {
        /// A tokenizer of the project by name, a `tokenizer.json`, a `.model`, or a folder with one
        #[arg(value_name = "TOKENIZER")]
        tokenizer: String,
        /// A query that gives `text`
        #[arg(short = 'c', value_name = "QUERY")]
        query: String,
        /// The folder to write
        #[arg(short, long, value_name = "DIR")]
        out: PathBuf,
        /// A Hugging Face folder with config.json and safetensors: its embeddings, output layer and
        /// biases lose the same rows
        #[arg(long, value_name = "DIR")]
        model: Option<PathBuf>,
        /// Drop single characters too that no text uses; without it all stay, so that other texts
        /// can still be spelled
        #[arg(long)]
        drop_characters: bool,
        #[command(flatten)]
        tables: crate::sql::TableArgs,
    },
    /// Count what a tokenizer makes of each language that a query gives
    Eval {
        /// A tokenizer of the project by name, a `tokenizer.json`, or a folder with one; may be
        /// given several times
        #[arg(required = true, value_name = "TOKENIZER")]
        tokenizers: Vec<String>,
        /// A query that gives `text` and `lang`, and `parallel`, which translations of the same
        /// sentence have in common
        #[arg(short = 'c', value_name = "QUERY")]
        query: String,
        /// The language that parity is relative to
        #[arg(long, value_name = "LANG", default_value = "eng_Latn")]
        reference: String,
        /// Write the same as a page of charts
        #[arg(long, value_name = "FILE")]
        plot: Option<PathBuf>,
        #[command(flatten)]
        tables: crate::sql::TableArgs,
    },
}

pub fn run(args: Args, ui: &Ui) -> Result<ExitCode> {
    match args.verb {
        Verb::Build(args) => return crate::run::named(args, ui),
        Verb::Train {
            query,
            out,
            kind,
            vocab,
            alpha,
            max_chars,
            coverage,
            no_byte_fallback,
            normalizer,
            lowercase,
            strip_accents,
            pre_tokenizer,
            split_digits,
            lang_tokens,
            seed,
            tables,
        } => {
            let session = crate::sql::session(&tables)?;
            let spec = TrainSpec {
                kind,
                vocab: parse_count(&vocab)? as usize,
                alpha,
                max_chars: parse_count(&max_chars)?,
                coverage,
                byte_fallback: !no_byte_fallback,
                normalizer,
                lowercase,
                strip_accents,
                pre_tokenizer,
                split_digits,
                lang_tokens,
                seed,
                ..TrainSpec::default()
            };
            let limit = tables.memory_limit.as_deref().map(parse_bytes).transpose()?;
            let memory = limit.map_or(512 << 20, |limit| limit / 8);
            let tokenizer = tokens::train(&session, &query, &spec, memory)?;
            std::fs::create_dir_all(&out).map_err(|e| Error::io(&out, e))?;
            tokenizer.save_to(&out)?;
            let found = json!({
                "folder": out.display().to_string(),
                "kind": spec.kind,
                "vocab": tokenizer.vocab_size(),
                "fingerprint": tokenizer.fingerprint(),
            });
            match ui.json() {
                true => ui.object(&found)?,
                false => ui.say(format!(
                    "{}: {} tokens, {}",
                    out.display(),
                    group(tokenizer.vocab_size() as u64),
                    spec.kind
                )),
            }
        }
        Verb::Trim { tokenizer, query, out, model, drop_characters, tables } => {
            let session = crate::sql::session(&tables)?;
            let full = tokens::named(project(&tables)?.as_ref(), &tokenizer)?;
            let mut used = tokens::used(&session, &query, &full)?;
            let pieces = used.len();
            if let Some(model) = &model {
                used.extend(trim::named_ids(model)?);
            }
            let characters =
                if drop_characters { trim::Characters::Used } else { trim::Characters::All };
            let trimmed = trim::trim(&full, &used, characters)?;
            let tensors = match &model {
                Some(model) => trim::model(model, &out, &trimmed)?,
                None => {
                    std::fs::create_dir_all(&out).map_err(|e| Error::io(&out, e))?;
                    trimmed.tokenizer.save_to(&out)?;
                    0
                }
            };
            let (before, after) = (full.vocab_size(), trimmed.kept.len());
            let found = json!({
                "folder": out.display().to_string(),
                "used": pieces,
                "before": before,
                "after": after,
                "tensors": tensors,
                "fingerprint": trimmed.tokenizer.fingerprint(),
            });
            match ui.json() {
                true => ui.object(&found)?,
                false => ui.say(format!(
                    "{}: {} of {} tokens, of which the texts use {}{}",
                    out.display(),
                    group(after as u64),
                    group(before as u64),
                    group(pieces as u64),
                    match model {
                        Some(_) => format!("; {tensors} tensors have fewer rows"),
                        None => String::new(),
                    }
                )),
            }
        }
        Verb::Eval { tokenizers, query, reference, plot, tables } => {
            let session = crate::sql::session(&tables)?;
            let project = project(&tables)?;
            let mut found = Vec::new();
            for name in &tokenizers {
                let tokenizer = tokens::named(project.as_ref(), name)?;
                found.push((name, tokens::evaluate(&session, &query, &tokenizer)?));
            }
            if let Some(path) = plot {
                let rates: Vec<TokenizerRates> =
                    found.iter().map(|(name, of)| rates(name, of, &reference)).collect();
                let page = report::tokens::tokenizers(&rates, &reference);
                hexapla::store::manifest::replace(&path, page.as_bytes())?;
            }
            if ui.json() {
                let of = |(name, of): &(&String, Evaluation)| values(name, of, &reference);
                ui.object(&json!({
                    "reference": reference,
                    "tokenizers": found.iter().map(of).collect::<Vec<_>>(),
                }))?;
            } else {
                for (name, evaluation) in &found {
                    ui.out(page(name, evaluation, &reference)?)?;
                }
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The project in the folder that is asked for, if there is one.
fn project(tables: &crate::sql::TableArgs) -> Result<Option<Project>> {
    let dir = &tables.project.project;
    dir.join(PROJECT_FILE).exists().then(|| Project::open(dir)).transpose()
}

fn rates(name: &str, evaluation: &Evaluation, reference: &str) -> TokenizerRates {
    let of = |(lang, sums): (&str, &LangTokens)| LangRates {
        lang: lang.into(),
        parity: evaluation.parity(lang, reference).map(|(parity, _)| parity),
        fertility: sums.fertility(),
        bytes_per_token: sums.bytes_per_token(),
        unknown: sums.unknown_rate(),
        byte_fallback: sums.fallback_rate(),
    };
    TokenizerRates { name: name.into(), langs: evaluation.languages().map(of).collect() }
}

fn values(name: &str, evaluation: &Evaluation, reference: &str) -> serde_json::Value {
    let langs: Map<String, serde_json::Value> = evaluation
        .languages()
        .map(|(lang, sums)| {
            let parity = evaluation.parity(lang, reference);
            let numbers = json!({
                "texts": sums.texts,
                "words": sums.words,
                "bytes": sums.bytes,
                "tokens": sums.tokens,
                "fertility": sums.fertility(),
                "bytes_per_token": sums.bytes_per_token(),
                "unknown": sums.unknown_rate(),
                "byte_fallback": sums.fallback_rate(),
                "parity": parity.map(|(parity, _)| parity),
                "parallel": parity.map_or(0, |(_, sentences)| sentences),
            });
            (lang.to_string(), numbers)
        })
        .collect();
    json!({ "tokenizer": name, "langs": langs })
}

fn page(name: &str, evaluation: &Evaluation, reference: &str) -> Result<String> {
    let langs: Vec<(&str, &LangTokens)> = evaluation.languages().collect();
    let count = |of: fn(&LangTokens) -> u64| -> ArrayRef {
        Arc::new(langs.iter().map(|(_, sums)| Some(of(sums))).collect::<UInt64Array>())
    };
    let rounded = |values: Vec<Option<f64>>| -> ArrayRef {
        let digits = values.into_iter().map(|v| v.map(|v| (v * 1e4).round() / 1e4));
        Arc::new(digits.collect::<Float64Array>())
    };
    let number =
        |of: fn(&LangTokens) -> f64| rounded(langs.iter().map(|(_, s)| Some(of(s))).collect());
    let parity = langs.iter().map(|(lang, _)| evaluation.parity(lang, reference).map(|(p, _)| p));
    let names: StringArray = langs.iter().map(|(lang, _)| Some(*lang)).collect();
    let mut columns = vec![
        ("lang", Arc::new(names) as ArrayRef),
        ("texts", count(|s| s.texts)),
        ("tokens", count(|s| s.tokens)),
        ("fertility", number(LangTokens::fertility)),
        ("bytes_per_token", number(LangTokens::bytes_per_token)),
        ("unknown", number(LangTokens::unknown_rate)),
        ("byte_fallback", number(LangTokens::fallback_rate)),
    ];
    let parity: Vec<Option<f64>> = parity.collect();
    if parity.iter().any(Option::is_some) {
        columns.push(("parity", rounded(parity)));
    }
    let tokens = langs.iter().map(|(_, sums)| sums.tokens).sum();
    let mut page = format!("{name}: {} tokens in {} languages\n", group(tokens), langs.len());
    let text = table::render(&[RecordBatch::try_from_iter(columns)?], Format::Table, None)?;
    page.push_str(&String::from_utf8_lossy(&text));
    Ok(page)
}
