//! `length_ratio`: how much longer one side is than the other.

use arrow::datatypes::DataType;

use crate::error::Result;
use crate::function::{Arg, Family, Function, Row, Signature, Value};

/// `length_ratio(src, tgt)`.
pub const LENGTH_RATIO: Function = Function {
    signature: Signature {
        name: "length_ratio",
        family: Family::Pair,
        args: &[Arg::text("src"), Arg::text("tgt")],
        returns: || DataType::Float64,
        doc: "Characters of the longer side over those of the shorter, at least 1; 1 when both are \
              empty, infinite when one is. White space at the ends does not count.",
        examples: &[
            ("length_ratio('Bók', 'a book')", "2.0"),
            ("length_ratio('你好吗', 'как дела ты')", "3.6666666666666665"),
            ("length_ratio('', '  ')", "1.0"),
            ("length_ratio('كتاب', '') > 1e300", "true"),
        ],
        version: 1,
    },
    body: call,
};

fn call(args: &[Value<'_>], out: &mut Row<'_>) -> Result<()> {
    match (args[0].text(), args[1].text()) {
        (Some(src), Some(tgt)) => out.float(length_ratio(src, tgt)),
        _ => out.null(),
    }
    Ok(())
}

/// Characters of the longer side over those of the shorter.
pub fn length_ratio(src: &str, tgt: &str) -> f64 {
    let (src, tgt) = (src.trim().chars().count(), tgt.trim().chars().count());
    match (src.min(tgt), src.max(tgt)) {
        (_, 0) => 1.0,
        (0, _) => f64::INFINITY,
        (shorter, longer) => longer as f64 / shorter as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_are_interchangeable_and_counted_in_characters() {
        assert_eq!(length_ratio("ab", "בית"), 1.5);
        assert_eq!(length_ratio("בית", "ab"), 1.5);
        assert_eq!(length_ratio("x", ""), f64::INFINITY);
        assert_eq!(length_ratio("", ""), 1.0);
    }
}
