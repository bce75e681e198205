//! The shape of a model, and the `config.json` that says it to `transformers`.
//!
//! What every model has stands in [`Architecture`]; what only some have, in its [`Family`]. Each
//! family reads and writes its own `config.json` (the modules below), with every key, because the
//! defaults of `transformers` are those of one checkpoint. Other model types are refused by name.

mod decoder;
mod encoder;
mod seq2seq;

use std::path::Path;

use serde_json::{Map, Value};

use crate::error::{Error, Result};
pub use crate::train::config::Activation;
use crate::train::config::{ModelConfig, ModelKind};
use crate::train::model::rope::Rope;
use crate::train::vocabulary::Vocabulary;

/// The sizes, ids and heads of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Architecture {
    /// Whose layers and names it has.
    pub family: Family,
    /// Rows of the token embedding.
    pub vocabulary: i64,
    /// Width of the hidden states.
    pub hidden: i64,
    /// Number of layers.
    pub layers: i64,
    /// Attention heads.
    pub heads: i64,
    /// Width inside the feed-forward layers.
    pub intermediate: i64,
    /// Share of hidden values dropped in training.
    pub dropout: f64,
    /// Share of attention weights dropped in training.
    pub attention_dropout: f64,
    /// Added to the variance in norms.
    pub norm_eps: f64,
    /// `max_position_embeddings`: the longest document, for XLM-R and the ids up to padding.
    pub positions: i64,
    /// Padding.
    pub pad: i32,
    /// Begins a document.
    pub bos: i32,
    /// Ends a document.
    pub eos: i32,
    /// Whether it has the head that predicts tokens.
    pub tokens: bool,
    /// The classes that it predicts for a sequence; none without that head.
    pub labels: Vec<String>,
    /// The languages that have a vector of their own.
    pub languages: Vec<String>,
}

/// Models that share names, formulas and a `model_type`, with what is theirs alone.
#[derive(Debug, Clone, PartialEq)]
pub enum Family {
    /// XLM-R and RoBERTa: positions begin behind padding.
    Roberta {
        /// Rows of the token type embedding: the languages, or one.
        types: i64,
    },
    /// BERT: positions begin at 0; the second side of a pair has a type of its own.
    Bert {
        /// Rows of the token type embedding.
        types: i64,
    },
    /// Llama.
    Llama(Llama),
    /// M2M-100 (NLLB) and mBART.
    Seq2seq(Seq2seqShape),
}

/// What only Llama has.
#[derive(Debug, Clone, PartialEq)]
pub struct Llama {
    /// Heads of keys and values; each serves a group of the queries' heads.
    pub kv_heads: i64,
    /// Width of a head.
    pub head_width: i64,
    /// Its positions.
    pub rope: Rope,
    /// Whether logits are products with the token embedding itself.
    pub tied: bool,
    /// Whether the projections of attention have biases.
    pub attention_bias: bool,
    /// Whether those of the feed-forward layers have.
    pub mlp_bias: bool,
}

/// What only models of encoder and decoder have; the sizes of the architecture are the encoder's.
#[derive(Debug, Clone, PartialEq)]
pub struct Seq2seqShape {
    /// Whether it is mBART, with learned positions and normed embeddings, and not M2M-100.
    pub is_mbart: bool,
    /// Layers of the decoder.
    pub decoder_layers: i64,
    /// Its attention heads.
    pub decoder_heads: i64,
    /// Width inside its feed-forward layers.
    pub decoder_intermediate: i64,
    /// Between the two matrices of the feed-forward layers.
    pub activation: Activation,
    /// Share of the values dropped there.
    pub activation_dropout: f64,
    /// Whether token embeddings are multiplied by the root of their width.
    pub scaled: bool,
    /// What a target begins with, before its language; none where the language itself begins it
    /// and stands at the end of texts (mBART's first checkpoints).
    pub start: Option<i32>,
}

/// How tensors of other files are named beside ours.
#[derive(Debug, Clone, Copy)]
pub struct Naming {
    /// The prefix of all but the heads; a bare model's file lacks it.
    pub body: &'static str,
    /// Names that say nothing new: buffers and what is tied; with `*` in front, their ends.
    pub redundant: &'static [&'static str],
    /// Names that a file may lack; they keep what they begin with.
    pub optional: &'static [&'static str],
}

impl Naming {
    /// Names of no model's: every tensor has the name that it is looked for under.
    pub const PLAIN: Naming = Naming { body: "", redundant: &[], optional: &[] };

    /// Whether a tensor of this name says nothing new.
    pub fn is_redundant(&self, name: &str) -> bool {
        self.redundant.iter().any(|known| match known.strip_prefix('*') {
            Some(end) => name.ends_with(end),
            None => name == *known,
        })
    }
}

/// A `model_type` of `config.json`: its name, and the reader of the rest.
type ModelType = (&'static str, fn(&ConfigFile<'_>) -> Result<Architecture>);

/// Every model type that can be read.
pub const MODEL_TYPES: &[ModelType] = &[
    ("xlm-roberta", encoder::roberta),
    ("roberta", encoder::roberta),
    ("bert", encoder::bert),
    ("llama", decoder::llama),
    ("m2m_100", seq2seq::m2m100),
    ("mbart", seq2seq::mbart),
];

impl Architecture {
    /// A new model for a tokenizer, before any head.
    pub fn new(
        config: &ModelConfig,
        vocabulary: &Vocabulary,
        length: Option<i64>,
        languages: &[String],
    ) -> Result<Self> {
        config.validate()?;
        let languages = if config.language_embeddings { languages.to_vec() } else { Vec::new() };
        if config.language_embeddings && languages.is_empty() {
            return Err(Error::usage("`language_embeddings` without languages"));
        }
        let longest = config.length.or(length).unwrap_or(512);
        let (family, positions) = match config.kind {
            ModelKind::Encoder => {
                let types = languages.len().max(1) as i64;
                (Family::Roberta { types }, longest + i64::from(vocabulary.pad) + 1)
            }
            ModelKind::Decoder => (Family::Llama(decoder::new(config)), longest),
            ModelKind::Seq2seq => (Family::Seq2seq(seq2seq::new(config, vocabulary)), longest),
        };
        Ok(Self {
            family,
            vocabulary: vocabulary.size,
            hidden: config.hidden,
            layers: config.layers,
            heads: config.heads(),
            intermediate: config.intermediate(),
            dropout: if config.kind == ModelKind::Decoder { 0.0 } else { config.dropout },
            attention_dropout: config.attention_dropout,
            norm_eps: config.norm_eps,
            positions,
            pad: vocabulary.pad,
            bos: vocabulary.bos,
            eos: vocabulary.eos,
            tokens: false,
            labels: Vec::new(),
            languages,
        })
    }

    /// The same shape for a tokenizer whose ids mean what the model's do.
    ///
    /// Errors when the model, which is the one of a folder, has too few rows or another padding.
    pub fn with_ids(mut self, folder: &Path, vocabulary: &Vocabulary) -> Result<Self> {
        // Llama's padding is nobody's but the tokenizer's, and BERT's files do not say the rest.
        match self.family {
            Family::Llama(_) => self.pad = vocabulary.pad,
            Family::Bert { .. } => (self.bos, self.eos) = (vocabulary.bos, vocabulary.eos),
            _ => {}
        }
        if self.vocabulary < vocabulary.size || self.pad != vocabulary.pad {
            let message = format!(
                "the model has {} ids with padding {}, the tokenizer {} with {}",
                self.vocabulary, self.pad, vocabulary.size, vocabulary.pad
            );
            return Err(Error::input(folder, message)
                .hint_with("with its own `tokenizer.json` in its folder its rows can be matched"));
        }
        Ok(self)
    }

    /// The same shape for another tokenizer.
    pub fn with_vocabulary(mut self, vocabulary: &Vocabulary) -> Self {
        match &mut self.family {
            Family::Roberta { .. } => self.positions += i64::from(vocabulary.pad - self.pad),
            Family::Seq2seq(own) => own.start = own.start.map(|_| vocabulary.eos),
            _ => {}
        }
        self.vocabulary = vocabulary.size;
        (self.pad, self.bos, self.eos) = (vocabulary.pad, vocabulary.bos, vocabulary.eos);
        self
    }

    /// Which kind of network it is.
    pub fn kind(&self) -> ModelKind {
        match self.family {
            Family::Roberta { .. } | Family::Bert { .. } => ModelKind::Encoder,
            Family::Llama(_) => ModelKind::Decoder,
            Family::Seq2seq(_) => ModelKind::Seq2seq,
        }
    }

    /// The position of the first token of a document.
    pub fn first_position(&self) -> i32 {
        match &self.family {
            Family::Roberta { .. } => self.pad + 1,
            // fairseq's offset: pad + 1 in M2M-100, in mBART 2 whatever the padding.
            Family::Seq2seq(own) => {
                if own.is_mbart {
                    2
                } else {
                    self.pad + 1
                }
            }
            Family::Bert { .. } | Family::Llama(_) => 0,
        }
    }

    /// The longest document that has positions.
    pub fn longest(&self) -> i64 {
        match self.family {
            Family::Roberta { .. } => self.positions - i64::from(self.first_position()),
            _ => self.positions,
        }
    }

    /// How its tensors are named in other files.
    pub fn naming(&self) -> Naming {
        match &self.family {
            Family::Roberta { .. } => encoder::ROBERTA,
            Family::Bert { .. } => encoder::BERT,
            Family::Llama(llama) => decoder::naming(llama),
            Family::Seq2seq(own) => seq2seq::naming(own),
        }
    }

    /// `config.json`.
    pub fn to_json(&self) -> Value {
        match &self.family {
            Family::Roberta { types } => encoder::to_json(self, *types, &encoder::XLMR_KEYS),
            Family::Bert { types } => encoder::to_json(self, *types, &encoder::BERT_KEYS),
            Family::Llama(llama) => decoder::to_json(self, llama),
            Family::Seq2seq(own) => seq2seq::to_json(self, own),
        }
    }

    /// Reads `config.json` of a folder.
    ///
    /// Errors for another model type, an activation or tying that is not its family's, or a size
    /// that is missing.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("config.json");
        let text = std::fs::read_to_string(&path).map_err(|e| Error::io(&path, e))?;
        let json: Value = serde_json::from_str(&text).map_err(|e| Error::input(&path, e))?;
        let kind = json["model_type"].as_str().unwrap_or("");
        let Some((_, read)) = MODEL_TYPES.iter().find(|(name, _)| *name == kind) else {
            let known = MODEL_TYPES.iter().map(|(name, _)| *name);
            return Err(Error::unknown("model type", kind, known).within(path.display()));
        };
        read(&ConfigFile { path: &path, json: &json })
    }
}

/// A `config.json` and where it is.
pub struct ConfigFile<'a> {
    path: &'a Path,
    json: &'a Value,
}

impl ConfigFile<'_> {
    /// A whole number; without a default it must be there.
    fn whole(&self, key: &str, default: Option<i64>) -> Result<i64> {
        let value = self.json[key].as_i64().or(default);
        value.ok_or_else(|| Error::input(self.path, format!("`{key}` is missing")))
    }

    fn number(&self, key: &str, default: f64) -> f64 {
        self.json[key].as_f64().unwrap_or(default)
    }

    fn flag(&self, key: &str, default: bool) -> bool {
        self.json[key].as_bool().unwrap_or(default)
    }

    /// A token id; of several that end a text, the first.
    fn id(&self, key: &str, default: i64) -> i32 {
        let value = &self.json[key];
        value.as_i64().or_else(|| value.get(0)?.as_i64()).unwrap_or(default) as i32
    }

    /// Refuses any value but one.
    fn only(&self, key: &str, only: &str) -> Result<()> {
        match self.json[key].as_str().unwrap_or(only) {
            value if value == only => Ok(()),
            value => {
                let message = format!("`{key}` = `{value}`; expected `{only}`");
                Err(Error::input(self.path, message))
            }
        }
    }

    fn class(&self) -> &str {
        self.json["architectures"][0].as_str().unwrap_or("")
    }

    /// The names of the classes in their order.
    fn labels(&self) -> Vec<String> {
        let ids = self.json["id2label"].as_object().into_iter().flatten();
        let mut labels: Vec<(i64, String)> = ids
            .filter_map(|(id, label)| Some((id.parse().ok()?, label.as_str()?.to_string())))
            .collect();
        labels.sort();
        labels.into_iter().map(|(_, label)| label).collect()
    }
}

/// Adds the names of classes to a `config.json`.
fn add_labels(config: &mut Map<String, Value>, labels: &[String]) {
    if labels.is_empty() {
        return;
    }
    let ids = labels.iter().enumerate();
    let by_id: Map<_, _> = ids.clone().map(|(i, l)| (i.to_string(), l.clone().into())).collect();
    let by_label: Map<_, _> = ids.map(|(i, l)| (l.clone(), i.into())).collect();
    config.insert("id2label".into(), by_id.into());
    config.insert("label2id".into(), by_label.into());
    config.insert("problem_type".into(), "single_label_classification".into());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::vocabulary::tests::xlmr;

    /// What is written of a shape, and what is read of that.
    fn again(shape: &Architecture) -> Result<Architecture> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.json"), shape.to_json().to_string()).unwrap();
        Architecture::read(dir.path())
    }

    fn shape(config: ModelConfig) -> Architecture {
        let mut shape = Architecture::new(&config, &xlmr(100), Some(64), &[]).unwrap();
        shape.tokens = true;
        shape
    }

    #[test]
    fn every_kind_of_model_is_read_back() {
        for name in ModelKind::NAMES {
            let config = ModelConfig {
                kind: ModelKind::try_from((*name).to_string()).unwrap(),
                hidden: 128,
                layers: 2,
                norm_eps: 1e-5,
                ..ModelConfig::default()
            };
            let shape = shape(config);
            assert_eq!(shape.longest(), 64, "{name}");
            assert_eq!(again(&shape).unwrap(), shape, "{name}");
        }
        let mut classifier = shape(ModelConfig { hidden: 128, ..ModelConfig::default() });
        classifier.tokens = false;
        classifier.labels = vec!["no".into(), "yes".into()];
        assert_eq!(again(&classifier).unwrap(), classifier);
        classifier.family = Family::Bert { types: 2 };
        assert_eq!(again(&classifier).unwrap(), classifier);
        let mut mbart = shape(ModelConfig { kind: ModelKind::Seq2seq, ..ModelConfig::default() });
        let Family::Seq2seq(own) = &mut mbart.family else { unreachable!() };
        (own.is_mbart, own.start, own.activation) = (true, None, Activation::Gelu);
        assert_eq!(again(&mbart).unwrap(), mbart);
    }

    #[test]
    fn xlmr_is_told_every_key() {
        let json =
            shape(ModelConfig { hidden: 128, layers: 2, ..ModelConfig::default() }).to_json();
        for key in "architectures model_type vocab_size hidden_size num_hidden_layers \
                    num_attention_heads intermediate_size hidden_act hidden_dropout_prob \
                    attention_probs_dropout_prob max_position_embeddings type_vocab_size \
                    initializer_range layer_norm_eps pad_token_id bos_token_id eos_token_id \
                    tie_word_embeddings torch_dtype"
            .split_whitespace()
        {
            assert!(json.get(key).is_some(), "{key}");
        }
        assert_eq!(json["max_position_embeddings"], 66);
    }

    #[test]
    fn other_model_types_are_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.json"), r#"{"model_type": "gpt2"}"#).unwrap();
        let error = Architecture::read(dir.path()).unwrap_err().to_string();
        assert!(
            error.contains("unknown model type `gpt2`; expected one of: xlm-roberta"),
            "{error}"
        );
    }
}
