//! `script`: the writing system that most letters of a text belong to.
//!
//! Not the script of a language, and no telling of simplified from traditional Chinese: Unicode
//! has one script for both (see `identify::hans`).

use arrow::datatypes::DataType;
use icu_properties::props::{GeneralCategory, GeneralCategoryGroup, Script};
use icu_properties::{CodePointMapData, CodePointMapDataBorrowed};
use icu_properties::{PropertyNamesShort, PropertyNamesShortBorrowed};
use icu_properties::{PropertyParser, PropertyParserBorrowed};

use crate::error::Result;
use crate::function::{Arg, Family, Function, Row, Signature, Value};

const SCRIPTS: CodePointMapDataBorrowed<'static, Script> = CodePointMapData::<Script>::new();
const CATEGORIES: CodePointMapDataBorrowed<'static, GeneralCategory> =
    CodePointMapData::<GeneralCategory>::new();
const NAMES: PropertyNamesShortBorrowed<'static, Script> = PropertyNamesShort::<Script>::new();
const PARSER: PropertyParserBorrowed<'static, Script> = PropertyParser::<Script>::new();

/// `script(text)`.
pub const SCRIPT: Function = Function {
    signature: Signature {
        name: "script",
        family: Family::Text,
        args: &[Arg::text("text")],
        returns: || DataType::Utf8,
        doc: "The ISO 15924 code of the script that most letters belong to, such as `Latn`; \
              `Jpan` for kana with or without Han, `Kore` for Hangul likewise, `Hani` for Han \
              alone; null without letters.",
        examples: &[
            ("script('Привет, world of миров')", "Cyrl"),
            ("script('नमस्ते')", "Deva"),
            ("script('東京に住む')", "Jpan"),
            ("script('北京')", "Hani"),
        ],
        version: 1,
    },
    body: call,
};

/// The ISO 15924 code of the script that most letters belong to; the one met first wins a tie.
///
/// Kana makes the Han around it Japanese when it is at least a tenth of both (whatever the Han
/// majority, as no other language writes kana), and Hangul makes it Korean likewise. `None`
/// without letters.
pub fn script(text: &str) -> Option<&'static str> {
    let mut counts: Vec<(Script, u64)> = Vec::new();
    for c in text.chars() {
        let script = match c {
            'a'..='z' | 'A'..='Z' => Script::Latin,
            '\0'..='\x7f' => continue,
            _ if is_letter(c) => SCRIPTS.get(c),
            _ => continue,
        };
        // Kana and Han merge below; kept apart here, the two kana as one.
        let script = if script == Script::Katakana { Script::Hiragana } else { script };
        if matches!(script, Script::Common | Script::Inherited | Script::Unknown) {
            continue;
        }
        match counts.iter_mut().find(|(s, _)| *s == script) {
            Some((_, n)) => *n += 1,
            None => counts.push((script, 1)),
        }
    }
    let count = |script| counts.iter().find(|(s, _)| *s == script).map_or(0, |(_, n)| *n);
    let (han, kana, hangul) = (count(Script::Han), count(Script::Hiragana), count(Script::Hangul));
    let east = han + kana + hangul;
    // `max_by_key` would take the last of equals.
    let (top, most) =
        counts.iter().copied().reduce(|best, next| if next.1 > best.1 { next } else { best })?;
    let top_is_east = matches!(top, Script::Han | Script::Hiragana | Script::Hangul);
    if !top_is_east && east <= most {
        return NAMES.get(top);
    }
    Some(match () {
        _ if kana >= hangul && kana * 10 >= han + kana && kana > 0 => "Jpan",
        _ if hangul * 10 >= han + hangul && hangul > 0 => "Kore",
        _ => "Hani",
    })
}

/// Whether a character belongs to a script by its ISO 15924 code; Han, kana and Hangul each
/// belong to the combined scripts of Japanese and Korean too.
///
/// ```
/// use hexapla::identify::script::is_of;
/// assert!(is_of('ж', "Cyrl") && is_of('字', "Jpan") && !is_of('字', "Hang"));
/// ```
pub fn is_of(c: char, script: &str) -> bool {
    let of = NAMES.get(SCRIPTS.get(c)).unwrap_or_default();
    match script {
        "Jpan" => matches!(of, "Hira" | "Kana" | "Hani"),
        "Kore" => matches!(of, "Hang" | "Hani"),
        "Hans" | "Hant" => of == "Hani",
        script => of == script,
    }
}

/// Whether a character is a letter: general category L, as Python's `str.isalpha`.
pub fn is_letter(c: char) -> bool {
    match c {
        'a'..='z' | 'A'..='Z' => true,
        '\0'..='\x7f' => false,
        _ => GeneralCategoryGroup::Letter.contains(CATEGORIES.get(c)),
    }
}

/// Whether a character is a letter in upper or title case: general categories Lu and Lt.
pub fn is_upper(c: char) -> bool {
    c.is_ascii_uppercase()
        || (!c.is_ascii()
            && matches!(
                CATEGORIES.get(c),
                GeneralCategory::UppercaseLetter | GeneralCategory::TitlecaseLetter
            ))
}

/// Whether a character is a decimal digit of any script: general category Nd.
pub fn is_digit(c: char) -> bool {
    c.is_ascii_digit() || (!c.is_ascii() && CATEGORIES.get(c) == GeneralCategory::DecimalNumber)
}

/// Whether a character is punctuation: general category P.
pub fn is_punctuation(c: char) -> bool {
    GeneralCategoryGroup::Punctuation.contains(CATEGORIES.get(c))
}

/// The ISO 15924 code itself, if a four-letter code in title case, such as `Latn`, names a script
/// that Unicode knows or that combines such scripts.
pub fn script_code(code: &str) -> Option<&'static str> {
    const COMBINED: &[&str] = &["Hans", "Hant", "Jpan", "Kore", "Hrkt"];
    COMBINED
        .iter()
        .copied()
        .find(|combined| *combined == code)
        .or_else(|| PARSER.get_strict(code).and_then(|script| NAMES.get(script)))
        .filter(|name| *name == code)
}

fn call(args: &[Value<'_>], out: &mut Row<'_>) -> Result<()> {
    out.text(script(args[0].text().unwrap_or_default()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_majority_of_letters_decides() {
        for (text, code) in [
            ("Þetta er próf", "Latn"),
            ("Это test", "Latn"),
            ("Это проверка test", "Cyrl"),
            ("هذا اختبار 123", "Arab"),
            ("यह एक परीक्षा है", "Deva"),
            ("นี่คือการทดสอบ", "Thai"),
            ("這是一個測試", "Hani"),
            ("これはテストです", "Jpan"),
            ("東京都渋谷区", "Hani"),
            ("이것은 시험", "Kore"),
            ("大韓民國의 漢字", "Kore"),
            ("ይህ ሙከራ ነው", "Ethi"),
        ] {
            assert_eq!(script(text), Some(code), "{text}");
        }
    }

    #[test]
    fn no_letters_no_script() {
        assert_eq!(script(""), None);
        assert_eq!(script("123 — ½ 😀 ٣"), None);
    }

    #[test]
    fn classes_follow_the_general_category() {
        assert!(is_letter('ʰ') && is_letter('ß') && is_letter('字') && !is_letter('Ⅳ'));
        assert!(is_digit('7') && is_digit('७') && !is_digit('²'));
        assert!(is_punctuation('।') && is_punctuation('。') && !is_punctuation('+'));
    }

    #[test]
    fn script_codes_are_four_letters_of_the_standard() {
        for code in ["Latn", "Hans", "Jpan", "Tfng", "Olck"] {
            assert_eq!(script_code(code), Some(code));
        }
        for no_code in ["Latm", "Latin", "latn", ""] {
            assert_eq!(script_code(no_code), None);
        }
    }
}
