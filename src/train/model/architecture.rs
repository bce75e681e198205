//! The shape of an encoder, and the `config.json` that says it to `transformers`.
//!
//! Every key is written, because the defaults of `XLMRobertaConfig` are BERT's and not XLM-R's.
//! Reading accepts what `transformers` writes for `xlm-roberta` and `roberta`; other model types
//! are refused by name.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::train::config::ModelConfig;
use crate::train::vocabulary::Vocabulary;

/// Model types whose tensors have the names and meaning that [`super::Encoder`] knows.
const MODEL_TYPES: [&str; 2] = ["xlm-roberta", "roberta"];

/// The sizes, ids and heads of an encoder.
#[derive(Debug, Clone, PartialEq)]
pub struct Architecture {
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
    /// Added to the variance in layer norms.
    pub norm_eps: f64,
    /// Rows of the position embedding: the longest document and the ids up to padding.
    pub positions: i64,
    /// Rows of the token type embedding: the languages, or one.
    pub types: i64,
    /// Padding; positions begin behind it.
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

impl Architecture {
    /// A new encoder for a tokenizer, before any head.
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
        Ok(Self {
            vocabulary: vocabulary.size,
            hidden: config.hidden,
            layers: config.layers,
            heads: config.heads(),
            intermediate: config.intermediate(),
            dropout: config.dropout,
            attention_dropout: config.attention_dropout,
            norm_eps: config.norm_eps,
            positions: config.length.or(length).unwrap_or(512) + i64::from(vocabulary.pad) + 1,
            types: languages.len().max(1) as i64,
            pad: vocabulary.pad,
            bos: vocabulary.bos,
            eos: vocabulary.eos,
            tokens: false,
            labels: Vec::new(),
            languages,
        })
    }

    /// The longest document that has positions.
    pub fn longest(&self) -> i64 {
        self.positions - i64::from(self.pad) - 1
    }

    /// `config.json`.
    pub fn to_json(&self) -> Value {
        let class = match (self.tokens, self.labels.is_empty()) {
            (true, _) => "XLMRobertaForMaskedLM",
            (false, false) => "XLMRobertaForSequenceClassification",
            (false, true) => "XLMRobertaModel",
        };
        let mut config = json!({
            "architectures": [class],
            "model_type": "xlm-roberta",
            "vocab_size": self.vocabulary,
            "hidden_size": self.hidden,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "intermediate_size": self.intermediate,
            "hidden_act": "gelu",
            "hidden_dropout_prob": self.dropout,
            "attention_probs_dropout_prob": self.attention_dropout,
            "max_position_embeddings": self.positions,
            "type_vocab_size": self.types,
            "initializer_range": 0.02,
            "layer_norm_eps": self.norm_eps,
            "pad_token_id": self.pad,
            "bos_token_id": self.bos,
            "eos_token_id": self.eos,
            "tie_word_embeddings": true,
            "position_embedding_type": "absolute",
            "use_cache": false,
            "torch_dtype": "float32"
        });
        if let Value::Object(map) = &mut config {
            if !self.labels.is_empty() {
                let ids = self.labels.iter().enumerate();
                let by_id: Map<_, _> =
                    ids.clone().map(|(i, l)| (i.to_string(), l.clone().into())).collect();
                let by_label: Map<_, _> = ids.map(|(i, l)| (l.clone(), i.into())).collect();
                map.insert("id2label".into(), by_id.into());
                map.insert("label2id".into(), by_label.into());
                map.insert("problem_type".into(), "single_label_classification".into());
            }
            if !self.languages.is_empty() {
                map.insert("hexapla_languages".into(), self.languages.clone().into());
            }
        }
        config
    }

    /// Reads `config.json` of a folder.
    ///
    /// Errors for another model type, an activation or tying that is not XLM-R's, or a size that
    /// is missing.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("config.json");
        let text = std::fs::read_to_string(&path).map_err(|e| Error::io(&path, e))?;
        let config: Value = serde_json::from_str(&text).map_err(|e| Error::input(&path, e))?;
        let place = path.display();
        let kind = config["model_type"].as_str().unwrap_or("");
        if !MODEL_TYPES.contains(&kind) {
            return Err(Error::unknown("model type", kind, MODEL_TYPES).within(place));
        }
        for (key, only) in [("hidden_act", "gelu"), ("position_embedding_type", "absolute")] {
            let value = config[key].as_str().unwrap_or(only);
            if value != only {
                return Err(Error::input(&path, format!("`{key}` = `{value}`; expected `{only}`")));
            }
        }
        if config["tie_word_embeddings"] == Value::Bool(false) {
            return Err(Error::input(&path, "untied token embeddings"));
        }
        let whole = |key: &str, default: Option<i64>| {
            config[key]
                .as_i64()
                .or(default)
                .ok_or_else(|| Error::input(&path, format!("`{key}` is missing")))
        };
        let number = |key: &str, default: f64| config[key].as_f64().unwrap_or(default);
        let id = |key: &str, default: i64| whole(key, Some(default)).map(|id| id as i32);
        let class = config["architectures"][0].as_str().unwrap_or("").to_string();
        let mut labels: Vec<(i64, String)> = config["id2label"]
            .as_object()
            .into_iter()
            .flatten()
            .filter_map(|(id, label)| Some((id.parse().ok()?, label.as_str()?.to_string())))
            .collect();
        labels.sort();
        let languages = config["hexapla_languages"].as_array().into_iter().flatten();
        // The defaults are those of `XLMRobertaConfig`.
        Ok(Self {
            vocabulary: whole("vocab_size", None)?,
            hidden: whole("hidden_size", None)?,
            layers: whole("num_hidden_layers", None)?,
            heads: whole("num_attention_heads", None)?,
            intermediate: whole("intermediate_size", None)?,
            dropout: number("hidden_dropout_prob", 0.1),
            attention_dropout: number("attention_probs_dropout_prob", 0.1),
            norm_eps: number("layer_norm_eps", 1e-12),
            positions: whole("max_position_embeddings", Some(512))?,
            types: whole("type_vocab_size", Some(2))?,
            pad: id("pad_token_id", 1)?,
            bos: id("bos_token_id", 0)?,
            eos: id("eos_token_id", 2)?,
            tokens: class.ends_with("ForMaskedLM"),
            labels: match class.ends_with("ForSequenceClassification") || class.is_empty() {
                true => labels.into_iter().map(|(_, label)| label).collect(),
                false => Vec::new(),
            },
            languages: languages.filter_map(|lang| lang.as_str().map(Into::into)).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::vocabulary::tests::xlmr;

    #[test]
    fn the_configuration_has_every_key_and_is_read_back() {
        let config = ModelConfig { hidden: 128, layers: 2, ..ModelConfig::default() };
        let mut shape = Architecture::new(&config, &xlmr(100), Some(64), &[]).unwrap();
        shape.tokens = true;
        let json = shape.to_json();
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
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.json"), json.to_string()).unwrap();
        assert_eq!(Architecture::read(dir.path()).unwrap(), shape);
        shape.tokens = false;
        shape.labels = vec!["no".into(), "yes".into()];
        std::fs::write(dir.path().join("config.json"), shape.to_json().to_string()).unwrap();
        assert_eq!(Architecture::read(dir.path()).unwrap(), shape);
    }

    #[test]
    fn other_model_types_are_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.json"), r#"{"model_type": "llama"}"#).unwrap();
        let error = Architecture::read(dir.path()).unwrap_err().to_string();
        assert!(
            error.contains("unknown model type `llama`; expected one of: xlm-roberta"),
            "{error}"
        );
    }
}
