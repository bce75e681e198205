//! `fineweb_quality`: FineWeb's own rules (arXiv 2406.17557, section 3.5).
//!
//! As datatrove's `FineWebQualityFilter` orders, counts and names them, with the share of
//! duplicated characters at the code's 0.01; the paper says 0.1.

use arrow::datatypes::DataType;

use super::python::strip;
use super::repeats::duplicates;
use super::verdict::{self, Profile, first_broken, is_terminal, ratio};
use crate::error::Result;
use crate::function::{Family, Function, Row, Signature, Value};
use crate::text::segment;

const MIN_TERMINAL_RATIO: f64 = 0.12;
const SHORT_LINE_CHARS: usize = 30;
const MAX_SHORT_RATIO: f64 = 0.67;
const MAX_DUP_CHARS: f64 = 0.01;
const MAX_LINE_FEEDS: f64 = 0.3;

/// `fineweb_quality(text, lang, profile)`.
pub const FINEWEB_QUALITY: Function = Function {
    signature: Signature {
        name: "fineweb_quality",
        family: Family::Measure,
        args: verdict::ARGS,
        returns: || {
            verdict::verdict_of(&[
                ("n_lines", DataType::UInt64),
                ("line_punct_ratio", DataType::Float64),
                ("short_line_ratio", DataType::Float64),
                ("char_dup_ratio", DataType::Float64),
                ("list_ratio", DataType::Float64),
            ])
        },
        doc: "FineWeb's rules (arXiv 2406.17557) as datatrove applies them: whether all hold, the \
              first that does not, the lines that are not blank, the shares of those that end a \
              sentence and that are short, the share of duplicated characters, and line feeds \
              per token.",
        examples: &[
            ("fineweb_quality(' ')['reason']", "empty"),
            ("fineweb_quality('a line with no end mark')['reason']", "line_punct_ratio"),
            ("fineweb_quality('वह घर गया।')['reason']", "short_line_ratio"),
            ("fineweb_quality('Собака спала под большим круглым столом.')['keep']", "true"),
        ],
        version: 1,
    },
    body: call,
};

/// The numbers of the rules and the first one broken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FinewebQuality {
    /// The first broken rule, by datatrove's name; `None` when all hold.
    pub reason: Option<&'static str>,
    /// Lines that are not blank.
    pub n_lines: usize,
    /// Share of those that end with a mark of the end of a sentence, in any script.
    pub line_punct_ratio: f64,
    /// Share of those of at most 30 code points.
    pub short_line_ratio: f64,
    /// Code points of their second and later occurrences, by those of the text without line feeds.
    pub char_dup_ratio: f64,
    /// Line feeds per token.
    pub list_ratio: f64,
}

/// FineWeb's rules over a text in a language, named by a code in any form.
pub fn fineweb_quality(text: &str, lang: Option<&str>, profile: Profile) -> FinewebQuality {
    let Profile::Datatrove = profile;
    let lines: Vec<&str> = text.split('\n').filter(|line| !strip(line).is_empty()).collect();
    let n_lines = lines.len();
    let line_feeds = text.matches('\n').count();
    let ended = lines.iter().filter(|line| line.ends_with(is_terminal)).count();
    let short = lines.iter().filter(|line| line.chars().count() <= SHORT_LINE_CHARS).count();
    let (_, dup_chars) = duplicates(lines);
    let mut quality = FinewebQuality {
        reason: None,
        n_lines,
        line_punct_ratio: ratio(ended, n_lines),
        short_line_ratio: ratio(short, n_lines),
        char_dup_ratio: ratio(dup_chars, text.chars().count() - line_feeds),
        list_ratio: ratio(line_feeds, segment::tokens_in(text, lang).count()),
    };
    quality.reason = first_broken(&[
        (n_lines == 0, "empty"),
        (quality.line_punct_ratio < MIN_TERMINAL_RATIO, "line_punct_ratio"),
        (quality.short_line_ratio > MAX_SHORT_RATIO, "short_line_ratio"),
        (quality.char_dup_ratio > MAX_DUP_CHARS, "char_dup_ratio"),
        (quality.list_ratio > MAX_LINE_FEEDS, "list_ratio"),
    ]);
    quality
}

fn call(args: &[Value<'_>], out: &mut Row<'_>) -> Result<()> {
    let profile = Profile::named(args[2].text())?;
    let quality = fineweb_quality(args[0].text().unwrap_or_default(), args[1].text(), profile);
    out.bool(quality.reason.is_none());
    out.text(quality.reason);
    out.uint(quality.n_lines as u64);
    out.float(quality.line_punct_ratio);
    out.float(quality.short_line_ratio);
    out.float(quality.char_dup_ratio);
    out.float(quality.list_ratio);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(text: &str) -> Option<&'static str> {
        fineweb_quality(text, None, Profile::Datatrove).reason
    }

    #[test]
    fn each_rule_has_its_reason() {
        assert_eq!(reason(" \n\t\n"), Some("empty"));
        assert_eq!(
            reason("Надпись без точки в конце этой длинной строки"),
            Some("line_punct_ratio")
        );
        assert_eq!(reason("कम।"), Some("short_line_ratio"));
        let line = "ينام الكلب الكبير تحت الطاولة القديمة في البيت.";
        assert_eq!(reason(&format!("{line}\n{line}")), Some("char_dup_ratio"));
        assert_eq!(reason(&format!("{line}{}", "\n".repeat(9))), Some("list_ratio"));
        assert_eq!(reason(line), None);
    }

    #[test]
    fn lines_end_at_line_feeds_alone() {
        let quality = fineweb_quality("ဟုတ်ကဲ့။\r\nဟုတ်။\u{85}", None, Profile::Datatrove);
        assert_eq!((quality.n_lines, quality.line_punct_ratio), (2, 0.0));
    }
}
