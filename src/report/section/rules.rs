//! What each rule would remove by itself, and what no other rule removes.

use super::Section;
use crate::report::html::{count, escape, numbers, percent, share, table};
use crate::report::model::{Costs, Report};

/// Pairs of rules that are shown.
const PAIRS: usize = 15;

pub(super) fn section(report: &Report) -> Option<Section> {
    let asked = report.costs.iter().filter(|costs| !costs.rules.is_empty());
    let html: String = asked.map(show).collect();
    let lead = "<p>Each rule is asked about every row. The waterfall counts a row under the first \
                rule that it breaks; a rule whose rows are all removed by others as well could go, \
                and one that removes many alone is the one to look at. \
                <code>hexapla explain --param</code> asks about other thresholds.</p>";
    let html = (!html.is_empty()).then(|| format!("{lead}{html}"))?;
    Some(Section { id: "rules", title: "Rules by themselves", html })
}

fn show(costs: &Costs) -> String {
    let rows: Vec<Vec<String>> = costs
        .rules
        .iter()
        .map(|rule| {
            let langs: Vec<String> = rule
                .langs
                .iter()
                .map(|(lang, n)| format!("{} {}", escape(lang), count(*n)))
                .collect();
            vec![
                escape(&rule.reason),
                count(rule.all),
                percent(share(rule.all, costs.rows)),
                count(rule.alone),
                percent(share(rule.alone, costs.rows)),
                langs.join(", "),
            ]
        })
        .collect();
    let head = ["rule", "removes", "of rows", "alone", "of rows", "most in"];
    let caption = format!("Rules of {} over {} rows", escape(&costs.query), count(costs.rows));
    let together: Vec<Vec<String>> = costs
        .together
        .iter()
        .take(PAIRS)
        .map(|([a, b], n)| vec![escape(a), escape(b), count(*n), percent(share(*n, costs.rows))])
        .collect();
    let title = format!("What two rules of {} remove together", escape(&costs.query));
    let both = match together.is_empty() {
        true => String::new(),
        false => numbers(&title, &["rule", "and", "rows", "of rows"], &together),
    };
    format!("{}{both}", table(&caption, &head, &rows))
}
