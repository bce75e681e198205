//! A tokenizer: text to token ids and back.
//!
//! It reads and writes the `tokenizer.json` of the `tokenizers` crate and the two small files that
//! `transformers` wants beside it. Encoding a text never yields a special token other than the
//! unknown one, whatever the text says: `</s>` written in a document must not end it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::id;
use crate::store::manifest;
use crate::token::charsmap::{self, Charsmap, EXACT};
use crate::token::encode::Encoder;
use crate::token::load;

/// Longest input in tokens that a tokenizer announces unless told otherwise.
pub const MAX_LENGTH: usize = 512;

/// The ids of the special tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Special {
    /// Begins a text (`<s>`, `[CLS]`); the end token where a tokenizer has none.
    pub bos: i32,
    /// Fills a row up (`<pad>`, `[PAD]`); the end token where a tokenizer has no padding.
    pub pad: i32,
    /// Ends a text (`</s>`, `[SEP]`).
    pub eos: i32,
    /// Stands for what the vocabulary cannot spell; byte-level tokenizers have none.
    pub unk: Option<i32>,
    /// Hides a token in masked training.
    pub mask: Option<i32>,
}

/// A tokenizer with its special tokens.
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    // Faster than the crate, with the same results; none of a tokenizer that only the crate knows.
    pub(super) encoder: Option<Encoder>,
    // What SentencePiece does to a text first, of a model of its own.
    table: Option<Charsmap>,
    json: String,
    pub(super) config: Map<String, Value>,
    special: Special,
    // Ids that no text may yield: all special tokens but the unknown one.
    reserved: BTreeSet<u32>,
    // Tokens that stand for languages, by tag.
    langs: BTreeMap<String, i32>,
    vocab_size: usize,
    max_length: usize,
    fingerprint: String,
}

/// The key of `tokenizer_config.json` that holds the tokens of languages by tag.
const LANG_TOKENS: &str = "lang_tokens";

/// The token of a language in a tokenizer of ours.
///
/// ```
/// assert_eq!(hexapla::token::tokenizer::lang_token("deu_Latn"), "<2deu_Latn>");
/// ```
pub fn lang_token(lang: &str) -> String {
    format!("<2{lang}>")
}

/// The roles of special tokens with the spellings that are tried when no file names them.
const ROLES: &[(&str, &[&str], &[&str])] = &[
    ("bos", &["bos_token", "cls_token"], &["<s>", "[CLS]", "<|begin_of_text|>", "<|endoftext|>"]),
    ("eos", &["eos_token", "sep_token"], &["</s>", "[SEP]", "<|end_of_text|>", "<|endoftext|>"]),
    ("pad", &["pad_token"], &["<pad>", "[PAD]"]),
    ("unk", &["unk_token"], &["<unk>", "[UNK]"]),
    ("mask", &["mask_token"], &["<mask>", "[MASK]"]),
];

impl Tokenizer {
    /// Reads a `tokenizer.json`, a SentencePiece `.model`, or the tokenizer of a Hugging Face folder:
    /// one of these, or else `vocab.json` with `merges.txt`, or BERT's `vocab.txt`.
    ///
    /// Errors when there is none, when it cannot be parsed, and when it has no token that ends a
    /// text.
    pub fn load(path: &Path) -> Result<Self> {
        let (json, config, file) = load::read(path)?;
        Self::parse(json, config).map_err(|e| e.within(file.display()))
    }

    /// A tokenizer from the text of its `tokenizer.json` and the object of its
    /// `tokenizer_config.json`, which may be empty.
    pub fn parse(json: String, config: Map<String, Value>) -> Result<Self> {
        let exact = config.get(EXACT).is_some_and(|exact| exact == true);
        let parts = exact.then(|| charsmap::split(&json)).flatten();
        let (without, table) =
            parts.map_or((None, None), |(json, table)| (Some(json), Some(table)));
        let encoded = without.as_ref().unwrap_or(&json);
        let mut inner = tokenizers::Tokenizer::from_bytes(encoded.as_bytes())
            .map_err(|e| Error::usage(format!("not a tokenizer: {e}")))?;
        // Rows are cut and filled by the pack, never by the tokenizer.
        inner.with_padding(None);
        inner
            .with_truncation(None)
            .map_err(|e| Error::internal(format!("truncation cannot be turned off: {e}")))?;
        inner.set_encode_special_tokens(true);

        let named = |role: usize| -> Option<i32> {
            let (_, keys, spellings) = ROLES[role];
            let configured = keys.iter().filter_map(|key| {
                let value = config.get(*key)?;
                value.as_str().or_else(|| value.get("content")?.as_str())
            });
            configured
                .chain(spellings.iter().copied())
                .find_map(|token| inner.token_to_id(token))
                .and_then(|id| i32::try_from(id).ok())
        };
        let must = |role: usize| {
            named(role).ok_or_else(|| {
                let (name, keys, spellings) = ROLES[role];
                Error::usage(format!("the tokenizer has no {name} token")).hint_with(format!(
                    "name it as `{}` in tokenizer_config.json; tried {}",
                    keys[0],
                    spellings.join(", ")
                ))
            })
        };
        let eos = must(1)?;
        let special = Special {
            // T5 has none: its texts end, and begin with what ended the last one.
            bos: named(0).unwrap_or(eos),
            eos,
            pad: named(2).unwrap_or(eos),
            unk: named(3),
            mask: named(4),
        };
        let last = inner.get_vocab(true).into_values().max().unwrap_or(0);
        let vocab_size = last as usize + 1;
        if i32::try_from(vocab_size).is_err() {
            return Err(Error::usage(format!("a vocabulary of {vocab_size} exceeds 32-bit ids")));
        }
        let mut reserved: BTreeSet<u32> = inner
            .get_added_tokens_decoder()
            .into_iter()
            .filter_map(|(id, token)| token.special.then_some(id))
            .collect();
        reserved.extend(
            [Some(special.bos), Some(special.eos), Some(special.pad), special.mask]
                .into_iter()
                .flatten()
                .map(|id| id as u32),
        );
        if let Some(unk) = special.unk {
            reserved.remove(&(unk as u32));
        }
        let langs = langs(&inner, &config)?;
        let max_length = config
            .get("model_max_length")
            .and_then(Value::as_u64)
            .filter(|n| *n <= 1 << 20)
            .map_or(MAX_LENGTH, |n| n as usize);
        let encoder = Encoder::new(&inner, encoded);
        let fingerprint = fingerprint(&json, special, &langs, table.is_some());
        Ok(Self {
            inner,
            encoder,
            table,
            json,
            config,
            special,
            reserved,
            langs,
            vocab_size,
            max_length,
            fingerprint,
        })
    }

    /// The same tokenizer announcing another longest input in tokens.
    #[must_use]
    pub fn with_max_length(mut self, tokens: usize) -> Self {
        self.max_length = tokens;
        self
    }

    /// The same tokenizer with tokens of its own for languages, by tag, in place of those found.
    ///
    /// Errors when there is no such token.
    pub fn with_lang_tokens(mut self, tokens: &BTreeMap<String, String>) -> Result<Self> {
        self.config.insert(LANG_TOKENS.into(), json!(tokens));
        self.langs = langs(&self.inner, &self.config)?;
        let exact = self.table.is_some();
        self.fingerprint = fingerprint(&self.json, self.special, &self.langs, exact);
        Ok(self)
    }

    /// The id of the token that stands for a language; errors when it has none.
    pub fn lang_token(&self, lang: &str) -> Result<i32> {
        self.langs.get(lang).copied().ok_or_else(|| {
            let error = Error::unknown(
                "language of the tokenizer",
                lang,
                self.langs.keys().map(String::as_str),
            );
            match self.langs.is_empty() {
                true => Error::usage("the tokenizer has no tokens for languages").hint_with(
                    "train it with `lang_tokens = true`, or name those of a loaded one in \
                     `[tokenizer.NAME.lang_tokens]`",
                ),
                false => error,
            }
        })
    }

    /// The languages that have a token, with its id.
    pub fn lang_tokens(&self) -> &BTreeMap<String, i32> {
        &self.langs
    }

    /// Writes `tokenizer.json`, `tokenizer_config.json` and `special_tokens_map.json`.
    ///
    /// The class is always `PreTrainedTokenizerFast`: `transformers` 5 rebuilds model-specific
    /// classes from the vocabulary alone and would drop the normaliser silently.
    pub fn save_to(&self, dir: &Path) -> Result<()> {
        let mut map = Map::new();
        for (role, (_, keys, _)) in ROLES.iter().enumerate() {
            let Some(token) = self.role(role).and_then(|id| self.token(id)) else { continue };
            for key in *keys {
                map.insert((*key).into(), json!(token));
            }
        }
        let mut config = self.config.clone();
        config.insert("tokenizer_class".into(), json!("PreTrainedTokenizerFast"));
        for (key, value) in &map {
            config.entry(key.clone()).or_insert_with(|| value.clone());
        }
        config.insert("model_max_length".into(), json!(self.max_length));
        if !self.langs.is_empty() {
            let token = |id: &i32| self.token(*id);
            let by_tag: BTreeMap<&str, Option<String>> =
                self.langs.iter().map(|(lang, id)| (lang.as_str(), token(id))).collect();
            let mut all: Vec<&i32> = self.langs.values().collect();
            all.sort_unstable();
            all.dedup();
            let all: Vec<Option<String>> = all.into_iter().map(token).collect();
            config.insert(LANG_TOKENS.into(), json!(by_tag));
            config.entry("additional_special_tokens").or_insert(json!(all));
        }
        config.entry("padding_side").or_insert(json!("right"));
        config.entry("clean_up_tokenization_spaces").or_insert(json!(false));

        manifest::replace(&dir.join("tokenizer.json"), self.json.as_bytes())?;
        for (name, object) in [("tokenizer_config.json", config), ("special_tokens_map.json", map)]
        {
            let mut text = serde_json::to_string_pretty(&Value::Object(object))
                .map_err(|e| Error::internal(format!("{name}: {e}")))?;
            text.push('\n');
            manifest::replace(&dir.join(name), text.as_bytes())?;
        }
        Ok(())
    }

    /// The token ids of a text, without the tokens that begin and end it.
    pub fn encode(&self, text: &str) -> Result<Vec<i32>> {
        let keep = |id| self.kept(id);
        let normal;
        let text = match &self.table {
            Some(table) => {
                normal = table.apply(text);
                normal.as_ref()
            }
            None => text,
        };
        match &self.encoder {
            Some(encoder) => encoder.encode(&self.inner, text, keep),
            None => Ok(self.by_crate(text)?.into_iter().filter_map(keep).collect()),
        }
    }

    /// What a text may yield in place of an id.
    pub(super) fn kept(&self, id: u32) -> Option<i32> {
        match self.reserved.contains(&id) {
            true => self.special.unk,
            false => Some(id as i32),
        }
    }

    /// The ids that the `tokenizers` crate gives, whatever they are.
    pub(super) fn by_crate(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self.inner.encode_fast(text, false);
        let encoding =
            encoding.map_err(|e| Error::internal(format!("a text cannot be tokenized: {e}")))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The number of tokens of a text, without those that begin and end it.
    pub fn count(&self, text: &str) -> Result<usize> {
        Ok(self.encode(text)?.len())
    }

    /// The text of token ids; special tokens and ids outside of the vocabulary are left out.
    pub fn decode(&self, ids: &[i32]) -> Result<String> {
        let ids: Vec<u32> = ids.iter().filter_map(|id| u32::try_from(*id).ok()).collect();
        self.inner
            .decode(&ids, true)
            .map_err(|e| Error::internal(format!("tokens cannot be written as text: {e}")))
    }

    /// One more than the largest id.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// The ids of the special tokens.
    pub fn special(&self) -> Special {
        self.special
    }

    /// Longest input in tokens that is announced to others.
    pub fn max_length(&self) -> usize {
        self.max_length
    }

    /// The token of an id, if the vocabulary has it.
    pub fn token(&self, id: i32) -> Option<String> {
        self.inner.id_to_token(u32::try_from(id).ok()?)
    }

    /// The id of a token as it stands in the vocabulary, if it is there.
    pub fn token_id(&self, token: &str) -> Option<i32> {
        self.inner.token_to_id(token).and_then(|id| i32::try_from(id).ok())
    }

    /// The text of the `tokenizer.json`.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// Identifies the results of this tokenizer: a hash of its file and its special ids.
    pub fn fingerprint(&self) -> String {
        self.fingerprint.clone()
    }

    fn role(&self, role: usize) -> Option<i32> {
        let Special { bos, pad, eos, unk, mask } = self.special;
        [Some(bos), Some(eos), Some(pad), unk, mask][role]
    }
}

fn fingerprint(json: &str, special: Special, langs: &BTreeMap<String, i32>, exact: bool) -> String {
    let mut more = format!("{special:?}");
    if !langs.is_empty() {
        more.push_str(&format!("{langs:?}"));
    }
    if exact {
        more.push_str(EXACT);
    }
    id::hex128(id::hash128(&[json.as_bytes(), more.as_bytes()].concat()))
}

/// The tokens of languages: those that the configuration names; without it, those that are spelled
/// `<2deu_Latn>`, or as the tag alone as in NLLB.
fn langs(
    inner: &tokenizers::Tokenizer,
    config: &Map<String, Value>,
) -> Result<BTreeMap<String, i32>> {
    let added: BTreeMap<u32, String> =
        inner.get_added_tokens_decoder().into_iter().map(|(id, t)| (id, t.content)).collect();
    if let Some(named) = config.get(LANG_TOKENS) {
        let wrong = || Error::usage(format!("`{LANG_TOKENS}` is a table of tokens by language"));
        let named = named.as_object().ok_or_else(wrong)?;
        return named
            .iter()
            .map(|(lang, token)| {
                let token = token.as_str().ok_or_else(wrong)?;
                let id = inner.token_to_id(token).and_then(|id| i32::try_from(id).ok());
                let unknown = || {
                    let known = added.values().map(String::as_str);
                    Error::unknown("token", token, known).within(format!("`{LANG_TOKENS}`, {lang}"))
                };
                Ok((lang.clone(), id.ok_or_else(unknown)?))
            })
            .collect();
    }
    let found = added.iter().filter_map(|(id, token)| {
        let tag = token.strip_prefix("<2").and_then(|t| t.strip_suffix('>')).unwrap_or(token);
        Some((is_tag(tag).then(|| tag.to_string())?, i32::try_from(*id).ok()?))
    });
    Ok(found.collect())
}

/// Whether a text has the form of `deu_Latn`.
fn is_tag(text: &str) -> bool {
    let lower = |text: &str| text.bytes().all(|b| b.is_ascii_lowercase());
    match text.split_once('_') {
        Some((lang, script)) if lang.len() == 3 && script.len() == 4 => {
            lower(lang) && script.as_bytes()[0].is_ascii_uppercase() && lower(&script[1..])
        }
        _ => false,
    }
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer")
            .field("vocab_size", &self.vocab_size)
            .field("special", &self.special)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fs;

    use super::*;

    /// A tokenizer whose words are the numbers below `n`: id = number + 4, `<mask>` last.
    pub(crate) fn counting(n: usize) -> Tokenizer {
        let mut vocab = Map::new();
        for (id, token) in ["<s>", "<pad>", "</s>", "<unk>"].iter().enumerate() {
            vocab.insert((*token).into(), json!(id));
        }
        for number in 0..n {
            vocab.insert(number.to_string(), json!(number + 4));
        }
        vocab.insert("<mask>".into(), json!(n + 4));
        let json = json!({
            "version": "1.0", "truncation": {"direction": "Right", "max_length": 2,
            "strategy": "LongestFirst", "stride": 0}, "padding": null, "added_tokens": [],
            "normalizer": null, "pre_tokenizer": {"type": "WhitespaceSplit"},
            "post_processor": null, "decoder": null,
            "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "<unk>"}
        });
        Tokenizer::parse(json.to_string(), Map::new()).unwrap()
    }

    #[test]
    fn texts_cannot_forge_special_tokens() {
        let tokenizer = counting(10);
        assert_eq!(tokenizer.encode("1 </s> 2 <mask> x").unwrap(), [5, 3, 6, 3, 3]);
        assert_eq!(tokenizer.vocab_size(), 15);
        assert_eq!(tokenizer.special().mask, Some(14));
    }

    #[test]
    fn a_saved_folder_is_loaded_back() {
        let dir = tempfile::tempdir().unwrap();
        let tokenizer = counting(5).with_max_length(128);
        tokenizer.save_to(dir.path()).unwrap();
        let back = Tokenizer::load(dir.path()).unwrap();
        assert_eq!(back.fingerprint(), tokenizer.fingerprint());
        assert_eq!(back.max_length(), 128);
        let config = fs::read_to_string(dir.path().join("tokenizer_config.json")).unwrap();
        assert!(config.contains("\"sep_token\": \"</s>\""), "{config}");
        assert!(config.contains("PreTrainedTokenizerFast"), "{config}");
    }

    #[test]
    fn a_folder_without_tokenizer_is_an_error_that_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let error = Tokenizer::load(dir.path()).unwrap_err();
        assert!(error.hint().unwrap().contains("tokenizer.json"), "{error}");
        fs::write(dir.path().join("tokenizer.json"), "{\"version\": \"1.0\"}").unwrap();
        let error = Tokenizer::load(dir.path()).unwrap_err();
        assert!(error.to_string().contains("not a tokenizer"), "{error}");
    }
}
