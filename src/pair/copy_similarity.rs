//! `copy_similarity`: how nearly one side is a copy of the other.
//!
//! Normalised Levenshtein similarity over characters, as OpusFilter's `SimilarityFilter` with its
//! weights of 1. Cost is bounded: of a longer text the first 8,192 characters count.

use arrow::datatypes::DataType;

use super::quality::coded::Coded;
use crate::error::Result;
use crate::function::{Arg, Family, Function, Row, Signature, Value};

/// Characters of each side that are compared.
pub const MOST_CHARS: usize = 8192;

/// `copy_similarity(src, tgt)`.
pub const COPY_SIMILARITY: Function = Function {
    signature: Signature {
        name: "copy_similarity",
        family: Family::Pair,
        args: &[Arg::text("src"), Arg::text("tgt")],
        returns: || DataType::Float64,
        doc: "1 less the Levenshtein distance over the length of the longer side, in characters (the \
              first 8,192 of each): 1 for a copy, 0 for nothing in common; 1 when both are empty.",
        examples: &[
            ("copy_similarity('Windows 11', 'Windows 10')", "0.9"),
            ("copy_similarity('привет', 'привет')", "1.0"),
            ("copy_similarity('日本', 'Japan')", "0.0"),
        ],
        version: 1,
    },
    body: call,
};

fn call(args: &[Value<'_>], out: &mut Row<'_>) -> Result<()> {
    match (args[0].text(), args[1].text()) {
        (Some(src), Some(tgt)) => out.float(copy_similarity(src, tgt)),
        _ => out.null(),
    }
    Ok(())
}

/// The normalised Levenshtein similarity of two texts.
pub fn copy_similarity(src: &str, tgt: &str) -> f64 {
    if src == tgt {
        return 1.0;
    }
    let src: Vec<char> = src.chars().take(MOST_CHARS).collect();
    let tgt: Vec<char> = tgt.chars().take(MOST_CHARS).collect();
    similarity(&Coded::new(&src, &tgt))
}

/// The normalised Levenshtein similarity of two texts of at most [`MOST_CHARS`] characters.
pub fn similarity(pair: &Coded) -> f64 {
    let longer = pair.src.len().max(pair.tgt.len());
    if longer == 0 {
        return 1.0;
    }
    1.0 - levenshtein(pair) as f64 / longer as f64
}

/// The Levenshtein distance, 64 cells at a time (Myers 1999; blocks as in Hyyrö 2003).
pub fn levenshtein(pair: &Coded) -> usize {
    // Either side may be the pattern: a 0 in the source equals nothing, wherever it stands.
    let (src, tgt) = (&pair.src, &pair.tgt);
    let steps = |text: &[u16], pattern: &[u16]| text.len() * pattern.len().div_ceil(64);
    let source_is_text = steps(src, tgt) <= steps(tgt, src);
    let (text, pattern) = if source_is_text { (src, tgt) } else { (tgt, src) };
    let m = pattern.len();
    if m == 0 {
        return text.len();
    }
    let blocks = m.div_ceil(64);
    // For each character, the places of the pattern where it stands.
    let mut places = vec![0u64; pair.n_codes * blocks];
    for (i, code) in pattern.iter().enumerate() {
        places[usize::from(*code) * blocks + i / 64] |= 1 << (i % 64);
    }
    let last = 1u64 << ((m - 1) % 64);
    // Vertical differences of the current column: where it rises and where it falls.
    let mut column = vec![(u64::MAX, 0u64); blocks];
    let mut distance = m;
    for code in text {
        let equal = &places[usize::from(*code) * blocks..][..blocks];
        // The row above the pattern rises by one with every character of the text.
        let (mut carry_rise, mut carry_fall) = (1u64, 0u64);
        let (mut top_rise, mut top_fall) = (0, 0);
        for ((up, down), equal) in column.iter_mut().zip(equal) {
            let same = equal | carry_fall;
            let diagonal = (((same & *up).wrapping_add(*up)) ^ *up) | same | *down;
            let rise = *down | !(diagonal | *up);
            let fall = *up & diagonal;
            let shifted = rise << 1 | carry_rise;
            let vertical = equal | *down;
            *up = (fall << 1 | carry_fall) | !(vertical | shifted);
            *down = shifted & vertical;
            (carry_rise, carry_fall) = (rise >> 63, fall >> 63);
            (top_rise, top_fall) = (rise, fall);
        }
        distance += usize::from(top_rise & last != 0);
        distance -= usize::from(top_fall & last != 0);
    }
    distance
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn naive(a: &[char], b: &[char]) -> usize {
        let mut row: Vec<usize> = (0..=b.len()).collect();
        for (i, x) in a.iter().enumerate() {
            let mut diagonal = row[0];
            row[0] = i + 1;
            for (j, y) in b.iter().enumerate() {
                let substituted = diagonal + usize::from(x != y);
                diagonal = row[j + 1];
                row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
            }
        }
        row[b.len()]
    }

    proptest! {
        #[test]
        fn blocks_give_the_textbook_distance(a in "[abю語]{0,200}", b in "[abю語]{0,200}") {
            let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
            prop_assert_eq!(levenshtein(&Coded::new(&a, &b)), naive(&a, &b));
        }
    }

    #[test]
    fn long_texts_are_cut() {
        let a = "æ".repeat(MOST_CHARS);
        let b = format!("{a}{}", "x".repeat(100_000));
        assert_eq!(copy_similarity(&a, &b), 1.0);
        assert_eq!(copy_similarity("", "ab"), 0.0);
        assert_eq!(copy_similarity("", ""), 1.0);
    }
}
