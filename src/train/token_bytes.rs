//! How many bytes of text each token of a vocabulary stands for.
//!
//! Bits per byte compare models with different tokenizers: the loss in bits over the bytes of what
//! was predicted, instead of over its tokens. A space that a piece carries in front counts.

use std::path::Path;

use serde_json::Value;

use crate::error::{Error, Result};

/// Bytes by token id, from a folder's `tokenizer.json`; special tokens stand for none.
pub fn token_bytes(folder: &Path) -> Result<Vec<u32>> {
    let path = folder.join("tokenizer.json");
    let text = std::fs::read_to_string(&path).map_err(|e| Error::io(&path, e))?;
    let json: Value = serde_json::from_str(&text).map_err(|e| Error::input(&path, e))?;
    // Byte-level pieces spell each byte as one printable character (Radford et al. 2019).
    let byte_level = ["decoder", "pre_tokenizer"]
        .iter()
        .any(|part| json[*part].to_string().contains("\"ByteLevel\""));
    let word_piece = json["model"]["type"] == "WordPiece";
    let mut bytes = Vec::new();
    let mut set = |id: usize, n: u32| {
        if bytes.len() <= id {
            bytes.resize(id + 1, 0);
        }
        bytes[id] = n;
    };
    let length = |piece: &str| -> u32 {
        let n = if byte_level {
            piece.chars().count()
        } else if piece.len() == 6 && piece.starts_with("<0x") && piece.ends_with('>') {
            1
        } else if word_piece {
            piece.strip_prefix("##").map_or(piece.len() + 1, str::len)
        } else {
            piece.chars().map(|c| if c == '\u{2581}' { 1 } else { c.len_utf8() }).sum()
        };
        n as u32
    };
    match &json["model"]["vocab"] {
        Value::Array(pieces) => {
            for (id, piece) in pieces.iter().enumerate() {
                set(id, piece[0].as_str().map_or(0, length));
            }
        }
        Value::Object(pieces) => {
            for (piece, id) in pieces {
                if let Some(id) = id.as_u64() {
                    set(id as usize, length(piece));
                }
            }
        }
        _ => {}
    }
    for token in json["added_tokens"].as_array().into_iter().flatten() {
        if let (Some(id), Some(content)) = (token["id"].as_u64(), token["content"].as_str()) {
            set(id as usize, if token["special"] == true { 0 } else { content.len() as u32 });
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Vec<u32> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("tokenizer.json"), json).unwrap();
        token_bytes(dir.path()).unwrap()
    }

    #[test]
    fn pieces_of_every_kind_are_measured() {
        let unigram = r#"{"model": {"type": "Unigram", "vocab":
            [["<s>", 0], ["▁gàn", -1], ["ሰላም", -2], ["<0xE1>", -3]]},
            "added_tokens": [{"id": 0, "content": "<s>", "special": true}]}"#;
        assert_eq!(read(unigram), [0, 5, 9, 1]);
        let byte_level = r#"{"model": {"type": "BPE", "vocab": {"Ġþa": 1, "a": 0}},
            "decoder": {"type": "ByteLevel"}, "added_tokens": []}"#;
        assert_eq!(read(byte_level), [1, 3]);
        let word_piece = r###"{"model": {"type": "WordPiece", "vocab": {"##ið": 1, "ég": 0}}}"###;
        assert_eq!(read(word_piece), [4, 3]);
    }
}
