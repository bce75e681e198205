//! `hexapla explain`: what each rule costs, and what another threshold would cost.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use hexapla::error::Result;
use hexapla::project::build::Options;
use hexapla::project::explain::{self, Amount, Ask, Explained};
use hexapla::project::{Project, config};
use serde_json::json;

use crate::table::{self, Format};
use crate::ui::{Ui, group};

/// Tell what each rule of the queries that drop rows removes, in all and alone
#[derive(clap::Args)]
#[command(
    after_help = "Builds nothing: `--param kept.min_confidence=0.7` tells what that threshold \
                        would do to the tables as they are."
)]
pub struct Args {
    /// Queries with a `reason`, such as `kept`; all when left out
    queries: Vec<String>,
    /// Only rows of this language, as the answer names it
    #[arg(long, value_name = "TAG")]
    lang: Vec<String>,
    /// Rows of each rule to show
    #[arg(long, default_value_t = 2, value_name = "N")]
    samples: usize,
    /// A query's parameter for this answer
    #[arg(long = "param", value_name = "QUERY.NAME=VALUE")]
    params: Vec<String>,
    /// Memory for queries, such as 2GB
    #[arg(long, value_name = "SIZE")]
    memory_limit: Option<String>,
    #[command(flatten)]
    project: crate::args::ProjectArgs,
}

pub fn run(args: Args, ui: &Ui) -> Result<ExitCode> {
    let mut project = Project::open(&args.project.project)?;
    for param in &args.params {
        project.set_param(param)?;
    }
    let memory_limit = args.memory_limit.as_deref().map(config::parse_bytes).transpose()?;
    let options = Options { memory_limit, ..Options::default() };
    let ask = Ask { langs: args.lang, samples: args.samples };
    let queries = explain::queries(&project, &args.queries)?;
    let mut answers = Vec::new();
    for query in queries {
        answers.push(explain::explain(&project, query, &ask, &options)?);
    }
    if ui.json() {
        ui.object(&json!({ "queries": answers }))?;
        return Ok(ExitCode::SUCCESS);
    }
    // An empty table says no more than that it is empty.
    let some = answers.iter().filter(|a| a.total.rows > 0 || answers.len() == 1);
    let pages: Vec<String> = some.map(page).collect::<Result<_>>()?;
    ui.out(pages.join("\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn page(answer: &Explained) -> Result<String> {
    let total = answer.total;
    let mut page = format!(
        "{}: {} of {} rows kept ({}){}\n",
        answer.query,
        group(answer.kept.rows),
        group(total.rows),
        percent(answer.kept.rows, total.rows),
        if total.chars > 0 {
            format!(", {} of characters", percent(answer.kept.chars, total.chars))
        } else {
            String::new()
        }
    );
    let rows = answer.rules.iter().map(|rule| {
        vec![
            rule.reason.clone(),
            group(rule.all.rows),
            percent(rule.all.rows, total.rows),
            percent(rule.all.chars, total.chars),
            group(rule.alone.rows),
            percent(rule.alone.chars, total.chars),
            group(rule.first.rows),
        ]
    });
    let heads =
        ["rule", "removes", "of rows", "of characters", "alone", "alone, of characters", "decides"];
    page.push_str(&lines(&heads, rows)?);
    if !answer.together.is_empty() {
        page.push_str("\nremoved by two rules together\n");
        let mut both: Vec<_> = answer.together.iter().collect();
        both.sort_by_key(|t| std::cmp::Reverse(t.both.rows));
        let rows = both.iter().take(20).map(|t| {
            let [a, b] = t.reasons.clone();
            vec![a, b, group(t.both.rows), percent(t.both.rows, total.rows)]
        });
        page.push_str(&lines(&["rule", "and", "rows", "of rows"], rows)?);
    }
    if !answer.langs.is_empty() {
        page.push_str("\nlanguages, those that lose the most first\n");
        page.push_str(&languages(answer)?);
    }
    let shown = answer.rules.iter().flat_map(|r| r.samples.iter().map(|s| (&r.reason, s)));
    for (i, (reason, sample)) in shown.enumerate() {
        if i == 0 {
            page.push_str("\nsamples\n");
        }
        let text = sample.text.split_whitespace().collect::<Vec<_>>().join(" ");
        let alone = if sample.alone { ", alone" } else { "" };
        page.push_str(&format!("{reason}{alone}  {} {}\n    {text}\n", sample.lang, sample.doc_id));
    }
    Ok(page)
}

fn languages(answer: &Explained) -> Result<String> {
    let mut langs: Vec<_> = answer.langs.iter().collect();
    langs.sort_by_key(|(_, l)| std::cmp::Reverse(l.total.rows - l.kept.rows));
    let rows = langs.iter().map(|(lang, language)| {
        let worst = answer
            .rules
            .iter()
            .filter_map(|rule| Some((rule.langs.get(*lang)?, &rule.reason)))
            .filter(|(share, _)| share.all.rows > 0)
            .max_by_key(|(share, _)| share.all.rows);
        let (reason, all, alone) = match worst {
            Some((share, reason)) => {
                (reason.clone(), group(share.all.rows), group(share.alone.rows))
            }
            None => Default::default(),
        };
        let lost = |a: Amount, b: Amount| a.rows - b.rows;
        vec![
            lang.to_string(),
            group(language.total.rows),
            group(lost(language.total, language.kept)),
            percent(lost(language.total, language.kept), language.total.rows),
            reason,
            all,
            alone,
        ]
    });
    lines(&["lang", "rows", "removed", "of rows", "most by", "by it", "alone"], rows)
}

fn lines(heads: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Result<String> {
    let rows: Vec<Vec<String>> = rows.collect();
    if rows.is_empty() {
        return Ok("no rule removes anything\n".into());
    }
    let column = |i: usize| -> ArrayRef {
        Arc::new(rows.iter().map(|row| Some(row[i].as_str())).collect::<StringArray>())
    };
    let columns = heads.iter().enumerate().map(|(i, head)| (*head, column(i)));
    let batch = RecordBatch::try_from_iter(columns)?;
    let width = if std::io::stdout().is_terminal() { crate::sql::columns() } else { None };
    let text = table::render(&[batch], Format::Table, width)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn percent(part: u64, whole: u64) -> String {
    match whole {
        0 => "–".into(),
        _ => format!("{:.1} %", part as f64 * 100.0 / whole as f64),
    }
}
