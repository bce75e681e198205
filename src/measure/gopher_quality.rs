//! `gopher_quality`: the quality rules of Gopher (arXiv 2112.11446, A.1.1).
//!
//! As datatrove's `GopherQualityFilter` orders, counts and names them; its words are tokens
//! here too, punctuation included. Repetition is `gopher_repetition`'s.

use std::collections::HashSet;

use arrow::datatypes::DataType;

use super::python::{lines, strip};
use super::verdict::{self, Profile, first_broken, is_non_symbol, ratio};
use crate::error::Result;
use crate::function::{Family, Function, Row, Signature, Value};
use crate::identify::{script, tag};
use crate::text::segment;

const MIN_WORDS: usize = 50;
const MAX_WORDS: usize = 100_000;
const MIN_MEAN_WORD_CHARS: f64 = 3.0;
const MAX_MEAN_WORD_CHARS: f64 = 10.0;
const MAX_SYMBOL_RATIO: f64 = 0.1;
const MAX_BULLET_RATIO: f64 = 0.9;
const MAX_ELLIPSIS_LINE_RATIO: f64 = 0.3;
const MIN_ALPHA_RATIO: f64 = 0.8;
const MIN_STOP_WORDS: usize = 2;
const STOP_WORDS: &[&str] = &["the", "be", "to", "of", "and", "that", "have", "with"];

/// `gopher_quality(text, lang, profile)`.
pub const GOPHER_QUALITY: Function = Function {
    signature: Signature {
        name: "gopher_quality",
        family: Family::Measure,
        args: verdict::ARGS,
        returns: || {
            verdict::verdict_of(&[
                ("n_words", DataType::UInt64),
                ("n_tokens", DataType::UInt64),
                ("mean_word_chars", DataType::Float64),
                ("hash_ratio", DataType::Float64),
                ("ellipsis_ratio", DataType::Float64),
                ("bullet_line_ratio", DataType::Float64),
                ("ellipsis_line_ratio", DataType::Float64),
                ("alpha_ratio", DataType::Float64),
                ("n_stop_words", DataType::UInt64),
            ])
        },
        doc: "Gopher's quality rules (arXiv 2112.11446, A.1.1) as datatrove applies them: whether \
              all hold, the first that does not, and every number; the stop words are English, \
              so that `n_stop_words` is null, and its rule not applied, in other languages; the least \
              word length is not asked of Chinese and Japanese.",
        examples: &[
            ("gopher_quality('Too short to keep.')['reason']", "gopher_short_doc"),
            ("gopher_quality('Слишком короткий текст.', 'ru')['keep']", "false"),
            ("gopher_quality('ข้อความสั้นๆ', 'th')['n_stop_words'] IS NULL", "true"),
            ("gopher_quality(repeat('ab cd ', 30))['reason']", "gopher_below_avg_threshold"),
        ],
        version: 2,
    },
    body: call,
};

/// The numbers of the rules and the first one broken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GopherQuality {
    /// The first broken rule, by datatrove's name; `None` when all hold.
    pub reason: Option<&'static str>,
    /// Tokens with a character that is no punctuation.
    pub n_words: usize,
    /// Words and punctuation.
    pub n_tokens: usize,
    /// Mean length of the words in code points.
    pub mean_word_chars: f64,
    /// `#` per token.
    pub hash_ratio: f64,
    /// `...` and `…` per token.
    pub ellipsis_ratio: f64,
    /// Share of lines that begin with `•` or `-`.
    pub bullet_line_ratio: f64,
    /// Share of lines that end with `...` or `…`.
    pub ellipsis_line_ratio: f64,
    /// Share of tokens with a letter.
    pub alpha_ratio: f64,
    /// Different stop words that occur; `None` in a language other than English.
    pub n_stop_words: Option<usize>,
}

/// Scripts whose words are found by dictionary and are shorter than Gopher's bounds foresee.
const UNSPACED: &[&str] = &["Hans", "Hant", "Hani", "Jpan"];

/// Gopher's quality rules over a text in a language, named by a code in any form.
pub fn gopher_quality(text: &str, lang: Option<&str>, profile: Profile) -> GopherQuality {
    let Profile::Datatrove = profile;
    // Stop words of English say nothing about a language that is known not to be English.
    let tag = lang.and_then(tag::find);
    let english = tag.is_none_or(|tag| tag.code == "eng");
    // The bounds on word length are of languages that write spaces: a Chinese word has two letters.
    let spaced = tag.is_none_or(|tag| !UNSPACED.contains(&tag.script));
    let (mut n_tokens, mut n_words, mut word_chars, mut with_letter) = (0, 0, 0, 0);
    let mut stop_words: HashSet<&str> = HashSet::new();
    for token in segment::tokens_in(text, lang) {
        n_tokens += 1;
        with_letter += usize::from(token.chars().any(script::is_letter));
        if is_non_symbol(token) {
            n_words += 1;
            word_chars += token.chars().count();
        }
        if english && STOP_WORDS.contains(&token) {
            stop_words.insert(token);
        }
    }
    let (mut n_lines, mut bullets, mut ellipses) = (0, 0, 0);
    for line in lines(text) {
        let line = strip(line);
        n_lines += 1;
        bullets += usize::from(line.starts_with(['•', '-']));
        ellipses += usize::from(line.ends_with("...") || line.ends_with('…'));
    }
    let mut quality = GopherQuality {
        reason: None,
        n_words,
        n_tokens,
        mean_word_chars: ratio(word_chars, n_words),
        hash_ratio: ratio(text.matches('#').count(), n_tokens),
        ellipsis_ratio: ratio(text.matches("...").count() + text.matches('…').count(), n_tokens),
        bullet_line_ratio: ratio(bullets, n_lines),
        ellipsis_line_ratio: ratio(ellipses, n_lines),
        alpha_ratio: ratio(with_letter, n_tokens),
        n_stop_words: english.then_some(stop_words.len()),
    };
    quality.reason = first_broken(&[
        (n_words < MIN_WORDS, "gopher_short_doc"),
        (n_words > MAX_WORDS, "gopher_long_doc"),
        (spaced && quality.mean_word_chars < MIN_MEAN_WORD_CHARS, "gopher_below_avg_threshold"),
        (quality.mean_word_chars > MAX_MEAN_WORD_CHARS, "gopher_above_avg_threshold"),
        (quality.hash_ratio > MAX_SYMBOL_RATIO, "gopher_too_many_hashes"),
        (quality.ellipsis_ratio > MAX_SYMBOL_RATIO, "gopher_too_many_ellipsis"),
        (quality.bullet_line_ratio > MAX_BULLET_RATIO, "gopher_too_many_bullets"),
        (quality.ellipsis_line_ratio > MAX_ELLIPSIS_LINE_RATIO, "gopher_too_many_end_ellipsis"),
        (quality.alpha_ratio < MIN_ALPHA_RATIO, "gopher_below_alpha_threshold"),
        (quality.n_stop_words.is_some_and(|n| n < MIN_STOP_WORDS), "gopher_enough_stop_words"),
    ]);
    quality
}

fn call(args: &[Value<'_>], out: &mut Row<'_>) -> Result<()> {
    let profile = Profile::named(args[2].text())?;
    let quality = gopher_quality(args[0].text().unwrap_or_default(), args[1].text(), profile);
    out.bool(quality.reason.is_none());
    out.text(quality.reason);
    out.uint(quality.n_words as u64);
    out.uint(quality.n_tokens as u64);
    out.float(quality.mean_word_chars);
    out.float(quality.hash_ratio);
    out.float(quality.ellipsis_ratio);
    out.float(quality.bullet_line_ratio);
    out.float(quality.ellipsis_line_ratio);
    out.float(quality.alpha_ratio);
    out.uint(quality.n_stop_words.map(|n| n as u64));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, lang: &str) -> GopherQuality {
        gopher_quality(text, Some(lang), Profile::Datatrove)
    }

    fn reason(text: &str) -> Option<&'static str> {
        of(text, "en").reason
    }

    #[test]
    fn each_rule_has_its_reason() {
        let good = "the dogs have slept under that table ".repeat(10);
        assert_eq!(reason(&good), None);
        assert_eq!(reason("the dogs"), Some("gopher_short_doc"));
        assert_eq!(reason(&"word ".repeat(100_001)), Some("gopher_long_doc"));
        assert_eq!(reason(&"at it ".repeat(50)), Some("gopher_below_avg_threshold"));
        assert_eq!(reason(&"incomprehensible ".repeat(50)), Some("gopher_above_avg_threshold"));
        assert_eq!(reason(&"these # # words ".repeat(30)), Some("gopher_too_many_hashes"));
        assert_eq!(reason(&"these words ... ".repeat(30)), Some("gopher_too_many_ellipsis"));
        let list = "\u{a0}- the dogs have slept\n".repeat(20);
        assert_eq!(reason(&list), Some("gopher_too_many_bullets"));
        let teased = "the dogs have slept under that table and then they woke…\u{85}".repeat(9);
        assert_eq!(reason(&teased), Some("gopher_too_many_end_ellipsis"));
        assert_eq!(reason(&"the 12345 have ".repeat(30)), Some("gopher_below_alpha_threshold"));
        assert_eq!(reason(&"The dogs slept ".repeat(30)), Some("gopher_enough_stop_words"));
    }

    #[test]
    fn english_stop_words_are_not_asked_of_other_languages() {
        for (text, lang) in [
            ("Собака спала под большим столом. ", "ru"),
            ("ينام الكلب تحت الطاولة الكبيرة. ", "arb_Arab"),
            ("कुत्ता बड़ी मेज़ के नीचे सोता रहा। ", "hi"),
        ] {
            let quality = of(&text.repeat(15), lang);
            assert_eq!((quality.reason, quality.n_stop_words), (None, None), "{text}");
        }
    }

    #[test]
    fn short_words_are_normal_in_chinese_and_japanese() {
        for (text, lang) in [
            ("外面下着大雨，所以小狗一直在桌子底下睡觉。", "cmn_Hans"),
            ("外は雨なので、犬はテーブルの下で寝ています。", "ja"),
        ] {
            let quality = of(&text.repeat(20), lang);
            assert_ne!(quality.reason, Some("gopher_below_avg_threshold"), "{text}");
            assert!(quality.mean_word_chars < MIN_MEAN_WORD_CHARS, "{text}");
        }
    }

    #[test]
    fn words_without_spaces_are_counted() {
        let thai = of(&"ภาษาไทย".repeat(30), "tha");
        assert_eq!((thai.n_words, thai.reason), (60, None));
        let han = of(&"我喜欢猫。".repeat(20), "zh");
        assert_eq!((han.n_words, han.n_tokens), (60, 80));
        // Punctuation is a token: three of four have a letter.
        assert_eq!(han.reason, Some("gopher_below_alpha_threshold"));
    }

    #[test]
    fn nothing_divides_by_zero() {
        let empty = of("", "en");
        assert_eq!(empty.reason, Some("gopher_short_doc"));
        assert_eq!((empty.mean_word_chars, empty.bullet_line_ratio), (0.0, 0.0));
    }
}
