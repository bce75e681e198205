//! `detect_lang`: the language a text is measured to be in.
//!
//! Neither a declared language nor a threshold: those belong to the tables and queries.

use arrow::datatypes::DataType;

use super::tag::Tag;
use super::{ngram, script, whatlang};
use crate::error::{Error, Result};
use crate::function::{Arg, Family, Function, Row, Signature, Type, Value, struct_of};

/// A model that needs no file.
pub struct Model {
    /// The name it is asked for by.
    pub name: &'static str,
    /// The label of a text with letters, of which most are of the given script.
    pub detect: fn(text: &str, script: &'static str) -> Detected,
    /// The likeliest languages of such a text with their probabilities, so many at most and the
    /// best first.
    pub rank: fn(text: &str, script: &'static str, most: usize) -> Vec<(Tag, f64)>,
    /// Whether it can answer the language of a tag.
    pub knows: fn(tag: &str) -> bool,
}

/// The models, the default first.
pub const MODELS: &[Model] = &[
    Model {
        name: "whatlang",
        detect: whatlang::detect,
        rank: whatlang::rank,
        knows: whatlang::knows,
    },
    Model { name: "hexapla", detect: ngram::detect, rank: ngram::rank, knows: ngram::knows },
];

/// A measured language.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Detected {
    /// The language; `None` when the model knows none that fits.
    pub tag: Option<Tag>,
    /// The script of the tag, else that of most letters; `None` without letters.
    pub script: Option<&'static str>,
    /// The model's confidence in [0, 1]; 0 without a language.
    pub score: f64,
    /// Whether the model calls its own answer reliable.
    pub reliable: bool,
}

/// `detect_lang(text, model)`.
pub const DETECT_LANG: Function = Function {
    signature: Signature {
        name: "detect_lang",
        family: Family::Language,
        args: &[Arg::text("text"), Arg::optional("model", Type::Text, "`whatlang`")],
        returns: || {
            struct_of(&[
                ("lang", DataType::Utf8),
                ("script", DataType::Utf8),
                ("score", DataType::Float64),
                ("reliable", DataType::Boolean),
            ])
        },
        doc: "The language of the text as a tag such as `deu_Latn`, its script, the model's \
              confidence in [0, 1], and whether the model calls that reliable; without letters, \
              or in no language the model knows, `lang` is null and `score` 0.",
        examples: &[
            (
                "detect_lang('Ich weiß nicht, was soll es bedeuten, daß ich so traurig bin')['lang']",
                "deu_Latn",
            ),
            ("detect_lang('Съешь ещё этих мягких французских булок')['lang']", "rus_Cyrl"),
            ("detect_lang('這是一個關於語言的問題')['lang']", "cmn_Hant"),
            ("detect_lang('吾輩は猫である。名前はまだ無い。', 'whatlang')['script']", "Jpan"),
            ("detect_lang('Hvað er klukkan núna í Reykjavík?', 'hexapla')['lang']", "isl_Latn"),
            ("detect_lang('12:30')['score']", "0.0"),
        ],
        version: 1,
    },
    body: call,
};

/// The language of a text by one of [`MODELS`], `whatlang` unless one is named.
///
/// Errors for an unknown model.
///
/// ```
/// use hexapla::identify::detect_lang::detect_lang;
/// let detected = detect_lang("Быть или не быть, вот в чём вопрос", None)?;
/// assert_eq!(detected.tag.map(|t| t.to_string()), Some("rus_Cyrl".into()));
/// # Ok::<(), hexapla::error::Error>(())
/// ```
pub fn detect_lang(text: &str, model: Option<&str>) -> Result<Detected> {
    let model = named(model.unwrap_or(MODELS[0].name))?;
    Ok(match script::script(text) {
        Some(script) => (model.detect)(text, script),
        None => Detected { tag: None, script: None, score: 0.0, reliable: false },
    })
}

/// The model of a name. Errors for an unknown one.
pub(super) fn named(name: &str) -> Result<&'static Model> {
    let found = MODELS.iter().find(|m| m.name == name);
    found.ok_or_else(|| Error::unknown("model", name, MODELS.iter().map(|m| m.name)))
}

fn call(args: &[Value<'_>], out: &mut Row<'_>) -> Result<()> {
    write(&detect_lang(args[0].text().unwrap_or_default(), args[1].text())?, out);
    Ok(())
}

/// Writes the cells of a measured language.
pub fn write(detected: &Detected, out: &mut Row<'_>) {
    out.text(detected.tag.map(|t| t.to_string()).as_deref());
    out.text(detected.script);
    out.float(detected.score);
    out.bool(detected.reliable);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<String> {
        detect_lang(text, None).unwrap().tag.map(|t| t.to_string())
    }

    #[test]
    fn languages_of_many_scripts() {
        for (text, tag) in [
            ("Der Hund schläft unter dem Tisch, weil es draußen regnet.", "deu_Latn"),
            ("Собака спит под столом, потому что на улице идёт дождь.", "rus_Cyrl"),
            ("ينام الكلب تحت الطاولة لأن المطر يهطل في الخارج اليوم.", "arb_Arab"),
            ("कुत्ता मेज़ के नीचे सो रहा है क्योंकि बाहर बारिश हो रही है।", "hin_Deva"),
            ("สุนัขนอนอยู่ใต้โต๊ะเพราะข้างนอกฝนตก", "tha_Thai"),
            ("外面下雨，所以狗在桌子底下睡觉。", "cmn_Hans"),
            ("外面下雨，所以狗在桌子底下睡覺。", "cmn_Hant"),
            ("外は雨なので、犬はテーブルの下で寝ています。", "jpn_Jpan"),
            ("밖에 비가 와서 개가 탁자 밑에서 자고 있어요.", "kor_Hang"),
            ("Koer magab laua all, sest õues sajab vihma ja on külm.", "ekk_Latn"),
            ("კატა მაგიდის ქვეშ სძინავს", "kat_Geor"),
            ("Быть или не быть, вот в чём вопрос", "rus_Cyrl"),
        ] {
            assert_eq!(of(text).as_deref(), Some(tag), "{text}");
        }
    }

    #[test]
    fn nothing_to_tell_gives_no_language() {
        for text in ["", " \n", "12:30 — 😀"] {
            let detected = detect_lang(text, None).unwrap();
            assert_eq!((detected.tag, detected.script, detected.score), (None, None, 0.0));
        }
        // Latin letters are more than those of any one Japanese script, but not of all.
        assert_eq!(of("東京タワーから abcdef を見る").as_deref(), Some("jpn_Jpan"));
        let lao = detect_lang("ຂ້ອຍບໍ່ຮູ້ abc", None).unwrap();
        assert_eq!((lao.tag, lao.script, lao.reliable), (None, Some("Laoo"), false));
    }

    #[test]
    fn an_unknown_model_is_named() {
        let error = detect_lang("text", Some("whatlan")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown model `whatlan`; expected one of: whatlang, hexapla"
        );
    }
}
