//! A tokenizer without the pieces that a corpus has no use for, and the model rows that go with it.
//!
//! What is kept gives the same pieces on the same texts. Of a unigram model the likeliest
//! segmentation stays the likeliest when others are gone, as long as what is unknown costs the
//! same, so the rarest piece stays too. Of merges those that any kept piece may be made by stay, in
//! their order: at each step the first merge of all is then still the first. The longest piece that
//! fits stays the longest. Ids close ranks in the order that they had.

mod weights;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::Tokenizer;
use crate::error::{Error, Result};
use crate::store::manifest;

/// What stays beside the pieces that are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Characters {
    /// Every single character, so that all texts can be spelled that could be.
    All,
    /// Those that are used. Bytes stay nevertheless.
    Used,
}

/// A smaller tokenizer.
pub struct Trimmed {
    /// It.
    pub tokenizer: Tokenizer,
    /// The ids that its ids had, in order.
    pub kept: Vec<u32>,
}

/// The tokenizer with the pieces used, special tokens, bytes, and what these cannot be without.
///
/// Errors for a kind of tokenizer that is not unigram, merges or pieces of words.
pub fn trim(
    tokenizer: &Tokenizer,
    used: &BTreeSet<i32>,
    characters: Characters,
) -> Result<Trimmed> {
    let mut json: Value = serde_json::from_str(tokenizer.json())
        .map_err(|e| Error::internal(format!("tokenizer.json: {e}")))?;
    let vocab = vocabulary(&json)?;
    let kept = keep(tokenizer, &json, &vocab, used, characters);
    let place: HashMap<u32, u32> =
        kept.iter().enumerate().map(|(new, old)| (*old, new as u32)).collect();

    let model_prefix = json["model"]["continuing_subword_prefix"].as_str().unwrap_or_default();
    let model_prefix = model_prefix.to_string();
    let model = &mut json["model"];
    let tokens = kept.iter().filter_map(|id| Some((vocab.get(id)?, place[id])));
    if model["vocab"].is_array() {
        let Value::Array(all) = model["vocab"].take() else {
            return Err(Error::internal("a vocabulary that is gone"));
        };
        let stays = all.into_iter().enumerate().filter(|(id, _)| place.contains_key(&(*id as u32)));
        model["vocab"] = stays.map(|(_, entry)| entry).collect();
        renumber(&mut model["unk_id"], &place);
    } else {
        let there: BTreeSet<&str> = tokens.clone().map(|(token, _)| token.as_str()).collect();
        if let Some(merges) = model["merges"].as_array_mut() {
            let prefix = model_prefix.as_str();
            merges.retain(|merge| {
                sides(merge).is_some_and(|(left, right)| {
                    let made = joined(left, right, prefix);
                    [left, right, &made].iter().all(|token| there.contains(token))
                })
            });
        }
        let tokens: Map<String, Value> = tokens.map(|(t, id)| (t.clone(), json!(id))).collect();
        model["vocab"] = Value::Object(tokens);
    }
    for token in json["added_tokens"].as_array_mut().into_iter().flatten() {
        renumber(&mut token["id"], &place);
    }
    post_processor(&mut json["post_processor"], &place);
    renumber(&mut json["padding"]["pad_id"], &place);
    if json["padding"]["pad_id"].is_null() {
        json["padding"] = Value::Null;
    }

    let mut config = tokenizer.config.clone();
    if let Some(Value::Object(by_id)) = config.get_mut("added_tokens_decoder") {
        let old = std::mem::take(by_id);
        let new = |id: String| Some(place.get(&id.parse().ok()?)?.to_string());
        by_id.extend(old.into_iter().filter_map(|(id, token)| Some((new(id)?, token))));
    }
    let mut text = serde_json::to_string(&json)
        .map_err(|e| Error::internal(format!("tokenizer.json: {e}")))?;
    text.push('\n');
    let trimmed = Tokenizer::parse(text, config)?.with_max_length(tokenizer.max_length());
    Ok(Trimmed { tokenizer: trimmed, kept })
}

/// Writes the model of a Hugging Face folder with the rows of a trimmed tokenizer, and the
/// tokenizer; returns how many tensors lost rows.
///
/// Weights are walked row by row through a mapping; what is held does not grow with them. Errors
/// when there is no `config.json` or no safetensors file, and when no tensor has a row for each
/// token.
pub fn model(from: &Path, to: &Path, trimmed: &Trimmed) -> Result<usize> {
    let read = |name: &str| -> Result<Option<Value>> {
        let path = from.join(name);
        match fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text).map(Some).map_err(|e| Error::input(&path, e)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::io(&path, e)),
        }
    };
    let Some(config) = read("config.json")? else {
        return Err(Error::input(from, "no `config.json` here").hint_with(
            "`--model` is a Hugging Face folder with config.json and model.safetensors",
        ));
    };
    let rows = config["vocab_size"].as_u64().ok_or_else(|| {
        Error::input(from.join("config.json"), "no `vocab_size`, so rows cannot be told")
    })? as usize;
    if let Some(last) = trimmed.kept.last().filter(|id| **id as usize >= rows) {
        return Err(Error::input(
            from,
            format!("the model has {rows} rows, and the tokenizer uses id {last}"),
        )
        .hint_with("is it the model of another tokenizer?"));
    }
    fs::create_dir_all(to).map_err(|e| Error::io(to, e))?;
    let changed = weights::trim(from, to, &config, rows, &trimmed.kept)?;
    let place: HashMap<u32, u32> =
        trimmed.kept.iter().enumerate().map(|(new, old)| (*old, new as u32)).collect();
    let write = |name: &str, mut value: Value| -> Result<()> {
        ids_of_config(&mut value, rows, &place);
        manifest::replace(&to.join(name), format!("{value:#}\n").as_bytes())
    };
    write("config.json", config)?;
    if let Some(generation) = read("generation_config.json")? {
        write("generation_config.json", generation)?;
    }
    trimmed.tokenizer.save_to(to)?;
    Ok(changed)
}

/// The ids that the configuration of a model names, such as `decoder_start_token_id`.
pub fn named_ids(model: &Path) -> Result<BTreeSet<i32>> {
    let mut found = BTreeSet::new();
    for name in ["config.json", "generation_config.json"] {
        let path = model.join(name);
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let config: Value = serde_json::from_str(&text).map_err(|e| Error::input(&path, e))?;
        names(&config, &mut found);
    }
    Ok(found)
}

fn names(value: &Value, found: &mut BTreeSet<i32>) {
    let Value::Object(object) = value else { return };
    for (key, value) in object {
        if key.ends_with("_token_id") {
            let one = std::slice::from_ref(value);
            let ids = value.as_array().map_or(one, Vec::as_slice);
            found.extend(ids.iter().filter_map(|id| i32::try_from(id.as_i64()?).ok()));
        }
        names(value, found);
    }
}

/// Gives the ids of a model's configuration their new numbers; lists lose those that are gone.
fn ids_of_config(value: &mut Value, rows: usize, place: &HashMap<u32, u32>) {
    let Value::Object(object) = value else { return };
    for (key, value) in object {
        if key == "vocab_size" && value.as_u64() == Some(rows as u64) {
            *value = json!(place.len());
        } else if key.ends_with("_token_id") || key.ends_with("suppress_tokens") {
            match value {
                Value::Array(ids) => {
                    ids.retain(|id| as_id(id).is_none_or(|id| place.contains_key(&id)));
                    ids.iter_mut().for_each(|id| renumber(id, place));
                }
                id => renumber(id, place),
            }
        } else {
            ids_of_config(value, rows, place);
        }
    }
}

fn as_id(value: &Value) -> Option<u32> {
    u32::try_from(value.as_u64()?).ok()
}

fn renumber(id: &mut Value, place: &HashMap<u32, u32>) {
    if let Some(new) = as_id(id).and_then(|id| place.get(&id)) {
        *id = json!(new);
    }
}

/// The tokens of a model by id.
fn vocabulary(json: &Value) -> Result<BTreeMap<u32, String>> {
    let text = |token: &Value| token.as_str().map(String::from);
    let found: Option<BTreeMap<u32, String>> = match &json["model"]["vocab"] {
        Value::Array(vocab) => {
            vocab.iter().enumerate().map(|(id, e)| Some((id as u32, text(&e[0])?))).collect()
        }
        Value::Object(vocab) => {
            vocab.iter().map(|(token, id)| Some((as_id(id)?, token.clone()))).collect()
        }
        _ => None,
    };
    found.ok_or_else(|| {
        let kind = json["model"]["type"].as_str().unwrap_or("unknown");
        Error::usage(format!("a tokenizer of type `{kind}` cannot be trimmed"))
            .hint_with("types: Unigram, BPE, WordPiece, WordLevel")
    })
}

/// The ids that stay, in order.
fn keep(
    tokenizer: &Tokenizer,
    json: &Value,
    vocab: &BTreeMap<u32, String>,
    used: &BTreeSet<i32>,
    characters: Characters,
) -> Vec<u32> {
    let model = &json["model"];
    let added = json["added_tokens"].as_array().into_iter().flatten();
    let mut kept: BTreeSet<u32> = added.filter_map(|token| as_id(&token["id"])).collect();
    kept.extend(
        used.iter()
            .chain(tokenizer.lang_tokens().values())
            .filter_map(|id| u32::try_from(*id).ok()),
    );
    let special = tokenizer.special();
    let roles =
        [Some(special.bos), Some(special.pad), Some(special.eos), special.unk, special.mask];
    kept.extend(roles.into_iter().flatten().filter_map(|id| u32::try_from(id).ok()));
    kept.extend(as_id(&model["unk_id"]));

    let letters = json["pre_tokenizer"].to_string().contains("\"ByteLevel\"");
    let prefix = model["continuing_subword_prefix"].as_str().unwrap_or_default();
    let unknown = model["unk_token"].as_str();
    for (id, token) in vocab {
        let single = bare(token, prefix).chars().nth(1).is_none();
        let byte = token.len() == 6 && token.starts_with("<0x") && token.ends_with('>');
        if byte || unknown == Some(token) || (single && (letters || characters == Characters::All))
        {
            kept.insert(*id);
        }
    }
    if let Some(scores) = model["vocab"].as_array() {
        let score = |entry: &Value| entry[1].as_f64().unwrap_or(0.0);
        let rarest = scores.iter().enumerate().min_by(|a, b| score(a.1).total_cmp(&score(b.1)));
        kept.extend(rarest.map(|(id, _)| id as u32));
    }
    if let Some(merges) = model["merges"].as_array() {
        close(&mut kept, vocab, merges, prefix);
    }
    kept.retain(|id| vocab.contains_key(id) || tokenizer.token(*id as i32).is_some());
    kept.into_iter().collect()
}

/// Adds the two sides of each merge that makes a token that stays.
fn close(kept: &mut BTreeSet<u32>, vocab: &BTreeMap<u32, String>, merges: &[Value], prefix: &str) {
    let ids: HashMap<&str, u32> = vocab.iter().map(|(id, token)| (token.as_str(), *id)).collect();
    let mut makes: HashMap<u32, Vec<(u32, u32)>> = HashMap::new();
    for merge in merges {
        let Some((left, right)) = sides(merge) else { continue };
        let made = ids.get(joined(left, right, prefix).as_str());
        if let (Some(made), Some(a), Some(b)) = (made, ids.get(left), ids.get(right)) {
            makes.entry(*made).or_default().push((*a, *b));
        }
    }
    let mut open: Vec<u32> = kept.iter().copied().collect();
    while let Some(id) = open.pop() {
        for (a, b) in makes.get(&id).into_iter().flatten() {
            open.extend([*a, *b].into_iter().filter(|side| kept.insert(*side)));
        }
    }
}

fn sides(merge: &Value) -> Option<(&str, &str)> {
    match merge {
        Value::String(line) => line.split_once(' '),
        pair => Some((pair.get(0)?.as_str()?, pair.get(1)?.as_str()?)),
    }
}

/// What two tokens are merged into.
fn joined(left: &str, right: &str, prefix: &str) -> String {
    format!("{left}{}", right.strip_prefix(prefix).unwrap_or(right))
}

/// A token without the mark that it does not begin a word.
fn bare<'t>(token: &'t str, prefix: &str) -> &'t str {
    token.strip_prefix(prefix).filter(|rest| !rest.is_empty()).unwrap_or(token)
}

/// The ids that the tokens around a text have.
fn post_processor(part: &mut Value, place: &HashMap<u32, u32>) {
    for side in ["sep", "cls"] {
        if let Some(id) = part.get_mut(side).and_then(|pair| pair.get_mut(1)) {
            renumber(id, place);
        }
    }
    if let Some(Value::Object(tokens)) = part.get_mut("special_tokens") {
        for ids in tokens.values_mut().filter_map(|token| token.get_mut("ids")?.as_array_mut()) {
            ids.iter_mut().for_each(|id| renumber(id, place));
        }
    }
    for below in part.get_mut("processors").and_then(Value::as_array_mut).into_iter().flatten() {
        post_processor(below, place);
    }
}

#[cfg(test)]
mod tests;
