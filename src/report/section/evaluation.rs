//! Evaluations: each task and metric as a dot plot over the languages, with its table.

use std::collections::{BTreeMap, BTreeSet};

use super::Section;
use crate::report::chart::{Dots, dots};
use crate::report::html::{count, escape, table};
use crate::report::model::{Eval, Report};
use crate::report::section::figure;

/// Runs that get a colour of their own; more than these share the last.
const COLOURS: usize = 6;

pub(super) fn section(report: &Report) -> Option<Section> {
    let mut groups: BTreeMap<(&str, &str, &str), Vec<&Eval>> = BTreeMap::new();
    for eval in &report.evals {
        groups.entry((&eval.table, &eval.task, &eval.metric)).or_default().push(eval);
    }
    let html: String = groups.iter().map(|(key, evals)| draw(*key, evals)).collect();
    (!html.is_empty()).then_some(Section { id: "evaluation", title: "Evaluation", html })
}

fn draw((name, task, metric): (&str, &str, &str), evals: &[&Eval]) -> String {
    // In the order of the table, which is the order they were asked for in.
    let mut runs: Vec<&str> = Vec::new();
    for eval in evals {
        if !runs.contains(&eval.run.as_str()) {
            runs.push(&eval.run);
        }
    }
    let languages: BTreeSet<&str> = evals.iter().map(|eval| eval.lang.as_str()).collect();
    let mut values: BTreeMap<(&str, &str), &Eval> = BTreeMap::new();
    for eval in evals {
        values.insert((&eval.lang, &eval.run), eval);
    }
    let class = |i: usize| format!("c{}", i.min(COLOURS - 1));
    let majority = |lang: &str| {
        runs.iter().find_map(|run| values.get(&(lang, *run)).and_then(|e| e.baseline_majority))
    };
    let any_majority = languages.iter().any(|lang| majority(lang).is_some());

    let mut rows = Vec::new();
    let mut cells = Vec::new();
    for lang in &languages {
        let mut points = Vec::new();
        let mut row = vec![escape(lang)];
        let n = runs.iter().filter_map(|run| values.get(&(*lang, *run))).map(|e| e.n).max();
        row.push(count(n.unwrap_or(0)));
        if any_majority {
            row.push(majority(lang).map_or("–".into(), |v| format!("{v:.3}")));
        }
        let of = |run: &&str| values.get(&(*lang, *run)).map(|eval| eval.value);
        let best = runs.iter().filter_map(of).fold(f64::NEG_INFINITY, f64::max);
        for (i, run) in runs.iter().enumerate() {
            row.push(match of(run) {
                Some(value) => {
                    points.push((class(i), value, format!("{run} {value:.3}")));
                    let words = format!("{value:.3}");
                    if value == best && runs.len() > 1 { format!("<b>{words}</b>") } else { words }
                }
                None => "–".into(),
            });
        }
        rows.push(Dots { label: lang.to_string(), dots: points, mark: majority(lang) });
        cells.push(row);
    }
    if languages.len() > 1 {
        let majorities = || languages.iter().filter_map(|lang| majority(lang)).collect();
        cells.push(means(&languages, &runs, &values, any_majority.then(majorities)));
    }

    let escaped: Vec<String> = runs.iter().map(|run| escape(run)).collect();
    let classes: Vec<String> = (0..runs.len()).map(class).collect();
    let mut legend: Vec<(&str, &str)> =
        classes.iter().zip(&escaped).map(|(c, run)| (c.as_str(), run.as_str())).collect();
    let mut head = vec!["language", "examples"];
    if any_majority {
        legend.push(("mark", "most frequent class"));
        head.push("most frequent class");
    }
    head.extend(escaped.iter().map(String::as_str));
    let caption =
        format!("<b>{}</b>: {} of {}, by language.", escape(name), escape(metric), escape(task));
    let title = format!("{metric} of {task} by language");
    let table = table(&format!("{}, {}", escape(task), escape(metric)), &head, &cells);
    figure(&caption, &legend, &dots(&title, &rows), &table)
}

/// The last row: each run's mean over the languages that it was measured in.
fn means(
    languages: &BTreeSet<&str>,
    runs: &[&str],
    values: &BTreeMap<(&str, &str), &Eval>,
    majority: Option<Vec<f64>>,
) -> Vec<String> {
    let mean = |values: Vec<f64>| match values.len() {
        0 => "–".to_string(),
        n => format!("<b>{:.3}</b>", values.iter().sum::<f64>() / n as f64),
    };
    let mut row = vec!["<b>mean over languages</b>".to_string(), String::new()];
    if let Some(majority) = majority {
        row.push(mean(majority));
    }
    for run in runs {
        let own = languages.iter().filter_map(|lang| values.get(&(*lang, *run)));
        row.push(mean(own.map(|eval| eval.value).collect()));
    }
    row
}
