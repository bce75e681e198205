//! `denoise`: a text from what is left of it when its sentences are in another order and spans of
//! its words are each behind one mask.
//!
//! The noise is mBART's (Liu et al. 2020, §2.2): 35 % of the words are hidden, in spans of Poisson
//! lengths with mean 3.5; a span of length 0 inserts a mask. Every draw is a hash of the key.

use crate::error::{Error, Result};
use crate::id;
use crate::train::config::ModelKind;
use crate::train::layout::Unit;
use crate::train::objective::packed::{self, Packed};
use crate::train::objective::sides::{self, Pair};
use crate::train::objective::{Objective, Rows, Setting};
use crate::train::pieces::Pieces;
use crate::train::work::Work;

/// Share of the words that are hidden.
const HIDDEN: f64 = 0.35;

/// Mean length of the spans in words.
const SPAN: f64 = 3.5;

/// Denoising.
pub static DENOISE: Objective = Objective {
    name: "denoise",
    doc: "Predict a text from its permuted sentences with spans hidden (Liu et al. 2020).",
    model: ModelKind::Seq2seq,
    prepare,
    score: packed::score,
};

fn prepare(rows: &Rows<'_>, setting: &Setting<'_>) -> Result<Work> {
    let packed = Packed::read(&DENOISE, rows, setting, Unit::Document)?;
    let Some(mask) = setting.vocabulary.mask else {
        return Err(Error::usage("`denoise` with a tokenizer without mask")
            .hint_with("`mask_token` in tokenizer_config.json names it"));
    };
    if packed.batch.langs.len() != 1 {
        return Err(Error::internal("`denoise` reads documents of one language"));
    }
    let texts = sides::texts(&packed);
    let mut key = setting.key;
    let mut pair = |&target: &&[i32]| {
        key = id::keyed(1, key);
        let permuted = permute(target, &setting.vocabulary.pieces, key);
        let source = infill(&permuted, &setting.vocabulary.pieces, mask, id::keyed(2, key));
        // Masks of empty spans may not make a text longer than the model takes.
        let source = if source.len() > target.len() { permuted } else { source };
        Pair { source, target: target.to_vec() }
    };
    let rows: Vec<Vec<Pair>> =
        texts.iter().map(|row| row.iter().map(&mut pair).collect()).collect();
    sides::work(&DENOISE, packed.batch, &rows, [0, 0], setting)
}

/// The sentences in an order drawn with the key.
fn permute(text: &[i32], pieces: &Pieces, key: u64) -> Vec<i32> {
    let mut starts = vec![0];
    for at in 1..text.len() {
        // A full stop inside of a number goes on with it.
        if pieces.ends(text[at - 1]) && pieces.begins(text[at]) && !pieces.ends(text[at]) {
            starts.push(at);
        }
    }
    starts.push(text.len());
    let sentences: Vec<&[i32]> = starts.windows(2).map(|w| &text[w[0]..w[1]]).collect();
    let n = sentences.len() as u64;
    (0..n).flat_map(|i| sentences[id::permute(i, n, key) as usize]).copied().collect()
}

/// Spans of words hidden, each behind one mask.
fn infill(text: &[i32], pieces: &Pieces, mask: i32, key: u64) -> Vec<i32> {
    let mut words: Vec<usize> =
        (0..text.len()).filter(|&at| at == 0 || pieces.begins(text[at])).collect();
    let count = words.len();
    words.push(text.len());
    let budget = (count as f64 * HIDDEN).round() as usize;
    let (mut spans, mut hidden) = (Vec::new(), 0);
    while hidden < budget {
        let length = poisson(id::uniform(spans.len() as u64, key)).min(budget - hidden);
        hidden += length;
        spans.push(length);
    }
    // Words that stay and spans in any order: each slot is one of them, and the spans' slots are a
    // draw without repetition.
    let slots = (count - hidden + spans.len()) as u64;
    let key = id::keyed(1, key);
    let mut of_span = vec![None; slots as usize];
    for (i, &length) in spans.iter().enumerate() {
        of_span[id::permute(i as u64, slots, key) as usize] = Some(length);
    }
    let (mut noised, mut word) = (Vec::with_capacity(text.len()), 0);
    for slot in of_span {
        match slot {
            Some(length) => {
                noised.push(mask);
                word += length;
            }
            None => {
                noised.extend_from_slice(&text[words[word]..words[word + 1]]);
                word += 1;
            }
        }
    }
    noised
}

/// The quantile of the Poisson distribution of mean [`SPAN`].
fn poisson(uniform: f64) -> usize {
    let (mut k, mut probability) = (0, (-SPAN).exp());
    let mut below = probability;
    // The tail beyond some 40 is below what 53 bits tell.
    while uniform >= below && k < 64 {
        k += 1;
        probability *= SPAN / k as f64;
        below += probability;
    }
    k
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ids below 10 end sentences; even ids begin words.
    fn pieces() -> Pieces {
        let text = |id: i32| match (id < 10, id % 2) {
            (true, _) => "▁.".to_string(),
            (false, 0) => format!("▁w{id}"),
            _ => format!("w{id}"),
        };
        Pieces::new(&(0..1000).map(|id| Some(text(id))).collect::<Vec<_>>())
    }

    #[test]
    fn spans_have_the_lengths_of_the_paper() {
        let lengths: Vec<usize> = (0..20_000).map(|i| poisson(id::uniform(i, 5))).collect();
        let mean = lengths.iter().sum::<usize>() as f64 / 20_000.0;
        assert!((mean - 3.5).abs() < 0.05, "{mean}");
        let none = lengths.iter().filter(|&&n| n == 0).count() as f64 / 20_000.0;
        assert!((none - (-3.5f64).exp()).abs() < 0.005, "{none}");
    }

    #[test]
    fn a_third_of_the_words_are_hidden_and_the_rest_keep_their_order() {
        let pieces = pieces();
        // Words of two tokens.
        let text: Vec<i32> = (0..400).map(|i| 10 + i).collect();
        let (mut left, mut masks) = (0, 0);
        for key in 0..50 {
            let noised = infill(&text, &pieces, 7777, key);
            let kept: Vec<i32> = noised.iter().copied().filter(|&id| id != 7777).collect();
            assert!(kept.windows(2).all(|w| w[0] < w[1]));
            // A word is hidden whole.
            assert!(kept.chunks(2).all(|word| word[0] % 2 == 0 && word[1] == word[0] + 1));
            left += kept.len();
            masks += noised.len() - kept.len();
            assert_eq!(noised, infill(&text, &pieces, 7777, key));
        }
        assert_eq!(left, 50 * 2 * 130);
        let spans = masks as f64 / 50.0;
        assert!((spans - 70.0 / 3.5).abs() < 2.5, "{spans}");
        assert_ne!(infill(&text, &pieces, 7777, 1), infill(&text, &pieces, 7777, 2));
        assert!(infill(&[], &pieces, 7777, 1).is_empty());
    }

    #[test]
    fn sentences_move_whole() {
        let pieces = pieces();
        let text = [20, 21, 2, 30, 31, 3, 40, 4, 50, 5];
        let orders: std::collections::BTreeSet<Vec<i32>> =
            (0..200).map(|key| permute(&text, &pieces, key)).collect();
        assert_eq!(orders.len(), 24);
        for order in orders {
            let sentences: Vec<&[i32]> = order.split_inclusive(|id| *id < 10).collect();
            assert!(sentences.contains(&[20, 21, 2].as_slice()) && sentences.len() == 4);
        }
    }
}
