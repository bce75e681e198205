//! Words and numbers as HTML: escaping, thousands separators, tables.
//!
//! Everything that comes from data passes through [`escape`]; nothing here knows a chart.

use std::fmt::Write;

/// Text that is safe between tags and inside double-quoted attributes. Control characters other
/// than tab and line break, which HTML forbids, become the replacement character.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\t' | '\n' => out.push(c),
            '\r' => {}
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// The first `limit` characters, with an ellipsis when there are more; never inside a character.
pub(super) fn shorten(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None => text.to_string(),
    }
}

/// A count with thousands separators.
pub(super) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A count in three significant digits: `12.3 M`.
pub(super) fn short(n: f64) -> String {
    let (value, unit) = match n.abs() {
        a if a >= 1e12 => (n / 1e12, " T"),
        a if a >= 1e9 => (n / 1e9, " G"),
        a if a >= 1e6 => (n / 1e6, " M"),
        a if a >= 1e4 => (n / 1e3, " k"),
        a if a >= 1000.0 => return count(n.round() as u64),
        _ => (n, ""),
    };
    let digits = match value.abs() {
        a if a >= 100.0 || value.fract() == 0.0 => 0,
        a if a >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.digits$}{unit}")
}

/// A share in [0, 1] as a percentage; small ones keep a digit that says they are not nothing.
pub(super) fn percent(share: f64) -> String {
    let p = share * 100.0;
    match p {
        0.0 => "0 %".into(),
        p if p < 0.1 => "&lt; 0.1 %".into(),
        p if p < 10.0 => format!("{p:.1} %"),
        p => format!("{p:.0} %"),
    }
}

/// A share of a whole that may be empty.
pub(super) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// A language tag as HTML's `lang` attribute, with its space in front; nothing for what is none.
pub(super) fn lang_attribute(tag: &str) -> String {
    let plain = !tag.is_empty() && tag.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if plain { format!(" lang=\"{}\"", tag.replace('_', "-")) } else { String::new() }
}

/// A table with a caption; `head` and `rows` are HTML. The first column is the row's heading, all
/// columns but the first are numbers.
pub(super) fn table(caption: &str, head: &[&str], rows: &[Vec<String>]) -> String {
    let mut out = format!("<div class=\"scroll\"><table><caption>{caption}</caption><thead><tr>");
    for cell in head {
        let _ = write!(out, "<th scope=\"col\">{cell}</th>");
    }
    out.push_str("</tr></thead><tbody>");
    for row in rows {
        out.push_str("<tr>");
        for (i, cell) in row.iter().enumerate() {
            let _ = match i {
                0 => write!(out, "<th scope=\"row\">{cell}</th>"),
                _ => write!(out, "<td>{cell}</td>"),
            };
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>");
    out
}

/// A table that opens on demand: the numbers behind a chart.
pub(super) fn numbers(caption: &str, head: &[&str], rows: &[Vec<String>]) -> String {
    format!(
        "<details class=\"numbers\"><summary>The numbers</summary>{}</details>",
        table(caption, head, rows)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_leave_its_element() {
        assert_eq!(escape("<script>\"'&\u{0}שלום"), "&lt;script&gt;&quot;&#39;&amp;\u{fffd}שלום");
        assert_eq!(lang_attribute("arb_Arab"), " lang=\"arb-Arab\"");
        assert_eq!(lang_attribute("x\" onload=\"y"), "");
    }

    #[test]
    fn numbers_are_readable() {
        assert_eq!(count(0), "0");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(short(12_345_678.0), "12.3 M");
        assert_eq!(short(1_500.0), "1,500");
        assert_eq!(short(7.0), "7");
        assert_eq!(percent(0.0004), "&lt; 0.1 %");
        assert_eq!(percent(0.123), "12 %");
    }

    #[test]
    fn shortening_keeps_characters_whole() {
        assert_eq!(shorten("日本語の文", 3), "日本語…");
        assert_eq!(shorten("日本", 3), "日本");
    }
}
