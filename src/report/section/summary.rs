//! The first glance: a handful of numbers.

use std::collections::BTreeSet;

use super::Section;
use crate::report::html::{count, escape, percent, share, short};
use crate::report::model::{Flow, Kind, Report, Stage};

pub(super) fn section(report: &Report) -> Option<Section> {
    let mut tiles: Vec<(String, String)> = Vec::new();
    let languages: BTreeSet<&str> = report
        .flows
        .iter()
        .filter(|flow| flow.kind == Kind::Documents)
        .flat_map(|flow| &flow.languages)
        .map(|language| language.lang.as_str())
        .collect();
    let scripts: BTreeSet<&str> =
        languages.iter().filter_map(|tag| tag.split_once('_')).map(|(_, script)| script).collect();
    if !languages.is_empty() {
        let words = match scripts.len() {
            0 | 1 => "languages".to_string(),
            n => format!("languages in {n} scripts"),
        };
        tiles.push((count(languages.len() as u64), words));
    }
    for flow in &report.flows {
        tiles.extend(flow_tiles(flow));
    }
    let planned: u64 = report.mixes.iter().flat_map(|m| &m.shares).map(|s| s.target).sum();
    if planned > 0 {
        tiles.push((short(planned as f64), "tokens planned".into()));
    }
    if !report.runs.is_empty() {
        let tokens: u64 = report.runs.iter().map(|run| run.tokens).sum();
        let runs = report.runs.len();
        let words = format!("tokens trained on in {runs} run{}", if runs == 1 { "" } else { "s" });
        tiles.push((short(tokens as f64), words));
    }
    if tiles.is_empty() {
        return None;
    }
    let tiles: String =
        tiles.iter().map(|(n, words)| format!("<li><b>{}</b> {}</li>", n, escape(words))).collect();
    Some(Section {
        id: "summary",
        title: "At a glance",
        html: format!("<ul class=\"tiles\">{tiles}</ul>"),
    })
}

fn flow_tiles(flow: &Flow) -> Vec<(String, String)> {
    let kind = flow.kind.name();
    let Some(read) = flow.steps.first() else { return Vec::new() };
    let mut tiles = vec![(short(read.rows as f64), format!("{kind} read"))];
    let rows = |stage| flow.steps.iter().find(|step| step.stage == stage).map(|step| step.rows);
    let last = rows(Stage::Deduped).or(rows(Stage::Kept));
    if let Some(last) = last {
        let words = format!("of {kind} survive the filters");
        tiles.push((percent(share(last, read.rows)), words));
    }
    if flow.unreadable > 0 {
        tiles.push((short(flow.unreadable as f64), format!("{kind} could not be read")));
    }
    tiles
}
