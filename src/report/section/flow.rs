//! The waterfall: rows from the sources to the mixture, and where the others went.

use super::{Section, figure};
use crate::report::chart::{Fall, waterfall};
use crate::report::html::{count, escape, numbers, percent, share};
use crate::report::model::{Flow, Report};

pub(super) fn section(report: &Report) -> Option<Section> {
    let html: String = report.flows.iter().filter(|f| f.steps.len() > 1).map(draw).collect();
    (!html.is_empty()).then_some(Section { id: "flow", title: "What each rule cost", html })
}

fn draw(flow: &Flow) -> String {
    let read = flow.steps.first().map_or(0, |step| step.rows);
    let mut falls = Vec::new();
    let mut cells = Vec::new();
    let mut at = read;
    for step in &flow.steps {
        for (reason, n) in &step.lost {
            let to = at.saturating_sub(*n);
            let note = format!("−{}", count(*n));
            falls.push(Fall { label: reason.clone(), from: at, to, note });
            cells.push(vec![
                escape(reason),
                format!("−{}", count(*n)),
                percent(share(*n, read)),
                count(to),
            ]);
            at = to;
        }
        at = step.rows;
        let name = step.stage.name();
        let note = format!("{} ({:.0} %)", count(step.rows), 100.0 * share(step.rows, read));
        falls.push(Fall { label: name.into(), from: at, to: at, note });
        let whole = percent(share(step.rows, read));
        cells.push(vec![format!("<b>{name}</b>"), String::new(), whole, count(step.rows)]);
    }
    let kind = flow.kind.name();
    let unreadable = match flow.unreadable {
        0 => String::new(),
        n => format!(" {} more could not be read; they stand in the table's errors.", count(n)),
    };
    let caption = format!("Rows of <b>{kind}</b> on their way to the mixture.{unreadable}");
    let legend = [("s2", "rows left"), ("lost", "rows dropped")];
    let head = ["rule or stage", "dropped", "of those read", "left"];
    figure(
        &caption,
        &legend,
        &waterfall(&format!("Filter waterfall of the {kind}"), &falls),
        &numbers(&format!("Waterfall of the {kind}"), &head, &cells),
    )
}
