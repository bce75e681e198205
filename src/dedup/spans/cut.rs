//! Where a text may be cut: between characters as a reader sees them, near enough.
//!
//! A cut never falls inside of a code point, nor before a mark that belongs to the letter in front
//! of it (an accent, a vowel sign, a variation selector), nor at a joiner, nor between a carriage
//! return and its line feed, nor inside of a Hangul syllable of several letters: the rules of
//! extended grapheme clusters (UAX #29, GB3 to GB9a and GB11) as far as the two neighbours of the
//! cut decide them. Flags of two letters and Indic conjuncts may be parted.

use std::ops::Range;

use icu_properties::props::GraphemeClusterBreak as Break;
use icu_properties::{CodePointMapData, CodePointMapDataBorrowed};

const BREAKS: CodePointMapDataBorrowed<'static, Break> = CodePointMapData::<Break>::new();

/// The largest part of a range of bytes that begins and ends where the text may be cut; `None` when
/// nothing is left of it. The range may reach beyond the text.
///
/// ```
/// use hexapla::dedup::spans::cut::inside;
/// assert_eq!(inside("日本語", 1..8), Some(3..6));
/// assert_eq!(inside("ae\u{301}b", 0..2), Some(0..1));
/// assert_eq!(inside("日本語", 1..5), None);
/// ```
pub fn inside(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let (mut start, mut end) = (range.start, range.end.min(text.len()));
    while start < end && !may_cut(text, start) {
        start += 1;
    }
    while start < end && !may_cut(text, end) {
        end -= 1;
    }
    (start < end).then_some(start..end)
}

fn may_cut(text: &str, at: usize) -> bool {
    if !text.is_char_boundary(at) {
        return false;
    }
    let (before, after) = text.split_at(at);
    let (Some(before), Some(after)) = (before.chars().next_back(), after.chars().next()) else {
        return true;
    };
    if before.is_ascii() && after.is_ascii() {
        return (before, after) != ('\r', '\n');
    }
    match (BREAKS.get(before), BREAKS.get(after)) {
        (Break::Control | Break::CR | Break::LF, _) => true,
        (_, Break::Extend | Break::SpacingMark | Break::ZWJ) => false,
        (Break::ZWJ | Break::Prepend, _) => false,
        (Break::L, Break::L | Break::V | Break::LV | Break::LVT) => false,
        (Break::LV | Break::V, Break::V | Break::T) => false,
        (Break::LVT | Break::T, Break::T) => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_keeps_its_marks() {
        for (text, range, expected) in [
            ("नमस्ते", 0..9, Some(0..6)),
            ("कि", 0..3, None),
            ("مَرحبا", 0..2, None),
            ("👩\u{200d}💻x", 0..7, None),
            ("👩\u{200d}💻x", 4..12, Some(11..12)),
            ("a\r\nb", 0..2, Some(0..1)),
            ("한국", 0..6, Some(0..6)),
            ("ab", 0..9, Some(0..2)),
            ("ab", 2..2, None),
            ("\n\u{301}x", 1..4, Some(1..4)),
        ] {
            assert_eq!(inside(text, range.clone()), expected, "{text} {range:?}");
        }
    }
}
