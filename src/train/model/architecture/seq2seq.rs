//! `config.json` of M2M-100 (NLLB) and mBART.

use serde_json::{Value, json};

use super::{Activation, Architecture, ConfigFile, Family, Naming, Seq2seqShape};
use crate::error::{Error, Result};
use crate::train::config::ModelConfig;
use crate::train::vocabulary::Vocabulary;

/// What a `[model]` table says of an encoder and decoder alone: those of M2M-100.
pub(super) fn new(config: &ModelConfig, vocabulary: &Vocabulary) -> Seq2seqShape {
    Seq2seqShape {
        is_mbart: false,
        decoder_layers: config.decoder_layers.unwrap_or(config.layers),
        decoder_heads: config.heads(),
        decoder_intermediate: config.intermediate(),
        activation: Activation::Relu,
        activation_dropout: 0.0,
        scaled: true,
        start: Some(vocabulary.eos),
    }
}

/// Names of both families in other files.
pub(super) fn naming(own: &Seq2seqShape) -> Naming {
    const TIED: &[&str] = &[
        "lm_head.weight",
        "model.encoder.embed_tokens.weight",
        "model.decoder.embed_tokens.weight",
        // Sines, and zeros that older versions saved for M2M-100 too.
        "model.encoder.embed_positions.weights",
        "model.decoder.embed_positions.weights",
        "final_logits_bias",
    ];
    // A file may lack the constants of mBART's logits, which are zero then.
    let optional: &[&str] = if own.is_mbart { &["final_logits_bias"] } else { &[] };
    Naming { body: "model.", redundant: TIED, optional }
}

pub(super) fn to_json(shape: &Architecture, own: &Seq2seqShape) -> Value {
    let (model_type, prefix) = match own.is_mbart {
        true => ("mbart", "MBart"),
        false => ("m2m_100", "M2M100"),
    };
    let suffix = if shape.tokens { "ForConditionalGeneration" } else { "Model" };
    json!({
        "architectures": [format!("{prefix}{suffix}")],
        "model_type": model_type,
        "is_encoder_decoder": true,
        "vocab_size": shape.vocabulary,
        "d_model": shape.hidden,
        "encoder_layers": shape.layers,
        "encoder_attention_heads": shape.heads,
        "encoder_ffn_dim": shape.intermediate,
        "decoder_layers": own.decoder_layers,
        "decoder_attention_heads": own.decoder_heads,
        "decoder_ffn_dim": own.decoder_intermediate,
        "num_hidden_layers": shape.layers,
        "activation_function": own.activation.name(),
        "dropout": shape.dropout,
        "attention_dropout": shape.attention_dropout,
        "activation_dropout": own.activation_dropout,
        "encoder_layerdrop": 0.0,
        "decoder_layerdrop": 0.0,
        "init_std": 0.02,
        "max_position_embeddings": shape.positions,
        "scale_embedding": own.scaled,
        "pad_token_id": shape.pad,
        "bos_token_id": shape.bos,
        "eos_token_id": shape.eos,
        "decoder_start_token_id": own.start,
        "forced_eos_token_id": shape.eos,
        "tie_word_embeddings": true,
        "use_cache": true,
        "torch_dtype": "float32"
    })
}

/// Reads M2M-100 and NLLB; the defaults are those of `M2M100Config`.
pub(super) fn m2m100(config: &ConfigFile<'_>) -> Result<Architecture> {
    let own = Seq2seqShape {
        is_mbart: false,
        decoder_layers: 12,
        decoder_heads: 16,
        decoder_intermediate: 4096,
        activation: Activation::Relu,
        activation_dropout: 0.0,
        scaled: true,
        start: Some(2),
    };
    read(config, own, 0.1)
}

/// Reads mBART; the defaults are those of `MBartConfig`.
pub(super) fn mbart(config: &ConfigFile<'_>) -> Result<Architecture> {
    let own = Seq2seqShape {
        is_mbart: true,
        decoder_layers: 12,
        decoder_heads: 16,
        decoder_intermediate: 4096,
        activation: Activation::Gelu,
        activation_dropout: 0.0,
        scaled: false,
        start: None,
    };
    read(config, own, 0.0)
}

fn read(
    config: &ConfigFile<'_>,
    default: Seq2seqShape,
    attention_dropout: f64,
) -> Result<Architecture> {
    if !config.flag("tie_word_embeddings", true) {
        return Err(Error::input(config.path, "untied token embeddings"));
    }
    let activation = match config.json["activation_function"].as_str() {
        None => default.activation,
        Some(name) => {
            Activation::try_from(name.to_string()).map_err(|e| e.within(config.path.display()))?
        }
    };
    let own = Seq2seqShape {
        decoder_layers: config.whole("decoder_layers", Some(default.decoder_layers))?,
        decoder_heads: config.whole("decoder_attention_heads", Some(default.decoder_heads))?,
        decoder_intermediate: config
            .whole("decoder_ffn_dim", Some(default.decoder_intermediate))?,
        activation,
        activation_dropout: config.number("activation_dropout", 0.0),
        scaled: config.flag("scale_embedding", default.scaled),
        start: match config.json.get("decoder_start_token_id") {
            None => default.start,
            Some(id) => id.as_i64().map(|id| id as i32),
        },
        ..default
    };
    Ok(Architecture {
        vocabulary: config.whole("vocab_size", None)?,
        hidden: config.whole("d_model", None)?,
        layers: config.whole("encoder_layers", Some(12))?,
        heads: config.whole("encoder_attention_heads", Some(16))?,
        intermediate: config.whole("encoder_ffn_dim", Some(4096))?,
        dropout: config.number("dropout", 0.1),
        attention_dropout: config.number("attention_dropout", attention_dropout),
        norm_eps: 1e-5,
        positions: config.whole("max_position_embeddings", Some(1024))?,
        pad: config.id("pad_token_id", 1),
        bos: config.id("bos_token_id", 0),
        eos: config.id("eos_token_id", 2),
        tokens: config.class().ends_with("ForConditionalGeneration"),
        labels: Vec::new(),
        languages: Vec::new(),
        family: Family::Seq2seq(own),
    })
}
