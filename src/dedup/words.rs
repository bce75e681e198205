//! The words of a folded text and their plain forms, at the speed of a table.
//!
//! The words are those of [`segment::words`] without a language. Between two spaces most texts
//! hold letters, digits, marks and punctuation whose rules (UAX #29) need one character of context;
//! they are cut here. A stretch with anything else (scripts that are cut by dictionary, emoji,
//! stray marks) is left to ICU4X by itself: a space ends every rule.

use std::sync::LazyLock;

use icu_properties::CodePointMapData;
use icu_properties::props::{GeneralCategory, LineBreak, WordBreak};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::canonical_combining_class;

use super::fold::PLANE;
use crate::identify::script::is_digit;
use crate::text::segment;

/// What a character does to the words around it: the class in an entry of the table.
const CLASS: u8 = 0x0f;
/// Ends a word and is none.
const OTHER: u8 = 0;
const LETTER: u8 = 1;
const DIGIT: u8 = 2;
/// Joins letters and digits.
const UNDER: u8 = 3;
/// Belongs to the character before it.
const MARK: u8 = 4;
/// Joins two letters.
const MID_LETTER: u8 = 5;
/// Joins two digits.
const MID_NUMBER: u8 = 6;
/// Joins two letters or two digits.
const MID_BOTH: u8 = 7;
/// Its rule is not known here.
const HARD: u8 = 8;
/// Beside the class: makes what it stands in a word, as letters, digits and vowel signs do.
const OF_WORDS: u8 = 0x10;
/// Beside the class: its plain form is not itself.
const CHANGES: u8 = 0x20;

/// The character is left out of plain words.
const NOTHING: u32 = u32::MAX;
/// The character becomes several, or is part of a number.
const LONG_WAY: u32 = u32::MAX - 1;

struct Tables {
    entry: Vec<u8>,
    plain: Vec<u32>,
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    let of = |code| char::from_u32(code);
    let plain = (0..PLANE as u32).map(|c| of(c).map_or(LONG_WAY, plain)).collect::<Vec<_>>();
    let entry = |(plain, code): (&u32, u32)| {
        let Some(c) = of(code) else { return HARD };
        let of_words = if c.is_alphabetic() || is_digit(c) { OF_WORDS } else { 0 };
        class(c) | of_words | if *plain == code { 0 } else { CHANGES }
    };
    Tables { entry: plain.iter().zip(0..).map(entry).collect(), plain }
});

fn class(c: char) -> u8 {
    let is_word = c.is_alphabetic() || is_digit(c);
    let complex = CodePointMapData::<LineBreak>::new().get(c) == LineBreak::ComplexContext;
    match CodePointMapData::<WordBreak>::new().get(c) {
        _ if complex => HARD,
        // Marks of repetition and the like, which the dictionaries of Chinese and Japanese know.
        _ if is_word && ('\u{3000}'..='\u{31ff}').contains(&c) => HARD,
        // A colon is cut at, whatever ICU4X does: see `segment::segments`.
        _ if matches!(c, ':' | '：' | '﹕') => OTHER,
        WordBreak::ALetter if is_word => LETTER,
        WordBreak::Numeric if is_word => DIGIT,
        // A narrow no-break space is inside of numbers and at no word's end.
        WordBreak::ExtendNumLet if c.is_whitespace() => HARD,
        WordBreak::ExtendNumLet => UNDER,
        // The tables of properties know younger characters than those of segmentation do.
        WordBreak::Extend if segment::segments(&format!("a{c}"), None).count() == 1 => MARK,
        WordBreak::MidLetter => MID_LETTER,
        WordBreak::MidNum => MID_NUMBER,
        WordBreak::MidNumLet | WordBreak::SingleQuote => MID_BOTH,
        WordBreak::Other
        | WordBreak::DoubleQuote
        | WordBreak::WSegSpace
        | WordBreak::CR
        | WordBreak::LF
        | WordBreak::Newline
            if !is_word =>
        {
            OTHER
        }
        // Hebrew has rules for its quotes; kana, Han and Thai have a dictionary.
        _ => HARD,
    }
}

fn plain(c: char) -> u32 {
    let category = CodePointMapData::<GeneralCategory>::new();
    if category.get(c) == GeneralCategory::DecimalNumber {
        return LONG_WAY;
    }
    let mut left =
        std::iter::once(c).nfd().filter(|c| category.get(*c) != GeneralCategory::NonspacingMark);
    match (left.next(), left.next()) {
        (None, _) => NOTHING,
        (Some(c), None) if canonical_combining_class(c) == 0 => u32::from(c),
        _ => LONG_WAY,
    }
}

/// Calls `each` with every word of a text, in order.
pub(super) fn each_word<'t>(text: &'t str, mut each: impl FnMut(&'t str)) {
    scan(text, |word, _| each(word));
}

/// Calls `each` with the plain form of every word of a text, in order.
pub(super) fn each_plain_word(text: &str, mut each: impl FnMut(&str)) {
    let mut out = String::new();
    scan(text, |word, same| each(if same { word } else { plain_word(word, &mut out) }));
}

/// Calls `each` with every word and whether it is known to be its own plain form.
fn scan<'t>(text: &'t str, mut each: impl FnMut(&'t str, bool)) {
    let table = TABLES.entry.as_slice();
    let bytes = text.as_bytes();
    let mut words: Vec<(&str, bool)> = Vec::new();
    let mut start = 0;
    while start < text.len() {
        if let Some(end) = cut(text, start, table, &mut words) {
            words.drain(..).for_each(|(word, same)| each(word, same));
            start = end + 1;
            continue;
        }
        words.clear();
        let end = memchr::memchr(b' ', &bytes[start..]).map_or(text.len(), |n| start + n);
        segment::words(&text[start..end]).for_each(|word| each(word, false));
        start = end + 1;
    }
}

/// The words from a place to the next space, and where that is; `None` when a rule is needed that
/// is not here.
fn cut<'t>(
    text: &'t str,
    start: usize,
    table: &[u8],
    words: &mut Vec<(&'t str, bool)>,
) -> Option<usize> {
    // The word that is open: where it began, the bits of its characters, its last letter or digit.
    let (mut open, mut bits, mut last) = (None, 0, OTHER);
    // What may join the open word to what follows, and where that stands.
    let mut joint: Option<(u8, usize)> = None;
    let mut close = |open: Option<usize>, bits: u8, end: usize| {
        if let Some(from) = open.filter(|_| bits & OF_WORDS != 0) {
            words.push((&text[from..end], bits & CHANGES == 0));
        }
    };
    let mut next = start;
    while let Some(byte) = text.as_bytes().get(next).filter(|byte| **byte != b' ') {
        let (at, code) = (next, u32::from(*byte));
        let code = if code < 0x80 { code } else { u32::from(text[at..].chars().next()?) };
        next += char::from_u32(code)?.len_utf8();
        let entry = table.get(code as usize).copied().unwrap_or(HARD);
        let class = entry & CLASS;
        match class {
            LETTER | DIGIT | UNDER => {
                if let Some((by, end)) = joint.take()
                    && !joins(by, last, class)
                {
                    close(open.take(), bits, end);
                }
                if open.is_none() {
                    (open, bits) = (Some(at), 0);
                }
                bits |= entry;
                last = class;
            }
            MARK if open.is_some() && joint.is_none() => bits |= entry,
            MARK | HARD => return None,
            MID_LETTER | MID_NUMBER | MID_BOTH if open.is_some() && joint.is_none() => {
                // It changes the word even if it does not become a part of it: that is on the safe
                // side.
                bits |= entry & CHANGES;
                joint = Some((class, at));
            }
            _ => close(open.take(), bits, joint.take().map_or(at, |(_, end)| end)),
        }
    }
    close(open, bits, joint.map_or(next, |(_, end)| end));
    Some(next)
}

/// Whether a character between two others joins them.
fn joins(by: u8, last: u8, next: u8) -> bool {
    last == next
        && match last {
            LETTER => matches!(by, MID_LETTER | MID_BOTH),
            DIGIT => matches!(by, MID_NUMBER | MID_BOTH),
            _ => false,
        }
}

/// The word without its accents (non-spacing marks) and with each of its numbers as `0`, in `out`;
/// or the word itself when that is the same. Punctuation inside of numbers is part of them.
pub(super) fn plain_word<'a>(word: &'a str, out: &'a mut String) -> &'a str {
    if word.is_ascii() && !word.bytes().any(|b| b.is_ascii_digit()) {
        return word;
    }
    let tables = &*TABLES;
    out.clear();
    for c in word.chars() {
        match tables.plain.get(c as usize).copied().unwrap_or(LONG_WAY) {
            NOTHING => {}
            LONG_WAY => {
                out.clear();
                fold_word(word, out);
                return out;
            }
            found => out.extend(char::from_u32(found)),
        }
    }
    out
}

/// Appends a word without its accents and with each of its numbers as `0`.
fn fold_word(word: &str, out: &mut String) {
    let category = CodePointMapData::<GeneralCategory>::new();
    let mut in_number = false;
    let mut letters = word.nfd().peekable();
    while let Some(c) = letters.next() {
        match category.get(c) {
            GeneralCategory::NonspacingMark => {}
            GeneralCategory::DecimalNumber => {
                if !in_number {
                    out.push('0');
                }
                in_number = true;
            }
            // `1,234.5` is one number: a separator between digits belongs to it.
            _ if in_number && is_separator(c) && letters.peek().is_some_and(|n| n.is_numeric()) => {
            }
            _ => {
                in_number = false;
                out.push(c);
            }
        }
    }
}

fn is_separator(c: char) -> bool {
    matches!(c, '.' | ',' | '\'' | '’' | '٫' | '٬' | '،' | '…')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(text: &str) -> Vec<&str> {
        let mut found = Vec::new();
        each_word(text, |word| found.push(word));
        found
    }

    fn check(text: &str) {
        assert_eq!(all(text), segment::words(text).collect::<Vec<_>>(), "{text:?}");
        let mut plain = Vec::new();
        each_plain_word(text, |word| plain.push(word.to_string()));
        let long = |word: &&str| {
            let mut long = String::new();
            fold_word(word, &mut long);
            long
        };
        assert_eq!(plain, all(text).iter().map(long).collect::<Vec<_>>(), "{text:?}");
    }

    proptest! {
        #[test]
        fn words_are_those_of_icu(text in "\\PC*") {
            check(&text);
        }

        #[test]
        fn rules_that_need_a_neighbour(text in "[aéя1२_.,;:'’\"·\u{301}\u{94d}ािهש 한カ漢ก\u{e31}\u{ad}\u{200d}\u{202f}\n🇦😀ˈ٫-]{0,14}") {
            check(&text);
        }
    }

    #[test]
    fn every_character_of_the_plane_among_others() {
        for c in (0..PLANE as u32).filter_map(char::from_u32) {
            check(&format!("{c} a{c}b 1{c}2 {c}{c} a{c}"));
        }
    }
}
