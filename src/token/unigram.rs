//! Trains a unigram vocabulary (Kudo 2018) with the `tokenizers` crate, reproducibly.
//!
//! The crate's own `train` walks hash maps with random keys and splits its sums of floats by the
//! number of threads. Here `do_train` gets the words in order inside a pool of one thread, where
//! every sum has one order, and what remains of chance (which rare character gets which of the
//! lowest scores, and the order of equals) is settled afterwards.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tokenizers::models::unigram::{Unigram, UnigramTrainer};

use crate::error::{Error, Result};

/// Pieces with their log-probabilities, best first; at most `room` of them.
///
/// `words` must be sorted, and `characters` are their characters with counts, at most half of
/// `room`; all of them become pieces.
pub fn learn(
    words: &[(String, u64)],
    characters: &[(char, u64)],
    room: usize,
    longest: usize,
) -> Result<Vec<(String, f64)>> {
    let bug = |e: String| Error::internal(format!("the unigram trainer failed: {e}"));
    let sentences: Vec<(String, u32)> =
        words.iter().map(|(word, n)| (word.clone(), (*n).min(u32::MAX.into()) as u32)).collect();
    let trainer = UnigramTrainer::builder()
        .show_progress(false)
        .vocab_size(room as u32)
        .max_piece_length(longest)
        .build()
        .map_err(|e| bug(e.to_string()))?;
    // One thread: the trainer cuts its words into as many sums as there are threads.
    let pool =
        rayon::ThreadPoolBuilder::new().num_threads(1).build().map_err(|e| bug(e.to_string()))?;
    let mut model = Unigram::default();
    let trained = pool.install(|| {
        // The trainer panics on numbers that it cannot represent.
        catch_unwind(AssertUnwindSafe(|| trainer.do_train(sentences, &mut model)))
    });
    match trained {
        Ok(Ok(_)) => Ok(settle(model.iter().cloned().collect(), characters)),
        Ok(Err(e)) => Err(bug(e.to_string())),
        Err(_) => Err(bug("it panicked on these words".into())),
    }
}

/// Takes chance out of the trained pieces.
///
/// Characters that lost their score in training were given min, min + 0.0001, min + 0.0002, … in
/// the order of a hash set. The scores of that series are dealt out again, most frequent
/// character first; then pieces of equal score stand in the order of their text.
fn settle(mut pieces: Vec<(String, f64)>, characters: &[(char, u64)]) -> Vec<(String, f64)> {
    let mut by_score: HashMap<u64, Vec<usize>> = HashMap::new();
    for (i, (piece, score)) in pieces.iter().enumerate() {
        if piece.chars().nth(1).is_none() {
            by_score.entry(score.to_bits()).or_default().push(i);
        }
    }
    let lowest = pieces.iter().map(|(_, score)| *score).fold(f64::INFINITY, f64::min);
    let mut tail: Vec<usize> = Vec::new();
    let mut penalty = 0.0;
    while let Some(found) = by_score.remove(&(lowest + penalty).to_bits()) {
        tail.extend(found);
        penalty += 0.0001;
    }
    let mut scores: Vec<f64> = tail.iter().map(|i| pieces[*i].1).collect();
    scores.sort_by(|a, b| b.total_cmp(a));
    let rank: HashMap<char, usize> =
        characters.iter().enumerate().map(|(rank, (c, _))| (*c, rank)).collect();
    tail.sort_by_key(|i| pieces[*i].0.chars().next().and_then(|c| rank.get(&c).copied()));
    for (i, score) in tail.into_iter().zip(scores) {
        pieces[i].1 = score;
    }
    pieces.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settled_pieces_do_not_depend_on_their_order() {
        let chars = [('a', 9), ('b', 5), ('c', 2)];
        let (low, next) = (-9.0, -9.0 + 0.0001);
        let one = vec![("ab".into(), -1.0), ("c".into(), next), ("b".into(), low)];
        let two = vec![("b".into(), next), ("c".into(), low), ("ab".into(), -1.0)];
        let settled = settle(one, &chars);
        assert_eq!(settled, settle(two, &chars));
        assert_eq!(settled[1].0, "b");
    }
}
