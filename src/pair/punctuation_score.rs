//! `punctuation_score`: whether both sides end their sentences alike.
//!
//! OpusFilter's `TerminalPunctuationFilter`. Its marks are those of the Latin script; with
//! `'unicode'` the marks of all scripts count, which is fairer to pairs such as English and Chinese.

use arrow::datatypes::DataType;
use icu_properties::CodePointSetData;
use icu_properties::props::SentenceTerminal;

use crate::error::{Error, Result};
use crate::function::{Arg, Family, Function, Row, Signature, Type, Value};

/// `punctuation_score(src, tgt [, marks])`.
pub const PUNCTUATION_SCORE: Function = Function {
    signature: Signature {
        name: "punctuation_score",
        family: Family::Pair,
        args: &[
            Arg::text("src"),
            Arg::text("tgt"),
            Arg::optional("marks", Type::Text, "'opusfilter': `.`, `?`, `!` and `…`"),
        ],
        returns: || DataType::Float64,
        doc: "-ln(|s - t| + max(0, s - 1) + max(0, t - 1) + 1) of the numbers s and t of sentence-ending \
              marks on each side (OpusFilter's TerminalPunctuation): 0 when they agree and are at most \
              one, less the more they differ or the more there are. `marks` is 'opusfilter' or \
              'unicode' (Sentence_Terminal and the ellipsis).",
        examples: &[
            ("punctuation_score('Hvað er að?', 'What is wrong?')", "0.0"),
            ("punctuation_score('Já. Nei.', 'Yes no') = -ln(4.0)", "true"),
            ("punctuation_score('你好。', 'Hello.') = -ln(2.0)", "true"),
            ("punctuation_score('你好。', 'Hello.', 'unicode')", "0.0"),
            ("punctuation_score('ما هذا؟', 'यह क्या है।', 'unicode')", "0.0"),
        ],
        version: 1,
    },
    body: call,
};

fn call(args: &[Value<'_>], out: &mut Row<'_>) -> Result<()> {
    let (Some(src), Some(tgt)) = (args[0].text(), args[1].text()) else {
        out.null();
        return Ok(());
    };
    let is_mark: fn(char) -> bool = match args[2].text() {
        None | Some("opusfilter") => |c| matches!(c, '.' | '?' | '!' | '…'),
        Some("unicode") => |c| c == '…' || CodePointSetData::new::<SentenceTerminal>().contains(c),
        Some(other) => return Err(Error::unknown("marks", other, ["opusfilter", "unicode"])),
    };
    let count = |text: &str| text.chars().filter(|c| is_mark(*c)).count();
    out.float(punctuation_score(count(src), count(tgt)));
    Ok(())
}

/// The score of two numbers of sentence-ending marks.
pub fn punctuation_score(src: usize, tgt: usize) -> f64 {
    let penalty = src.abs_diff(tgt) + src.saturating_sub(1) + tgt.saturating_sub(1);
    // 0 and not -0 for a perfect pair.
    if penalty == 0 { 0.0 } else { -((penalty + 1) as f64).ln() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_formula_is_that_of_opusfilter() {
        assert_eq!(punctuation_score(0, 0).to_bits(), 0.0f64.to_bits());
        assert_eq!(punctuation_score(1, 1), 0.0);
        assert_eq!(punctuation_score(0, 1), -(2.0f64.ln()));
        assert_eq!(punctuation_score(3, 1), -(5.0f64.ln()));
        assert_eq!(punctuation_score(1, 3), -(5.0f64.ln()));
    }
}
