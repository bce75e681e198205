//! `words`: the words of a text as a list.
//!
//! As they stand: no case folding, no stemming.

use arrow::datatypes::DataType;

use super::segment;
use crate::error::Result;
use crate::function::{Arg, Family, Function, Row, Signature, Type, Value, list_of};

/// `words(text, lang)`.
pub const WORDS: Function = Function {
    signature: Signature {
        name: "words",
        family: Family::Text,
        args: &[
            Arg::text("text"),
            Arg::optional("lang", Type::Text, "the rules that hold for all languages"),
        ],
        returns: || list_of(DataType::Utf8),
        doc: "The words of the text in their order (UAX #29; by dictionary in Chinese, Japanese, \
              Thai, Khmer, Lao and Burmese); in Finnish and Swedish a colon may stand inside a \
              word.",
        examples: &[
            ("words('Þetta er köttur.')", "[Þetta, er, köttur]"),
            ("words('我喜欢猫。')", "[我, 喜欢, 猫]"),
            ("words('EU:n lait', 'fi')", "[EU:n, lait]"),
        ],
        version: 1,
    },
    body: call,
};

/// The words of a text in a language, named by a code in any form.
pub fn words<'t>(text: &'t str, lang: Option<&str>) -> Vec<&'t str> {
    segment::words_in(text, lang).collect()
}

fn call(args: &[Value<'_>], out: &mut Row<'_>) -> Result<()> {
    out.texts(segment::words_in(args[0].text().unwrap_or_default(), args[1].text()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn words_stand_as_written() {
        assert_eq!(words("Ἐν ἀρχῇ ἦν", None), ["Ἐν", "ἀρχῇ", "ἦν"]);
        assert_eq!(words("ဗမာစာ", None).concat(), "ဗမာစာ");
        assert!(words("—", None).is_empty());
    }
}
