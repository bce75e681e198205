//! What stands in front of a model: how text is brought into one form and cut into words.
//!
//! Words are counted by the very parts that are written into the `tokenizer.json`, so that what is
//! learned from is what is encoded; the parts of XLM-R alone are followed by code of our own.

use std::collections::HashMap;

use serde_json::{Value, json};
use tokenizers::{
    NormalizedString, Normalizer, NormalizerWrapper, OffsetReferential, OffsetType,
    PreTokenizedString, PreTokenizer, PreTokenizerWrapper,
};
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};

use super::TrainSpec;
use crate::error::{Error, Result};
use crate::token::sample::METASPACE;

/// A choice of a part.
pub struct Part {
    /// Its name in the specification.
    pub name: &'static str,
    /// What it does, in one sentence.
    pub doc: &'static str,
    json: fn() -> Vec<Value>,
}

/// Forms of text; the first one is the default.
pub const NORMALIZERS: &[Part] = &[
    Part {
        name: "nfkc",
        doc: "Unicode's compatible composed form.",
        json: || vec![json!({"type": "NFKC"})],
    },
    Part {
        name: "nmt_nfkc",
        doc: "The same after dropping controls, and with a space for every white space, as in \
              SentencePiece.",
        json: || vec![json!({"type": "Nmt"}), json!({"type": "NFKC"})],
    },
    Part {
        name: "nfc",
        doc: "Unicode's composed form, which keeps ligatures and wide letters.",
        json: || vec![json!({"type": "NFC"})],
    },
    Part { name: "none", doc: "The text as it stands.", json: Vec::new },
];

/// Ways to cut text into words; the first one is the default.
pub const PRE_TOKENIZERS: &[Part] = &[
    Part {
        name: "metaspace",
        doc: "At white space; a word begins with `▁`, as in SentencePiece.",
        json: marked,
    },
    Part {
        name: "whitespace",
        doc: "The same, and before and after punctuation and symbols in a row, as `Whitespace` of \
              the tokenizers library.",
        json: || {
            let mut parts = marked();
            parts.push(json!({"type": "Split", "pattern": {"Regex": r"(?:\p{P}|[^\P{S}▁])+"},
                              "behavior": "Isolated", "invert": false}));
            parts
        },
    },
    Part {
        name: "bert",
        doc: "The same, and around each sign of punctuation, as BERT does.",
        json: || {
            let mut parts = marked();
            parts.push(json!({"type": "Punctuation", "behavior": "Isolated"}));
            parts
        },
    },
    Part {
        name: BYTE_LEVEL,
        doc: "As GPT-2: contractions, letters, digits and signs with the space before them, and \
              bytes for letters, so that white space is kept and nothing is unknown.",
        json: || vec![byte_level(true)],
    },
];

const BYTE_LEVEL: &str = "byte_level";

fn marked() -> Vec<Value> {
    vec![
        json!({"type": "WhitespaceSplit"}),
        json!({"type": "Metaspace", "replacement": METASPACE, "prepend_scheme": "always",
               "split": true}),
    ]
}

fn byte_level(words: bool) -> Value {
    json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,
           "use_regex": words})
}

/// The parts around a model, as they are written.
pub struct Parts {
    pub normalizer: Value,
    pub pre_tokenizer: Value,
    pub decoder: Value,
    /// Whether letters stand for bytes.
    pub bytes: bool,
    way: Way,
}

/// How words are found.
enum Way {
    /// Those of XLM-R: NFKC, white space.
    Plain,
    /// By the crate.
    Crate(Box<(Option<NormalizerWrapper>, PreTokenizerWrapper)>),
}

impl Parts {
    /// The parts that a specification names; errors when it names none of them.
    pub fn new(spec: &TrainSpec, byte: bool) -> Result<Self> {
        let find = |all: &'static [Part], what: &str, name: Option<&String>, default: &str| {
            let name = name.map_or(default, String::as_str);
            all.iter()
                .find(|part| part.name == name)
                .ok_or_else(|| Error::unknown(what, name, all.iter().map(|part| part.name)))
        };
        let default = if byte { "none" } else { NORMALIZERS[0].name };
        let form = find(NORMALIZERS, "normalizer", spec.normalizer.as_ref(), default)?;
        let default = if byte { BYTE_LEVEL } else { PRE_TOKENIZERS[0].name };
        let cut = find(PRE_TOKENIZERS, "pre_tokenizer", spec.pre_tokenizer.as_ref(), default)?;
        let bytes = cut.name == BYTE_LEVEL;
        if byte && !bytes {
            return Err(Error::usage(format!(
                "`pre_tokenizer = \"{}\"` of kind `byte`, which has no words",
                cut.name
            ))
            .hint_with("leave it out, or take kind `char`"));
        }
        let mut normalizers = (form.json)();
        if spec.strip_accents {
            normalizers.extend([json!({"type": "NFD"}), json!({"type": "StripAccents"})]);
        }
        if spec.lowercase {
            normalizers.push(json!({"type": "Lowercase"}));
        }
        let mut cuts = if byte { vec![byte_level(false)] } else { (cut.json)() };
        if spec.split_digits && !byte {
            let digits = json!({"type": "Digits", "individual_digits": true});
            // Bytes are no digits any more.
            cuts.insert(if bytes { 0 } else { cuts.len() }, digits);
        }
        let plain = form.name == "nfkc" && normalizers.len() == 1;
        let plain = plain && cut.name == "metaspace" && cuts.len() == 2;
        let normalizer = sequence(normalizers, "normalizers");
        let pre_tokenizer = sequence(cuts, "pretokenizers");
        let wrong = |e: serde_json::Error| Error::internal(format!("parts of a tokenizer: {e}"));
        let way = match plain {
            true => Way::Plain,
            false => Way::Crate(Box::new((
                serde_json::from_value(normalizer.clone()).map_err(wrong)?,
                serde_json::from_value(pre_tokenizer.clone()).map_err(wrong)?,
            ))),
        };
        let decoder = match bytes {
            true => json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true,
                           "use_regex": true}),
            false => json!({"type": "Sequence", "decoders": [
                {"type": "Replace", "pattern": {"String": METASPACE}, "content": " "},
                {"type": "ByteFallback"},
                {"type": "Fuse"},
                {"type": "Strip", "content": " ", "start": 1, "stop": 0},
            ]}),
        };
        Ok(Self { normalizer, pre_tokenizer, decoder, bytes, way })
    }

    /// The characters that become tokens: all letters that stand for bytes, in the order of the
    /// bytes, and those given otherwise.
    pub fn alphabet(&self, characters: Vec<(char, u64)>) -> Vec<(char, u64)> {
        if !self.bytes {
            return characters;
        }
        let counts: HashMap<char, u64> = characters.into_iter().collect();
        let count = |c: char| (c, counts.get(&c).copied().unwrap_or(0));
        byte_letters().into_iter().map(count).collect()
    }

    /// Calls `each` with every word of a text.
    pub fn words(&self, text: &str, mut each: impl FnMut(&str)) -> Result<()> {
        match &self.way {
            Way::Plain => plain(text, each),
            Way::Crate(parts) => {
                let (normalizer, cut) = &**parts;
                let failed = |e| Error::internal(format!("a text cannot be cut into words: {e}"));
                let mut string = NormalizedString::from(text);
                if let Some(normalizer) = normalizer {
                    normalizer.normalize(&mut string).map_err(failed)?;
                }
                let mut string = PreTokenizedString::from(string);
                cut.pre_tokenize(&mut string).map_err(failed)?;
                let words = string.get_splits(OffsetReferential::Normalized, OffsetType::Byte);
                words
                    .iter()
                    .filter(|(word, ..)| !word.is_empty())
                    .for_each(|(word, ..)| each(word));
            }
        }
        Ok(())
    }
}

fn plain(text: &str, mut each: impl FnMut(&str)) {
    let normal;
    let text = match text.is_ascii() || is_nfkc_quick(text.chars()) == IsNormalized::Yes {
        true => text,
        false => {
            normal = text.nfkc().collect::<String>();
            &normal
        }
    };
    let mut word = String::new();
    let parts = text.split(|c: char| c.is_whitespace() || c == METASPACE);
    for part in parts.filter(|part| !part.is_empty()) {
        word.clear();
        word.push(METASPACE);
        word.push_str(part);
        each(&word);
    }
}

/// One part, or several in a row.
fn sequence(mut parts: Vec<Value>, below: &str) -> Value {
    match parts.len() {
        0 => Value::Null,
        1 => parts.remove(0),
        _ => json!({"type": "Sequence", below: parts}),
    }
}

/// The letters that stand for the bytes in order (GPT-2's): printable ones for themselves, the
/// others from U+0100 on.
pub fn byte_letters() -> Vec<char> {
    let mut next = 0x100u32;
    let letter = |byte: u8| match byte {
        0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff => char::from(byte),
        _ => {
            next += 1;
            char::from_u32(next - 1).unwrap_or_default()
        }
    };
    (0..=255).map(letter).collect()
}
