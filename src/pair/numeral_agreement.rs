//! `numeral_agreement`: whether both sides speak of the same numbers.
//!
//! Compares the runs of decimal digits of any script. Separators do not count, so `1,234.5` agrees
//! with `1.234,5`; order does not count, since languages differ in it. Numbers written as words are
//! not read.

use arrow::datatypes::DataType;

use super::digits::runs;
use crate::error::Result;
use crate::function::{Arg, Family, Function, Row, Signature, Value};

/// `numeral_agreement(src, tgt)`.
pub const NUMERAL_AGREEMENT: Function = Function {
    signature: Signature {
        name: "numeral_agreement",
        family: Family::Pair,
        args: &[Arg::text("src"), Arg::text("tgt")],
        returns: || DataType::Float64,
        doc: "Share of the digit strings of both sides that stand on the other side too (Dice, with \
              repetition), in 0 to 1; digits of all scripts are equal by value; 1 when neither side \
              has any.",
        examples: &[
            ("numeral_agreement('25. desember 2024', 'December 25, 2024')", "1.0"),
            ("numeral_agreement('٢٥ كتابا', '25 books')", "1.0"),
            ("numeral_agreement('第３章', 'Chapter 4')", "0.0"),
            ("numeral_agreement('2 af 3', '2 of them')", "0.6666666666666666"),
            ("numeral_agreement('साल', 'year')", "1.0"),
        ],
        version: 1,
    },
    body: call,
};

fn call(args: &[Value<'_>], out: &mut Row<'_>) -> Result<()> {
    match (args[0].text(), args[1].text()) {
        (Some(src), Some(tgt)) => out.float(numeral_agreement(src, tgt)),
        _ => out.null(),
    }
    Ok(())
}

/// The Dice similarity of the digit strings of two texts, as multisets.
pub fn numeral_agreement(src: &str, tgt: &str) -> f64 {
    let (mut src, mut tgt) = (runs(src), runs(tgt));
    let all = src.len() + tgt.len();
    if all == 0 {
        return 1.0;
    }
    src.sort_unstable();
    tgt.sort_unstable();
    let (mut i, mut j, mut both) = (0, 0, 0);
    while i < src.len() && j < tgt.len() {
        match src[i].cmp(&tgt[j]) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => {
                (i, j, both) = (i + 1, j + 1, both + 1);
            }
        }
    }
    2.0 * f64::from(both) / all as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_separators_and_order_do_not_count_but_repetition_does() {
        assert_eq!(numeral_agreement("१२.५ और ३", "3 and 12,5"), 1.0);
        assert_eq!(numeral_agreement("7 7", "7"), 2.0 / 3.0);
        assert_eq!(numeral_agreement("7", ""), 0.0);
        assert_eq!(numeral_agreement("007", "7"), 0.0);
    }
}
