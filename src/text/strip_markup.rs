//! `strip_markup`: the plain text of wikitext, the markup of MediaWiki.
//!
//! The work is done in `wikitext`; HTML documents and Markdown are not meant.

use std::sync::LazyLock;

use arrow::datatypes::DataType;

use super::wikitext::{Namespaces, plain_text};
use crate::error::Result;
use crate::function::{Arg, Family, Function, Row, Signature, Value};

/// `strip_markup(text)`.
pub const STRIP_MARKUP: Function = Function {
    signature: Signature {
        name: "strip_markup",
        family: Family::Text,
        args: &[Arg::text("text")],
        returns: || DataType::Utf8,
        doc: "The plain text of wikitext, the markup of MediaWiki: labels of links, headings, list \
              items and paragraphs stay; templates, tables, references, media and categories go.",
        examples: &[
            (
                "strip_markup('''''''Αθήνα'''''' ({{lang|en|Athens}}) in [[Griechenland|Hellas]]<ref>x</ref>.')",
                "Αθήνα in Hellas.",
            ),
            ("strip_markup('[[ファイル:x.jpg|thumb|東]]{{仮}}[[東京都|東京]]&nbsp;は')", "東京 は"),
            ("strip_markup('no markup')", "no markup"),
        ],
        version: 1,
    },
    body: call,
};

static USUAL: LazyLock<Namespaces> = LazyLock::new(Namespaces::default);

fn call(args: &[Value<'_>], out: &mut Row<'_>) -> Result<()> {
    let text = args[0].text().unwrap_or_default();
    out.text(plain_text(text, &USUAL).as_str());
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Texts made of pieces of markup, whole and broken.
    fn wikitext() -> impl Strategy<Value = String> {
        const PIECES: &[&str] = &[
            "{{",
            "}}",
            "[[",
            "]]",
            "{|",
            "|}",
            "|",
            "\n",
            "\n\n",
            "==",
            "''",
            "'''",
            "<ref>",
            "</ref>",
            "<ref/>",
            "<!--",
            "-->",
            "<nowiki>",
            "</nowiki>",
            "<table>",
            "</table>",
            "<br>",
            "*",
            ":",
            "File:",
            "de:",
            "[http://a ",
            "]",
            "__NOTOC__",
            "__",
            "&amp;",
            "&#",
            "-{",
            "}-",
            "(",
            ")",
            ", ",
            " ",
            "ж",
            "東京",
            "a",
            "word.jpg",
            "{",
            "}",
            "[",
            "<",
            "\t",
        ];
        proptest::collection::vec(0..PIECES.len(), 0..60)
            .prop_map(|pieces| pieces.into_iter().map(|i| PIECES[i]).collect())
    }

    proptest! {
        #[test]
        fn any_text_becomes_a_text_that_is_no_longer(text in wikitext()) {
            let plain = plain_text(&text, &USUAL);
            prop_assert!(plain.len() <= text.len() * 2);
            prop_assert!(!plain.starts_with('\n') && !plain.ends_with(char::is_whitespace));
            prop_assert!(!plain.contains("\n\n\n"));
        }
    }

    #[test]
    fn text_without_markup_stays() {
        for text in ["Ọjọ́ kan, ó sì lọ.\n\nLẹ́yìn (náà) a + b < c.", "「東京」は、日本の首都。", ""]
        {
            assert_eq!(plain_text(text, &USUAL), text);
        }
    }
}
