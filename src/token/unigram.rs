//! Trains a unigram vocabulary (Kudo 2018), reproducibly.
//!
//! Frequent substrings are the seeds; rounds of expectation-maximisation and of dropping the pieces
//! whose loss hurts least follow, as in SentencePiece. The trainer of the `tokenizers` crate walks
//! hash maps with random keys and splits its sums by the number of threads; here sums are split
//! into a fixed number of parts that are added in order, so threads change the time alone.
//! Characters are never dropped, hence no piece needs an invented score.

mod seeds;
mod trie;

use std::collections::HashMap;

use rayon::prelude::*;

use seeds::seeds;
use trie::Trie;

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
mod tests;
