//! `content_key`: equal for texts that differ in nothing a reader would call content.
//!
//! Two texts have the same key when they are equal after: Unicode NFKC; lower case, character by
//! character, with final `ς` as `σ`; every run of white space as one space, none at the ends.
//! Punctuation, accents and digits count: that is what near duplicates are for.

use super::fold;
use crate::function::{Arg, Family, Function, Row, Signature, Type, Value};
use crate::{error::Result, id};
use arrow::datatypes::DataType;

/// `content_key(text [, text2])`.
pub const CONTENT_KEY: Function = Function {
    signature: Signature {
        name: "content_key",
        family: Family::Identity,
        args: &[Arg::text("text"), Arg::optional("text2", Type::Text, "the key is of one text")],
        returns: || DataType::Utf8,
        doc: "128 bits as 32 hexadecimal digits that are equal for equal content: xxh3 of the text \
              after NFKC, lower case and white space collapsed to single spaces; of a pair when a \
              second text is given.",
        examples: &[
            ("content_key('Halló  heimur') = content_key(' HALLÓ\theimur')", "true"),
            ("content_key('ｶﾅ ①') = content_key('カナ 1')", "true"),
            ("content_key('Οδός') = content_key('ΟΔΌΣ')", "true"),
            ("content_key('नमस्ते', 'hello') = content_key('नमस्ते hello')", "false"),
            ("length(content_key('สวัสดี'))", "32"),
        ],
        version: 1,
    },
    body: call,
};

fn call(args: &[Value<'_>], out: &mut Row<'_>) -> Result<()> {
    let key = match (args[0].text(), args[1].text()) {
        (Some(text), None) => content_key(text),
        (Some(src), Some(tgt)) => pair_key(src, tgt),
        (None, _) => {
            out.null();
            return Ok(());
        }
    };
    out.text(id::hex128(key).as_str());
    Ok(())
}

/// The content key of one text.
pub fn content_key(text: &str) -> u128 {
    id::hash128(folded(text).as_bytes())
}

/// The content key of a pair. Folded text has no line break, so one separates the sides.
pub fn pair_key(src: &str, tgt: &str) -> u128 {
    let mut both = folded(src);
    both.push('\n');
    both.push_str(&folded(tgt));
    id::hash128(both.as_bytes())
}

/// The text that content keys and shingles are made of: NFKC, lower case, single spaces.
///
/// ```
/// assert_eq!(hexapla::dedup::content::folded("  ΟΔΌΣ\u{a0}ﬁn \n"), "οδόσ fin");
/// ```
pub fn folded(text: &str) -> String {
    fold::folded(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn content_is_what_a_reader_sees() {
        for (a, b) in [
            ("Þetta er  gott.", "þetta er gott. \n"),
            ("e\u{301}cole", "École"),
            ("ΣΊΣΥΦΟΣ", "Σίσυφος"),
            ("ＡＢＣ　１２", "abc 12"),
            ("مرحبا\u{a0}بكم", "مرحبا بكم"),
        ] {
            assert_eq!(content_key(a), content_key(b), "{a} / {b}");
        }
        for (a, b) in [("já.", "já"), ("resume", "résumé"), ("3 dagar", "4 dagar"), ("", "a")] {
            assert_ne!(content_key(a), content_key(b), "{a} / {b}");
        }
    }

    #[test]
    fn the_sides_of_a_pair_do_not_run_together() {
        assert_ne!(pair_key("a b", "c"), pair_key("a", "b c"));
        assert_ne!(pair_key("a", "b"), pair_key("b", "a"));
        assert_ne!(pair_key("a", ""), content_key("a"));
        assert_eq!(pair_key("A ", "\nб"), pair_key("a", "Б"));
    }

    proptest! {
        #[test]
        fn outer_and_repeated_white_space_never_counts(words in prop::collection::vec("\\w{1,6}", 0..6)) {
            let spaced = format!("\t{}\r\n", words.join(" \u{3000}\n"));
            prop_assert_eq!(content_key(&words.join(" ")), content_key(&spaced));
            prop_assert!(!folded(&spaced).contains('\n'));
        }
    }
}
