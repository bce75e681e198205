//! `script_match`: whether both sides are written in the scripts of their languages.
//!
//! Counts letters; says nothing about the language itself, see `lang_match`.

use arrow::datatypes::DataType;
use icu_properties::props::Script;
use icu_properties::{CodePointMapData, PropertyParser};

use crate::error::Result;
use crate::function::{Arg, Family, Function, Row, Signature, Value};
use crate::identify::script::is_letter;
use crate::identify::tag::{self, Tag};

/// `script_match(src, tgt, src_lang, tgt_lang)`.
pub const SCRIPT_MATCH: Function = Function {
    signature: Signature {
        name: "script_match",
        family: Family::Pair,
        args: &[Arg::text("src"), Arg::text("tgt"), Arg::text("src_lang"), Arg::text("tgt_lang")],
        returns: || DataType::Float64,
        doc: "Share of letters in the script of the declared language, on the side where it is lower, \
              in 0 to 1; a side without letters counts as 1; null when a language code is unknown.",
        examples: &[
            ("script_match('Halló heimur', 'Привет, мир', 'isl_Latn', 'rus_Cyrl')", "1.0"),
            ("script_match('Halló heimur', 'Privet', 'isl_Latn', 'rus_Cyrl')", "0.0"),
            ("script_match('東京タワー', 'ab वि', 'jpn_Jpan', 'hin_Deva')", "0.3333333333333333"),
            ("script_match('12:30', '١٢:٣٠', 'eng_Latn', 'arb_Arab')", "1.0"),
        ],
        version: 1,
    },
    body: call,
};

fn call(args: &[Value<'_>], out: &mut Row<'_>) -> Result<()> {
    let side = |text: usize, lang: usize| {
        let tag = args[lang].text().and_then(tag::find)?;
        Some(share(args[text].text()?, tag))
    };
    match (side(0, 2), side(1, 3)) {
        (Some(src), Some(tgt)) => out.float(src.min(tgt)),
        _ => out.null(),
    }
    Ok(())
}

/// The share of a text's letters that are of the script of a tag; 1 without letters. Letters that
/// several scripts share, such as `ー`, are counted with neither.
pub fn share(text: &str, tag: Tag) -> f64 {
    let scripts = scripts(tag.script);
    let map = CodePointMapData::<Script>::new();
    let (mut own, mut all) = (0u64, 0u64);
    for c in text.chars().filter(|c| is_letter(*c)) {
        let script = map.get(c);
        if !matches!(script, Script::Common | Script::Inherited) {
            all += 1;
            own += u64::from(scripts.contains(&Some(script)));
        }
    }
    if all == 0 { 1.0 } else { own as f64 / all as f64 }
}

/// The scripts of Unicode that a code of ISO 15924 stands for.
pub fn scripts(code: &str) -> [Option<Script>; 3] {
    // As numbers, since this is asked of every row.
    let Ok(name) = <[u8; 4]>::try_from(code.as_bytes()) else { return [None; 3] };
    match &name {
        b"Latn" => [Some(Script::Latin), None, None],
        b"Cyrl" => [Some(Script::Cyrillic), None, None],
        b"Arab" => [Some(Script::Arabic), None, None],
        b"Hani" | b"Hans" | b"Hant" => [Some(Script::Han), Some(Script::Bopomofo), None],
        b"Jpan" => [Some(Script::Han), Some(Script::Hiragana), Some(Script::Katakana)],
        b"Hang" | b"Kore" => [Some(Script::Hangul), Some(Script::Han), None],
        b"Hrkt" => [Some(Script::Hiragana), Some(Script::Katakana), None],
        _ => [PropertyParser::<Script>::new().get_strict(code), None, None],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, code: &str) -> f64 {
        share(text, tag::find(code).unwrap())
    }

    #[test]
    fn letters_alone_are_counted() {
        assert_eq!(of("Það, 3 «кот»", "isl_Latn"), 0.5);
        assert_eq!(of("서울 大韓民國", "kor_Hang"), 1.0);
        assert_eq!(of("漢字カナかな", "jpn_Jpan"), 1.0);
        assert_eq!(of("漢字かな漢", "cmn_Hant"), 0.6);
        assert_eq!(of("नमस्ते", "hin_Deva"), 1.0);
        assert_eq!(of("", "tha_Thai"), 1.0);
    }
}
