//! `lang_tag`: any language code as hexapla's tag.
//!
//! Codes only: for the language of a text see `detect_lang`.

use arrow::datatypes::DataType;

use super::tag;
use crate::error::Result;
use crate::function::{Arg, Family, Function, Row, Signature, Value};

/// `lang_tag(code)`.
pub const LANG_TAG: Function = Function {
    signature: Signature {
        name: "lang_tag",
        family: Family::Language,
        args: &[Arg::text("code")],
        returns: || DataType::Utf8,
        doc: "The tag `iso639-3_Script` of an individual language, as in FLORES+, for a code of \
              ISO 639, BCP 47, a POSIX locale, FLORES or Wikipedia; null for an unknown code.",
        examples: &[
            ("lang_tag('de')", "deu_Latn"),
            ("lang_tag('zh-TW')", "cmn_Hant"),
            ("lang_tag('sr@latin')", "srp_Latn"),
            ("lang_tag('ara')", "arb_Arab"),
            ("lang_tag('hindi') IS NULL", "true"),
        ],
        version: 1,
    },
    body: call,
};

/// The tag of a language code as text, or `None` for an unknown code.
pub fn lang_tag(code: &str) -> Option<String> {
    tag::find(code).map(|tag| tag.to_string())
}

fn call(args: &[Value<'_>], out: &mut Row<'_>) -> Result<()> {
    out.text(lang_tag(args[0].text().unwrap_or_default()).as_deref());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::lang_tag;

    #[test]
    fn unknown_codes_have_no_tag() {
        assert_eq!(lang_tag("ne_NP").as_deref(), Some("npi_Deva"));
        assert_eq!(lang_tag("th").as_deref(), Some("tha_Thai"));
        assert_eq!(lang_tag("qqq"), None);
    }
}
