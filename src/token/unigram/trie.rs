//! Pieces found in words: all of them, and the likeliest sequence.
//!
//! Rebuilt whenever pieces are dropped; it holds no scores.

use super::{NONE, Piece};
use crate::token::hasher::Numbers;

/// Pieces by their characters.
pub struct Trie {
    next: Numbers<u32>,
    // The piece that ends at each node.
    ends: Vec<u32>,
}

impl Trie {
    pub fn new(pieces: &[Piece], alphabet: usize) -> Self {
        // Nodes of the single characters are their places in the alphabet.
        let mut trie = Self { next: Numbers::default(), ends: vec![NONE; alphabet] };
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
    pub fn arcs(&self, word: &[u32], usable: impl Fn(u32) -> bool) -> Vec<(usize, usize, u32)> {
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
    pub fn segment(&self, word: &[u32], pieces: &[Piece], without: u32) -> (Vec<u32>, f64) {
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
