//! The vocabularies that are learned, as the `model` of a `tokenizer.json`, and the file around it.

use serde_json::{Map, Value, json};

use super::parts::Parts;
use crate::token::{bpe as merges, unigram as pieces};

pub const HEAD: [&str; 4] = ["<s>", "<pad>", "</s>", "<unk>"];
pub const MASK: &str = "<mask>";

/// The special tokens that every tokenizer has.
pub const FIXED: usize = HEAD.len() + 1;

/// What a kind learns from.
pub struct Corpus<'a> {
    pub words: &'a [(String, u64)],
    pub characters: &'a [(char, u64)],
    /// Whether bytes have tokens for characters that have none.
    pub bytes: bool,
    pub langs: &'a [String],
    pub room: usize,
    pub longest: usize,
}

impl Corpus<'_> {
    /// What stands in front of the pieces.
    fn head(&self) -> Vec<String> {
        HEAD.iter().map(|token| token.to_string()).chain(self.byte_tokens()).collect()
    }

    /// What stands behind them.
    fn tail(&self) -> impl Iterator<Item = String> {
        self.langs.iter().cloned().chain([MASK.to_string()])
    }

    fn byte_tokens(&self) -> Vec<String> {
        if self.bytes { (0..=255u8).map(|b| format!("<0x{b:02X}>")).collect() } else { Vec::new() }
    }
}

/// A unigram model.
pub fn unigram(corpus: &Corpus<'_>) -> Value {
    let learned = pieces::learn(corpus.words, corpus.characters, corpus.room, corpus.longest);
    let bytes = corpus.byte_tokens();
    // A piece may be spelled like a special token or a byte.
    let reserved = |piece: &String| {
        HEAD.contains(&piece.as_str())
            || piece == MASK
            || bytes.contains(piece)
            || corpus.langs.contains(piece)
    };
    // Bytes get the lowest score: a text that spells `<0x41>` should not be read as a byte.
    let lowest = learned.last().map_or(0.0, |(_, score)| *score);
    let mut vocab: Vec<Value> = HEAD.iter().map(|token| json!([token, 0.0])).collect();
    vocab.extend(bytes.iter().map(|token| json!([token, lowest])));
    vocab.extend(
        learned
            .iter()
            .filter(|(piece, _)| !reserved(piece))
            .map(|(piece, score)| json!([piece, score])),
    );
    vocab.extend(corpus.tail().map(|token| json!([token, 0.0])));
    json!({"type": "Unigram", "unk_id": 3, "vocab": vocab, "byte_fallback": corpus.bytes})
}

/// Merges of pairs.
pub fn bpe(corpus: &Corpus<'_>) -> Value {
    let learned = merges::learn(corpus.words, corpus.characters, corpus.room, corpus.longest);
    merging(corpus, learned.tokens, &learned.merges)
}

/// Characters, and no merges.
pub fn char(corpus: &Corpus<'_>) -> Value {
    let tokens = corpus.characters.iter().take(corpus.room).map(|(c, _)| c.to_string());
    merging(corpus, tokens.collect(), &[])
}

fn merging(corpus: &Corpus<'_>, tokens: Vec<String>, merges: &[(String, String)]) -> Value {
    let mut vocab = Map::new();
    for token in corpus.head().into_iter().chain(tokens).chain(corpus.tail()) {
        let id = vocab.len();
        // A text may spell a special token; the earlier id stands.
        vocab.entry(token).or_insert_with(|| json!(id));
    }
    json!({
        "type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
        "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": corpus.bytes,
        "ignore_merges": false, "vocab": vocab, "merges": merges
    })
}

/// The whole `tokenizer.json` around a model.
pub fn frame(model: Value, parts: &Parts, langs: &[String]) -> Value {
    let place = |token: &str| match &model["vocab"] {
        Value::Array(vocab) => vocab.iter().rposition(|entry| entry[0] == token),
        vocab => vocab[token].as_u64().map(|id| id as usize),
    };
    let special = HEAD.into_iter().chain(langs.iter().map(String::as_str)).chain([MASK]);
    let added: Vec<Value> = special
        .map(|token| {
            json!({"id": place(token), "content": token, "single_word": false,
                   "lstrip": token == MASK, "rstrip": false, "normalized": false, "special": true})
        })
        .collect();
    let special = |token: &str| json!({"SpecialToken": {"id": token, "type_id": 0}});
    let sequence = |name: &str| json!({"Sequence": {"id": name, "type_id": 0}});
    let (bos, eos) = ("<s>", "</s>");
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": parts.normalizer,
        "pre_tokenizer": parts.pre_tokenizer,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [special(bos), sequence("A"), special(eos)],
            "pair": [special(bos), sequence("A"), special(eos), special(eos), sequence("B"),
                     special(eos)],
            "special_tokens": {
                bos: {"id": bos, "ids": [0], "tokens": [bos]},
                eos: {"id": eos, "ids": [2], "tokens": [eos]},
            },
        },
        "decoder": parts.decoder,
        "model": model,
    })
}
