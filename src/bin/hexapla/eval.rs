//! `hexapla eval`: runs on evaluation data, language by language, beside their baselines.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::process::ExitCode;

use comfy_table::{Cell, CellAlignment, Table};
use hexapla::error::Result;
use hexapla::eval::Score;
use hexapla::project::evaluate;
use serde_json::json;

use crate::args::BuildArgs;
use crate::ui::Ui;

/// Evaluate runs
#[derive(clap::Args)]
pub struct Args {
    /// Names from the project file; all when left out
    names: Vec<String>,
    #[command(flatten)]
    build: BuildArgs,
}

pub fn run(args: Args, ui: &Ui) -> Result<ExitCode> {
    let project = crate::run::open(&args.build)?;
    let nodes = crate::run::nodes_of(&project, "eval.", &args.names)?;
    let outcomes = crate::run::build(&project, &nodes, &args.build, ui)?;
    if args.build.dry_run {
        return crate::run::finish(&outcomes, ui);
    }
    let mut all = serde_json::Map::new();
    for node in &nodes {
        let scores = evaluate::scores(&project, node.trim_start_matches("eval."))?;
        if ui.json() {
            let rows: Vec<_> = scores
                .iter()
                .map(|s| {
                    json!({
                        "run": s.run, "task": s.task, "lang": s.lang, "metric": s.metric,
                        "value": s.value, "n": s.n, "baseline_majority": s.baseline_majority,
                    })
                })
                .collect();
            all.insert(node.clone(), rows.into());
        } else {
            ui.out(format!("{node}\n{}\n", table(&scores)))?;
            for line in verdicts(&scores) {
                ui.out(format!("{line}\n"))?;
            }
        }
    }
    if ui.json() {
        ui.object(&json!({ "eval": all }))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// One row a language, one column a run and metric, the mean over languages last.
fn table(scores: &[Score]) -> Table {
    let mut runs: Vec<(&str, &str)> = Vec::new();
    let mut langs: BTreeMap<&str, u64> = BTreeMap::new();
    for s in scores {
        if !runs.contains(&(s.run.as_str(), s.metric)) {
            runs.push((&s.run, s.metric));
        }
        langs.insert(&s.lang, s.n);
    }
    let majority = scores.iter().any(|s| s.baseline_majority.is_some());
    let mut table = crate::table::plain();
    if std::io::stdout().is_terminal() {
        table.set_content_arrangement(comfy_table::ContentArrangement::Dynamic);
    }
    let mut header = vec!["lang".to_string(), "rows".to_string()];
    if majority {
        header.push("majority class".into());
    }
    header.extend(runs.iter().map(|(run, metric)| format!("{run} {metric}")));
    table.set_header(header);
    let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
    let percent = |v: f64| right(format!("{:.1}", v * 100.0));
    let mut sums = vec![(0.0, 0u32); runs.len() + 1];
    let add = |sum: &mut (f64, u32), v: f64| *sum = (sum.0 + v, sum.1 + 1);
    for (lang, n) in &langs {
        let mut row = vec![Cell::new(lang), right(n.to_string())];
        let of = |run: &(&str, &str)| {
            scores.iter().find(|s| s.lang == *lang && (s.run.as_str(), s.metric) == *run)
        };
        if majority {
            let value = runs.iter().find_map(|r| of(r)?.baseline_majority);
            row.push(value.map_or(right(String::new()), percent));
            if let (Some(v), Some(sum)) = (value, sums.last_mut()) {
                add(sum, v);
            }
        }
        for (i, run) in runs.iter().enumerate() {
            let value = of(run).map(|s| s.value);
            row.push(value.map_or(right(String::new()), percent));
            if let Some(v) = value {
                add(&mut sums[i], v);
            }
        }
        table.add_row(row);
    }
    let mean = |sum: &(f64, u32)| percent(sum.0 / f64::from(sum.1.max(1)));
    let mut last = vec![Cell::new("mean"), right(String::new())];
    if majority {
        last.extend(sums.last().map(mean));
    }
    last.extend(sums.iter().take(runs.len()).map(mean));
    table.add_row(last);
    table
}

/// What the table says, in a sentence per metric: whether the first run beats the others and the
/// majority class, over the languages other than English.
fn verdicts(scores: &[Score]) -> Vec<String> {
    let mut metrics: Vec<&str> = Vec::new();
    let mut runs: Vec<&str> = Vec::new();
    for s in scores {
        if !metrics.contains(&s.metric) {
            metrics.push(s.metric);
        }
        if !runs.contains(&s.run.as_str()) {
            runs.push(&s.run);
        }
    }
    let mean = |metric: &str, of: &dyn Fn(&Score) -> Option<f64>| {
        let values: Vec<f64> = scores
            .iter()
            .filter(|s| s.metric == metric && s.lang != "eng_Latn")
            .filter_map(of)
            .collect();
        values.iter().sum::<f64>() / values.len().max(1) as f64
    };
    let mut lines = Vec::new();
    for metric in metrics {
        let run = |name: &str| mean(metric, &|s| (s.run == name).then_some(s.value));
        let mut parts: Vec<String> =
            runs.iter().map(|name| format!("{name} {:.1} %", run(name) * 100.0)).collect();
        if scores.iter().any(|s| s.metric == metric && s.baseline_majority.is_some()) {
            let majority = mean(metric, &|s| s.baseline_majority);
            let first = runs.first().map_or(0.0, |r| run(r));
            let best = runs[1..].iter().map(|r| run(r)).fold(majority, f64::max);
            parts.push(format!("majority class {:.1} %", majority * 100.0));
            parts.push(if first > best {
                format!("{} beats both", runs[0])
            } else {
                format!("{} does NOT beat the baselines", runs[0])
            });
        }
        lines.push(format!(
            "mean over other languages than English, {metric}: {}",
            parts.join(", ")
        ));
    }
    lines
}
