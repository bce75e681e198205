//! What could not be read, so that nobody takes the rest for all there is.

use super::Section;
use crate::report::html::escape;
use crate::report::model::Report;

pub(super) fn section(report: &Report) -> Option<Section> {
    if report.unreadable.is_empty() {
        return None;
    }
    let items: String =
        report.unreadable.iter().map(|words| format!("<li>{}</li>", escape(words))).collect();
    let html = format!(
        "<p>The page shows what is left without them. <code>hexapla verify</code> tells which \
         files differ from their manifests.</p><ul>{items}</ul>"
    );
    Some(Section { id: "unreadable", title: "Could not be read", html })
}
