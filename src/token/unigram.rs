//! Trains a unigram vocabulary (Kudo 2018), reproducibly.
//!
//! Frequent substrings are the seeds; rounds of expectation-maximisation and of dropping the pieces
//! whose loss hurts least follow, as in SentencePiece. The trainer of the `tokenizers` crate walks
//! hash maps with random keys and splits its sums by the number of threads; here sums are split
//! into a fixed number of parts that are added in order, so threads change the time alone.
//! Characters are never dropped, hence no piece needs an invented score.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use rayon::prelude::*;

/// Parts of the sums over words; fixed, because the order of adding is part of the result.
const PARTS: usize = 8;

/// Pieces that training begins with, as a multiple of those wanted, and at most.
const SEEDS: (usize, usize) = (20, 1_000_000);

/// The share of pieces that a round keeps, and the rounds of expectation-maximisation in it.
const SHRINK: f64 = 0.75;
const ROUNDS: usize = 2;

/// Likelihoods are multiplied by this for each character, so that long words do not vanish; it
/// cancels out, because all segmentations of a word have the same number of characters.
const LIFT: f64 = 16.0;

const NONE: u32 = u32::MAX;

/// Pieces with their log-probabilities, best first; at most `room` of them.
///
/// `words` must be sorted and consist of `characters`, fewer than `room`, all of which become
/// pieces; other pieces are at most `longest` characters long.
pub fn learn(
    words: &[(String, u64)],
    characters: &[(char, u64)],
    room: usize,
    longest: usize,
) -> Vec<(String, f64)> {
    let corpus = Corpus::new(words, characters);
    let wanted = room * 11 / 10;
    let mut pieces = seeds(&corpus, characters, longest, (room * SEEDS.0).min(SEEDS.1));
    loop {
        let trie = Trie::new(&pieces, characters.len());
        for _ in 0..ROUNDS {
            let expected = corpus.expect(&trie, &pieces);
            maximise(&mut pieces, &expected);
        }
        let live = pieces.iter().filter(|piece| piece.score.is_finite()).count();
        if live <= wanted {
            break;
        }
        pieces = prune(&corpus, &trie, pieces, wanted.max((live as f64 * SHRINK) as usize));
    }

    let (singles, mut longer): (Vec<Piece>, Vec<Piece>) = pieces
        .into_iter()
        .filter(|piece| piece.score.is_finite())
        .partition(|piece| piece.chars.len() == 1);
    longer.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.chars.cmp(&b.chars)));
    longer.truncate(room.saturating_sub(singles.len()));
    let spell = |piece: Piece| -> (String, f64) {
        (piece.chars.iter().map(|c| characters[*c as usize].0).collect(), piece.score)
    };
    let mut all: Vec<(String, f64)> = singles.into_iter().chain(longer).map(spell).collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    all
}

/// A piece: places of its characters in the alphabet, and its log-probability, which is -∞ once
/// training has dropped it. The single characters come first, in the order of the alphabet.
struct Piece {
    chars: Vec<u32>,
    score: f64,
}

/// The words as places of characters in the alphabet, one after the other.
struct Corpus {
    text: Vec<u32>,
    ends: Vec<usize>,
    counts: Vec<u64>,
}

impl Corpus {
    fn new(words: &[(String, u64)], characters: &[(char, u64)]) -> Self {
        let places: HashMap<char, u32> =
            characters.iter().enumerate().map(|(i, (c, _))| (*c, i as u32)).collect();
        let mut text = Vec::new();
        let mut ends = Vec::with_capacity(words.len());
        for (word, _) in words {
            text.extend(word.chars().filter_map(|c| places.get(&c).copied()));
            ends.push(text.len());
        }
        Self { text, ends, counts: words.iter().map(|(_, n)| *n).collect() }
    }

    fn words(&self, part: usize) -> impl Iterator<Item = (&[u32], f64)> {
        let n = self.ends.len();
        (n * part / PARTS..n * (part + 1) / PARTS).map(|i| {
            let start = if i == 0 { 0 } else { self.ends[i - 1] };
            (&self.text[start..self.ends[i]], self.counts[i] as f64)
        })
    }

    /// Sums over all words, in parts that are added in order.
    fn sum(&self, pieces: usize, add: impl Fn(&[u32], f64, &mut [f64]) + Sync) -> Vec<f64> {
        let parts: Vec<Vec<f64>> = (0..PARTS)
            .into_par_iter()
            .map(|part| {
                let mut sums = vec![0.0; pieces];
                self.words(part).for_each(|(word, count)| add(word, count, &mut sums));
                sums
            })
            .collect();
        let mut all = vec![0.0; pieces];
        for part in parts {
            all.iter_mut().zip(part).for_each(|(sum, more)| *sum += more);
        }
        all
    }

    /// How often each piece is expected in the words, over all segmentations.
    fn expect(&self, trie: &Trie, pieces: &[Piece]) -> Vec<f64> {
        let likelihoods: Vec<f64> = pieces
            .iter()
            .map(|piece| piece.score.exp() * LIFT.powi(piece.chars.len() as i32))
            .collect();
        self.sum(pieces.len(), |word, count, sums| {
            let n = word.len();
            let arcs = trie.arcs(word, |id| likelihoods[id as usize] > 0.0);
            let mut forward = vec![0.0; n + 1];
            let mut backward = vec![0.0; n + 1];
            forward[0] = 1.0;
            backward[n] = 1.0;
            for (start, end, id) in &arcs {
                forward[*end] += forward[*start] * likelihoods[*id as usize];
            }
            for (start, end, id) in arcs.iter().rev() {
                backward[*start] += backward[*end] * likelihoods[*id as usize];
            }
            let all = forward[n];
            if all < f64::MIN_POSITIVE {
                return;
            }
            for (start, end, id) in arcs {
                let id = id as usize;
                sums[id] += count * (forward[start] * likelihoods[id] * backward[end] / all);
            }
        })
    }

    /// How often each piece occurs in the likeliest segmentations.
    fn occurrences(&self, trie: &Trie, pieces: &[Piece]) -> Vec<f64> {
        self.sum(pieces.len(), |word, count, sums| {
            for id in trie.segment(word, pieces, NONE).0 {
                sums[id as usize] += count;
            }
        })
    }
}

/// Log-probabilities from expected counts, with the sparse prior of SentencePiece; pieces that are
/// expected less than half a time are dropped, except characters.
fn maximise(pieces: &mut [Piece], expected: &[f64]) {
    const LEAST: f64 = 0.5;
    let mut sum = 0.0;
    for (piece, count) in pieces.iter_mut().zip(expected) {
        let single = piece.chars.len() == 1;
        piece.score = if *count >= LEAST {
            *count
        } else if single {
            LEAST
        } else {
            f64::NEG_INFINITY
        };
        if piece.score.is_finite() {
            sum += piece.score;
        }
    }
    let all = digamma(sum);
    for piece in pieces.iter_mut().filter(|piece| piece.score.is_finite()) {
        piece.score = digamma(piece.score) - all;
    }
}

/// The pieces without those whose loss costs the least likelihood; `keep` remain.
fn prune(corpus: &Corpus, trie: &Trie, pieces: Vec<Piece>, keep: usize) -> Vec<Piece> {
    let counts = corpus.occurrences(trie, &pieces);
    let sum: f64 = counts.iter().sum();
    let mut costs: Vec<(f64, usize)> = pieces
        .par_iter()
        .enumerate()
        .filter(|(id, piece)| piece.chars.len() > 1 && piece.score.is_finite() && counts[*id] > 0.0)
        .map(|(id, piece)| {
            // What the piece would be replaced by, and how likely that is when it has the
            // occurrences of both.
            let instead = trie.segment(&piece.chars, &pieces, id as u32).0;
            let count = counts[id];
            let grown = (sum + count * (instead.len() as f64 - 1.0)).ln();
            let others: f64 =
                instead.iter().map(|other| (counts[*other as usize] + count).ln() - grown).sum();
            (count * (count.ln() - sum.ln() - others), id)
        })
        .collect();
    costs.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let singles = pieces.iter().take_while(|piece| piece.chars.len() == 1).count();
    let mut kept: Vec<bool> = (0..pieces.len()).map(|id| id < singles).collect();
    for (_, id) in costs.into_iter().take(keep.saturating_sub(singles)) {
        kept[id] = true;
    }
    pieces.into_iter().zip(kept).filter_map(|(piece, kept)| kept.then_some(piece)).collect()
}

/// The characters, then the substrings with the most text in them (count × length).
///
/// Substrings grow by a character at a time from those that occur at least twice. One that always
/// continues in the same way is left to its continuation.
fn seeds(corpus: &Corpus, characters: &[(char, u64)], longest: usize, limit: usize) -> Vec<Piece> {
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

/// Pieces by their characters.
struct Trie {
    next: HashMap<u64, u32, BuildHasherDefault<Mix>>,
    // The piece that ends at each node.
    ends: Vec<u32>,
}

impl Trie {
    fn new(pieces: &[Piece], alphabet: usize) -> Self {
        // Nodes of the single characters are their places in the alphabet.
        let mut trie = Self { next: HashMap::default(), ends: vec![NONE; alphabet] };
        for (id, piece) in pieces.iter().enumerate() {
            let mut node = piece.chars[0];
            for c in &piece.chars[1..] {
                let ends = &mut trie.ends;
                node =
                    *trie.next.entry(u64::from(node) << 32 | u64::from(*c)).or_insert_with(|| {
                        ends.push(NONE);
                        ends.len() as u32 - 1
                    });
            }
            trie.ends[node as usize] = id as u32;
        }
        trie
    }

    /// All pieces in a word as (start, end, piece), by start, then by end.
    fn arcs(&self, word: &[u32], usable: impl Fn(u32) -> bool) -> Vec<(usize, usize, u32)> {
        let mut arcs = Vec::with_capacity(word.len() * 4);
        for start in 0..word.len() {
            let mut node = word[start];
            let mut end = start + 1;
            loop {
                let id = self.ends[node as usize];
                if id != NONE && usable(id) {
                    arcs.push((start, end, id));
                }
                let Some(c) = word.get(end) else { break };
                match self.next.get(&(u64::from(node) << 32 | u64::from(*c))) {
                    Some(next) => node = *next,
                    None => break,
                }
                end += 1;
            }
        }
        arcs
    }

    /// The likeliest segmentation without a piece, and its log-probability; characters see to it
    /// that there is one.
    fn segment(&self, word: &[u32], pieces: &[Piece], without: u32) -> (Vec<u32>, f64) {
        let mut best: Vec<(f64, usize, u32)> = vec![(f64::NEG_INFINITY, 0, NONE); word.len() + 1];
        best[0].0 = 0.0;
        let usable = |id: u32| id != without && pieces[id as usize].score.is_finite();
        for (start, end, id) in self.arcs(word, usable) {
            let score = best[start].0 + pieces[id as usize].score;
            if score > best[end].0 {
                best[end] = (score, start, id);
            }
        }
        let mut path = Vec::new();
        let mut at = word.len();
        while at > 0 && best[at].2 != NONE {
            path.push(best[at].2);
            at = best[at].1;
        }
        path.reverse();
        (path, best[word.len()].0)
    }
}

/// Mixes the bits of one number; the keys are our own, so nobody can make them collide.
#[derive(Default)]
struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        let x = (self.0 ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = x ^ x >> 32;
    }
}

/// The derivative of ln Γ, by recurrence and its asymptotic series.
fn digamma(mut x: f64) -> f64 {
    let mut result = 0.0;
    while x < 7.0 {
        result -= 1.0 / x;
        x += 1.0;
    }
    x -= 0.5;
    let inverse = 1.0 / (x * x);
    result + x.ln() + inverse / 24.0 - 7.0 / 960.0 * inverse.powi(2)
        + 31.0 / 8064.0 * inverse.powi(3)
        - 127.0 / 30720.0 * inverse.powi(4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::sample;

    fn words(of: &[(&str, u64)]) -> Vec<(String, u64)> {
        let mut words: Vec<(String, u64)> = of.iter().map(|(w, n)| (w.to_string(), *n)).collect();
        words.sort();
        words
    }

    #[test]
    fn digamma_has_its_known_values() {
        const EULER: f64 = 0.577_215_664_901_532_9;
        assert!((digamma(1.0) + EULER).abs() < 1e-7);
        assert!((digamma(0.5) + EULER + 2.0 * 2f64.ln()).abs() < 1e-7);
    }

    #[test]
    fn expectations_are_those_of_all_segmentations() {
        // Of `ab`, with p(a) = 0.5, p(b) = 0.25, p(ab) = 0.25: one of two words is a + b.
        let words = words(&[("ab", 6)]);
        let characters = [('a', 6), ('b', 6)];
        let corpus = Corpus::new(&words, &characters);
        let piece = |chars: &[u32], p: f64| Piece { chars: chars.to_vec(), score: p.ln() };
        let pieces = [piece(&[0], 0.5), piece(&[1], 0.25), piece(&[0, 1], 0.25)];
        let trie = Trie::new(&pieces, 2);
        let expected = corpus.expect(&trie, &pieces);
        let split = 6.0 * 0.125 / (0.125 + 0.25);
        for (found, right) in expected.iter().zip([split, split, 6.0 - split]) {
            assert!((found - right).abs() < 1e-12, "{expected:?}");
        }
        assert_eq!(trie.segment(&[0, 1], &pieces, NONE).0, [2]);
        assert_eq!(trie.segment(&[0, 1], &pieces, 2).0, [0, 1]);
    }

    #[test]
    fn seeds_are_the_repeated_substrings() {
        let words = words(&[("▁bana", 1), ("▁banana", 1)]);
        let characters = sample::characters(&words);
        let corpus = Corpus::new(&words, &characters);
        let found = seeds(&corpus, &characters, 16, 100);
        let spelled: Vec<String> = found
            .iter()
            .map(|piece| piece.chars.iter().map(|c| characters[*c as usize].0).collect())
            .collect();
        let longer: Vec<&str> =
            spelled.iter().filter(|s| s.chars().count() > 1).map(String::as_str).collect();
        // By count × length: 2 × 5, 3 × 3, 2 × 4, 3 × 2; `▁ban` always goes on to `▁bana`.
        assert_eq!(longer, ["▁bana", "ana", "bana", "na"]);
    }

    #[test]
    fn frequent_words_become_pieces_and_characters_stay() {
        let words = words(&[("▁fjall", 50), ("▁fjara", 40), ("▁dalur", 60), ("▁x", 1)]);
        let characters = sample::characters(&words);
        let pieces = learn(&words, &characters, characters.len() + 3, 16);
        let spelled: Vec<&str> = pieces.iter().map(|(piece, _)| piece.as_str()).collect();
        assert_eq!(pieces.len(), characters.len() + 3);
        assert!(spelled.contains(&"▁dalur") && spelled.contains(&"x"), "{spelled:?}");
        assert!(pieces.windows(2).all(|w| w[0].1 >= w[1].1));
        assert!(pieces.iter().all(|(_, score)| score.is_finite() && *score < 0.0));
    }
}
