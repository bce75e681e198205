//! Planned beside realised: each language's share of a run, as the plan has it and as it was.

use super::{Section, figure};
use crate::report::chart::{Bars, bars};
use crate::report::html::{count, escape, numbers};
use crate::report::model::{Realised, Report};

/// Languages drawn; the table has them all.
const DRAWN: usize = 40;

pub(super) fn section(report: &Report) -> Option<Section> {
    let html: String = report.realised.iter().map(draw).collect();
    (!html.is_empty()).then_some(Section { id: "realised", title: "Planned and realised", html })
}

fn draw(run: &Realised) -> String {
    let sum = |of: fn(&(String, f64, f64)) -> f64| run.languages.iter().map(of).sum::<f64>();
    let (planned, realised) = (sum(|l| l.1), sum(|l| l.2));
    let share = |tokens: f64, all: f64| if all > 0.0 { tokens / all } else { 0.0 };
    let mut languages: Vec<_> = run.languages.iter().collect();
    languages.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let mut rows = Vec::new();
    let mut cells = Vec::new();
    for (lang, of_plan, of_run) in languages {
        let (plan, real) = (share(*of_plan, planned), share(*of_run, realised));
        let off = (real - plan) * 100.0;
        rows.push(Bars {
            label: lang.clone(),
            bars: vec![
                ("plan", plan, format!("{:.2} % of tokens planned", plan * 100.0)),
                ("s2", real, format!("{:.2} % of tokens trained on", real * 100.0)),
            ],
            note: format!("{:.2} % → {:.2} %", plan * 100.0, real * 100.0),
        });
        cells.push(vec![
            escape(lang),
            count(of_plan.round() as u64),
            count(of_run.round() as u64),
            format!("{:.3} %", plan * 100.0),
            format!("{:.3} %", real * 100.0),
            format!("{off:+.3}"),
        ]);
    }
    rows.truncate(DRAWN);
    let more = match run.languages.len().saturating_sub(DRAWN) {
        0 => String::new(),
        n => {
            format!(" The {DRAWN} largest are drawn; {} more stand in the table.", count(n as u64))
        }
    };
    let caption = format!(
        "Share of each language in the {} tokens that <b>{}</b> was trained on until step {}, \
         beside its share by then in the mixture <b>{}</b>.{more}",
        count(realised.round() as u64),
        escape(&run.run),
        count(run.step),
        escape(&run.mix),
    );
    let head = [
        "language",
        "tokens planned",
        "tokens realised",
        "share planned",
        "share realised",
        "points off",
    ];
    let legend = [("plan", "planned"), ("s2", "realised")];
    let chart = bars(&format!("Planned and realised shares of {}", run.run), &rows);
    let table = numbers(&format!("Planned and realised tokens of {}", run.run), &head, &cells);
    figure(&caption, &legend, &chart, &table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_shares_are_drawn() {
        let languages = vec![("isl_Latn".into(), 75.0, 70.0), ("yor_Latn".into(), 25.0, 30.0)];
        let run = Realised { run: "pretrain".into(), mix: "main".into(), step: 1200, languages };
        let report = Report { realised: vec![run], ..Report::default() };
        let html = section(&report).unwrap().html;
        assert!(html.contains("75.00 % → 70.00 %"), "{html}");
        assert!(html.contains("+5.000") && html.contains("until step 1,200"));
        assert!(section(&Report::default()).is_none());
    }
}
