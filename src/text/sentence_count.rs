//! `sentence_count`: the length of a text in sentences.
//!
//! By rule alone: an abbreviation before a capital ends a sentence, and Thai, which marks no
//! sentence ends, has one sentence a paragraph.

use arrow::datatypes::DataType;

use super::segment;
use crate::error::Result;
use crate::function::{Arg, Family, Function, Row, Signature, Value};

/// `sentence_count(text)`.
pub const SENTENCE_COUNT: Function = Function {
    signature: Signature {
        name: "sentence_count",
        family: Family::Text,
        args: &[Arg::text("text")],
        returns: || DataType::UInt64,
        doc: "The number of sentences (UAX #29), those of white space alone not counted.",
        examples: &[
            ("sentence_count('One. Two? Three')", "3"),
            ("sentence_count('मैं आया। मैंने देखा।')", "2"),
            ("sentence_count('来た。見た。勝った。')", "3"),
        ],
        version: 1,
    },
    body: call,
};

/// The number of sentences in a text.
pub fn sentence_count(text: &str) -> usize {
    segment::sentences(text).count()
}

fn call(args: &[Value<'_>], out: &mut Row<'_>) -> Result<()> {
    out.uint(sentence_count(args[0].text().unwrap_or_default()) as u64);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::sentence_count;

    #[test]
    fn sentences_are_counted_in_every_script() {
        assert_eq!(sentence_count("Да. Нет! Может быть…"), 3);
        assert_eq!(sentence_count("ماذا؟ نعم."), 2);
        assert_eq!(sentence_count("ไม่มีจุด"), 1);
        assert_eq!(sentence_count(" \n\t"), 0);
    }
}
