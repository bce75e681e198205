//! Profile `moses`: the rules of Moses' `clean-corpus-n.perl`.
//!
//! Its least and most words are given by the user there; here 1 and 100. The bar, which separates
//! factors, is taken out before words are counted, as there, without a look at the first line of
//! the file, which there tells whether it has factors. Markup counts as words, as there without
//! `-ignore-xml`. Nothing is rewritten: the script also lowers and joins white space.

use super::{Pair, PairQuality, first_broken, word_ratio};

const WORDS: std::ops::RangeInclusive<usize> = 1..=100;
const MAX_RATIO: f64 = 9.0;
const MAX_WORD_CHARS: usize = 1000;

/// The numbers and the verdict of a pair by Moses' rules.
pub fn moses(pair: Pair<'_>) -> PairQuality {
    let sides = pair.texts.map(count);
    let n_words = sides.map(|(n, _)| n);
    let longest_word = sides.map(|(_, longest)| longest);
    let word_ratio = word_ratio(n_words);
    let reason = first_broken(&[
        (n_words.contains(&0), "empty"),
        (n_words.iter().any(|n| *n > *WORDS.end()), "too_long"),
        (n_words.iter().any(|n| n < WORDS.start()), "too_short"),
        (word_ratio > MAX_RATIO, "ratio"),
        (longest_word.iter().any(|n| *n > MAX_WORD_CHARS), "long_word"),
    ]);
    PairQuality { reason, n_words, word_ratio, longest_word, ..PairQuality::default() }
}

/// The words of a text between white space of Unicode, and the characters of the longest.
fn count(text: &str) -> (usize, usize) {
    text.split_whitespace()
        .map(|word| word.chars().filter(|c| *c != '|').count())
        .filter(|n_chars| *n_chars > 0)
        .fold((0, 0), |(n, longest), n_chars| (n + 1, longest.max(n_chars)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_has_its_reason() {
        let reason = |src: &str, tgt: &str| moses(Pair::new([src, tgt], [None; 2])).reason;
        assert_eq!(reason("hús", "дом"), None);
        assert_eq!(reason(" | ", "дом"), Some("empty"));
        assert_eq!(reason(&"家 ".repeat(101), "дом"), Some("too_long"));
        assert_eq!(reason(&"家 ".repeat(9), "дом"), None);
        assert_eq!(reason(&"家 ".repeat(10), "дом"), Some("ratio"));
        assert_eq!(reason(&"家".repeat(1001), "дом"), Some("long_word"));
    }

    #[test]
    fn bars_are_not_there() {
        let quality = moses(Pair::new(["a|b | c", "<b> x\u{a0}y\x1cz"], [None; 2]));
        assert_eq!((quality.n_words, quality.longest_word), ([2, 3], [2, 3]));
    }
}
