//! The language mix before and after: what was read, what survived, what will be trained on.

use std::collections::BTreeMap;

use super::{Section, figure};
use crate::report::chart::{Bars, bars};
use crate::report::html::{count, escape, numbers, percent, share};
use crate::report::model::{Flow, Kind, Mix, Report, Stage};

/// Languages drawn; the table has them all.
const DRAWN: usize = 40;

/// The stages that are drawn, with their classes; the plan follows them.
const DRAWN_STAGES: [(Stage, &str); 3] =
    [(Stage::Read, "s0"), (Stage::Kept, "s1"), (Stage::Deduped, "s2")];

pub(super) fn section(report: &Report) -> Option<Section> {
    let mut html = String::new();
    for flow in report.flows.iter().filter(|flow| !flow.languages.is_empty()) {
        let mut drawn = false;
        for mix in &report.mixes {
            let plan = targets(mix, flow.kind);
            if !plan.is_empty() {
                html.push_str(&draw(flow, Some((&mix.name, &plan))));
                drawn = true;
            }
        }
        if !drawn {
            html.push_str(&draw(flow, None));
        }
    }
    (!html.is_empty()).then_some(Section { id: "mixture", title: "Language mix", html })
}

/// Planned tokens and epochs by language.
type Targets<'a> = BTreeMap<&'a str, (u64, f64)>;

/// The targets over all stages of the mixture.
fn targets(mix: &Mix, kind: Kind) -> Targets<'_> {
    let mut targets = Targets::new();
    let mut available: BTreeMap<(&str, u32), u64> = BTreeMap::new();
    for share in mix.shares.iter().filter(|share| share.kind == kind) {
        targets.entry(&share.lang).or_default().0 += share.target;
        // Parts of a language, in each stage the same.
        *available.entry((&share.lang, share.stage)).or_default() += share.available;
    }
    for (lang, (target, epochs)) in &mut targets {
        let there = available.range((*lang, 0)..).next().map_or(0, |(_, available)| *available);
        *epochs = *target as f64 / there.max(1) as f64;
    }
    targets
}

fn draw(flow: &Flow, plan: Option<(&str, &Targets<'_>)>) -> String {
    let there = |stage: &Stage| flow.steps.iter().any(|step| step.stage == *stage);
    let stages: Vec<(Stage, &str)> =
        DRAWN_STAGES.into_iter().filter(|(stage, _)| there(stage)).collect();
    let total = |stage: Stage| flow.languages.iter().map(|l| l.chars[stage.index()]).sum::<u64>();
    let planned: u64 = plan.iter().flat_map(|(_, plan)| plan.values()).map(|(n, _)| n).sum();
    let target = |lang: &str| plan.and_then(|(_, plan)| plan.get(lang).copied());

    let mut languages: Vec<_> = flow.languages.iter().collect();
    languages.sort_by(|a, b| b.chars[0].cmp(&a.chars[0]).then_with(|| a.lang.cmp(&b.lang)));
    let mut rows = Vec::new();
    let mut cells = Vec::new();
    for language in &languages {
        let mut bars = Vec::new();
        let mut row = vec![escape(&language.lang)];
        for (stage, class) in &stages {
            let chars = language.chars[stage.index()];
            let part = share(chars, total(*stage));
            let words = format!("{:.1} % of characters {}", part * 100.0, stage.name());
            bars.push((*class, part, words));
            row.push(count(language.rows[stage.index()]));
            row.push(count(chars));
        }
        let before = share(language.chars[0], total(Stage::Read));
        let mut note = format!("{:.1} %", before * 100.0);
        if plan.is_some() {
            let (tokens, epochs) = target(&language.lang).unwrap_or_default();
            let part = share(tokens, planned);
            bars.push(("plan", part, format!("{:.1} % of tokens planned", part * 100.0)));
            note = format!("{note} → {:.1} %", part * 100.0);
            row.extend([count(tokens), percent(part), format!("{epochs:.2}")]);
        }
        rows.push(Bars { label: language.lang.clone(), bars, note });
        cells.push(row);
    }
    rows.truncate(DRAWN);

    let kind = flow.kind.name();
    let mut legend: Vec<(&str, &str)> =
        stages.iter().map(|(stage, class)| (*class, stage.name())).collect();
    let mut head: Vec<String> = vec!["language".into()];
    for (stage, _) in &stages {
        head.push(format!("{kind} {}", stage.name()));
        head.push(format!("characters {}", stage.name()));
    }
    let caption = match plan {
        Some((name, _)) => {
            legend.push(("plan", "planned"));
            head.extend(["tokens planned", "share planned", "epochs"].map(String::from));
            format!(
                "Share of each language in the {kind}: by characters as read and after the \
                 filters, by tokens in the mixture <b>{}</b>.",
                escape(name)
            )
        }
        None => format!("Share of each language in the {kind}, by characters."),
    };
    let more = match languages.len().saturating_sub(DRAWN) {
        0 => String::new(),
        n => {
            format!(" The {DRAWN} largest are drawn; {} more stand in the table.", count(n as u64))
        }
    };
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    let chart = bars(&format!("Language mix of the {kind}"), &rows);
    let table = numbers(&format!("Languages of the {kind}"), &head, &cells);
    figure(&format!("{caption}{more}"), &legend, &chart, &table)
}
