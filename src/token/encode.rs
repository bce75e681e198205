//! Encoding by stretches of text that do not depend on each other, most of them from a cache.
//!
//! The `tokenizers` crate carries an alignment for each byte and a string for each token, which ids
//! alone do not need. Where a tokenizer's parts are known to look no further than to the next white
//! space, a text is cut there; what was cut is looked up, or encoded by our own unigram model or
//! merges, or by the crate. A tokenizer of other parts is left to the crate alone. The ids are those
//! of the crate, whichever way they come: tests hold every text of several scripts against it.

mod bpe;
mod cache;
mod parts;
mod trie;
mod unigram;

#[cfg(test)]
mod tests;

use std::sync::{Mutex, PoisonError};

use serde::Deserialize;
use tokenizers::{ModelWrapper, NormalizedString, Normalizer};

use crate::error::{Error, Result};
use crate::token::train::parts::byte_letters;
use bpe::{Bpe, Merging};
use cache::Cache;
use parts::{Cuts, Form, Units, Words};
use unigram::{Paths, Unigram};

/// A way to encode stretch by stretch.
pub(super) struct Encoder {
    cuts: Cuts,
    form: Form,
    model: Model,
    // What each thread needs, lent for the time of a text.
    idle: Mutex<Vec<Scratch>>,
}

enum Model {
    /// The crate's own, for one stretch at a time.
    Crate,
    Unigram(Words, Unigram),
    Merges(Words, Bpe),
    /// The ids of the 256 bytes, where nothing is merged.
    Bytes(Vec<u32>),
}

#[derive(Default)]
struct Scratch {
    cache: Cache,
    word: String,
    ids: Vec<u32>,
    kept: Vec<i32>,
    paths: Paths,
    merging: Merging,
}

/// What a `tokenizer.json` says of its model and the crate does not.
#[derive(Deserialize)]
struct Head {
    unk_id: Option<u32>,
    unk_token: Option<String>,
    dropout: Option<f32>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
    #[serde(default)]
    fuse_unk: bool,
    #[serde(default)]
    byte_fallback: bool,
    #[serde(default)]
    ignore_merges: bool,
    #[serde(default)]
    merges: Vec<Merge>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Merge {
    Pair(String, String),
    Line(String),
}

impl Merge {
    fn sides(&self) -> Option<(&str, &str)> {
        match self {
            Merge::Pair(left, right) => Some((left, right)),
            Merge::Line(line) => line.split_once(' '),
        }
    }
}

impl Encoder {
    /// The encoder of a tokenizer and the text of its `tokenizer.json`; `None` of one whose parts
    /// may look at a whole text.
    pub fn new(inner: &tokenizers::Tokenizer, json: &str) -> Option<Self> {
        // Other added tokens are looked for in the whole text.
        if !inner.get_added_tokens_decoder().values().all(|token| token.special) {
            return None;
        }
        let (cuts, form, units) = parts::of(inner)?;
        #[derive(Deserialize)]
        struct File {
            model: Head,
        }
        let head = || Some(serde_json::from_str::<File>(json).ok()?.model);
        let model = match (inner.get_model(), units) {
            (ModelWrapper::Unigram(model), Units::Words(words)) => {
                Model::Unigram(words, Unigram::new(model, &head()?))
            }
            (ModelWrapper::BPE(model), Units::Words(words)) => {
                Bpe::new(model, head()?).map_or(Model::Crate, |merges| Model::Merges(words, merges))
            }
            // Merges would look across the stretches.
            (ModelWrapper::BPE(model), Units::Bytes) => {
                Model::Bytes(single_bytes(model, &head()?)?)
            }
            (_, Units::Bytes) => return None,
            _ => Model::Crate,
        };
        Some(Self { cuts, form, model, idle: Mutex::default() })
    }

    /// The ids of a text; `keep` says what becomes of each id.
    pub fn encode(
        &self,
        inner: &tokenizers::Tokenizer,
        text: &str,
        keep: impl Fn(u32) -> Option<i32>,
    ) -> Result<Vec<i32>> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let mut scratch = idle().pop().unwrap_or_default();
        let mut all = Vec::with_capacity(text.len() / 4);
        for stretch in self.cuts.stretches(text) {
            let place = Cache::place(stretch);
            if let Some(ids) = place.and_then(|place| scratch.cache.get(place, stretch)) {
                all.extend_from_slice(ids);
                continue;
            }
            scratch.ids.clear();
            self.stretch(inner, stretch, &mut scratch)?;
            let Scratch { cache, ids, kept, .. } = &mut scratch;
            kept.clear();
            kept.extend(ids.iter().filter_map(|id| keep(*id)));
            all.extend_from_slice(kept);
            if let Some(place) = place {
                cache.put(place, stretch, kept);
            }
        }
        idle().push(scratch);
        Ok(all)
    }

    fn stretch(
        &self,
        inner: &tokenizers::Tokenizer,
        text: &str,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let (words, model) = match &self.model {
            Model::Crate => {
                let encoding = inner.encode_fast(text, false).map_err(failed)?;
                scratch.ids.extend_from_slice(encoding.get_ids());
                return Ok(());
            }
            Model::Unigram(words, _) | Model::Merges(words, _) => (Some(words), &self.model),
            Model::Bytes(_) => (None, &self.model),
        };
        let normal;
        let normal = match (inner.get_normalizer(), self.form.is_normal(text)) {
            (Some(normalizer), false) => {
                let mut string = NormalizedString::from(text);
                normalizer.normalize(&mut string).map_err(failed)?;
                normal = string;
                normal.get()
            }
            _ => text,
        };
        let Scratch { word, ids, paths, merging, .. } = scratch;
        if let Model::Bytes(of) = model {
            ids.extend(normal.bytes().map(|byte| of[usize::from(byte)]));
        }
        let Some(words) = words else { return Ok(()) };
        words.each(normal, word, |word| match model {
            Model::Unigram(_, model) => model.word(word, paths, ids),
            Model::Merges(_, model) => model.word(word, merging, ids),
            Model::Crate | Model::Bytes(_) => Ok(()),
        })
    }
}

/// The ids of the letters that stand for bytes; `None` of a model that knows more than those.
fn single_bytes(model: &tokenizers::models::bpe::BPE, head: &Head) -> Option<Vec<u32>> {
    let affix = |text: &Option<String>| text.as_ref().is_some_and(|t| !t.is_empty());
    let affixes = affix(&head.continuing_subword_prefix) || affix(&head.end_of_word_suffix);
    if affixes || head.ignore_merges || !head.merges.is_empty() {
        return None;
    }
    let vocab = model.get_vocab();
    byte_letters().into_iter().map(|letter| vocab.get(&letter.to_string()).copied()).collect()
}

/// The ids of the 256 bytes.
fn byte_ids(id: impl Fn(&str) -> Option<u32>) -> Vec<Option<u32>> {
    (0..=255u8).map(|byte| id(&format!("<0x{byte:02X}>"))).collect()
}

fn failed(error: tokenizers::Error) -> Error {
    Error::internal(format!("a text cannot be tokenized: {error}"))
}
