//! Python's notions of white space and word characters, in which the peers' definitions are written.

use icu_properties::props::{GeneralCategory, GeneralCategoryGroup};
use icu_properties::{CodePointMapData, CodePointMapDataBorrowed};

use crate::text::segment::is_space;

const CATEGORIES: CodePointMapDataBorrowed<'static, GeneralCategory> =
    CodePointMapData::<GeneralCategory>::new();

/// The stretches of a text between white space: `str.split`.
pub fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_space).filter(|word| !word.is_empty())
}

/// A text without white space at its end: `str.rstrip`.
pub fn trim_end(text: &str) -> &str {
    text.trim_end_matches(is_space)
}

/// A text without white space around it: `str.strip`.
pub fn trim(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// Whether a character is ASCII punctuation: `string.punctuation`.
pub fn is_ascii_punctuation(c: char) -> bool {
    c.is_ascii_punctuation()
}

/// Whether a character is of general category P.
pub fn is_punctuation(c: char) -> bool {
    GeneralCategoryGroup::Punctuation.contains(CATEGORIES.get(c))
}

/// Whether a character is of general category S.
pub fn is_symbol(c: char) -> bool {
    GeneralCategoryGroup::Symbol.contains(CATEGORIES.get(c))
}

/// Whether a character is of general category N.
pub fn is_number(c: char) -> bool {
    GeneralCategoryGroup::Number.contains(CATEGORIES.get(c))
}

/// Whether `\w` of Python's `re` matches: letters, numbers, the underscore; no combining marks.
pub fn is_word(c: char) -> bool {
    c == '_' || is_number(c) || GeneralCategoryGroup::Letter.contains(CATEGORIES.get(c))
}

/// The text with every whole word of a list replaced by a space: `re.sub(r"\b(a|an)\b", " ", …)`.
pub fn without_words(text: &str, words: &[&str]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut word = String::new();
    for c in text.chars() {
        if is_word(c) {
            word.push(c);
            continue;
        }
        flush(&mut out, &mut word, words);
        out.push(c);
    }
    flush(&mut out, &mut word, words);
    out
}

fn flush(out: &mut String, word: &mut String, words: &[&str]) {
    out.push_str(if words.contains(&word.as_str()) { " " } else { word });
    word.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_whole() {
        let articles = ["a", "an", "the"];
        assert_eq!(without_words("the theory of a b", &articles), "  theory of   b");
        // A combining mark is no word character to Python, so what is in front of it stands alone.
        assert_eq!(without_words("a\u{301}b", &articles), " \u{301}b");
        assert_eq!(without_words("", &articles), "");
    }

    #[test]
    fn white_space_is_pythons() {
        assert_eq!(
            split("a\u{1c}b\u{a0}\u{3000}c\u{200b}").collect::<Vec<_>>(),
            ["a", "b", "c\u{200b}"]
        );
        assert_eq!(trim_end(" a\u{85}\n"), " a");
    }
}
