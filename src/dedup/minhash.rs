//! `minhash`: a signature of 112 numbers whose agreement estimates the Jaccard similarity.
//!
//! The family of permutations is `x ↦ aᵢ·x + bᵢ` in wrapping 64-bit arithmetic over the xxh3 hashes
//! of the shingles, with odd `aᵢ`; `aᵢ = keyed(2i, SEED) | 1` and `bᵢ = keyed(2i + 1, SEED)`, so that
//! longer families begin with the shorter ones. It is not datatrove's family (numbers from numpy,
//! modulo 2⁶¹ − 1): signatures of the two tools cannot be mixed, but the parameters and so the
//! chances of a match are the same. Numbers of equal place agree with a probability that is the
//! Jaccard similarity of the two sets.
//!
//! Bands are keys of 64 bits: two texts meet when all rows of a band agree, which for similarity
//! `s`, `b` bands and `r` rows has the probability `1 − (1 − sʳ)ᵇ`.

use std::sync::LazyLock;

use arrow::datatypes::DataType;

use super::shingle::shingles;
use crate::error::Result;
use crate::function::{Arg, Family, Function, Row, Signature, Type, Value, list_of};
use crate::id;

/// Bands of the default signature.
pub const BANDS: usize = 14;
/// Rows of each band.
pub const ROWS: usize = 8;
const SEED: u64 = 0x6865_7861_706c_6121;

/// `minhash(text, lang)`.
pub const MINHASH: Function = Function {
    signature: Signature {
        name: "minhash",
        family: Family::Identity,
        args: &[
            Arg::text("text"),
            Arg::optional("lang", Type::Text, "words by the text's scripts"),
        ],
        returns: || list_of(DataType::UInt64),
        doc: "The MinHash signature of the text's word 5-grams, 112 numbers (14 bands of 8 rows as \
              in datatrove, with a hash family of its own); empty for a text of fewer than 5 words.",
        examples: &[
            ("cardinality(minhash('Það var einu sinni gömul kona', 'isl_Latn'))", "112"),
            (
                "minhash('ÉTÉ 2024 à la mer', 'fra_Latn') = minhash('été 1999, a la mer', 'fra_Latn')",
                "true",
            ),
            (
                "minhash('今天我们去北京看博物馆', 'cmn_Hans') = minhash('昨天我们去上海看博物馆', 'cmn_Hans')",
                "false",
            ),
            ("empty(minhash('نص قصير', 'arb_Arab'))", "true"),
        ],
        version: 1,
    },
    body: call,
};

static DEFAULT: LazyLock<Permutations> = LazyLock::new(|| Permutations::new(BANDS * ROWS));

fn call(args: &[Value<'_>], out: &mut Row<'_>) -> Result<()> {
    let Some(text) = args[0].text() else {
        out.null();
        return Ok(());
    };
    let set = shingles(text, args[1].text().unwrap_or(""));
    out.uints(&DEFAULT.signature(&set));
    Ok(())
}

/// A family of permutations of the 64-bit numbers.
#[derive(Debug, Clone)]
pub struct Permutations {
    factors: Vec<(u64, u64)>,
}

impl Permutations {
    /// The first `n` of the family.
    pub fn new(n: usize) -> Self {
        let factor = |i: u64| (id::keyed(2 * i, SEED) | 1, id::keyed(2 * i + 1, SEED));
        Self { factors: (0..n as u64).map(factor).collect() }
    }

    /// The least image of the set under each permutation; empty for an empty set.
    pub fn signature(&self, set: &[u64]) -> Vec<u64> {
        if set.is_empty() {
            return Vec::new();
        }
        let mut all = Vec::with_capacity(self.factors.len());
        let (fours, rest) = self.factors.as_chunks::<4>();
        // Four at a time do not wait for one another.
        for four in fours {
            let mut least = [u64::MAX; 4];
            for x in set {
                for (least, (a, b)) in least.iter_mut().zip(four) {
                    *least = (*least).min(a.wrapping_mul(*x).wrapping_add(*b));
                }
            }
            all.extend(least);
        }
        all.extend(rest.iter().map(|(a, b)| {
            set.iter().fold(u64::MAX, |least, x| least.min(a.wrapping_mul(*x).wrapping_add(*b)))
        }));
        all
    }
}

/// The key of each band of `rows` numbers of a signature; none for an empty one. The place of the
/// band is part of the key, so that equal rows in different bands do not meet.
pub fn bands(signature: &[u64], rows: usize) -> impl Iterator<Item = u64> {
    let mut bytes = Vec::with_capacity(8 * (rows + 1));
    signature.chunks_exact(rows.max(1)).zip(0u64..).map(move |(band, place)| {
        bytes.clear();
        bytes.extend_from_slice(&place.to_le_bytes());
        band.iter().for_each(|number| bytes.extend_from_slice(&number.to_le_bytes()));
        id::hash64(&bytes)
    })
}

/// The share of equal numbers in two signatures: the estimate of the Jaccard similarity. 0 when
/// either is empty.
pub fn agreement(a: &[u64], b: &[u64]) -> f64 {
    let equal = a.iter().zip(b).filter(|(x, y)| x == y).count();
    if equal == 0 { 0.0 } else { equal as f64 / a.len().max(b.len()) as f64 }
}

#[cfg(test)]
mod tests {
    use super::super::jaccard::of_sets;
    use super::*;
    use proptest::prelude::*;

    /// Two sets that share `both` of `both + one + other` numbers.
    fn sets(both: u64, one: u64, other: u64, salt: u64) -> (Vec<u64>, Vec<u64>) {
        let draw = |from: u64, n: u64| (from..from + n).map(move |i| id::keyed(i, salt));
        let mut a: Vec<u64> = draw(0, both).chain(draw(1 << 20, one)).collect();
        let mut b: Vec<u64> = draw(0, both).chain(draw(2 << 20, other)).collect();
        a.sort_unstable();
        b.sort_unstable();
        (a, b)
    }

    proptest! {
        #[test]
        fn agreement_estimates_jaccard(both in 0u64..300, one in 1u64..200, other in 1u64..200, salt: u64) {
            let (a, b) = sets(both, one, other, salt);
            let exact = of_sets(&a, &b);
            let estimate = agreement(&DEFAULT.signature(&a), &DEFAULT.signature(&b));
            // Five standard deviations of 112 independent draws.
            let slack = 5.0 * (0.25f64 / 112.0).sqrt();
            prop_assert!((exact - estimate).abs() < slack, "{exact} {estimate}");
        }

        #[test]
        fn a_signature_does_not_know_order_or_repetition(mut set in prop::collection::vec(any::<u64>(), 1..50)) {
            let signature = DEFAULT.signature(&set);
            set.extend_from_within(..);
            set.reverse();
            prop_assert_eq!(DEFAULT.signature(&set), signature);
        }
    }

    #[test]
    fn the_estimate_is_unbiased() {
        for (both, one, other) in [(80, 10, 10), (50, 25, 25), (10, 45, 45)] {
            let mean = (0..400)
                .map(|salt| {
                    let (a, b) = sets(both, one, other, salt);
                    agreement(&DEFAULT.signature(&a), &DEFAULT.signature(&b))
                })
                .sum::<f64>()
                / 400.0;
            let exact = both as f64 / (both + one + other) as f64;
            assert!((mean - exact).abs() < 0.01, "{exact} {mean}");
        }
    }

    #[test]
    fn bands_meet_as_often_as_the_formula_says() {
        // P(match) at similarity 0.8 with 14 × 8 is 0.924 (curation.md §4.6).
        let met = (0..1000)
            .filter(|salt| {
                let (a, b) = sets(160, 20, 20, *salt);
                let (a, b) = (DEFAULT.signature(&a), DEFAULT.signature(&b));
                bands(&a, ROWS).zip(bands(&b, ROWS)).any(|(x, y)| x == y)
            })
            .count();
        assert!((890..955).contains(&met), "{met}");
    }

    #[test]
    fn an_empty_set_has_no_signature_and_meets_nothing() {
        assert!(DEFAULT.signature(&[]).is_empty());
        assert_eq!(bands(&[], ROWS).count(), 0);
        assert_eq!(agreement(&[], &[]), 0.0);
        assert_eq!(bands(&DEFAULT.signature(&[1]), ROWS).count(), BANDS);
    }
}
