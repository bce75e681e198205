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
    let words = |text: &str| escape(&shorten(text.trim(), LENGTH));
    let (body, direction) = match sample.texts.as_slice() {
        // The whole quotation, its rule included, turns with a single text.
        [(text, lang)] => {
            (format!("<p{}>{}</p>", lang_attribute(lang), words(text)), " dir=\"auto\"")
        }
        texts => (texts.iter().map(|(text, lang)| side(lang, &words(text))).collect(), ""),
    };
    format!(
        "<blockquote{direction}>{body}<footer><bdi dir=\"ltr\"><code>{}</code> · {}</bdi></footer>\
         </blockquote>",
        sample.doc_id,
        escape(&sample.note)
    )
}

/// One side of a pair.
fn side(lang: &str, words: &str) -> String {
    format!(
        "<div class=\"side\"><span class=\"tag\">{}</span><p dir=\"auto\"{}>{words}</p></div>",
        escape(lang),
        lang_attribute(lang)
    )
}
