//! Where words and sentences begin and end: UAX #29 with ICU4X's dictionaries.
//!
//! Chinese, Japanese, Thai, Khmer, Lao and Burmese are cut by dictionary, all other scripts by
//! rule; the script of the text decides, so a language need not be known. Finnish and Swedish
//! alone keep a colon inside a word (`EU:n`), as CLDR has it, when the language is named.
//!
//! No tokenizer of a model, no stemming, no list of abbreviations: `Dr. Who` is two sentences.

use std::sync::LazyLock;

use icu_segmenter::{SentenceSegmenter, WordSegmenter, WordSegmenterBorrowed};

use crate::identify::{script, tag};

/// Built once: construction looks up every dictionary.
static WORDS: LazyLock<WordSegmenterBorrowed<'static>> =
    LazyLock::new(|| WordSegmenter::new_dictionary(Default::default()));

/// A stretch of text between two word boundaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment<'t> {
    /// Its text, as it stands.
    pub text: &'t str,
    /// Whether it is letters, ideographs or digits, rather than space, punctuation or symbols.
    pub is_word: bool,
}

/// All segments of a text, spaces and punctuation included; together they are the text.
///
/// `lang` is a language code in any form; an unknown one counts as none.
pub fn segments<'t>(
    text: &'t str,
    lang: Option<&str>,
) -> impl Iterator<Item = Segment<'t>> + use<'t> {
    let keeps_colons = lang.and_then(tag::find).is_some_and(|t| matches!(t.code, "fin" | "swe"));
    let mut boundaries = WORDS.segment_str(text);
    let (mut start, mut end) = (0, 0);
    std::iter::from_fn(move || {
        while start == end {
            end = boundaries.next()?;
        }
        let rest = text.get(start..end)?;
        // The other colons begin with this byte.
        let may_have_colon = !keeps_colons && rest.bytes().any(|b| b == b':' || b == 0xef);
        let colon = may_have_colon.then(|| rest.find([':', '：', '﹕'])).flatten();
        let cut = match colon {
            Some(0) => rest.chars().next().map_or(0, char::len_utf8),
            Some(before) => before,
            None => rest.len(),
        };
        let text = rest.get(..cut)?;
        start += cut;
        Some(Segment { text, is_word: text.chars().any(is_word_char) })
    })
}

/// The words of a text: segments of letters, ideographs or digits.
///
/// ```
/// let words: Vec<&str> = hexapla::text::segment::words("Þetta er köttur.").collect();
/// assert_eq!(words, ["Þetta", "er", "köttur"]);
/// ```
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    words_in(text, None)
}

/// The words of a text in a language, named by a code in any form.
///
/// White space at either end is left off: the rules count a narrow no-break space (French has one
/// before `!`) to the word before it, and a vowel sign without a letter to the spaces before it.
pub fn words_in<'t>(text: &'t str, lang: Option<&str>) -> impl Iterator<Item = &'t str> + use<'t> {
    segments(text, lang).filter(|s| s.is_word).map(|s| s.text.trim())
}

/// The sentences of a text, without the white space around them; never empty ones.
///
/// ```
/// let sentences: Vec<&str> = hexapla::text::segment::sentences("来た。見た。").collect();
/// assert_eq!(sentences, ["来た。", "見た。"]);
/// ```
pub fn sentences(text: &str) -> impl Iterator<Item = &str> {
    let mut start = 0;
    SentenceSegmenter::new(Default::default()).segment_str(text).filter_map(move |end| {
        let sentence = text.get(start..end).map(|s| s.trim_matches(is_space));
        start = end;
        sentence.filter(|s| !s.is_empty())
    })
}

/// Whether Python's `str.isspace` holds: white space of Unicode and the four information
/// separators, which the peers' definitions count as such.
pub fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// ICU4X's own word type is not asked: as of 2.4 it calls words that end in two marks, such as
/// `मैं`, no words.
fn is_word_char(c: char) -> bool {
    c.is_alphabetic() || script::is_digit(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<&str> {
        words(text).collect()
    }

    #[test]
    fn words_in_scripts_with_spaces() {
        assert_eq!(of("Don't stop, 3.5 times!"), ["Don't", "stop", "3.5", "times"]);
        assert_eq!(of("Съешь ещё этих булок."), ["Съешь", "ещё", "этих", "булок"]);
        assert_eq!(of("السلام عليكم"), ["السلام", "عليكم"]);
        assert_eq!(of("मैं घर जाता हूँ।"), ["मैं", "घर", "जाता", "हूँ"]);
        assert_eq!(of("a  \u{93e} b"), ["a", "\u{93e}", "b"]);
        assert_eq!(of("Ça va\u{202f}! 1\u{202f}234"), ["Ça", "va", "1\u{202f}234"]);
    }

    #[test]
    fn words_in_scripts_without_spaces() {
        assert_eq!(of("ภาษาไทย"), ["ภาษา", "ไทย"]);
        assert_eq!(of("我喜欢猫。"), ["我", "喜欢", "猫"]);
        assert_eq!(of("東京に住む"), ["東京", "に", "住む"]);
        assert_eq!(of("ພາສາລາວ"), ["ພາສາ", "ລາວ"]);
        assert_eq!(of("ဗမာစာ"), ["ဗမာ", "စာ"]);
        assert_eq!(of("ខ្ញុំស្រឡាញ់ភាសាខ្មែរ").len(), 3);
    }

    #[test]
    fn segments_are_the_text() {
        for text in ["", " ", "a b", "ไทย 中文, русский…", "\u{200d}\n\r\n"] {
            let joined: String = segments(text, None).map(|s| s.text).collect();
            assert_eq!(joined, text);
        }
    }

    #[test]
    fn a_colon_joins_in_finnish_and_swedish() {
        let text = "EU:n lait";
        assert_eq!(of(text), ["EU", "n", "lait"]);
        for lang in ["fi", "fin_Latn", "sv"] {
            assert_eq!(words_in(text, Some(lang)).collect::<Vec<_>>(), ["EU:n", "lait"]);
        }
        assert_eq!(words_in(text, Some("xx")).count(), 3);
    }

    #[test]
    fn sentences_end_at_the_marks_of_their_script() {
        assert_eq!(sentences("One. Two? Three").count(), 3);
        assert_eq!(sentences("मैं आया। मैंने देखा।").count(), 2);
        assert_eq!(sentences("ماذا؟ نعم.").count(), 2);
        assert_eq!(sentences("  \n ").count(), 0);
    }
}
