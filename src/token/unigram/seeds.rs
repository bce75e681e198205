//! The pieces that unigram training begins with: repeated substrings of the words.
//!
//! SentencePiece finds them in a suffix array; growing them level by level gives the same
//! substrings and needs no more than the places of one length at a time.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use super::trie::Mix;
use super::{Corpus, Piece};

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
        first: usize,
        length: usize,
        continued: bool,
    }
    // Where substrings of the current length begin: place, end of the word, word, substring.
    let mut active: Vec<(usize, usize, u32, u32)> = Vec::with_capacity(corpus.text.len());
    let mut start = 0;
    for (word, end) in corpus.ends.iter().enumerate() {
        active.extend((start..*end).map(|at| (at, *end, word as u32, corpus.text[at])));
        start = *end;
    }
    let mut candidates: Vec<(u64, usize, usize)> = Vec::new();
    let mut parents: Vec<Found> = characters
        .iter()
        .map(|(_, n)| Found { count: *n, first: 0, length: 1, continued: true })
        .collect();
    for length in 2..=longest {
        let mut ids: HashMap<u64, u32, BuildHasherDefault<Mix>> = HashMap::default();
        let mut found: Vec<Found> = Vec::new();
        let mut parent_of: Vec<u32> = Vec::new();
        active.retain_mut(|(at, end, word, id)| {
            if *at + length > *end {
                return false;
            }
            let key = u64::from(*id) << 32 | u64::from(corpus.text[*at + length - 1]);
            let new = *ids.entry(key).or_insert_with(|| {
                found.push(Found { count: 0, first: *at, length, continued: false });
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
                .map(|f| (f.count * f.length as u64, f.first, f.length)),
        );
        if active.is_empty() {
            break;
        }
    }
    candidates.extend(
        parents
            .iter()
            .filter(|f| f.count > 1 && !f.continued && f.length > 1)
            .map(|f| (f.count * f.length as u64, f.first, f.length)),
    );
    candidates.sort_unstable_by(|a, b| b.0.cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    candidates.truncate(limit);

    let singles = characters.iter().enumerate().map(|(i, (_, n))| (vec![i as u32], *n));
    let longer = candidates
        .iter()
        .map(|(mass, first, length)| (corpus.text[*first..first + length].to_vec(), *mass));
    let weighed: Vec<(Vec<u32>, u64)> = singles.chain(longer).collect();
    let sum = weighed.iter().map(|(_, mass)| *mass as f64).sum::<f64>().ln();
    weighed
        .into_iter()
        .map(|(chars, mass)| Piece { chars, score: (mass.max(1) as f64).ln() - sum })
        .collect()
}
