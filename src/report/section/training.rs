//! Training curves: every run at a glance, then each language of a run in a panel of its own.
//!
//! Small panels on one scale are told apart at any number of languages; colours are not.

use std::collections::BTreeMap;

use super::{Section, figure};
use crate::report::chart::{Line, panel, range};
use crate::report::html::{count, escape, numbers, short, table};
use crate::report::model::{Loss, Report, Run};

pub(super) fn section(report: &Report) -> Option<Section> {
    if report.runs.is_empty() {
        return None;
    }
    let mut html = overview(&report.runs);
    for run in &report.runs {
        let mut objectives: BTreeMap<&str, Vec<&Loss>> = BTreeMap::new();
        for loss in &run.by {
            objectives.entry(&loss.objective).or_default().push(loss);
        }
        for (objective, losses) in objectives {
            // One language alone is the run's own curve, which stands above.
            if losses.len() > 1 {
                html.push_str(&languages(run, objective, &losses));
            }
        }
    }
    Some(Section { id: "training", title: "Training", html })
}

/// A panel per run, each on its own scale: objectives differ from run to run.
fn overview(runs: &[Run]) -> String {
    let mut panels = String::new();
    let mut cells = Vec::new();
    for run in runs {
        let points = &run.loss.0;
        let last = points.last().map_or("–".into(), |(_, y)| format!("{y:.3}"));
        let lr = run.lr.0.iter().map(|(_, y)| *y).fold(0.0, f64::max);
        if !points.is_empty() {
            let lines = [Line { class: "c0", name: &run.name, points }];
            let steps = (points[0].0, run.steps as f64);
            let chart = panel(
                &format!("Loss of {} per step", run.name),
                &lines,
                steps,
                range([points.as_slice()].into_iter()),
            );
            panels.push_str(&framed(&run.name, &last, &chart));
        }
        cells.push(vec![
            escape(&run.name),
            count(run.steps),
            count(run.tokens),
            points.first().map_or("–".into(), |(_, y)| format!("{y:.3}")),
            last,
            format!("{lr:.2e}"),
        ]);
    }
    let head = ["run", "steps", "tokens", "first loss", "last loss", "highest learning rate"];
    let grid = format!("<div class=\"panels\">{panels}</div>");
    let caption = "Loss of each run by optimizer step, each on its own scale; the number is the \
                   last one. The thin line is as measured, the thick one its moving mean.";
    let tables = table("Runs", &head, &cells) + &counters(runs);
    figure(caption, &[], &grid, &tables)
}

/// Counters of the last line of each run, such as the bytes that were aliased.
fn counters(runs: &[Run]) -> String {
    let mut names: Vec<&str> =
        runs.iter().flat_map(|run| &run.counters).map(|(name, _)| name.as_str()).collect();
    names.sort();
    names.dedup();
    if names.is_empty() {
        return String::new();
    }
    let cells: Vec<Vec<String>> = runs
        .iter()
        .map(|run| {
            let value = |name: &&str| {
                let found = run.counters.iter().find(|(known, _)| known == name);
                found.map_or("–".into(), |(_, v)| match v.fract() == 0.0 && *v >= 0.0 {
                    true => count(*v as u64),
                    false => short(*v),
                })
            };
            let mut row = vec![escape(&run.name)];
            row.extend(names.iter().map(value));
            row
        })
        .collect();
    let escaped: Vec<String> = names.iter().map(|name| escape(name)).collect();
    let mut head = vec!["run"];
    head.extend(escaped.iter().map(String::as_str));
    let table = table("Counters at each run's last step", &head, &cells);
    format!("<details class=\"numbers\"><summary>Counters of the runs</summary>{table}</details>")
}

/// One objective of a run: a panel per language, all on one scale, lowest last loss first.
fn languages(run: &Run, objective: &str, losses: &[&Loss]) -> String {
    let curves = losses.iter().flat_map(|loss| [&loss.curve, &loss.validation]);
    let y = range(curves.map(|curve| curve.0.as_slice()));
    let validated = losses.iter().any(|loss| !loss.validation.0.is_empty());
    let x = (
        losses.iter().filter_map(|l| l.curve.0.first()).map(|p| p.0).fold(f64::INFINITY, f64::min),
        run.steps as f64,
    );
    let end = |loss: &Loss| {
        let points = &loss.curve.0;
        let tail = &points[points.len() - points.len().div_ceil(20)..];
        match tail.len() {
            0 => f64::INFINITY,
            n => tail.iter().map(|p| p.1).sum::<f64>() / n as f64,
        }
    };
    let mut losses = losses.to_vec();
    losses.sort_by(|a, b| end(a).total_cmp(&end(b)).then_with(|| a.lang.cmp(&b.lang)));
    let mean = mean(&losses);
    let mut panels = String::new();
    let mut cells = Vec::new();
    for loss in losses {
        let name = format!("{objective} in {}", loss.lang);
        let held_out = format!("{name}, held out");
        let lines = [
            Line { class: "back", name: "mean over the languages", points: &mean },
            Line { class: "c0", name: &name, points: &loss.curve.0 },
            Line { class: "c1", name: &held_out, points: &loss.validation.0 },
        ];
        let chart = panel(&format!("Loss of {name} per step"), &lines, x, y);
        let last = format!("{:.2}", end(loss));
        panels.push_str(&framed(&loss.lang, &last, &chart));
        let first = loss.curve.0.first().map_or("–".into(), |(_, y)| format!("{y:.3}"));
        let points = count(loss.curve.0.len() as u64);
        let held_out = loss.validation.0.last().map_or("–".into(), |(_, y)| format!("{y:.3}"));
        cells.push(vec![escape(&loss.lang), first, format!("{:.3}", end(loss)), held_out, points]);
    }
    let caption = format!(
        "<b>{}</b>, objective <b>{}</b>: loss in each language by optimizer step, all on one \
         scale, lowest first; the number is the mean of the last twentieth.",
        escape(&run.name),
        escape(objective)
    );
    let mut legend = vec![("c0", "the language"), ("back", "mean over the languages")];
    if validated {
        legend.push(("c1", "the language, held-out rows"));
    }
    let head = ["language", "first", "last", "last held out", "points"];
    let caption_of_table = format!("{} of {}", escape(objective), escape(&run.name));
    figure(
        &caption,
        &legend,
        &format!("<div class=\"panels\">{panels}</div>"),
        &numbers(&caption_of_table, &head, &cells),
    )
}

/// The mean over the languages, in as many windows of steps as the sparsest curve can fill.
fn mean(losses: &[&Loss]) -> Vec<(f64, f64)> {
    let windows = losses.iter().map(|loss| loss.curve.0.len()).min().unwrap_or(0).clamp(1, 40);
    let all = || losses.iter().flat_map(|loss| &loss.curve.0);
    let (low, high) = all()
        .fold((f64::INFINITY, 0.0), |(low, high): (f64, f64), p| (low.min(p.0), high.max(p.0)));
    let width = ((high - low) / windows as f64).max(1e-9);
    let place = |x: f64| (((x - low) / width) as usize).min(windows - 1);
    let mut sums = vec![(0.0, 0.0); windows];
    for loss in losses {
        let mut own = vec![(0.0, 0.0); windows];
        for (x, y) in &loss.curve.0 {
            let window = &mut own[place(*x)];
            *window = (window.0 + y, window.1 + 1.0);
        }
        for (sum, (total, n)) in sums.iter_mut().zip(own).filter(|(_, own)| own.1 > 0.0) {
            *sum = (sum.0 + total / n, sum.1 + 1.0);
        }
    }
    sums.iter()
        .enumerate()
        .filter(|(_, (_, n))| *n > 0.0)
        .map(|(i, (total, n))| (low + (i as f64 + 0.5) * width, total / n))
        .collect()
}

fn framed(name: &str, value: &str, chart: &str) -> String {
    format!(
        "<div class=\"panel\"><p><span>{}</span><b>{}</b></p>{chart}</div>",
        escape(name),
        escape(value)
    )
}
