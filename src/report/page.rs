//! The page around the sections: head, style, navigation.

use std::fmt::Write;

use super::html::escape;
use super::model::Report;
use super::section::{SECTIONS, Section};

/// A report as one HTML page that needs nothing else: no script, no font, no picture from outside.
pub fn render(report: &Report) -> String {
    let sections: Vec<_> = SECTIONS.iter().filter_map(|section| section(report)).collect();
    let empty = "There is nothing to report yet: no table, no run.";
    page(&report.project, "hexapla report", &sections, empty)
}

/// A page of sections under a name; `brand` says what it is, `empty` what no section means.
pub(super) fn page(name: &str, brand: &str, sections: &[Section], empty: &str) -> String {
    let mut nav = String::new();
    let mut body = String::new();
    for section in sections {
        let (id, title) = (section.id, section.title);
        let _ = write!(nav, "<a href=\"#{id}\">{title}</a>");
        let _ = writeln!(
            body,
            "<section id=\"{id}\" aria-labelledby=\"{id}-title\"><h2 id=\"{id}-title\">{title}</h2>\
             {}</section>",
            section.html
        );
    }
    if sections.is_empty() {
        let _ = write!(body, "<p>{empty}</p>");
    }
    let name = escape(name);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"generator\" content=\"hexapla {}\">\n\
         <title>{name} · {brand}</title>\n<style>\n{}</style>\n</head>\n<body>\n\
         <header><p class=\"brand\">{brand}</p><h1 dir=\"auto\">{name}</h1>\
         <nav aria-label=\"sections\">{nav}</nav></header>\n<main>\n{body}</main>\n</body>\n</html>\n",
        env!("CARGO_PKG_VERSION"),
        include_str!("page.css"),
    )
}
