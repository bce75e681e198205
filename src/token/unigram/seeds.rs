//! The pieces that unigram training begins with: repeated substrings of the words.
//!
//! SentencePiece finds them in a suffix array; growing them level by level gives the same
//! substrings and needs no more than the places of one length at a time.

use super::{Corpus, Piece};
use crate::token::hasher::Numbers;

/// The characters, then the substrings with the most text in them (count × length).
///
/// Substrings grow by a character at a time from those that occur at least twice. One that always
/// continues in the same way is left to its continuation.
pub fn seeds(
    corpus: &Corpus,
    characters: &[(char, u64)],
    longest: usize,
    limit: usize,
) -> Vec<Piece> {
    struct Found {
        count: u64,
        first: u32,
        continued: bool,
    }
    // Where substrings of the current length begin: place, word, substring.
    let mut active: Vec<(u32, u32, u32)> = Vec::with_capacity(corpus.text.len());
    let mut start = 0;
    for (word, end) in corpus.ends.iter().enumerate() {
        active.extend((start..*end).map(|at| (at as u32, word as u32, corpus.text[at])));
        start = *end;
    }
    let mut candidates: Vec<(u64, u32, u32)> = Vec::new();
    let mut parents: Vec<Found> =
        characters.iter().map(|(_, n)| Found { count: *n, first: 0, continued: true }).collect();
    let mut last = 1;
    for length in 2..=longest {
        let mut ids: Numbers<u32> = Numbers::default();
        let mut found: Vec<Found> = Vec::new();
        let mut parent_of: Vec<u32> = Vec::new();
        active.retain_mut(|(at, word, id)| {
            let end = *at as usize + length;
            if end > corpus.ends[*word as usize] {
                return false;
            }
            let key = u64::from(*id) << 32 | u64::from(corpus.text[end - 1]);
            let new = *ids.entry(key).or_insert_with(|| {
                found.push(Found { count: 0, first: *at, continued: false });
                parent_of.push(*id);
                found.len() as u32 - 1
            });
            found[new as usize].count += corpus.counts[*word as usize];
            *id = new;
            true
        });
        active.retain(|(.., id)| found[*id as usize].count > 1);
        for (child, parent) in found.iter().zip(parent_of) {
            let parent = &mut parents[parent as usize];
            parent.continued |= child.count == parent.count;
        }
        let done = std::mem::replace(&mut parents, found);
        candidates.extend(
            done.iter()
                .filter(|f| f.count > 1 && !f.continued)
                .map(|f| (f.count * (length as u64 - 1), f.first, length as u32 - 1)),
        );
        last = length;
        if active.is_empty() {
            break;
        }
    }
    candidates.extend(
        parents
            .iter()
            .filter(|f| f.count > 1 && !f.continued && last > 1)
            .map(|f| (f.count * last as u64, f.first, last as u32)),
    );
    candidates.sort_unstable_by(|a, b| b.0.cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    candidates.truncate(limit);

    let singles = characters.iter().enumerate().map(|(i, (_, n))| (vec![i as u32], *n));
    let text = |first: usize, length: usize| &corpus.text[first..first + length];
    let longer = candidates
        .iter()
        .map(|(mass, first, length)| (text(*first as usize, *length as usize).to_vec(), *mass));
    let weighed: Vec<(Vec<u32>, u64)> = singles.chain(longer).collect();
    let sum = weighed.iter().map(|(_, mass)| *mass as f64).sum::<f64>().ln();
    weighed
        .into_iter()
        .map(|(chars, mass)| Piece { chars, score: (mass.max(1) as f64).ln() - sum })
        .collect()
}
