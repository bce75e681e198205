//! Contamination: what of each benchmark stands in training documents, by language, with a sample.

use super::Section;
use super::dropped::show;
use crate::report::html::{count, escape, percent, share, table};
use crate::report::model::{Contamination, Report};

/// Samples shown of a table.
const SAMPLES: usize = 6;

pub(super) fn section(report: &Report) -> Option<Section> {
    let html: String = report.contaminations.iter().map(draw).collect();
    (!html.is_empty()).then_some(Section { id: "contamination", title: "Contamination", html })
}

fn draw(found: &Contamination) -> String {
    let name = escape(&found.table);
    if found.benchmarks.is_empty() {
        return format!("<p>No document of <code>{name}</code> holds an evaluation item.</p>");
    }
    let cells: Vec<Vec<String>> = found
        .benchmarks
        .iter()
        .map(|one| {
            vec![
                escape(&one.benchmark),
                escape(&one.lang),
                count(one.items),
                count(one.found),
                percent(share(one.found, one.items)),
                count(one.too_short),
                count(one.documents),
                count(one.ngrams),
            ]
        })
        .collect();
    let head =
        ["benchmark", "language", "items", "found", "share", "too short", "documents", "n-grams"];
    let caption = format!("Evaluation items that stand in documents: <code>{name}</code>");
    let samples: String =
        found.benchmarks.iter().take(SAMPLES).map(|one| show(&one.sample)).collect();
    format!(
        "{}<p>Of each, the item of which most stands in a document, as it stands there.</p>{samples}",
        table(&caption, &head, &cells)
    )
}
