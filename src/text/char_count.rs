//! `char_count`: the length of a text in code points.
//!
//! Not in bytes, not in grapheme clusters.

use arrow::datatypes::DataType;

use crate::error::Result;
use crate::function::{Arg, Family, Function, Row, Signature, Value};

/// `char_count(text)`.
pub const CHAR_COUNT: Function = Function {
    signature: Signature {
        name: "char_count",
        family: Family::Text,
        args: &[Arg::text("text")],
        returns: || DataType::UInt64,
        doc: "The number of Unicode code points, as Python's `len`.",
        examples: &[
            ("char_count('köttur')", "6"),
            ("char_count('日本語')", "3"),
            ("char_count('हिन्दी')", "6"),
        ],
        version: 1,
    },
    body: call,
};

/// The number of code points in a text.
pub fn char_count(text: &str) -> usize {
    text.chars().count()
}

fn call(args: &[Value<'_>], out: &mut Row<'_>) -> Result<()> {
    out.uint(char_count(args[0].text().unwrap_or_default()) as u64);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::char_count;

    #[test]
    fn code_points_are_counted() {
        assert_eq!(char_count("e\u{301}"), 2);
        assert_eq!(char_count("ภาษา"), 4);
        assert_eq!(char_count("😀"), 1);
    }
}
