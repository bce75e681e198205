//! `lang_known`: whether a model can give an answer at all.
//!
//! A label contradicts a declared language only when the model could have confirmed it: whatlang
//! calls every Icelandic text something else, with confidence.

use arrow::datatypes::DataType;

use super::detect_lang::{MODELS, named};
use crate::error::Result;
use crate::function::{Arg, Family, Function, Row, Signature, Type, Value};

/// `lang_known(lang, model)`.
pub const LANG_KNOWN: Function = Function {
    signature: Signature {
        name: "lang_known",
        family: Family::Language,
        args: &[Arg::text("lang"), Arg::optional("model", Type::Text, "`whatlang`")],
        returns: || DataType::Boolean,
        doc: "Whether `detect_lang` with this model can answer this language, given as a tag such \
              as `deu_Latn`.",
        examples: &[
            ("lang_known('deu_Latn')", "true"),
            ("lang_known('isl_Latn')", "false"),
            ("lang_known('cmn_Hant', 'whatlang')", "true"),
        ],
        version: 1,
    },
    body: |args: &[Value<'_>], out: &mut Row<'_>| {
        out.bool(lang_known(args[0].text().unwrap_or_default(), args[1].text())?);
        Ok(())
    },
};

/// Whether a model, `whatlang` unless one is named, can answer the language of a tag.
///
/// Errors for an unknown model.
pub fn lang_known(tag: &str, model: Option<&str>) -> Result<bool> {
    Ok((named(model.unwrap_or(MODELS[0].name))?.knows)(tag))
}
