//! The sections of the page, one file each.
//!
//! A section says `None` when there is nothing to show; it never fails.

mod contamination;
mod dropped;
mod duplicates;
mod evaluation;
mod flow;
mod mixture;
mod realised;
mod rules;
mod summary;
mod training;
mod unreadable;

use super::model::Report;

/// A part of the page under a heading.
pub(super) struct Section {
    /// Its anchor.
    pub id: &'static str,
    /// Its heading.
    pub title: &'static str,
    /// What stands below, as HTML.
    pub html: String,
}

/// The sections in reading order.
pub(super) const SECTIONS: &[fn(&Report) -> Option<Section>] = &[
    unreadable::section,
    summary::section,
    mixture::section,
    flow::section,
    rules::section,
    dropped::section,
    duplicates::section,
    contamination::section,
    realised::section,
    training::section,
    evaluation::section,
];

/// A chart with what it says, and the numbers behind it.
pub(super) fn figure(caption: &str, legend: &[(&str, &str)], chart: &str, numbers: &str) -> String {
    let legend: String = legend
        .iter()
        .map(|(class, words)| {
            format!("<span class=\"key\"><i class=\"{class}\"></i>{words}</span>")
        })
        .collect();
    let legend = match legend.as_str() {
        "" => String::new(),
        keys => format!("<p class=\"legend\">{keys}</p>"),
    };
    format!("<figure><figcaption>{caption}</figcaption>{legend}{chart}{numbers}</figure>")
}
