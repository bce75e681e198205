//! The likeliest segmentation under a unigram model, as the `tokenizers` crate finds it.
//!
//! Scores are added in the same order and ties go the same way, so that ids are the same; pieces
//! are ids throughout, where the crate copies each as text.

use super::Head;
use super::trie::Trie;
use crate::error::{Error, Result};

/// What an unknown character costs beside the rarest piece, as in SentencePiece.
const UNKNOWN_COST: f64 = 10.0;

const NONE: u32 = u32::MAX;

/// A unigram vocabulary that encodes.
pub(super) struct Unigram {
    trie: Trie,
    scores: Vec<f64>,
    unknown: Option<u32>,
    unknown_score: f64,
    /// The ids of the 256 bytes, where characters without a piece are written in them.
    bytes: Option<Vec<Option<u32>>>,
}

/// The best way to each place of a word, reused from word to word.
#[derive(Default)]
pub(super) struct Paths {
    ends: Vec<End>,
    path: Vec<(u32, u32, u32)>,
}

#[derive(Clone, Copy)]
struct End {
    score: f64,
    start: u32,
    id: u32,
}

impl Unigram {
    pub fn new(model: &tokenizers::models::unigram::Unigram, head: &Head) -> Self {
        let vocab: Vec<&(String, f64)> = model.iter().collect();
        let tokens = vocab.iter().enumerate().map(|(id, (token, _))| (token.as_bytes(), id as u32));
        let trie = Trie::new(tokens);
        let bytes = head.byte_fallback.then(|| super::byte_ids(|token| trie.get(token.as_bytes())));
        Self {
            trie,
            scores: vocab.iter().map(|(_, score)| *score).collect(),
            unknown: head.unk_id,
            unknown_score: model.min_score - UNKNOWN_COST,
            bytes,
        }
    }

    /// Appends the ids of a word.
    pub fn word(&self, word: &str, paths: &mut Paths, out: &mut Vec<u32>) -> Result<()> {
        let text = word.as_bytes();
        let Paths { ends, path } = paths;
        ends.clear();
        ends.resize(text.len() + 1, End { score: 0.0, start: NONE, id: 0 });
        let mut from = 0;
        while from < text.len() {
            let so_far = ends[from].score;
            let letter = letter_len(text[from]);
            let mut single = false;
            self.trie.prefixes(&text[from..], |length, id| {
                let score = self.scores[id as usize] + so_far;
                let end = &mut ends[from + length];
                if end.start == NONE || score > end.score {
                    *end = End { score, start: from as u32, id };
                }
                single |= length == letter;
            });
            if !single {
                let score = self.unknown_score + so_far;
                let end = &mut ends[from + letter];
                if end.start == NONE || score > end.score {
                    let id = self.unknown.ok_or_else(no_unknown)?;
                    *end = End { score, start: from as u32, id };
                }
            }
            from += letter;
        }
        path.clear();
        let mut to = text.len();
        while to > 0 {
            let End { start, id, .. } = ends[to];
            let unknown = Some(id) == self.unknown;
            match path.last_mut() {
                // Unknown characters in a row are one token.
                Some((begin, _, last)) if unknown && Some(*last) == self.unknown => *begin = start,
                _ => path.push((start, to as u32, id)),
            }
            to = start as usize;
        }
        for &(start, end, id) in path.iter().rev() {
            match Some(id) == self.unknown {
                true => self.spell(&text[start as usize..end as usize], id, out),
                false => out.push(id),
            }
        }
        Ok(())
    }

    /// What has no pieces: as a whole if that is a token after all, else in bytes, else unknown.
    fn spell(&self, text: &[u8], unknown: u32, out: &mut Vec<u32>) {
        if let Some(id) = self.trie.get(text) {
            return out.push(id);
        }
        let before = out.len();
        let spelled = self.bytes.as_ref().is_some_and(|ids| {
            out.extend(text.iter().filter_map(|byte| ids[usize::from(*byte)]));
            out.len() - before == text.len()
        });
        if !spelled {
            out.truncate(before);
            out.push(unknown);
        }
    }
}

fn no_unknown() -> Error {
    Error::usage("a character that no token spells, and the tokenizer has no unknown token")
}

/// The bytes of the letter that begins with a byte.
fn letter_len(byte: u8) -> usize {
    match byte {
        0..0x80 => 1,
        0x80..0xe0 => 2,
        0xe0..0xf0 => 3,
        _ => 4,
    }
}
