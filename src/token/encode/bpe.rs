//! Byte-pair merges in the order in which they were learned, as the `tokenizers` crate applies them.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use super::Head;
use crate::error::{Error, Result};
use crate::token::hasher::Numbers;

const NONE: u32 = u32::MAX;

/// Merges that encode.
pub(super) struct Bpe {
    vocab: HashMap<String, u32>,
    letters: Numbers<u32>,
    /// Rank and result by pair.
    merges: Numbers<(u32, u32)>,
    unknown: Option<String>,
    fuse: bool,
    /// Whether a word that is a token is that token, whatever the merges.
    whole: bool,
    bytes: Option<Vec<Option<u32>>>,
}

/// A word on its way, reused from word to word.
#[derive(Default)]
pub(super) struct Merging {
    symbols: Vec<Symbol>,
    // Rank, place, result.
    queue: BinaryHeap<Reverse<(u32, u32, u32)>>,
}

#[derive(Clone, Copy)]
struct Symbol {
    id: u32,
    before: u32,
    after: u32,
    gone: bool,
}

impl Bpe {
    /// `None` of a kind of merges that only the crate knows.
    pub fn new(model: &tokenizers::models::bpe::BPE, head: Head) -> Option<Self> {
        let affix = |text: &Option<String>| text.as_ref().is_some_and(|t| !t.is_empty());
        let dropout = head.dropout.is_some_and(|p| p != 0.0);
        if dropout || affix(&head.continuing_subword_prefix) || affix(&head.end_of_word_suffix) {
            return None;
        }
        let vocab = model.get_vocab();
        let mut merges = Numbers::default();
        for (rank, merge) in head.merges.iter().enumerate() {
            let (left, right) = merge.sides()?;
            let (a, b) = (*vocab.get(left)?, *vocab.get(right)?);
            merges.insert(pair(a, b), (rank as u32, *vocab.get(&format!("{left}{right}"))?));
        }
        let mut letters = Numbers::default();
        for (token, id) in &vocab {
            let mut chars = token.chars();
            if let (Some(letter), None) = (chars.next(), chars.next()) {
                letters.insert(u64::from(letter), *id);
            }
        }
        let bytes = head.byte_fallback.then(|| super::byte_ids(|token| vocab.get(token).copied()));
        Some(Self {
            letters,
            merges,
            unknown: head.unk_token,
            fuse: head.fuse_unk,
            whole: head.ignore_merges,
            bytes,
            vocab,
        })
    }

    /// Appends the ids of a word.
    pub fn word(&self, word: &str, merging: &mut Merging, out: &mut Vec<u32>) -> Result<()> {
        if self.whole
            && let Some(id) = self.vocab.get(word)
        {
            out.push(*id);
            return Ok(());
        }
        self.letters(word, merging)?;
        self.merge(merging);
        out.extend(merging.symbols.iter().filter(|s| !s.gone).map(|s| s.id));
        Ok(())
    }

    /// The symbols of the letters: their own, those of their bytes, or the unknown one.
    fn letters(&self, word: &str, merging: &mut Merging) -> Result<()> {
        merging.symbols.clear();
        let mut unknown: Option<u32> = None;
        let mut utf8 = [0; 4];
        for letter in word.chars() {
            if let Some(id) = self.letters.get(&u64::from(letter)) {
                unknown.take().into_iter().for_each(|id| merging.add(id));
                merging.add(*id);
                continue;
            }
            if let Some(bytes) = &self.bytes {
                let spelled = letter.encode_utf8(&mut utf8).bytes().map(|b| bytes[usize::from(b)]);
                if spelled.clone().all(|id| id.is_some()) {
                    spelled.flatten().for_each(|id| merging.add(id));
                    continue;
                }
            }
            let Some(token) = &self.unknown else { continue };
            if !self.fuse {
                unknown.take().into_iter().for_each(|id| merging.add(id));
            }
            if unknown.is_none() {
                let Some(id) = self.vocab.get(token) else {
                    return Err(Error::usage(format!("the unknown token `{token}` is no token")));
                };
                unknown = Some(*id);
            }
        }
        unknown.into_iter().for_each(|id| merging.add(id));
        Ok(())
    }

    /// Merges pairs, the earliest learned first and of one kind the leftmost first.
    fn merge(&self, merging: &mut Merging) {
        let Merging { symbols, queue } = merging;
        queue.clear();
        let offer = |symbols: &[Symbol], queue: &mut BinaryHeap<_>, at: u32, next: u32| {
            let both = pair(symbols[at as usize].id, symbols[next as usize].id);
            if let Some((rank, id)) = self.merges.get(&both) {
                queue.push(Reverse((*rank, at, *id)));
            }
        };
        for at in 1..symbols.len() as u32 {
            offer(symbols, queue, at - 1, at);
        }
        while let Some(Reverse((_, at, id))) = queue.pop() {
            let left = symbols[at as usize];
            if left.gone || left.after == NONE {
                continue;
            }
            let right = symbols[left.after as usize];
            // The pair may have become another one since.
            if self.merges.get(&pair(left.id, right.id)).is_none_or(|(_, now)| *now != id) {
                continue;
            }
            symbols[left.after as usize].gone = true;
            let merged = &mut symbols[at as usize];
            (merged.id, merged.after) = (id, right.after);
            if right.after != NONE {
                symbols[right.after as usize].before = at;
                offer(symbols, queue, at, right.after);
            }
            if left.before != NONE {
                offer(symbols, queue, left.before, at);
            }
        }
    }
}

impl Merging {
    fn add(&mut self, id: u32) {
        let at = self.symbols.len() as u32;
        let before = at.checked_sub(1).unwrap_or(NONE);
        if let Some(last) = self.symbols.last_mut() {
            last.after = at;
        }
        self.symbols.push(Symbol { id, before, after: NONE, gone: false });
    }
}

fn pair(left: u32, right: u32) -> u64 {
    u64::from(left) << 32 | u64::from(right)
}
