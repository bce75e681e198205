//! `gopher_quality`: the quality rules of Gopher (arXiv 2112.11446, A.1.1).
//!
//! As datatrove's `GopherQualityFilter` orders, counts and names them; its words are tokens
//! here too, punctuation included. Repetition is `gopher_repetition`'s.

use std::sync::LazyLock;

use arrow::datatypes::DataType;

use super::classes::{Classes, LETTER, SYMBOL};
use super::dolma;
use super::python::{lines, strip};
use super::stop_words::StopWords;
use super::tokens::tokens;
use super::verdict::{self, Profile, first_broken, ratio};
use crate::error::Result;
use crate::function::{Family, Function, Row, Signature, Value};
use crate::identify::tag;

static ENGLISH: LazyLock<StopWords> = LazyLock::new(StopWords::english);

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
        doc: "Gopher's quality rules (arXiv 2112.11446, A.1.1): whether all hold, the first that \
              does not, and every number. Profile `datatrove`: as `GopherQualityFilter` with its \
              default arguments, English stop words for every language. `hexapla`: the same, but \
              in languages other than English no stop words are asked for and `n_stop_words` is \
              null, and in Chinese and Japanese no least word length. `dolma`: its `gopher_v1` \
              and the thresholds of its mixes; words stand between white space, \
              `mean_word_chars` is their median, `hash_ratio` is of words with `#` or `…`, \
              `n_stop_words` of occurrences, and `ellipsis_ratio` null.",
        examples: &[
            ("gopher_quality('Too short to keep.')['reason']", "gopher_short_doc"),
            ("gopher_quality('Слишком короткий текст.', 'ru')['keep']", "false"),
            ("gopher_quality('ข้อความสั้นๆ', 'th')['n_stop_words'] IS NULL", "true"),
            ("gopher_quality(repeat('ab cd ', 30))['reason']", "gopher_below_avg_threshold"),
            (
                "gopher_quality(repeat('Собака спит под столом. ', 20), 'ru', 'datatrove')['reason']",
                "gopher_enough_stop_words",
            ),
            ("gopher_quality('Too short.', 'en', 'dolma')['reason']", "word_count"),
        ],
        version: 4,
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
    /// `...` and `…` per token; `None` where no rule asks for them.
    pub ellipsis_ratio: Option<f64>,
    /// Share of lines that begin with `•` or `-`.
    pub bullet_line_ratio: f64,
    /// Share of lines that end with `...` or `…`.
    pub ellipsis_line_ratio: f64,
    /// Share of tokens with a letter.
    pub alpha_ratio: f64,
    /// Different stop words that occur; `None` where none are asked for.
    pub n_stop_words: Option<usize>,
}

/// The bounds of the rules; all bounds are kept themselves.
#[derive(Debug, Clone, Copy)]
pub struct GopherQualityRules<'r> {
    /// Fewest and most words.
    pub n_words: [usize; 2],
    /// Least and largest mean length of the words.
    pub mean_word_chars: [f64; 2],
    /// Most `#`, and most ellipses, per token.
    pub symbol_ratio: f64,
    /// Largest share of lines that begin with a bullet.
    pub bullet_line_ratio: f64,
    /// Largest share of lines that end with an ellipsis.
    pub ellipsis_line_ratio: f64,
    /// Least share of tokens with a letter.
    pub alpha_ratio: f64,
    /// The stop words and how many different ones have to occur.
    pub stop_words: Option<(&'r StopWords, usize)>,
}

impl GopherQualityRules<'static> {
    /// The default arguments of datatrove, which are those of the paper.
    pub fn datatrove() -> Self {
        Self {
            n_words: [50, 100_000],
            mean_word_chars: [3.0, 10.0],
            symbol_ratio: 0.1,
            bullet_line_ratio: 0.9,
            ellipsis_line_ratio: 0.3,
            alpha_ratio: 0.8,
            stop_words: Some((&ENGLISH, 2)),
        }
    }

    /// The same without what says nothing about a language, named by a code in any form.
    pub fn hexapla(lang: Option<&str>) -> Self {
        let mut rules = Self::datatrove();
        let Some(tag) = lang.and_then(tag::find) else { return rules };
        if tag.code != "eng" {
            rules.stop_words = None;
        }
        if UNSPACED.contains(&tag.script) {
            rules.mean_word_chars[0] = 0.0;
        }
        rules
    }
}

/// Scripts whose words are found by dictionary and are shorter than Gopher's bounds foresee: a
/// Chinese word has two letters.
const UNSPACED: &[&str] = &["Hans", "Hant", "Hani", "Jpan"];

/// Gopher's quality rules over a text and its words and punctuation, as datatrove counts.
pub fn gopher_quality<'t>(
    text: &str,
    tokens: impl IntoIterator<Item = &'t str>,
    rules: &GopherQualityRules<'_>,
) -> GopherQuality {
    let classes = Classes::new();
    let mut stop_words = rules.stop_words.map(|(words, _)| words.count());
    let (mut n_tokens, mut n_words, mut word_chars, mut with_letter) = (0, 0, 0, 0);
    for token in tokens {
        let (mut chars, mut any, mut all) = (0, 0, SYMBOL);
        for c in token.chars() {
            let class = classes.of(c);
            chars += 1;
            any |= class;
            all &= class;
        }
        n_tokens += 1;
        with_letter += usize::from(any & LETTER != 0);
        if all & SYMBOL == 0 {
            n_words += 1;
            word_chars += chars;
        }
        if let Some(stop_words) = &mut stop_words {
            stop_words.see(token);
        }
    }
    let (mut n_lines, mut bullets, mut ellipses) = (0, 0, 0);
    for line in lines(text) {
        let line = strip(line);
        n_lines += 1;
        bullets += usize::from(line.starts_with(['•', '-']));
        ellipses += usize::from(line.ends_with("...") || line.ends_with('…'));
    }
    let n_ellipses = occurrences(text, "...") + occurrences(text, "…");
    let quality = GopherQuality {
        reason: None,
        n_words,
        n_tokens,
        mean_word_chars: ratio(word_chars, n_words),
        hash_ratio: ratio(occurrences(text, "#"), n_tokens),
        ellipsis_ratio: Some(ratio(n_ellipses, n_tokens)),
        bullet_line_ratio: ratio(bullets, n_lines),
        ellipsis_line_ratio: ratio(ellipses, n_lines),
        alpha_ratio: ratio(with_letter, n_tokens),
        n_stop_words: stop_words.map(|met| met.different()),
    };
    GopherQuality { reason: reason(&quality, rules), ..quality }
}

/// Occurrences that do not overlap.
fn occurrences(text: &str, of: &str) -> usize {
    memchr::memmem::find_iter(text.as_bytes(), of.as_bytes()).count()
}

/// The first rule broken, in datatrove's order.
fn reason(quality: &GopherQuality, rules: &GopherQualityRules<'_>) -> Option<&'static str> {
    let [fewest, most] = rules.n_words;
    let [shortest, longest] = rules.mean_word_chars;
    let least_stop_words = rules.stop_words.map_or(0, |(_, least)| least);
    first_broken(&[
        (quality.n_words < fewest, "gopher_short_doc"),
        (quality.n_words > most, "gopher_long_doc"),
        (quality.mean_word_chars < shortest, "gopher_below_avg_threshold"),
        (quality.mean_word_chars > longest, "gopher_above_avg_threshold"),
        (quality.hash_ratio > rules.symbol_ratio, "gopher_too_many_hashes"),
        (
            quality.ellipsis_ratio.is_some_and(|share| share > rules.symbol_ratio),
            "gopher_too_many_ellipsis",
        ),
        (quality.bullet_line_ratio > rules.bullet_line_ratio, "gopher_too_many_bullets"),
        (quality.ellipsis_line_ratio > rules.ellipsis_line_ratio, "gopher_too_many_end_ellipsis"),
        (quality.alpha_ratio < rules.alpha_ratio, "gopher_below_alpha_threshold"),
        (quality.n_stop_words.is_some_and(|n| n < least_stop_words), "gopher_enough_stop_words"),
    ])
}

/// The profiles, the default first.
const PROFILES: &[Profile] = &[Profile::Hexapla, Profile::Datatrove, Profile::Dolma];

fn call(args: &[Value<'_>], out: &mut Row<'_>) -> Result<()> {
    let (text, lang) = (args[0].text().unwrap_or_default(), args[1].text());
    let rules = match Profile::named(args[2].text(), PROFILES)? {
        Profile::Datatrove => GopherQualityRules::datatrove(),
        Profile::Dolma => return write(&dolma::gopher_quality(text), out),
        _ => GopherQualityRules::hexapla(lang),
    };
    write(&gopher_quality(text, tokens(text, lang), &rules), out)
}

/// Writes the cells of one row.
pub fn write(quality: &GopherQuality, out: &mut Row<'_>) -> Result<()> {
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
        let rules = GopherQualityRules::hexapla(Some(lang));
        gopher_quality(text, tokens(text, Some(lang)), &rules)
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
            assert!(quality.mean_word_chars < 3.0, "{text}");
        }
    }

    #[test]
    fn datatrove_asks_english_of_every_language() {
        let rules = GopherQualityRules::datatrove();
        for (text, reason) in [
            ("Собака спала под большим столом. ", "gopher_enough_stop_words"),
            ("外面下着大雨，所以小狗一直在桌子底下睡觉。", "gopher_below_avg_threshold"),
        ] {
            let text = text.repeat(20);
            let quality = gopher_quality(&text, crate::text::segment::words(&text), &rules);
            assert_eq!(quality.reason, Some(reason));
        }
    }

    #[test]
    fn words_may_be_given() {
        let words = "I do n't like the idea of it".split(' ').cycle().take(80);
        let quality = gopher_quality("I don't", words, &GopherQualityRules::datatrove());
        assert_eq!((quality.n_words, quality.n_stop_words), (80, Some(2)));
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
