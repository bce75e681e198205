//! What lies in the folder of a tokenizer, as the text of a `tokenizer.json` and the object of a
//! `tokenizer_config.json`.
//!
//! A `tokenizer.json` is taken as it is. Folders from before it have a SentencePiece model, merges
//! over bytes as in GPT-2 and RoBERTa (`vocab.json`, `merges.txt`), or BERT's list of pieces
//! (`vocab.txt`): each is written as the `tokenizer.json` that `transformers` would make of it.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::sentencepiece::{self, Numbering};
use crate::error::{Error, Result};

/// The files that a folder is looked through for, in this order.
const FILES: &[&str] = &[
    "tokenizer.json",
    "tokenizer.model",
    "sentencepiece.bpe.model",
    "sentencepiece.model",
    "spiece.model",
    "spm.model",
    "vocab.json",
    "vocab.txt",
];

/// The text and the configuration of a tokenizer in a file or folder, and the file.
pub fn read(path: &Path) -> Result<(String, Map<String, Value>, PathBuf)> {
    let file = match path.is_dir() {
        true => FILES.iter().map(|name| path.join(name)).find(|file| file.is_file()),
        false => Some(path.to_path_buf()),
    };
    let Some(file) = file else {
        return Err(Error::input(path, "no tokenizer in this folder")
            .hint_with(format!("expected one of: {}", FILES.join(", "))));
    };
    let bytes = fs::read(&file).map_err(|e| {
        Error::io(&file, e).hint_with(
            "a tokenizer is a `tokenizer.json`, a SentencePiece `.model`, or a folder with one",
        )
    })?;
    let dir = file.parent().unwrap_or(Path::new(""));
    let mut config = object(&dir.join("special_tokens_map.json"))?;
    config.extend(object(&dir.join("tokenizer_config.json"))?);
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let made = match name.as_str() {
        "vocab.json" => byte_merges(&bytes, &dir.join("merges.txt"), &mut config),
        "vocab.txt" => word_pieces(&text(bytes)?, &mut config),
        name if name.ends_with(".model") => Numbering::of(&config)
            .and_then(|n| sentencepiece::convert(&bytes, &n))
            .map(|(json, roles)| {
                roles.into_iter().for_each(|(key, token)| {
                    config.entry(key).or_insert(token);
                });
                json
            }),
        _ => text(bytes),
    };
    Ok((made.map_err(|e| e.within(file.display()))?, config, file))
}

fn text(bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|_| {
        Error::usage("not a tokenizer: no text in UTF-8")
            .hint_with("the name of a SentencePiece model ends in `.model`")
    })
}

/// The object of a file, empty without the file.
fn object(path: &Path) -> Result<Map<String, Value>> {
    match fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text).map_err(|e| Error::input(path, e)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Map::new()),
        Err(e) => Err(Error::io(path, e)),
    }
}

/// Merges over bytes, as in GPT-2; with `<s>` and `</s>` in the vocabulary those are put around a
/// text, as in RoBERTa.
fn byte_merges(vocab: &[u8], merges: &Path, config: &mut Map<String, Value>) -> Result<String> {
    let vocab: Map<String, Value> = serde_json::from_slice(vocab)
        .map_err(|e| Error::usage(format!("no table of ids by token: {e}")))?;
    let lines = fs::read_to_string(merges).map_err(|e| Error::io(merges, e))?;
    let pairs: Vec<(&str, &str)> = lines
        .lines()
        .filter(|line| !line.starts_with("#version"))
        .filter_map(|line| line.split_once(' '))
        .collect();
    let special: Vec<&str> = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "<|endoftext|>"]
        .into_iter()
        .filter(|token| vocab.contains_key(*token))
        .collect();
    let space = config.get("add_prefix_space").and_then(Value::as_bool).unwrap_or(false);
    let post = match (vocab.get("<s>"), vocab.get("</s>")) {
        (Some(bos), Some(eos)) => json!({"type": "RobertaProcessing", "sep": ["</s>", eos],
            "cls": ["<s>", bos], "trim_offsets": true, "add_prefix_space": space}),
        _ => Value::Null,
    };
    let json = json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": added(&special, |token| vocab.get(token).cloned()),
        "normalizer": null,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": space, "trim_offsets": true,
                          "use_regex": true},
        "post_processor": post,
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true,
                    "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": null,
                  "continuing_subword_prefix": "", "end_of_word_suffix": "", "fuse_unk": false,
                  "byte_fallback": false, "ignore_merges": false, "vocab": vocab,
                  "merges": pairs},
    });
    written(&json)
}

/// BERT's pieces, one a line; `do_lower_case`, `strip_accents` and `tokenize_chinese_chars` of the
/// configuration say how text is cleaned.
fn word_pieces(lines: &str, config: &mut Map<String, Value>) -> Result<String> {
    let mut vocab = Map::new();
    for (id, piece) in lines.lines().enumerate() {
        vocab.insert(piece.into(), json!(id));
    }
    let special: Vec<&str> = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        .into_iter()
        .filter(|token| vocab.contains_key(*token))
        .collect();
    let place = |token: &str| {
        vocab
            .get(token)
            .cloned()
            .ok_or_else(|| Error::usage(format!("no list of BERT's pieces: it has no `{token}`")))
    };
    place("[UNK]")?;
    let (cls, sep) = (place("[CLS]")?, place("[SEP]")?);
    let yes = |key: &str| config.get(key).and_then(Value::as_bool);
    let normalizer = json!({"type": "BertNormalizer", "clean_text": true,
        "handle_chinese_chars": yes("tokenize_chinese_chars").unwrap_or(true),
        "strip_accents": yes("strip_accents"), "lowercase": yes("do_lower_case").unwrap_or(true)});
    let json = json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": added(&special, |token| vocab.get(token).cloned()),
        "normalizer": normalizer,
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", sep], "cls": ["[CLS]", cls]},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": vocab},
    });
    written(&json)
}

fn added(tokens: &[&str], id: impl Fn(&str) -> Option<Value>) -> Vec<Value> {
    let token = |token: &&str| {
        json!({"id": id(token), "content": token, "single_word": false,
               "lstrip": *token == "<mask>", "rstrip": false, "normalized": false,
               "special": true})
    };
    tokens.iter().map(token).collect()
}

fn written(json: &Value) -> Result<String> {
    let mut text =
        serde_json::to_string(json).map_err(|e| Error::internal(format!("tokenizer.json: {e}")))?;
    text.push('\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::Tokenizer;
    use crate::token::train::tests::{spec, texts, trained};

    #[test]
    fn merges_over_bytes_are_read_from_their_two_files() {
        let spec = crate::token::train::TrainSpec {
            pre_tokenizer: Some("byte_level".into()),
            normalizer: Some("none".into()),
            ..spec("bpe", 600)
        };
        let own = trained(&spec, &texts()).unwrap();
        let json: Value = serde_json::from_str(own.json()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let merges: Vec<String> = json["model"]["merges"]
            .as_array()
            .unwrap()
            .iter()
            .map(|m| format!("{} {}\n", m[0].as_str().unwrap(), m[1].as_str().unwrap()))
            .collect();
        let (vocab, lines) = (json["model"]["vocab"].to_string(), merges.concat());
        fs::write(dir.path().join("vocab.json"), vocab).unwrap();
        fs::write(dir.path().join("merges.txt"), format!("#version: 0.2\n{lines}")).unwrap();
        let read = Tokenizer::load(dir.path()).unwrap();
        assert_eq!(read.special(), own.special());
        for (_, _, text) in texts() {
            assert_eq!(read.encode(&text).unwrap(), own.encode(&text).unwrap(), "{text}");
        }
    }

    #[test]
    fn pieces_of_bert_are_read_from_their_list() {
        let dir = tempfile::tempdir().unwrap();
        let pieces = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nveður\nve\n##ður\n,\n天\n気\n";
        fs::write(dir.path().join("vocab.txt"), pieces).unwrap();
        let config = "{\"do_lower_case\": true, \"strip_accents\": false}";
        fs::write(dir.path().join("tokenizer_config.json"), config).unwrap();
        let read = Tokenizer::load(dir.path()).unwrap();
        assert_eq!(read.encode("Veður,VEÐUR 天気 ??").unwrap(), [5, 8, 5, 9, 10, 1, 1]);
        let special = read.special();
        assert_eq!((special.bos, special.eos, special.mask), (2, 3, Some(4)));
        fs::write(dir.path().join("vocab.txt"), "a\nb\n").unwrap();
        let error = Tokenizer::load(dir.path()).unwrap_err();
        assert!(error.to_string().contains("no list of BERT's pieces"), "{error}");
    }
}
