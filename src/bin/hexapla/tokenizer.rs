//! `hexapla tokenizer`: tokenizers from a query, and what one makes of each language.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray, UInt64Array};
use hexapla::error::Result;
use hexapla::project::config::{PROJECT_FILE, parse_bytes, parse_count};
use hexapla::project::{Project, tokens};
use hexapla::token::evaluate::{Evaluation, LangTokens};
use hexapla::token::train::TrainSpec;
use serde_json::{Map, json};

use crate::table::{self, Format};
use crate::ui::{Ui, group};

/// Train and evaluate tokenizers
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
            std::fs::create_dir_all(&out).map_err(|e| hexapla::error::Error::io(&out, e))?;
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
        Verb::Eval { tokenizers, query, reference, tables } => {
            let session = crate::sql::session(&tables)?;
            let dir = &tables.project.project;
            let project =
                dir.join(PROJECT_FILE).exists().then(|| Project::open(dir)).transpose()?;
            let mut found = Vec::new();
            for name in &tokenizers {
                let tokenizer = tokens::named(project.as_ref(), name)?;
                found.push((name, tokens::evaluate(&session, &query, &tokenizer)?));
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
