//! Which tokens are predicted and what stands in their place: 80 % mask, 10 % random, 10 % kept.
//!
//! Every draw is a hash of (key, place), so a mask depends on nothing but its key. Special tokens
//! are never chosen and never drawn.

use crate::id;
use crate::train::vocabulary::Vocabulary;

/// Rows with some tokens hidden.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Masked {
    /// The ids that the model sees.
    pub ids: Vec<i32>,
    /// The places to predict, rising.
    pub places: Vec<i64>,
}

/// Hides each plain token with the given probability, most of them behind the id `hidden`.
///
/// The scheme is BERT's (Devlin et al. 2019, §3.1).
pub fn mask(
    tokens: &[i32],
    vocabulary: &Vocabulary,
    hidden: i32,
    probability: f64,
    key: u64,
) -> Masked {
    let mut ids = tokens.to_vec();
    let mut places = Vec::with_capacity((tokens.len() as f64 * probability * 1.1) as usize);
    for (place, id) in ids.iter_mut().enumerate() {
        if id::uniform(place as u64, key) >= probability || vocabulary.is_special(*id) {
            continue;
        }
        places.push(place as i64);
        let draw = id::uniform(place as u64, key ^ 1);
        if draw < 0.8 {
            *id = hidden;
        } else if draw < 0.9 && vocabulary.plain() > 0 {
            let rank = id::keyed(place as u64, key ^ 2) % vocabulary.plain() as u64;
            *id = vocabulary.plain_id(rank as i64);
        }
    }
    Masked { ids, places }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::vocabulary::tests::xlmr;

    #[test]
    fn shares_are_right_and_special_tokens_stay() {
        let vocabulary = xlmr(1000);
        let tokens: Vec<i32> = (0..200_000).map(|i| [0, 1, 2, 3, 999, 50, 60, 70][i % 8]).collect();
        let masked = mask(&tokens, &vocabulary, 999, 0.15, 7);
        let (mut hidden, mut kept, mut other) = (0, 0, 0);
        for &place in &masked.places {
            let (was, is) = (tokens[place as usize], masked.ids[place as usize]);
            assert!(!vocabulary.is_special(was));
            match is {
                999 => hidden += 1,
                id if id == was => kept += 1,
                id => {
                    assert!(!vocabulary.is_special(id));
                    other += 1;
                }
            }
        }
        let n = masked.places.len() as f64;
        assert!((n / 75_000.0 - 0.15).abs() < 0.005, "{n}");
        assert!((f64::from(hidden) / n - 0.8).abs() < 0.015, "{hidden}");
        assert!((f64::from(kept) / n - 0.1).abs() < 0.015, "{kept}");
        assert!((f64::from(other) / n - 0.1).abs() < 0.015, "{other}");
        let places: std::collections::BTreeSet<i64> = masked.places.iter().copied().collect();
        for (place, (was, is)) in tokens.iter().zip(&masked.ids).enumerate() {
            assert!(was == is || places.contains(&(place as i64)));
        }
    }

    #[test]
    fn a_mask_is_a_function_of_its_key() {
        let vocabulary = xlmr(100);
        let tokens: Vec<i32> = (0..500).map(|i| 4 + i % 90).collect();
        let first = mask(&tokens, &vocabulary, 99, 0.15, 1);
        assert_eq!(first, mask(&tokens, &vocabulary, 99, 0.15, 1));
        assert_ne!(first, mask(&tokens, &vocabulary, 99, 0.15, 2));
        assert_eq!(mask(&tokens, &vocabulary, 99, 1.0, 1).places.len(), 500);
    }
}
