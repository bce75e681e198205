//! `lang_match`: whether both sides are in the languages that they are declared to be in.
//!
//! By `detect_lang`, with its weaknesses: the shorter the text, the less it means.

use arrow::datatypes::DataType;

use crate::error::Result;
use crate::function::{Arg, Family, Function, Row, Signature, Type, Value};
use crate::identify::detect_lang::detect_lang;
use crate::identify::script::is_letter;
use crate::identify::tag::{self, Tag};

/// `lang_match(src, tgt, src_lang, tgt_lang [, model])`.
pub const LANG_MATCH: Function = Function {
    signature: Signature {
        name: "lang_match",
        family: Family::Pair,
        args: &[
            Arg::text("src"),
            Arg::text("tgt"),
            Arg::text("src_lang"),
            Arg::text("tgt_lang"),
            Arg::optional("model", Type::Text, "`whatlang`"),
        ],
        returns: || DataType::Float64,
        doc: "The confidence of detect_lang in the declared language, on the side where it is lower, \
              in 0 to 1; 0 when it finds another language, 1 for a side without letters; null when \
              the model does not know a declared language.",
        examples: &[
            (
                "lang_match('Der Hund schläft unter dem Tisch, weil es draußen regnet.', \
                 'Собака спит под столом, потому что на улице идёт дождь.', 'deu_Latn', 'rus_Cyrl') \
                 > 0.9",
                "true",
            ),
            (
                "lang_match('Der Hund schläft unter dem Tisch, weil es draußen regnet.', \
                 'Собака спит под столом, потому что на улице идёт дождь.', 'rus_Cyrl', 'deu_Latn')",
                "0.0",
            ),
            ("lang_match('12:30', '', 'deu_Latn', 'tha_Thai')", "1.0"),
            ("lang_match('Mbwa analala', 'สุนัขนอนอยู่', 'swh_Latn', 'tha_Thai') IS NULL", "true"),
        ],
        version: 1,
    },
    body: call,
};

fn call(args: &[Value<'_>], out: &mut Row<'_>) -> Result<()> {
    let model = args[4].text();
    let mut lower = Some(1.0f64);
    for (text, lang) in [(0, 2), (1, 3)] {
        let side = match args[lang].text().and_then(tag::find) {
            Some(tag) => confidence(args[text].text().unwrap_or_default(), tag, model)?,
            None => None,
        };
        lower = lower.zip(side).map(|(a, b)| a.min(b));
    }
    out.float(lower);
    Ok(())
}

/// A model's confidence that a text is in a language: 0 when it finds another, 1 without letters,
/// `None` when it does not know the language. Errors for an unknown model.
pub fn confidence(text: &str, declared: Tag, model: Option<&str>) -> Result<Option<f64>> {
    let detected = detect_lang(text, model)?;
    if !knows(model, declared) {
        return Ok(None);
    }
    if !text.chars().any(is_letter) {
        return Ok(Some(1.0));
    }
    let same = detected.tag.is_some_and(|found| {
        found.code == declared.code && tag::script_agrees(declared.script, found.script)
    });
    Ok(Some(if same { detected.score } else { 0.0 }))
}

/// Whether a model has a label for a language. One that has not would call its text something else.
fn knows(model: Option<&str>, declared: Tag) -> bool {
    match model {
        None | Some("whatlang") => whatlang::Lang::all()
            .iter()
            .any(|l| tag::find(l.code()).is_some_and(|t| t.code == declared.code)),
        Some(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, code: &str) -> Option<f64> {
        confidence(text, tag::find(code).unwrap(), None).unwrap()
    }

    #[test]
    fn the_declared_language_is_believed_or_not() {
        let german = "Der Hund schläft unter dem Tisch, weil es draußen regnet.";
        assert!(of(german, "deu_Latn").unwrap() > 0.5);
        assert_eq!(of(german, "fra_Latn"), Some(0.0));
        assert_eq!(of(german, "isl_Latn"), None);
        assert_eq!(of("2024 — 25", "jpn_Jpan"), Some(1.0));
    }

    #[test]
    fn an_unknown_model_is_an_error() {
        let declared = tag::find("deu").unwrap();
        assert!(confidence("ja", declared, Some("fasttex")).is_err());
    }
}
