//! Trains a tokenizer on a sample of all languages.
//!
//! Numbering is fairseq's, so that models open in `transformers` as XLM-R does: `<s>` 0, `<pad>` 1,
//! `</s>` 2, `<unk>` 3, then 256 bytes if wanted, then pieces, `<mask>` last. The same texts, sizes
//! and seed give the same bytes, on any machine and in any order of the texts. White space is
//! not kept: words are split at it as in XLM-R, so decoded text has single spaces.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::token::sample::{self, METASPACE};
use crate::token::tokenizer::{MAX_LENGTH, Tokenizer};
use crate::token::words::WordCounter;
use crate::token::{bpe, unigram};

pub use crate::token::sample::{Budget, MAX_REPEAT, sampling_budget};

/// What to train.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainSpec {
    /// One of [`KINDS`].
    pub kind: String,
    /// Tokens in all, special ones included; less when the texts have no more to offer.
    pub vocab: usize,
    /// Exponent of the sampling over languages: 1 proportional, 0 all alike.
    pub alpha: f64,
    /// Characters to sample in all.
    pub max_chars: u64,
    /// Share of character occurrences that get a token of their own.
    pub coverage: f64,
    /// Longest token in characters.
    pub max_piece: usize,
    /// Whether characters without a token are written as their bytes rather than as `<unk>`.
    pub byte_fallback: bool,
    /// Longest input in tokens that the tokenizer announces.
    pub max_length: usize,
    /// Decides which documents are sampled.
    pub seed: u64,
}

impl Default for TrainSpec {
    fn default() -> Self {
        Self {
            kind: "unigram".into(),
            vocab: 32_000,
            alpha: 0.3,
            max_chars: 100_000_000,
            coverage: 0.9995,
            max_piece: 16,
            byte_fallback: true,
            max_length: MAX_LENGTH,
            seed: 0,
        }
    }
}

/// A way of learning a vocabulary.
pub struct Kind {
    /// Its name in `kind = …`.
    pub name: &'static str,
    /// What it is, in one sentence.
    pub doc: &'static str,
    model: fn(&Corpus<'_>) -> Result<Value>,
}

/// All kinds of tokenizers that can be trained.
pub const KINDS: &[Kind] = &[
    Kind {
        name: "unigram",
        doc: "The likeliest segmentation under a unigram model (Kudo 2018), as in XLM-R.",
        model: unigram_model,
    },
    Kind {
        name: "bpe",
        doc: "Byte-pair merges of characters (Sennrich et al. 2016), as in Llama 2.",
        model: bpe_model,
    },
];

/// Characters of different words that are learned from, as a multiple of the tokens: what is
/// held in memory then depends on the vocabulary, not on the texts.
const LETTERS: usize = 64;
/// The same for small vocabularies, in all: no memory is saved below it.
const LEAST_LETTERS: usize = 2_000_000;

const HEAD: [&str; 4] = ["<s>", "<pad>", "</s>", "<unk>"];
const MASK: &str = "<mask>";

/// What a kind learns from.
struct Corpus<'a> {
    words: &'a [(String, u64)],
    characters: &'a [(char, u64)],
    bytes: bool,
    room: usize,
    longest: usize,
}

/// Trains a tokenizer on `(doc_id, language, text)` in any order.
///
/// `chars_by_lang` are the sizes that the sampling is computed from (see [`sampling_budget`]); a
/// language that is not in it is not sampled. Words are counted in about `memory` bytes, and what
/// does not fit is spilled to the file system of `dir`, which changes nothing. Errors for a specification that cannot be met, for
/// texts without a word, and passes on the errors of `texts`.
pub fn train<L: AsRef<str>, T: AsRef<str>>(
    spec: &TrainSpec,
    chars_by_lang: &BTreeMap<String, u64>,
    texts: impl IntoIterator<Item = Result<(u64, L, T)>>,
    dir: &Path,
    memory: usize,
) -> Result<Tokenizer> {
    let kind = KINDS.iter().find(|k| k.name == spec.kind).ok_or_else(|| {
        Error::unknown("tokenizer kind", &spec.kind, KINDS.iter().map(|k| k.name))
    })?;
    let room = check(spec)?;

    let budgets = sampling_budget(chars_by_lang, spec.alpha, spec.max_chars);
    let mut counter = WordCounter::new(dir, memory);
    for text in texts {
        let (doc_id, lang, text) = text?;
        if budgets.get(lang.as_ref()).is_some_and(|b| b.takes(doc_id, spec.seed)) {
            counter.add(lang.as_ref(), text.as_ref())?;
        }
    }
    let counts = counter.finish()?;
    let letters = (room * LETTERS).max(LEAST_LETTERS) as u64;
    let (words, characters) = sample::weighted(&counts, &budgets, letters)?;
    drop(counts);
    if words.is_empty() {
        return Err(Error::usage("no text to train a tokenizer on")
            .hint_with("is the table empty, or its language unknown?"));
    }
    let characters = sample::alphabet(&characters, spec.coverage, room / 2);
    let words = sample::restrict(words, &characters);
    let corpus = Corpus {
        words: &words,
        characters: &characters,
        bytes: spec.byte_fallback,
        room,
        longest: spec.max_piece,
    };
    let mut json = serde_json::to_string(&frame((kind.model)(&corpus)?))
        .map_err(|e| Error::internal(format!("tokenizer.json: {e}")))?;
    json.push('\n');
    Ok(Tokenizer::parse(json, Map::new())?.with_max_length(spec.max_length))
}

/// The number of pieces beside special tokens and bytes.
fn check(spec: &TrainSpec) -> Result<usize> {
    let fixed = HEAD.len() + 1 + if spec.byte_fallback { 256 } else { 0 };
    let least = fixed + 32;
    if spec.vocab < least || spec.vocab > 1 << 24 {
        return Err(Error::usage(format!(
            "a vocabulary of `{}` tokens; expected {least} to {}",
            spec.vocab,
            1 << 24
        )));
    }
    if !(0.0 <= spec.alpha && spec.alpha <= 1.0) {
        return Err(Error::usage(format!("alpha `{}`; expected 0 to 1", spec.alpha)));
    }
    if !(0.0 < spec.coverage && spec.coverage <= 1.0) {
        return Err(Error::usage(format!("coverage `{}`; expected 0 to 1", spec.coverage)));
    }
    if !(1 <= spec.max_piece && spec.max_piece <= 64) {
        return Err(Error::usage(format!("max_piece `{}`; expected 1 to 64", spec.max_piece)));
    }
    Ok(spec.vocab - fixed)
}

fn byte_tokens(bytes: bool) -> Vec<String> {
    if bytes { (0..=255u8).map(|b| format!("<0x{b:02X}>")).collect() } else { Vec::new() }
}

fn unigram_model(corpus: &Corpus<'_>) -> Result<Value> {
    let pieces = unigram::learn(corpus.words, corpus.characters, corpus.room, corpus.longest);
    let bytes = byte_tokens(corpus.bytes);
    // Bytes get the lowest score: a text that spells `<0x41>` should not be read as a byte.
    let lowest = pieces.last().map_or(0.0, |(_, score)| *score);
    let mut vocab: Vec<Value> = HEAD.iter().map(|token| json!([token, 0.0])).collect();
    vocab.extend(bytes.iter().map(|token| json!([token, lowest])));
    vocab.extend(
        pieces
            .iter()
            .filter(|(piece, _)| !reserved(piece, &bytes))
            .map(|(piece, score)| json!([piece, score])),
    );
    vocab.push(json!([MASK, 0.0]));
    Ok(json!({"type": "Unigram", "unk_id": 3, "vocab": vocab, "byte_fallback": corpus.bytes}))
}

fn bpe_model(corpus: &Corpus<'_>) -> Result<Value> {
    let learned = bpe::learn(corpus.words, corpus.characters, corpus.room, corpus.longest);
    let mut vocab = Map::new();
    let bytes = byte_tokens(corpus.bytes);
    let head = HEAD.iter().map(|token| token.to_string());
    for token in head.chain(bytes).chain(learned.tokens).chain([MASK.to_string()]) {
        let id = vocab.len();
        // A text may spell a special token; the earlier id stands.
        vocab.entry(token).or_insert_with(|| json!(id));
    }
    Ok(json!({
        "type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
        "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": corpus.bytes,
        "ignore_merges": false, "vocab": vocab, "merges": learned.merges
    }))
}

/// Whether a piece learned from text is spelled like a special token or a byte.
fn reserved(piece: &str, bytes: &[String]) -> bool {
    HEAD.contains(&piece) || piece == MASK || bytes.iter().any(|byte| byte == piece)
}

/// The whole `tokenizer.json` around a model.
fn frame(model: Value) -> Value {
    let last = match &model["vocab"] {
        Value::Array(vocab) => vocab.len() - 1,
        Value::Object(vocab) => vocab.len() - 1,
        _ => 0,
    };
    let added: Vec<Value> = HEAD
        .iter()
        .enumerate()
        .map(|(id, token)| (id, *token))
        .chain([(last, MASK)])
        .map(|(id, token)| {
            json!({"id": id, "content": token, "single_word": false, "lstrip": token == MASK,
                   "rstrip": false, "normalized": false, "special": true})
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
        "normalizer": {"type": "NFKC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "WhitespaceSplit"},
            {"type": "Metaspace", "replacement": METASPACE, "prepend_scheme": "always",
             "split": true},
        ]},
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
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": METASPACE}, "content": " "},
            {"type": "ByteFallback"},
            {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0},
        ]},
        "model": model,
    })
}

#[cfg(test)]
pub(super) mod tests;
