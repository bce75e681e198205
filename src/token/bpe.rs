//! Trains byte-pair merges (Sennrich et al. 2016), reproducibly.
//!
//! The trainer of the `tokenizers` crate pushes equal pairs in the order of a hash map, so equal
//! counts may merge differently from run to run. Here each step merges the most frequent pair,
//! and of equals the one with the smallest ids. It trains no continuation prefixes or suffixes.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};

type Pair = (u32, u32);

/// A trained vocabulary without special tokens.
#[derive(Debug, PartialEq)]
pub struct Merges {
    /// Tokens, the characters first, each later one made by a merge.
    pub tokens: Vec<String>,
    /// Pairs of tokens in the order of their merging.
    pub merges: Vec<(String, String)>,
}

/// Merges pairs until there are `room` tokens or no pair occurs twice.
///
/// `words` consist of `characters` alone; tokens are at most `longest` characters long.
pub fn learn(
    words: &[(String, u64)],
    characters: &[(char, u64)],
    room: usize,
    longest: usize,
) -> Merges {
    let mut tokens: Vec<String> = characters.iter().map(|(c, _)| c.to_string()).collect();
    let mut ids: HashMap<String, u32> =
        tokens.iter().enumerate().map(|(i, t)| (t.clone(), i as u32)).collect();
    let letters: HashMap<char, u32> =
        characters.iter().enumerate().map(|(i, (c, _))| (*c, i as u32)).collect();
    let mut lengths: Vec<usize> = vec![1; tokens.len()];
    let mut spelled: Vec<Vec<u32>> = words
        .iter()
        .map(|(word, _)| word.chars().filter_map(|c| letters.get(&c).copied()).collect())
        .collect();

    let mut counts: HashMap<Pair, u64> = HashMap::new();
    let mut places: HashMap<Pair, Vec<u32>> = HashMap::new();
    for (i, word) in spelled.iter().enumerate() {
        for pair in pairs(word) {
            *counts.entry(pair).or_default() += words[i].1;
            places.entry(pair).or_default().push(i as u32);
        }
    }
    let mut queue: BinaryHeap<(u64, Reverse<Pair>)> =
        counts.iter().map(|(pair, n)| (*n, Reverse(*pair))).collect();

    let mut merges = Vec::new();
    while tokens.len() < room {
        let Some((count, Reverse(pair))) = queue.pop() else { break };
        let now = counts.get(&pair).copied().unwrap_or(0);
        if now < 2 || lengths[pair.0 as usize] + lengths[pair.1 as usize] > longest {
            continue;
        }
        if now != count {
            // An entry from before other merges; its place is further down.
            queue.push((now, Reverse(pair)));
            continue;
        }
        let (left, right) = (tokens[pair.0 as usize].clone(), tokens[pair.1 as usize].clone());
        let token = format!("{left}{right}");
        let new = *ids.entry(token.clone()).or_insert_with(|| {
            lengths.push(lengths[pair.0 as usize] + lengths[pair.1 as usize]);
            tokens.push(token);
            (tokens.len() - 1) as u32
        });
        merges.push((left, right));

        let mut grown: BTreeSet<Pair> = BTreeSet::new();
        let mut at = places.remove(&pair).unwrap_or_default();
        at.sort_unstable();
        at.dedup();
        for place in at {
            let (word, n) = (&mut spelled[place as usize], words[place as usize].1);
            for old in pairs(word) {
                if let Some(count) = counts.get_mut(&old) {
                    *count -= n;
                }
            }
            merge(word, pair, new);
            for made in pairs(word) {
                *counts.entry(made).or_default() += n;
                if made.0 == new || made.1 == new {
                    places.entry(made).or_default().push(place);
                    grown.insert(made);
                }
            }
        }
        for made in grown {
            queue.push((counts.get(&made).copied().unwrap_or(0), Reverse(made)));
        }
    }
    Merges { tokens, merges }
}

fn pairs(word: &[u32]) -> impl Iterator<Item = Pair> {
    word.windows(2).map(|w| (w[0], w[1]))
}

/// Replaces each occurrence of a pair, from the left.
fn merge(word: &mut Vec<u32>, pair: Pair, new: u32) {
    let mut write = 0;
    let mut read = 0;
    while read < word.len() {
        if read + 1 < word.len() && (word[read], word[read + 1]) == pair {
            word[write] = new;
            read += 2;
        } else {
            word[write] = word[read];
            read += 1;
        }
        write += 1;
    }
    word.truncate(write);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::sample;

    #[test]
    fn the_most_frequent_pair_merges_first() {
        // The worked example of Sennrich et al.: low, lower, newest, widest.
        let words: Vec<(String, u64)> = [("low", 5), ("lower", 2), ("newest", 6), ("widest", 3)]
            .map(|(w, n)| (w.to_string(), n))
            .into();
        let characters = sample::characters(&words);
        let learned = learn(&words, &characters, characters.len() + 3, 16);
        let texts: Vec<&str> =
            learned.tokens[characters.len()..].iter().map(String::as_str).collect();
        assert_eq!(texts, ["es", "est", "lo"]);
        assert_eq!(learned.merges[1], ("es".to_string(), "t".to_string()));
    }

    #[test]
    fn repeated_letters_merge_from_the_left() {
        let mut word = vec![1, 1, 1];
        merge(&mut word, (1, 1), 7);
        assert_eq!(word, [7, 1]);
    }
}
