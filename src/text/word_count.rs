//! `word_count`: the length of a text in words.
//!
//! Punctuation, symbols and white space are no words; numbers are.

use arrow::datatypes::DataType;

use super::segment;
use crate::error::Result;
use crate::function::{Arg, Family, Function, Row, Signature, Value};

/// `word_count(text)`.
pub const WORD_COUNT: Function = Function {
    signature: Signature {
        name: "word_count",
        family: Family::Text,
        args: &[Arg::text("text")],
        returns: || DataType::UInt64,
        doc: "The number of words (UAX #29; by dictionary in Chinese, Japanese, Thai, Khmer, Lao \
              and Burmese).",
        examples: &[
            ("word_count('Not one, but 2 words.')", "5"),
            ("word_count('ภาษาไทย')", "2"),
            ("word_count('我喜欢猫。')", "3"),
            ("word_count('Съешь ещё этих булок')", "4"),
        ],
        version: 1,
    },
    body: call,
};

/// The number of words in a text.
pub fn word_count(text: &str) -> usize {
    segment::words(text).count()
}

fn call(args: &[Value<'_>], out: &mut Row<'_>) -> Result<()> {
    out.uint(word_count(args[0].text().unwrap_or_default()) as u64);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::word_count;

    #[test]
    fn words_are_counted_in_every_script() {
        for (text, n) in [("", 0), ("…", 0), ("Bé - na", 2), ("ውሃ ነው።", 2), ("東京に住む", 3)]
        {
            assert_eq!(word_count(text), n, "{text}");
        }
    }
}
