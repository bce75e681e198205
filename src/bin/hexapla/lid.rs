//! `hexapla lid`: models of language identification from a query, and what labels are worth.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray, UInt64Array};
use hexapla::error::{Error, Result};
use hexapla::identify::ngram::evaluate::{Counts, Evaluation};
use hexapla::identify::ngram::train::Options;
use hexapla::project::lid;
use hexapla::store::whole::WholeFile;
use serde_json::json;

use crate::table::{self, Format};
use crate::ui::{Ui, group};

/// Train and evaluate models that tell languages
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Train a model on the rows of a query
    Train {
        /// A query that gives `text`, `lang`, and `source` where texts have several origins
        #[arg(short = 'c', value_name = "QUERY")]
        query: String,
        /// The file of the model, used as `detect_lang(text, 'hexapla:FILE')`
        #[arg(short, long, value_name = "FILE")]
        out: PathBuf,
        /// The size of the model at most, in bytes
        #[arg(long, value_name = "N")]
        max_bytes: Option<usize>,
        #[command(flatten)]
        tables: crate::sql::TableArgs,
    },
    /// Compare the labels of models with the languages that a query gives
    Eval {
        /// A query that gives `text` and `lang`
        #[arg(short = 'c', value_name = "QUERY")]
        query: String,
        /// A model as `detect_lang` names it; may be given several times
        #[arg(long, value_name = "MODEL", default_value = "hexapla")]
        model: Vec<String>,
        /// Wrong answers to list
        #[arg(long, value_name = "N", default_value_t = 15)]
        confusions: usize,
        #[command(flatten)]
        tables: crate::sql::TableArgs,
    },
}

pub fn run(args: Args, ui: &Ui) -> Result<ExitCode> {
    match args.verb {
        Verb::Train { query, out, max_bytes, tables } => {
            let session = crate::sql::session(&tables)?;
            let mut options = Options::default();
            options.max_bytes = max_bytes.unwrap_or(options.max_bytes);
            let (model, rows) = lid::train(&session, &query, options)?;
            let mut file = WholeFile::create(&out)?;
            file.write_all(&model).map_err(|e| Error::io(&out, e))?;
            file.commit()?;
            if ui.json() {
                ui.object(&json!({
                    "file": out.display().to_string(),
                    "bytes": model.len(),
                    "rows": rows.read,
                    "skipped": rows.skipped,
                }))?;
            } else {
                ui.say(format!(
                    "{}: {} bytes from {} rows, {} of them without text or a known language",
                    out.display(),
                    group(model.len() as u64),
                    group(rows.read),
                    group(rows.skipped)
                ));
            }
        }
        Verb::Eval { query, model, confusions, tables } => {
            let session = crate::sql::session(&tables)?;
            let mut found = Vec::new();
            for name in &model {
                let (evaluation, rows) = lid::evaluate(&session, &query, name)?;
                found.push((name, evaluation, rows));
            }
            if ui.json() {
                let of = |(name, evaluation, rows): &(&String, Evaluation, lid::Rows)| {
                    values(name, evaluation, *rows, confusions)
                };
                ui.object(&json!({ "models": found.iter().map(of).collect::<Vec<_>>() }))?;
            } else {
                for (name, evaluation, rows) in &found {
                    ui.out(page(name, evaluation, *rows, confusions)?)?;
                }
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn values(
    model: &str,
    evaluation: &Evaluation,
    rows: lid::Rows,
    confusions: usize,
) -> serde_json::Value {
    let langs: serde_json::Map<String, serde_json::Value> = evaluation
        .languages()
        .map(|(tag, counts)| {
            let numbers = json!({
                "texts": counts.texts,
                "precision": counts.precision(),
                "recall": counts.recall(),
                "f1": counts.f1(),
            });
            (tag.to_string(), numbers)
        })
        .collect();
    let wrong: Vec<_> = evaluation
        .confusions(confusions)
        .into_iter()
        .map(|(truth, label, texts)| {
            json!({
                "lang": truth.to_string(),
                "label": label.map(|l| l.to_string()),
                "texts": texts,
            })
        })
        .collect();
    json!({
        "model": model,
        "rows": rows.read,
        "skipped": rows.skipped,
        "accuracy": evaluation.accuracy(),
        "macro_f1": evaluation.macro_f1(),
        "calibration_error": evaluation.calibration_error(),
        "langs": langs,
        "confusions": wrong,
    })
}

fn page(
    model: &str,
    evaluation: &Evaluation,
    rows: lid::Rows,
    confusions: usize,
) -> Result<String> {
    let langs: Vec<_> = evaluation.languages().collect();
    let mut page = format!(
        "{model}: {} texts in {} languages, accuracy {:.4}, macro-F1 {:.4}, calibration error {:.4}\n",
        group(rows.read - rows.skipped),
        langs.len(),
        evaluation.accuracy(),
        evaluation.macro_f1(),
        evaluation.calibration_error()
    );
    let names: StringArray = langs.iter().map(|(tag, _)| Some(tag.to_string())).collect();
    let texts: UInt64Array = langs.iter().map(|(_, c)| Some(c.texts)).collect();
    let number = |of: fn(Counts) -> f64| -> ArrayRef {
        let rounded = langs.iter().map(|(_, c)| Some((of(*c) * 1e4).round() / 1e4));
        Arc::new(rounded.collect::<Float64Array>())
    };
    let batch = RecordBatch::try_from_iter([
        ("lang", Arc::new(names) as ArrayRef),
        ("texts", Arc::new(texts) as ArrayRef),
        ("precision", number(Counts::precision)),
        ("recall", number(Counts::recall)),
        ("f1", number(Counts::f1)),
    ])?;
    let text = table::render(&[batch], Format::Table, None)?;
    page.push_str(&String::from_utf8_lossy(&text));
    let wrong = evaluation.confusions(confusions);
    if !wrong.is_empty() {
        page.push_str("taken for another, the commonest first\n");
    }
    for (truth, label, texts) in wrong {
        let label = label.map_or("no language".to_string(), |l| l.to_string());
        page.push_str(&format!("    {truth} → {label}  {}\n", group(texts)));
    }
    Ok(page)
}
