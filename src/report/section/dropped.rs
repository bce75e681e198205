//! What each rule dropped, to be read by a person.

use super::Section;
use crate::report::html::{count, escape, lang_attribute, shorten};
use crate::report::model::{Report, Sample};

/// Characters shown of a text.
const LENGTH: usize = 420;

pub(super) fn section(report: &Report) -> Option<Section> {
    let mut html = String::new();
    for flow in report.flows.iter().filter(|flow| !flow.dropped.is_empty()) {
        html.push_str(&format!("<h3>{}</h3>", heading(flow.kind.name())));
        for (i, rule) in flow.dropped.iter().enumerate() {
            let samples: String = rule.samples.iter().map(show).collect();
            // The rules that matter most are open.
            let open = if i < 4 { " open" } else { "" };
            html.push_str(&format!(
                "<details class=\"rule\"{open}><summary><b>{}</b> dropped {} {}</summary>{samples}\
                 </details>",
                escape(&rule.reason),
                count(rule.rows),
                flow.kind.name(),
            ));
        }
    }
    let lead = "<p>A few rows of each rule, drawn by a hash of their id. A rule that drops good \
                text shows here first.</p>";
    let html = format!("{lead}{html}");
    let any = report.flows.iter().any(|flow| !flow.dropped.is_empty());
    any.then_some(Section { id: "dropped", title: "Samples of what was dropped", html })
}

fn heading(kind: &str) -> String {
    let mut letters = kind.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// One row: its texts in their own direction, then what is known of it.
pub(super) fn show(sample: &Sample) -> String {
    let mut out = String::from("<blockquote>");
    for (text, lang) in &sample.texts {
        let attribute = lang_attribute(lang);
        let tag = match (sample.texts.len(), lang.as_str()) {
            (1, _) | (_, "") => String::new(),
            (_, lang) => format!("<span class=\"tag\">{}</span>", escape(lang)),
        };
        out.push_str(&format!(
            "<div class=\"side\">{tag}<p dir=\"auto\"{attribute}>{}</p></div>",
            escape(&shorten(text.trim(), LENGTH))
        ));
    }
    out.push_str(&format!(
        "<footer><code>{}</code> · <span>{}</span></footer></blockquote>",
        sample.doc_id,
        escape(&sample.note)
    ));
    out
}
