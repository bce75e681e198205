//! `copy_similarity`: how nearly one side is a copy of the other.
//!
//! Normalised Levenshtein similarity over characters, as OpusFilter's `SimilarityFilter` with its
//! weights of 1. Cost is bounded: of a longer text the first 8,192 characters count.

use arrow::datatypes::DataType;

use super::quality::bitwise::Bitwise;
use super::quality::coded::Coded;
use crate::error::Result;
use crate::function::{Arg, Family, Function, Row, Signature, Value};

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
    let pair = Coded::new(src, tgt);
    similarity(&pair, &Bitwise::new(&pair))
}

/// The normalised Levenshtein similarity of a pair.
pub fn similarity(pair: &Coded, bits: &Bitwise<'_>) -> f64 {
    let longer = pair.src.len().max(pair.tgt.len());
    if longer == 0 {
        return 1.0;
    }
    1.0 - bits.levenshtein() as f64 / longer as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pair::quality::coded::MOST_CHARS;

    #[test]
    fn long_texts_are_cut() {
        let a = "æ".repeat(MOST_CHARS);
        let b = format!("{a}{}", "x".repeat(100_000));
        assert_eq!(copy_similarity(&a, &b), 1.0);
        assert_eq!(copy_similarity("", "ab"), 0.0);
        assert_eq!(copy_similarity("", ""), 1.0);
    }
}
