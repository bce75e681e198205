//! Gopher's and C4's rules as dolma 1.2 counts and names them.
//!
//! Its taggers `gopher_v1` and `c4_v2` give numbers alone. The thresholds are those of the mixes it
//! publishes: Gopher's of the Common Crawl of Dolma 1, C4's of its replication of C4, without the
//! list of bad words, which is not ours to ship. Where those mixes name an attribute that the
//! tagger does not write (`…_most_common_2gram` for `…_2grams`), the attribute is meant.

use super::c4_quality::C4Quality;
use super::classes::{Classes, LETTER};
use super::gopher_quality::GopherQuality;
use super::gopher_repetition::{GopherRepetition, first_above};
use super::grams::Grams;
use super::python::{split, strip};
use super::repeats::duplicates;
use super::stop_words::StopWords;
use super::verdict::{first_broken, ratio};

const TOP: [&str; 3] = [
    "fraction_of_characters_in_most_common_2grams",
    "fraction_of_characters_in_most_common_3grams",
    "fraction_of_characters_in_most_common_4grams",
];
const REPEATED: [&str; 6] = [
    "fraction_of_characters_in_duplicate_5grams",
    "fraction_of_characters_in_duplicate_6grams",
    "fraction_of_characters_in_duplicate_7grams",
    "fraction_of_characters_in_duplicate_8grams",
    "fraction_of_characters_in_duplicate_9grams",
    "fraction_of_characters_in_duplicate_10grams",
];

/// Gopher's quality rules over the words between white space; their length is the median.
///
/// The empty text has no numbers and breaks the first rule.
pub fn gopher_quality(text: &str) -> GopherQuality {
    let classes = Classes::new();
    let required = StopWords::english();
    let mut required = required.count();
    let mut lengths = Vec::new();
    let (mut symbols, mut with_letter) = (0, 0);
    for word in split(text) {
        let (mut chars, mut any) = (0, 0);
        for c in word.chars() {
            chars += 1;
            any |= classes.of(c);
        }
        lengths.push(chars);
        with_letter += usize::from(any & LETTER != 0);
        symbols += usize::from(word.contains(['#', '…']));
        required.see(word);
    }
    let (mut n_lines, mut bullets, mut ellipses) = (0, 0, 0);
    if !text.is_empty() {
        for line in text.split('\n') {
            n_lines += 1;
            bullets += usize::from(line.starts_with(['*', '-']));
            ellipses += usize::from(line.ends_with('…'));
        }
    }
    let n_words = lengths.len();
    let quality = GopherQuality {
        reason: None,
        n_words,
        n_tokens: n_words,
        mean_word_chars: median(&mut lengths),
        hash_ratio: ratio(symbols, n_words),
        ellipsis_ratio: None,
        bullet_line_ratio: ratio(bullets, n_lines),
        ellipsis_line_ratio: ratio(ellipses, n_lines),
        alpha_ratio: ratio(with_letter, n_words),
        n_stop_words: Some(required.occurrences),
    };
    let reason = first_broken(&[
        (!(50..=100_000).contains(&n_words), "word_count"),
        (!(3.0..=10.0).contains(&quality.mean_word_chars), "median_word_length"),
        (quality.hash_ratio > 0.1, "symbol_to_word_ratio"),
        (quality.alpha_ratio < 0.8, "fraction_of_words_with_alpha_character"),
        (required.occurrences < 2, "required_word_count"),
        (quality.bullet_line_ratio > 0.9, "fraction_of_lines_starting_with_bullet_point"),
        (quality.ellipsis_line_ratio > 0.3, "fraction_of_lines_ending_with_ellipsis"),
    ]);
    GopherQuality { reason, ..quality }
}

/// Gopher's repetition rules over the lines and the words between white space; shares are of
/// the code points of the words.
///
/// Nothing of the empty text is repeated, so that it is kept.
pub fn gopher_repetition(text: &str) -> GopherRepetition {
    let mut grams = Grams::new(split(text));
    let chars = grams.chars();
    let top = [2, 3, 4].map(|n| {
        let top = grams.top(n);
        ratio(top.count * top.chars, chars)
    });
    let repeated = [5, 6, 7, 8, 9, 10].map(|n| {
        let (recurring, all) = grams.recurring(n);
        ratio(recurring, all)
    });
    let found = duplicates(text.split('\n'));
    let lines = [
        ratio(found.later + found.repeated, found.n),
        // By 1 when no line has a word, as there.
        (found.later_chars + found.repeated_chars) as f64 / chars.max(1) as f64,
    ];
    let lines_reason = first_broken(&[
        (lines[0] > 0.3, "fraction_of_duplicate_lines"),
        (lines[1] > 0.3, "fraction_of_characters_in_duplicate_lines"),
    ]);
    let reason = lines_reason
        .or_else(|| first_above(&TOP, &top, &[0.2, 0.18, 0.16]))
        .or_else(|| first_above(&REPEATED, &repeated, &[0.15, 0.14, 0.13, 0.12, 0.11, 0.10]));
    GopherRepetition { reason, paragraphs: None, lines, top, repeated }
}

/// C4's rules: pages of code, filler or JavaScript go, then lines without an end mark or three
/// words. No sentences are counted.
pub fn c4_quality(text: &str) -> C4Quality {
    let lower = text.to_lowercase();
    let mut c4 = C4Quality {
        reason: first_broken(&[
            (lower.contains('{'), "has_curly_brace"),
            (lower.contains("lorem ipsum"), "has_lorem_ipsum"),
            (lower.contains("javascript"), "has_javascript"),
        ]),
        ..C4Quality::default()
    };
    for line in lower.split('\n').map(strip) {
        c4.n_lines += 1;
        let is_open = !line.ends_with(['.', '?', '!', '"']);
        let is_short = split(line).nth(2).is_none();
        c4.n_no_terminal_punct += usize::from(is_open);
        c4.n_too_few_words += usize::from(is_short);
        c4.n_lines_kept += usize::from(!is_open && !is_short);
    }
    c4
}

/// The middle one of some lengths, or the mean of the middle two; 0 of none.
fn median(lengths: &mut [usize]) -> f64 {
    if lengths.is_empty() {
        return 0.0;
    }
    let middle = lengths.len() / 2;
    let is_odd = lengths.len() % 2 == 1;
    let (below, upper, _) = lengths.select_nth_unstable(middle);
    let lower = if is_odd { *upper } else { below.iter().copied().max().unwrap_or(*upper) };
    (lower + *upper) as f64 / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quality_is_of_words_between_spaces() {
        let good = "the dogs have slept under that table. ".repeat(10);
        let quality = gopher_quality(&good);
        assert_eq!((quality.reason, quality.n_words), (None, 70));
        assert_eq!((quality.mean_word_chars, quality.n_stop_words), (4.0, Some(30)));
        let reason = |text: &str| gopher_quality(text).reason;
        assert_eq!(reason("the dogs"), Some("word_count"));
        assert_eq!(reason(&"at it ".repeat(50)), Some("median_word_length"));
        assert_eq!(reason(&"the #dogs slept ".repeat(30)), Some("symbol_to_word_ratio"));
        assert_eq!(
            reason(&"the 123 have ".repeat(30)),
            Some("fraction_of_words_with_alpha_character")
        );
        assert_eq!(reason(&"Собака спала тихо ".repeat(30)), Some("required_word_count"));
        assert_eq!(
            reason(&"- the dogs slept with them\n".repeat(30)),
            Some("fraction_of_lines_starting_with_bullet_point")
        );
        assert_eq!(reason(""), Some("word_count"));
        assert_eq!(gopher_quality("外面下着大雨").n_words, 1);
    }

    #[test]
    fn every_occurrence_of_a_repeated_line_counts() {
        let found = gopher_repetition("कुत्ता\nबिल्ली\nकुत्ता\nगाय");
        assert_eq!(found.lines[0], 0.5);
        assert_eq!(found.reason, Some("fraction_of_duplicate_lines"));
        let reason = |text: &str| gopher_repetition(text).reason;
        assert_eq!(reason("да нет да нет"), Some("fraction_of_characters_in_most_common_2grams"));
        assert_eq!(reason(""), None);
        assert_eq!(reason("\n\n"), Some("fraction_of_duplicate_lines"));
    }

    #[test]
    fn pages_and_lines_of_c4() {
        let c4 = c4_quality("One two three.\nno end\nПорядок слов здесь иной!\n");
        assert_eq!((c4.reason, c4.n_lines, c4.n_lines_kept), (None, 4, 2));
        assert_eq!((c4.n_no_terminal_punct, c4.n_too_few_words), (2, 2));
        for (text, reason) in [
            ("a { b", "has_curly_brace"),
            ("LOREM IPSUM", "has_lorem_ipsum"),
            ("JavaScripts", "has_javascript"),
        ] {
            assert_eq!(c4_quality(text).reason, Some(reason));
        }
    }

    #[test]
    fn the_median_of_an_even_number_is_between() {
        assert_eq!(median(&mut []), 0.0);
        assert_eq!(median(&mut [3]), 3.0);
        assert_eq!(median(&mut [9, 1, 2, 4]), 3.0);
        assert_eq!(median(&mut [9, 1, 2]), 2.0);
    }
}
