//! What the trainer knows of a tokenizer: how many ids there are and which of them are special.
//!
//! It never encodes or decodes text; that is `token`'s.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use serde_json::Value;
use tokenizers::Tokenizer;

use crate::error::{Error, Result};
use crate::train::pieces::Pieces;

const TOKENIZER: &str = "tokenizer.json";

/// The ids of a tokenizer, by their parts in a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vocabulary {
    /// Number of rows in the embedding: the largest id and one.
    pub size: i64,
    /// Fills rows up; its embedding gets no gradient as an input.
    pub pad: i32,
    /// Begins a document.
    pub bos: i32,
    /// Ends a document.
    pub eos: i32,
    /// Stands for a token to be predicted; tokenizers of decoders have none.
    pub mask: Option<i32>,
    /// Every special id in rising order; these are never predicted or drawn.
    pub special: Vec<i32>,
    /// What begins words and ends sentences.
    pub pieces: Pieces,
    /// The tokens that stand for languages.
    pub languages: BTreeMap<String, i32>,
}

/// A role, the key of `tokenizer_config.json` and the names tried without one.
const ROLES: [(&str, &[&str], &[&str]); 4] = [
    ("pad", &["pad_token"], &["<pad>", "[PAD]"]),
    ("bos", &["cls_token", "bos_token"], &["<s>", "[CLS]", "<|begin_of_text|>", "<|endoftext|>"]),
    ("eos", &["sep_token", "eos_token"], &["</s>", "[SEP]", "<|end_of_text|>", "<|endoftext|>"]),
    ("mask", &["mask_token"], &["<mask>", "[MASK]"]),
];

impl Vocabulary {
    /// Reads `tokenizer.json`, and `tokenizer_config.json` where there is one, of a folder.
    ///
    /// Without padding the token that ends a document fills rows up, as in `token`. Errors when the
    /// tokenizer cannot be read or has no tokens that begin and end a document.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(TOKENIZER);
        if !path.is_file() {
            return Err(Error::input(folder, format!("no `{TOKENIZER}` here")));
        }
        let tokenizer = Tokenizer::from_file(&path).map_err(|e| Error::input(&path, e))?;
        let config = named_tokens(&folder.join("tokenizer_config.json"))?;
        let found = ROLES.map(|(_, keys, names)| {
            let configured = keys.iter().find_map(|key| token_text(config.get(*key)?));
            let found = configured.iter().map(String::as_str).chain(names.iter().copied());
            let token = found.into_iter().find_map(|name| tokenizer.token_to_id(name));
            token.and_then(|id| i32::try_from(id).ok())
        });
        let must = |role: usize| {
            let (name, _, names) = ROLES[role];
            found[role].ok_or_else(|| {
                Error::input(&path, format!("no {name} token"))
                    .hint_with(format!("expected one of: {}", names.join(", ")))
            })
        };
        let (bos, eos) = (must(1)?, must(2)?);
        let (pad, mask) = (found[0].unwrap_or(eos), found[3]);
        let mut special: Vec<i32> = tokenizer
            .get_added_tokens_decoder()
            .iter()
            .filter(|(_, token)| token.special)
            .filter_map(|(&id, _)| i32::try_from(id).ok())
            .chain([pad, bos, eos])
            .chain(mask)
            .collect();
        special.sort_unstable();
        special.dedup();
        let texts = texts(&tokenizer);
        let pieces = Pieces::new(&texts);
        let languages = languages(&tokenizer, &config);
        let size = texts.len() as i64;
        Ok(Self { size, pad, bos, eos, mask, special, pieces, languages })
    }

    /// The token that stands for a language.
    ///
    /// Errors when there is none.
    pub fn language(&self, lang: &str) -> Result<i32> {
        self.languages.get(lang).copied().ok_or_else(|| {
            let known = self.languages.keys().map(String::as_str);
            Error::unknown("language of the tokenizer", lang, known)
                .hint_with(format!("a translating model needs a token `<2{lang}>`"))
        })
    }

    /// Whether an id is special.
    pub fn is_special(&self, id: i32) -> bool {
        self.special.binary_search(&id).is_ok()
    }

    /// The plain (not special) id of a rank in `0..plain()`.
    pub fn plain_id(&self, rank: i64) -> i32 {
        // Special ids are few and sorted, so each one passed moves the answer up by one.
        let mut id = rank as i32;
        for &special in &self.special {
            if special <= id {
                id += 1;
            }
        }
        id
    }

    /// How many ids are not special.
    pub fn plain(&self) -> i64 {
        self.size - self.special.len() as i64
    }
}

/// For each id of the tokenizer in `new` the id of the same token in `old`: the one of the same text,
/// or of the same role. None when every id means the same in both, or `old` has no tokenizer.
pub fn shared_rows(old: &Path, new: &Path) -> Result<Option<Vec<Option<i64>>>> {
    if !old.join(TOKENIZER).is_file() {
        return Ok(None);
    }
    let read = |folder: &Path| -> Result<_> {
        let path = folder.join(TOKENIZER);
        let tokenizer = Tokenizer::from_file(&path).map_err(|e| Error::input(&path, e))?;
        Ok((texts(&tokenizer), Vocabulary::read(folder)?))
    };
    let ((had, old_ids), (has, new_ids)) = (read(old)?, read(new)?);
    if has.len() <= had.len() && has.iter().zip(&had).all(|(new, old)| new.is_none() || new == old)
    {
        return Ok(None);
    }
    let ids: HashMap<&String, i64> =
        had.iter().enumerate().filter_map(|(id, t)| Some((t.as_ref()?, id as i64))).collect();
    let by_text = |text: &Option<String>| ids.get(text.as_ref()?).copied();
    let mut rows: Vec<Option<i64>> = has.iter().map(by_text).collect();
    let roles = |v: &Vocabulary| [Some(v.pad), Some(v.bos), Some(v.eos), v.mask];
    for (from, to) in roles(&old_ids).into_iter().zip(roles(&new_ids)) {
        if let (Some(from), Some(to)) = (from, to) {
            let row = &mut rows[to as usize];
            *row = row.or(Some(i64::from(from)));
        }
    }
    Ok(Some(rows))
}

/// The text of each id.
fn texts(tokenizer: &Tokenizer) -> Vec<Option<String>> {
    let all = tokenizer.get_vocab(true);
    let largest = all.values().copied().max().unwrap_or(0);
    let mut texts = vec![None; largest as usize + 1];
    for (text, id) in all {
        texts[id as usize] = Some(text);
    }
    texts
}

/// The tokens of languages: those that `lang_tokens` of `tokenizer_config.json` names, else the
/// added tokens `<2deu_Latn>` or `deu_Latn`.
fn languages(tokenizer: &Tokenizer, config: &Value) -> BTreeMap<String, i32> {
    let id = |token: &str| i32::try_from(tokenizer.token_to_id(token)?).ok();
    if let Some(named) = config.get("lang_tokens").and_then(Value::as_object) {
        let named = named.iter();
        return named.filter_map(|(lang, t)| Some((lang.clone(), id(t.as_str()?)?))).collect();
    }
    let added = tokenizer.get_added_tokens_decoder().into_values();
    added
        .filter_map(|token| {
            let text = token.content.as_str();
            let tag = text.strip_prefix("<2").and_then(|t| t.strip_suffix('>')).unwrap_or(text);
            let (lang, script) = tag.split_once('_')?;
            let is_tag = lang.len() == 3 && script.len() == 4 && tag.is_ascii();
            Some((is_tag.then(|| tag.to_string())?, id(text)?))
        })
        .collect()
}

fn named_tokens(path: &Path) -> Result<Value> {
    match std::fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text).map_err(|e| Error::input(path, e)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Value::Null),
        Err(e) => Err(Error::io(path, e)),
    }
}

/// A token stands as its text or as an object with `content`.
fn token_text(value: &Value) -> Option<String> {
    value.as_str().or_else(|| value.get("content")?.as_str()).map(Into::into)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The layout of XLM-R with `size` ids.
    pub(crate) fn xlmr(size: i64) -> Vocabulary {
        let mask = size as i32 - 1;
        Vocabulary {
            size,
            pad: 1,
            bos: 0,
            eos: 2,
            mask: Some(mask),
            special: vec![0, 1, 2, 3, mask],
            pieces: Pieces::default(),
            languages: BTreeMap::new(),
        }
    }

    /// A whole tokenizer folder for words, in the order of XLM-R.
    pub(crate) fn write_tokenizer(folder: &Path, words: usize) {
        std::fs::create_dir_all(folder).unwrap();
        let names = ["<s>", "<pad>", "</s>", "<unk>"].map(String::from).into_iter();
        let words = (0..words).map(|i| format!("w{i}"));
        let all: Vec<String> = names.chain(words).chain(["<mask>".into()]).collect();
        let vocab: serde_json::Map<String, Value> =
            all.iter().enumerate().map(|(i, w)| (w.clone(), i.into())).collect();
        let added: Vec<Value> = all
            .iter()
            .enumerate()
            .filter(|(_, w)| w.starts_with('<'))
            .map(|(i, w)| {
                serde_json::json!({"id": i, "content": w, "special": true, "single_word": false,
                    "lstrip": false, "rstrip": false, "normalized": false})
            })
            .collect();
        let json = serde_json::json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
            "normalizer": null, "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null,
            "decoder": null,
            "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "<unk>"}
        });
        std::fs::write(folder.join("tokenizer.json"), json.to_string()).unwrap();
        let config = r#"{"tokenizer_class": "PreTrainedTokenizerFast", "mask_token": {"__type": "AddedToken", "content": "<mask>"}}"#;
        std::fs::write(folder.join("tokenizer_config.json"), config).unwrap();
    }

    #[test]
    fn a_folder_is_read() {
        let dir = tempfile::tempdir().unwrap();
        write_tokenizer(dir.path(), 20);
        let read = Vocabulary::read(dir.path()).unwrap();
        // Words without marks are words of their own.
        assert!((0..25).all(|id| read.pieces.begins(id) && !read.pieces.ends(id)));
        assert_eq!(Vocabulary { pieces: Pieces::default(), ..read }, xlmr(25));
        let error = Vocabulary::read(Path::new("/nowhere")).unwrap_err();
        assert_eq!(error.to_string(), "/nowhere: no `tokenizer.json` here");
    }

    #[test]
    fn rows_are_shared_by_text_and_by_role() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (dir.path().join("old"), dir.path().join("new"));
        write_tokenizer(&old, 20);
        write_tokenizer(&new, 30);
        // Ten more words stand before the mask.
        let rows = shared_rows(&old, &new).unwrap().unwrap();
        assert_eq!(rows[..24], (0..24).map(Some).collect::<Vec<_>>());
        assert!(rows[24..34].iter().all(Option::is_none));
        assert_eq!(rows[34], Some(24));
        // Fewer words with the same ids need nothing, nor does a folder without a tokenizer.
        assert_eq!(shared_rows(&old, &old).unwrap(), None);
        assert_eq!(shared_rows(dir.path(), &new).unwrap(), None);
        let text = std::fs::read_to_string(old.join(TOKENIZER)).unwrap().replace("<mask>", "[M]");
        std::fs::write(old.join(TOKENIZER), text).unwrap();
        std::fs::write(old.join("tokenizer_config.json"), r#"{"mask_token": "[M]"}"#).unwrap();
        assert_eq!(shared_rows(&old, &new).unwrap().unwrap()[34], Some(24));
    }

    #[test]
    fn languages_have_their_tokens() {
        let dir = tempfile::tempdir().unwrap();
        write_tokenizer(dir.path(), 20);
        let path = dir.path().join(TOKENIZER);
        let text = std::fs::read_to_string(&path).unwrap();
        let mut json: Value = serde_json::from_str(&text).unwrap();
        let added = json["added_tokens"].as_array_mut().unwrap();
        for (id, content) in [(4, "<2isl_Latn>"), (5, "ell_Grek"), (6, "__yo__"), (7, "w3")] {
            let mut token = added[0].clone();
            (token["id"], token["content"]) = (id.into(), content.into());
            added.push(token);
        }
        let vocab = json["model"]["vocab"].as_object_mut().unwrap();
        for (id, content) in [(4, "<2isl_Latn>"), (5, "ell_Grek"), (6, "__yo__")] {
            vocab.remove(&format!("w{}", id - 4));
            vocab.insert(content.into(), id.into());
        }
        std::fs::write(&path, json.to_string()).unwrap();
        let read = Vocabulary::read(dir.path()).unwrap();
        assert_eq!(read.language("isl_Latn").unwrap(), 4);
        assert_eq!(read.language("ell_Grek").unwrap(), 5);
        let error = read.language("yor_Latn").unwrap_err();
        assert!(error.to_string().starts_with("unknown language of the tokenizer `yor_Latn`"));
        // The names of a model's own tokens can be told.
        let config = r#"{"lang_tokens": {"yor_Latn": "__yo__"}}"#;
        std::fs::write(dir.path().join("tokenizer_config.json"), config).unwrap();
        assert_eq!(Vocabulary::read(dir.path()).unwrap().language("yor_Latn").unwrap(), 6);
    }

    #[test]
    fn plain_ids_skip_every_special_one() {
        let vocabulary = xlmr(10);
        let plain: Vec<i32> = (0..vocabulary.plain()).map(|r| vocabulary.plain_id(r)).collect();
        assert_eq!(plain, [4, 5, 6, 7, 8]);
    }
}
