//! `text_stats`: lengths and shares of a text, the numbers that rules are made from.
//!
//! No verdict and no profile: thresholds belong to queries.

use arrow::datatypes::DataType;

use super::classes::{Classes, DIGIT, LETTER, PUNCTUATION, SPACE, UPPER};
use super::python::{lines, strip};
use super::verdict::ratio;
use crate::error::Result;
use crate::function::{Arg, Family, Function, Row, Signature, Type, Value, struct_of};
use crate::text::segment;

/// `text_stats(text, lang)`.
pub const TEXT_STATS: Function = Function {
    signature: Signature {
        name: "text_stats",
        family: Family::Measure,
        args: &[
            Arg::text("text"),
            Arg::optional("lang", Type::Text, "word rules that hold for all languages"),
        ],
        returns: || {
            struct_of(&[
                ("n_bytes", DataType::UInt64),
                ("n_chars", DataType::UInt64),
                ("n_words", DataType::UInt64),
                ("n_lines", DataType::UInt64),
                ("n_sentences", DataType::UInt64),
                ("mean_word_chars", DataType::Float64),
                ("mean_line_chars", DataType::Float64),
                ("longest_word_chars", DataType::UInt64),
                ("alpha_ratio", DataType::Float64),
                ("upper_ratio", DataType::Float64),
                ("digit_ratio", DataType::Float64),
                ("punct_ratio", DataType::Float64),
                ("space_ratio", DataType::Float64),
            ])
        },
        doc: "Lengths of the text (UTF-8 bytes, code points, words, lines that are not blank, \
              sentences), means in code points, and shares of code points: letters, upper case, \
              decimal digits, punctuation (Unicode general categories L, Lu and Lt, Nd, P) and \
              white space.",
        examples: &[
            ("text_stats('Þetta er köttur.')['n_words']", "3"),
            ("text_stats('我喜欢猫。')['alpha_ratio']", "0.8"),
            ("text_stats('٣ قطط')['digit_ratio']", "0.2"),
            ("text_stats('Да! Нет?', 'ru')['n_sentences']", "2"),
        ],
        version: 1,
    },
    body: call,
};

/// The numbers of [`text_stats`]; ratios are shares of code points in [0, 1].
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct TextStats {
    /// Length in UTF-8 bytes.
    pub n_bytes: usize,
    /// Length in code points.
    pub n_chars: usize,
    /// Words, as `words` gives them.
    pub n_words: usize,
    /// Lines that are not blank.
    pub n_lines: usize,
    /// Sentences.
    pub n_sentences: usize,
    /// Mean length of the words in code points.
    pub mean_word_chars: f64,
    /// Mean length of the lines that are not blank in code points.
    pub mean_line_chars: f64,
    /// Length of the longest word in code points.
    pub longest_word_chars: usize,
    /// Share of letters (general category L).
    pub alpha_ratio: f64,
    /// Share of letters in upper and title case.
    pub upper_ratio: f64,
    /// Share of decimal digits (Nd).
    pub digit_ratio: f64,
    /// Share of punctuation (P).
    pub punct_ratio: f64,
    /// Share of white space.
    pub space_ratio: f64,
}

/// Lengths and shares of a text in a language, named by a code in any form.
///
/// All numbers of the empty text are 0.
pub fn text_stats(text: &str, lang: Option<&str>) -> TextStats {
    let (mut n_chars, mut letters, mut upper) = (0, 0, 0);
    let (mut digits, mut punctuation, mut spaces) = (0, 0, 0);
    let classes = Classes::new();
    for c in text.chars() {
        let class = classes.of(c);
        let is = |bit| usize::from(class & bit != 0);
        n_chars += 1;
        letters += is(LETTER);
        upper += is(UPPER);
        digits += is(DIGIT);
        punctuation += is(PUNCTUATION);
        spaces += is(SPACE);
    }
    let (mut n_words, mut word_chars, mut longest) = (0, 0, 0);
    for word in segment::words_in(text, lang) {
        let length = word.chars().count();
        n_words += 1;
        word_chars += length;
        longest = longest.max(length);
    }
    let (mut n_lines, mut line_chars) = (0, 0);
    for line in lines(text).filter(|line| !strip(line).is_empty()) {
        n_lines += 1;
        line_chars += line.chars().count();
    }
    TextStats {
        n_bytes: text.len(),
        n_chars,
        n_words,
        n_lines,
        n_sentences: segment::sentences(text).count(),
        mean_word_chars: ratio(word_chars, n_words),
        mean_line_chars: ratio(line_chars, n_lines),
        longest_word_chars: longest,
        alpha_ratio: ratio(letters, n_chars),
        upper_ratio: ratio(upper, n_chars),
        digit_ratio: ratio(digits, n_chars),
        punct_ratio: ratio(punctuation, n_chars),
        space_ratio: ratio(spaces, n_chars),
    }
}

fn call(args: &[Value<'_>], out: &mut Row<'_>) -> Result<()> {
    let stats = text_stats(args[0].text().unwrap_or_default(), args[1].text());
    out.uint(stats.n_bytes as u64);
    out.uint(stats.n_chars as u64);
    out.uint(stats.n_words as u64);
    out.uint(stats.n_lines as u64);
    out.uint(stats.n_sentences as u64);
    out.float(stats.mean_word_chars);
    out.float(stats.mean_line_chars);
    out.uint(stats.longest_word_chars as u64);
    out.float(stats.alpha_ratio);
    out.float(stats.upper_ratio);
    out.float(stats.digit_ratio);
    out.float(stats.punct_ratio);
    out.float(stats.space_ratio);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_every_script() {
        let stats = text_stats("Дом № 12.\n\nКот спит.", None);
        assert_eq!((stats.n_chars, stats.n_lines, stats.n_sentences), (20, 2, 2));
        assert_eq!((stats.n_words, stats.longest_word_chars), (4, 4));
        assert_eq!((stats.upper_ratio, stats.digit_ratio), (0.1, 0.1));
        assert_eq!(stats.mean_line_chars, 9.0);
        let thai = text_stats("ภาษาไทย", Some("th"));
        assert_eq!((thai.n_bytes, thai.n_words, thai.mean_word_chars), (21, 2, 3.5));
        // Vowel signs are marks, not letters.
        assert_eq!(text_stats("हिन्दी", None).alpha_ratio, 0.5);
        assert_eq!(text_stats("日本。", None).punct_ratio, 1.0 / 3.0);
    }

    #[test]
    fn the_empty_text_is_all_zeros() {
        assert_eq!(text_stats("", None), TextStats::default());
    }
}
