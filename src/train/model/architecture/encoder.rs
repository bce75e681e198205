//! `config.json` of XLM-R, RoBERTa and BERT.

use serde_json::{Value, json};

use super::{Architecture, ConfigFile, Family, Naming, add_labels};
use crate::error::{Error, Result};

/// Names of XLM-R in other files.
pub(super) const ROBERTA: Naming = Naming {
    body: "roberta.",
    redundant: &[
        "roberta.embeddings.position_ids",
        "roberta.embeddings.token_type_ids",
        "lm_head.decoder.weight",
        "lm_head.decoder.bias",
        // A pooler serves no head of ours.
        "roberta.pooler.dense.weight",
        "roberta.pooler.dense.bias",
    ],
    optional: &[],
};

/// Names of BERT in other files; the head that says which sentence follows is left out.
pub(super) const BERT: Naming = Naming {
    body: "bert.",
    redundant: &[
        "bert.embeddings.position_ids",
        "bert.embeddings.token_type_ids",
        "cls.predictions.decoder.weight",
        "cls.predictions.decoder.bias",
        "cls.seq_relationship.weight",
        "cls.seq_relationship.bias",
        "bert.pooler.dense.weight",
        "bert.pooler.dense.bias",
    ],
    optional: &[],
};

/// What the two families write differently: the type, and the prefix of their classes.
pub(super) struct Keys(&'static str, &'static str);

pub(super) const XLMR_KEYS: Keys = Keys("xlm-roberta", "XLMRoberta");
pub(super) const BERT_KEYS: Keys = Keys("bert", "Bert");

pub(super) fn to_json(shape: &Architecture, types: i64, keys: &Keys) -> Value {
    let Keys(model_type, prefix) = keys;
    let suffix = match (shape.tokens, shape.labels.is_empty()) {
        (true, _) => "ForMaskedLM",
        (false, false) => "ForSequenceClassification",
        (false, true) => "Model",
    };
    let mut config = json!({
        "architectures": [format!("{prefix}{suffix}")],
        "model_type": model_type,
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.hidden,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "intermediate_size": shape.intermediate,
        "hidden_act": "gelu",
        "hidden_dropout_prob": shape.dropout,
        "attention_probs_dropout_prob": shape.attention_dropout,
        "max_position_embeddings": shape.positions,
        "type_vocab_size": types,
        "initializer_range": 0.02,
        "layer_norm_eps": shape.norm_eps,
        "pad_token_id": shape.pad,
        "bos_token_id": shape.bos,
        "eos_token_id": shape.eos,
        "tie_word_embeddings": true,
        "position_embedding_type": "absolute",
        "use_cache": false,
        "torch_dtype": "float32"
    });
    if let Value::Object(map) = &mut config {
        add_labels(map, &shape.labels);
        if !shape.languages.is_empty() {
            map.insert("hexapla_languages".into(), shape.languages.clone().into());
        }
    }
    config
}

/// Reads XLM-R and RoBERTa; the defaults are those of `XLMRobertaConfig`.
pub(super) fn roberta(config: &ConfigFile<'_>) -> Result<Architecture> {
    let types = config.whole("type_vocab_size", Some(2))?;
    read(config, Family::Roberta { types }, [1, 0, 2])
}

/// Reads BERT, whose tokenizer begins with `[CLS]` and ends with `[SEP]` (ids 101 and 102 of every
/// published one, which `config.json` does not say).
pub(super) fn bert(config: &ConfigFile<'_>) -> Result<Architecture> {
    let types = config.whole("type_vocab_size", Some(2))?;
    read(config, Family::Bert { types }, [0, 101, 102])
}

fn read(config: &ConfigFile<'_>, family: Family, ids: [i64; 3]) -> Result<Architecture> {
    config.only("hidden_act", "gelu")?;
    config.only("position_embedding_type", "absolute")?;
    if !config.flag("tie_word_embeddings", true) {
        return Err(Error::input(config.path, "untied token embeddings"));
    }
    for key in ["is_decoder", "add_cross_attention"] {
        if config.flag(key, false) {
            return Err(Error::input(config.path, format!("`{key}`: not an encoder")));
        }
    }
    let class = config.class();
    let languages = config.json["hexapla_languages"].as_array().into_iter().flatten();
    Ok(Architecture {
        family,
        vocabulary: config.whole("vocab_size", None)?,
        hidden: config.whole("hidden_size", None)?,
        layers: config.whole("num_hidden_layers", None)?,
        heads: config.whole("num_attention_heads", None)?,
        intermediate: config.whole("intermediate_size", None)?,
        dropout: config.number("hidden_dropout_prob", 0.1),
        attention_dropout: config.number("attention_probs_dropout_prob", 0.1),
        norm_eps: config.number("layer_norm_eps", 1e-12),
        positions: config.whole("max_position_embeddings", Some(512))?,
        pad: config.id("pad_token_id", ids[0]),
        bos: config.id("bos_token_id", ids[1]),
        eos: config.id("eos_token_id", ids[2]),
        tokens: class.ends_with("ForMaskedLM") || class.ends_with("ForPreTraining"),
        labels: match class.ends_with("ForSequenceClassification") || class.is_empty() {
            true => config.labels(),
            false => Vec::new(),
        },
        languages: languages.filter_map(|lang| lang.as_str().map(Into::into)).collect(),
    })
}
