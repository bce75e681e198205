//! `normalize_text`: Unicode normal forms (UAX #15).
//!
//! No case folding, no removal of accents, no mending of mojibake.

use std::borrow::Cow;

use arrow::datatypes::DataType;
use unicode_normalization::{IsNormalized, is_nfkc_quick, is_nfkd_quick};
use unicode_normalization::{UnicodeNormalization, is_nfc_quick, is_nfd_quick};

use crate::error::{Error, Result};
use crate::function::{Arg, Family, Function, Row, Signature, Value};

/// The names of the normal forms.
pub const FORMS: &[&str] = &["nfc", "nfd", "nfkc", "nfkd"];

/// `normalize_text(text, form)`.
pub const NORMALIZE_TEXT: Function = Function {
    signature: Signature {
        name: "normalize_text",
        family: Family::Text,
        args: &[Arg::text("text"), Arg::text("form")],
        returns: || DataType::Utf8,
        doc: "The text in a Unicode normal form (UAX #15): `nfc`, `nfd`, `nfkc` or `nfkd`.",
        examples: &[
            ("normalize_text('Ａｂｃ ½', 'nfkc')", "Abc 1⁄2"),
            ("normalize_text('ｶﾞｷﾞ', 'nfkc')", "ガギ"),
            ("char_count(normalize_text('한국', 'nfd'))", "6"),
        ],
        version: 1,
    },
    body: call,
};

/// The text in a normal form, borrowed when it is in that form already.
///
/// Errors for a form that is not one of [`FORMS`].
pub fn normalize_text<'t>(text: &'t str, form: &str) -> Result<Cow<'t, str>> {
    // ASCII is in every normal form.
    let quick = match form {
        _ if text.is_ascii() && FORMS.contains(&form) => IsNormalized::Yes,
        "nfc" => is_nfc_quick(text.chars()),
        "nfd" => is_nfd_quick(text.chars()),
        "nfkc" => is_nfkc_quick(text.chars()),
        "nfkd" => is_nfkd_quick(text.chars()),
        _ => return Err(Error::unknown("normal form", form, FORMS.iter().copied())),
    };
    if quick == IsNormalized::Yes {
        return Ok(Cow::Borrowed(text));
    }
    Ok(Cow::Owned(match form {
        "nfc" => text.nfc().collect(),
        "nfd" => text.nfd().collect(),
        "nfkc" => text.nfkc().collect(),
        _ => text.nfkd().collect(),
    }))
}

fn call(args: &[Value<'_>], out: &mut Row<'_>) -> Result<()> {
    let (text, form) = (args[0].text().unwrap_or_default(), args[1].text().unwrap_or_default());
    out.text(&*normalize_text(text, form)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_compose_and_decompose() {
        assert_eq!(normalize_text("e\u{301}", "nfc").unwrap(), "é");
        assert_eq!(normalize_text("é", "nfd").unwrap(), "e\u{301}");
        assert_eq!(normalize_text("ﬁ", "nfc").unwrap(), "ﬁ");
        assert_eq!(normalize_text("ﬁ", "nfkd").unwrap(), "fi");
        assert_eq!(normalize_text("क़", "nfc").unwrap(), "क\u{93c}");
        assert_eq!(normalize_text("각", "nfd").unwrap().chars().count(), 3);
    }

    #[test]
    fn an_unknown_form_is_named() {
        let error = normalize_text("a", "nkfc").unwrap_err();
        assert!(error.to_string().starts_with("unknown normal form `nkfc`"));
        assert!(error.hint().is_some());
    }
}
