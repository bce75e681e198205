//! Which tokens are predicted and what stands in their place: 80 % mask, 10 % random, 10 % kept.
//!
//! Every draw is a hash of (key, place), so a mask depends on nothing but its key. Special tokens
//! are never chosen and never drawn.

use crate::id;
use crate::train::config::Masking;
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
/// The scheme is BERT's (Devlin et al. 2019, §3.1). With `whole_words` the tokens of a word are
/// hidden together, each with a draw of its own of what stands in its place.
pub fn mask(
    tokens: &[i32],
    vocabulary: &Vocabulary,
    hidden: i32,
    masking: Masking,
    key: u64,
) -> Masked {
    let expected = tokens.len() as f64 * masking.probability * 1.1;
    let (mut ids, mut places) = (tokens.to_vec(), Vec::with_capacity(expected as usize));
    // The place where the word at hand begins; a special token ends it.
    let (mut word, mut inside) = (0, false);
    for (place, id) in ids.iter_mut().enumerate() {
        if vocabulary.is_special(*id) {
            inside = false;
            continue;
        }
        if !(masking.whole_words && inside) || vocabulary.pieces.begins(*id) {
            word = place;
        }
        inside = true;
        if id::uniform(word as u64, key) >= masking.probability {
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
    use crate::train::pieces::Pieces;
    use crate::train::vocabulary::tests::xlmr;

    fn tokens_alone(probability: f64) -> Masking {
        Masking { probability, whole_words: false }
    }

    #[test]
    fn shares_are_right_and_special_tokens_stay() {
        let vocabulary = xlmr(1000);
        let tokens: Vec<i32> = (0..200_000).map(|i| [0, 1, 2, 3, 999, 50, 60, 70][i % 8]).collect();
        let masked = mask(&tokens, &vocabulary, 999, tokens_alone(0.15), 7);
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
        let first = mask(&tokens, &vocabulary, 99, tokens_alone(0.15), 1);
        assert_eq!(first, mask(&tokens, &vocabulary, 99, tokens_alone(0.15), 1));
        assert_ne!(first, mask(&tokens, &vocabulary, 99, tokens_alone(0.15), 2));
        assert_eq!(mask(&tokens, &vocabulary, 99, tokens_alone(1.0), 1).places.len(), 500);
    }

    #[test]
    fn words_are_hidden_whole() {
        let mut vocabulary = xlmr(100);
        // Even ids begin words.
        let text = |id: i32| Some(if id % 2 == 0 { format!("▁{id}") } else { id.to_string() });
        vocabulary.pieces = Pieces::new(&(0..100).map(text).collect::<Vec<_>>());
        // Words of 1, 2 and 3 tokens, and after `</s>` one that begins without a mark.
        let tokens: Vec<i32> =
            (0..9000).map(|i| [10, 20, 21, 30, 31, 33, 2, 41, 43][i % 9]).collect();
        let masking = Masking { probability: 0.15, whole_words: true };
        let masked = mask(&tokens, &vocabulary, 99, masking, 3);
        let hidden: std::collections::BTreeSet<usize> =
            masked.places.iter().map(|&place| place as usize).collect();
        for start in (0..9000).step_by(9) {
            for word in [&[0][..], &[1, 2], &[3, 4, 5], &[7, 8]] {
                let found = word.iter().filter(|&&k| hidden.contains(&(start + k))).count();
                assert!(found == 0 || found == word.len());
            }
            assert!(!hidden.contains(&(start + 6)));
        }
        let share = hidden.len() as f64 / 8000.0;
        assert!((share - 0.15).abs() < 0.02, "{share}");
    }
}
