//! `jaccard`: how much of two texts is the same, by their word 5-grams.
//!
//! Exact, not estimated; order and repetition of the 5-grams do not count.

use arrow::datatypes::DataType;

use super::content::folded;
use super::shingle::{WIDTH, shingles_of};
use crate::error::Result;
use crate::function::{Arg, Family, Function, Row, Signature, Type, Value};

/// `jaccard(a, b [, lang])`.
pub const JACCARD: Function = Function {
    signature: Signature {
        name: "jaccard",
        family: Family::Identity,
        args: &[
            Arg::text("a"),
            Arg::text("b"),
            Arg::optional("lang", Type::Text, "words by the texts' scripts"),
        ],
        returns: || DataType::Float64,
        doc: "Shared word 5-grams over all word 5-grams of two texts, in 0 to 1, after case, accents, \
              numbers and punctuation are folded away; 1 for equal content however short, else 0 when \
              a text has fewer than 5 words.",
        examples: &[
            ("jaccard('one two three four five six', 'One, two, three, four, five')", "0.5"),
            ("jaccard('ett två tre fyra fem sex', 'ETT TVA TRE FYRA FEM SEX', 'swe_Latn')", "1.0"),
            ("jaccard('раз два три четыре пять', 'пять четыре три два раз', 'rus_Cyrl')", "0.0"),
            ("jaccard('はい', 'はい', 'jpn_Jpan')", "1.0"),
        ],
        version: 1,
    },
    body: call,
};

fn call(args: &[Value<'_>], out: &mut Row<'_>) -> Result<()> {
    match (args[0].text(), args[1].text()) {
        (Some(a), Some(b)) => out.float(jaccard(a, b, args[2].text().unwrap_or(""))),
        _ => out.null(),
    }
    Ok(())
}

/// The Jaccard similarity of two texts' shingles; 1 for equal content however short.
pub fn jaccard(a: &str, b: &str, lang: &str) -> f64 {
    let (a, b) = (folded(a), folded(b));
    if a == b {
        return 1.0;
    }
    of_sets(&shingles_of(&a, lang, WIDTH), &shingles_of(&b, lang, WIDTH))
}

/// The Jaccard similarity of two ascending sets; 0 when both are empty.
pub fn of_sets(a: &[u64], b: &[u64]) -> f64 {
    let (mut i, mut j, mut both) = (0, 0, 0usize);
    while i < a.len() && j < b.len() {
        both += usize::from(a[i] == b[j]);
        let (left, right) = (a[i], b[j]);
        i += usize::from(left <= right);
        j += usize::from(right <= left);
    }
    let all = a.len() + b.len() - both;
    if all == 0 { 0.0 } else { both as f64 / all as f64 }
}

/// Whether the Jaccard similarity of two ascending sets is at least `threshold`; stops as soon as
/// that is out of reach.
pub fn at_least(a: &[u64], b: &[u64], threshold: f64) -> bool {
    let sum = a.len() + b.len();
    let near = |both: usize| both > 0 && both as f64 / (sum - both) as f64 >= threshold;
    let (mut i, mut j, mut both) = (0, 0, 0usize);
    loop {
        // All that is left in common cannot be more than the shorter rest.
        if !near(both + (a.len() - i).min(b.len() - j)) {
            return false;
        }
        let until = i + (a.len() - i).min(b.len() - j).min(32);
        if until == i {
            return near(both);
        }
        while i < until && j < b.len() {
            let (left, right) = (a[i], b[j]);
            both += usize::from(left == right);
            i += usize::from(left <= right);
            j += usize::from(right <= left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn sets_compare_as_sets(a in prop::collection::btree_set(0u64..60, 0..40), b in prop::collection::btree_set(0u64..60, 0..40)) {
            let both = a.intersection(&b).count();
            let all: BTreeSet<_> = a.union(&b).collect();
            let expected = if all.is_empty() { 0.0 } else { both as f64 / all.len() as f64 };
            let (a, b): (Vec<u64>, Vec<u64>) = (a.into_iter().collect(), b.into_iter().collect());
            prop_assert_eq!(of_sets(&a, &b), expected);
            prop_assert_eq!(of_sets(&b, &a), expected);
            for threshold in [0.01, 0.5, 0.8, 1.0] {
                prop_assert_eq!(at_least(&a, &b, threshold), expected >= threshold);
            }
        }
    }

    #[test]
    fn short_texts_are_equal_or_not() {
        assert_eq!(jaccard("Nei takk", "nei  TAKK", "isl_Latn"), 1.0);
        assert_eq!(jaccard("nei takk", "já takk", "isl_Latn"), 0.0);
        assert_eq!(jaccard("", "", ""), 1.0);
    }
}
