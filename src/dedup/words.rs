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

/// What a character does to the words around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Class {
    /// Ends a word and is none.
    Other,
    Letter,
    Digit,
    /// Joins letters and digits.
    Under,
    /// Belongs to the character before it.
    Mark,
    /// Joins two letters.
    MidLetter,
    /// Joins two digits.
    MidNumber,
    /// Joins two letters or two digits.
    MidBoth,
    /// Its rule is not known here.
    Hard,
}

/// The character is left out of plain words.
const NOTHING: u32 = u32::MAX;
/// The character becomes several, or is part of a number.
const LONG_WAY: u32 = u32::MAX - 1;

struct Tables {
    class: Vec<Class>,
    plain: Vec<u32>,
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    let of = |code| char::from_u32(code);
    Tables {
        class: (0..PLANE as u32).map(|c| of(c).map_or(Class::Hard, class)).collect(),
        plain: (0..PLANE as u32).map(|c| of(c).map_or(LONG_WAY, plain)).collect(),
    }
});

fn class(c: char) -> Class {
    let is_word = c.is_alphabetic() || is_digit(c);
    let complex = CodePointMapData::<LineBreak>::new().get(c) == LineBreak::ComplexContext;
    match CodePointMapData::<WordBreak>::new().get(c) {
        _ if complex => Class::Hard,
        // Marks of repetition and the like, which the dictionaries of Chinese and Japanese know.
        _ if is_word && ('\u{3000}'..='\u{31ff}').contains(&c) => Class::Hard,
        // A colon is cut at, whatever ICU4X does: see `segment::segments`.
        _ if matches!(c, ':' | '：' | '﹕') => Class::Other,
        WordBreak::ALetter if is_word => Class::Letter,
        WordBreak::Numeric if is_word => Class::Digit,
        // A narrow no-break space is inside of numbers and at no word's end.
        WordBreak::ExtendNumLet if c.is_whitespace() => Class::Hard,
        WordBreak::ExtendNumLet => Class::Under,
        // The tables of properties know younger characters than those of segmentation do.
        WordBreak::Extend if segment::segments(&format!("a{c}"), None).count() == 1 => Class::Mark,
        WordBreak::MidLetter => Class::MidLetter,
        WordBreak::MidNum => Class::MidNumber,
        WordBreak::MidNumLet | WordBreak::SingleQuote => Class::MidBoth,
        WordBreak::Other
        | WordBreak::DoubleQuote
        | WordBreak::WSegSpace
        | WordBreak::CR
        | WordBreak::LF
        | WordBreak::Newline
            if !is_word =>
        {
            Class::Other
        }
        // Hebrew has rules for its quotes; kana, Han and Thai have a dictionary.
        _ => Class::Hard,
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
    let mut words: Vec<(usize, usize)> = Vec::new();
    let mut start = 0;
    while start < text.len() {
        let rest = &text[start..];
        let end = start + memchr::memchr(b' ', rest.as_bytes()).unwrap_or(rest.len());
        let piece = &text[start..end];
        if cut(piece, &TABLES.class, &mut words) {
            words.iter().for_each(|(from, to)| each(&piece[*from..*to]));
        } else {
            segment::words(piece).for_each(&mut each);
        }
        start = end + 1;
    }
}

/// Where the words of a piece begin and end; false when it needs a rule that is not here.
fn cut(piece: &str, classes: &[Class], words: &mut Vec<(usize, usize)>) -> bool {
    words.clear();
    // The word that is open: where it began, whether it is one, its last letter or digit.
    let (mut open, mut is_word, mut last) = (None, false, Class::Other);
    // What may join the open word to what follows, and where that stands.
    let mut joint: Option<(Class, usize)> = None;
    for (i, c) in piece.char_indices() {
        let class = classes.get(c as usize).copied().unwrap_or(Class::Hard);
        match class {
            Class::Letter | Class::Digit | Class::Under => {
                if let Some((by, end)) = joint.take()
                    && !joins(by, last, class)
                {
                    words.extend(open.take().filter(|_| is_word).map(|from| (from, end)));
                }
                if open.is_none() {
                    (open, is_word) = (Some(i), false);
                }
                is_word |= class != Class::Under;
                last = class;
            }
            // Vowel signs are marks and alphabetic.
            Class::Mark if open.is_some() && joint.is_none() => is_word |= c.is_alphabetic(),
            Class::Mark | Class::Hard => return false,
            Class::MidLetter | Class::MidNumber | Class::MidBoth
                if open.is_some() && joint.is_none() =>
            {
                joint = Some((class, i));
            }
            _ => {
                let end = joint.take().map_or(i, |(_, end)| end);
                words.extend(open.take().filter(|_| is_word).map(|from| (from, end)));
            }
        }
    }
    let end = joint.map_or(piece.len(), |(_, end)| end);
    words.extend(open.filter(|_| is_word).map(|from| (from, end)));
    true
}

/// Whether a character between two others joins them.
fn joins(by: Class, last: Class, next: Class) -> bool {
    last == next
        && match last {
            Class::Letter => matches!(by, Class::MidLetter | Class::MidBoth),
            Class::Digit => matches!(by, Class::MidNumber | Class::MidBoth),
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
        for word in all(text) {
            let (mut short, mut long) = (String::new(), String::new());
            fold_word(word, &mut long);
            assert_eq!(plain_word(word, &mut short), long, "{word:?}");
        }
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
