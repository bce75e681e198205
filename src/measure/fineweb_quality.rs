//! `fineweb_quality`: FineWeb's own rules (arXiv 2406.17557, section 3.5).
//!
//! As datatrove's `FineWebQualityFilter` orders, counts and names them, with the share of
//! duplicated characters at the code's 0.01; the paper says 0.1.

use arrow::datatypes::DataType;

use super::python::strip;
use super::repeats::duplicates;
use super::tokens::tokens;
use super::verdict::{self, Profile, first_broken, is_terminal, ratio};
use crate::error::Result;
use crate::function::{Family, Function, Row, Signature, Value};

const SHORT_LINE_CHARS: usize = 30;

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
              per token. Profiles `hexapla` and `datatrove` are the same here.",
        examples: &[
            ("fineweb_quality(' ')['reason']", "empty"),
            ("fineweb_quality('a line with no end mark')['reason']", "line_punct_ratio"),
            ("fineweb_quality('वह घर गया।')['reason']", "short_line_ratio"),
            ("fineweb_quality('Собака спала под большим круглым столом.')['keep']", "true"),
        ],
        version: 3,
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

/// The bounds of the rules; all bounds are kept themselves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FinewebRules {
    /// Least share of lines that end a sentence.
    pub line_punct_ratio: f64,
    /// Largest share of short lines; `None` asks for nothing.
    pub short_line_ratio: Option<f64>,
    /// Largest share of duplicated code points.
    pub char_dup_ratio: f64,
    /// Most line feeds per token.
    pub list_ratio: f64,
}

impl FinewebRules {
    /// The default arguments of datatrove.
    pub const DATATROVE: Self = Self {
        line_punct_ratio: 0.12,
        short_line_ratio: Some(0.67),
        char_dup_ratio: 0.01,
        list_ratio: 0.3,
    };
}

/// FineWeb's rules over a text of so many tokens: words and punctuation.
pub fn fineweb_quality(text: &str, n_tokens: usize, rules: &FinewebRules) -> FinewebQuality {
    let (mut n_lines, mut line_feeds, mut ended, mut short) = (0, 0, 0, 0);
    let lines = text.split('\n').inspect(|_| line_feeds += 1).filter(|line| {
        let counts = !strip(line).is_empty();
        if counts {
            n_lines += 1;
            ended += usize::from(line.ends_with(is_terminal));
            short += usize::from(is_short(line));
        }
        counts
    });
    let dup_chars = duplicates(lines).later_chars;
    line_feeds -= 1;
    let quality = FinewebQuality {
        reason: None,
        n_lines,
        line_punct_ratio: ratio(ended, n_lines),
        short_line_ratio: ratio(short, n_lines),
        char_dup_ratio: ratio(dup_chars, text.chars().count() - line_feeds),
        list_ratio: ratio(line_feeds, n_tokens),
    };
    let reason = first_broken(&[
        (n_lines == 0, "empty"),
        (quality.line_punct_ratio < rules.line_punct_ratio, "line_punct_ratio"),
        (
            rules.short_line_ratio.is_some_and(|most| quality.short_line_ratio > most),
            "short_line_ratio",
        ),
        (quality.char_dup_ratio > rules.char_dup_ratio, "char_dup_ratio"),
        (quality.list_ratio > rules.list_ratio, "list_ratio"),
    ]);
    FinewebQuality { reason, ..quality }
}

/// Whether a line has at most 30 code points, which take at most 4 bytes each.
fn is_short(line: &str) -> bool {
    line.len() <= 4 * SHORT_LINE_CHARS && line.chars().count() <= SHORT_LINE_CHARS
}

/// The profiles, the default first.
const PROFILES: &[Profile] = &[Profile::Hexapla, Profile::Datatrove];

fn call(args: &[Value<'_>], out: &mut Row<'_>) -> Result<()> {
    Profile::named(args[2].text(), PROFILES)?;
    let (text, lang) = (args[0].text().unwrap_or_default(), args[1].text());
    let n_tokens = tokens(text, lang).len();
    write(&fineweb_quality(text, n_tokens, &FinewebRules::DATATROVE), out)
}

/// Writes the cells of one row.
pub fn write(quality: &FinewebQuality, out: &mut Row<'_>) -> Result<()> {
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

    fn of(text: &str) -> FinewebQuality {
        let n_tokens = tokens(text, None).len();
        fineweb_quality(text, n_tokens, &FinewebRules::DATATROVE)
    }

    fn reason(text: &str) -> Option<&'static str> {
        of(text).reason
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
        let quality = of("ဟုတ်ကဲ့။\r\nဟုတ်။\u{85}");
        assert_eq!((quality.n_lines, quality.line_punct_ratio), (2, 0.0));
    }
}
