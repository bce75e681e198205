//! Trains a tokenizer on a sample of all languages.
//!
//! Numbering is fairseq's, so that models open in `transformers` as XLM-R does: `<s>` 0, `<pad>` 1,
//! `</s>` 2, `<unk>` 3, then 256 bytes if wanted, then pieces, tokens of languages if wanted,
//! `<mask>` last. The same texts, sizes and seed give the same bytes, on any machine and in any
//! order of the texts. White space is kept by the pre-tokenizer `byte_level` and the kind `byte`
//! alone; the others split at it as XLM-R does, so decoded text has single spaces.

mod model;
pub(super) mod parts;

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::token::sample;
use crate::token::tokenizer::{MAX_LENGTH, Tokenizer, lang_token};
use crate::token::words::WordCounter;
use model::{Corpus, FIXED};
use parts::Parts;

pub use crate::token::sample::{Budget, MAX_REPEAT, sampling_budget};
pub use parts::{NORMALIZERS, PRE_TOKENIZERS, Part};

/// What to train.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainSpec {
    /// How the vocabulary is learned: `"unigram"`, `"bpe"`, `"char"` or `"byte"`.
    pub kind: String,
    /// Tokens in all, special ones included; less when the texts have no more to offer. `byte`
    /// has its 256 whatever is asked.
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
    /// The form that text is brought into: `"nfkc"`, `"nmt_nfkc"`, `"nfc"` or `"none"`; `nfkc`
    /// when left out, and `none` for `byte`.
    pub normalizer: Option<String>,
    /// Whether the case of letters is dropped.
    pub lowercase: bool,
    /// Whether marks above and below letters are dropped.
    pub strip_accents: bool,
    /// What no token reaches across: `"metaspace"` white space, `"whitespace"` and `"bert"`
    /// punctuation too, `"byte_level"` as in GPT-2, over bytes. `metaspace` when left out.
    pub pre_tokenizer: Option<String>,
    /// Whether each digit is a token by itself.
    pub split_digits: bool,
    /// Whether each language of the texts gets a token `<2deu_Latn>`.
    pub lang_tokens: bool,
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
            normalizer: None,
            lowercase: false,
            strip_accents: false,
            pre_tokenizer: None,
            split_digits: false,
            lang_tokens: false,
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
    model: fn(&Corpus<'_>) -> Value,
}

/// All kinds of tokenizers that can be trained.
pub const KINDS: &[Kind] = &[
    Kind {
        name: "unigram",
        doc: "The likeliest segmentation under a unigram model (Kudo 2018), as in XLM-R.",
        model: model::unigram,
    },
    Kind {
        name: "bpe",
        doc: "Byte-pair merges of characters (Sennrich et al. 2016), as in Llama 2.",
        model: model::bpe,
    },
    Kind {
        name: "char",
        doc: "A token for each of the most frequent characters.",
        model: model::char,
    },
    Kind {
        name: BYTE,
        doc: "A token for each byte of UTF-8, as in ByT5; nothing is learned from the texts.",
        model: model::char,
    },
];

const BYTE: &str = "byte";

/// Characters of different words that are learned from, as a multiple of the tokens: what is
/// held in memory then depends on the vocabulary, not on the texts.
const LETTERS: usize = 64;
/// The same for small vocabularies, in all: no memory is saved below it.
const LEAST_LETTERS: usize = 2_000_000;

/// Trains a tokenizer on `(doc_id, language, text)` in any order.
///
/// `chars_by_lang` are the sizes that the sampling is computed from (see [`sampling_budget`]); a
/// language that is not in it is not sampled. Words are counted in about `memory` bytes, and what
/// does not fit is spilled to the file system of `dir`, which changes nothing. Errors for a
/// specification that cannot be met, for texts without a word, and passes on the errors of `texts`.
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
    let parts = Parts::new(spec, kind.name == BYTE)?;
    let langs: Vec<String> = match spec.lang_tokens {
        true => chars_by_lang.iter().filter(|(_, n)| **n > 0).map(|(l, _)| lang_token(l)).collect(),
        false => Vec::new(),
    };
    let room = check(spec, &parts, langs.len())?;
    let (words, characters) = match kind.name {
        BYTE => Default::default(),
        _ => words(spec, chars_by_lang, texts, &parts, room, (dir, memory))?,
    };
    let corpus = Corpus {
        words: &words,
        characters: &parts.alphabet(characters),
        bytes: spec.byte_fallback && !parts.bytes,
        langs: &langs,
        room,
        longest: spec.max_piece,
    };
    let model = (kind.model)(&corpus);
    let mut json = serde_json::to_string(&model::frame(model, &parts, &langs))
        .map_err(|e| Error::internal(format!("tokenizer.json: {e}")))?;
    json.push('\n');
    Ok(Tokenizer::parse(json, Map::new())?.with_max_length(spec.max_length))
}

/// The words of the sampled texts and their characters, cut to what can become tokens.
fn words<L: AsRef<str>, T: AsRef<str>>(
    spec: &TrainSpec,
    chars_by_lang: &BTreeMap<String, u64>,
    texts: impl IntoIterator<Item = Result<(u64, L, T)>>,
    parts: &Parts,
    room: usize,
    (dir, memory): (&Path, usize),
) -> Result<sample::Words> {
    let budgets = sampling_budget(chars_by_lang, spec.alpha, spec.max_chars);
    let mut counter = WordCounter::new(dir, memory, parts);
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
    // Of bytes none is rare; where nothing is merged, characters are all there is.
    let limit = if spec.kind == "char" { room } else { room / 2 };
    let characters = match parts.bytes {
        true => characters,
        false => sample::alphabet(&characters, spec.coverage, limit),
    };
    let words = sample::restrict(words, &characters);
    Ok((words, characters))
}

/// The number of pieces beside special tokens and bytes.
fn check(spec: &TrainSpec, parts: &Parts, langs: usize) -> Result<usize> {
    let bytes = if spec.byte_fallback && !parts.bytes { 256 } else { 0 };
    let fixed = FIXED + bytes + langs;
    let least = fixed + if parts.bytes { 256 } else { 32 };
    if spec.kind == BYTE {
        return Ok(256);
    }
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

#[cfg(test)]
pub(super) mod tests;
