//! `config.json` of Llama.

use serde_json::{Value, json};

use super::{Architecture, ConfigFile, Family, Llama, Naming};
use crate::error::{Error, Result};
use crate::train::config::ModelConfig;
use crate::train::model::rope::{Rope, Scaling};

/// What a `[model]` table says of a decoder alone.
pub(super) fn new(config: &ModelConfig) -> Llama {
    Llama {
        kv_heads: config.kv_heads.unwrap_or_else(|| config.heads()),
        head_width: config.hidden / config.heads(),
        rope: Rope { theta: config.rope_theta.unwrap_or(10_000.0), scaling: Scaling::Default },
        tied: config.tied.unwrap_or(true),
        attention_bias: false,
        mlp_bias: false,
    }
}

/// Names of Llama in other files.
pub(super) fn naming(llama: &Llama) -> Naming {
    const FREQUENCIES: &str = "*.rotary_emb.inv_freq";
    Naming {
        body: "model.",
        redundant: if llama.tied { &["lm_head.weight", FREQUENCIES] } else { &[FREQUENCIES] },
        optional: &[],
    }
}

pub(super) fn to_json(shape: &Architecture, llama: &Llama) -> Value {
    let class = if shape.tokens { "LlamaForCausalLM" } else { "LlamaModel" };
    let mut config = json!({
        "architectures": [class],
        "model_type": "llama",
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.hidden,
        "intermediate_size": shape.intermediate,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": llama.kv_heads,
        "head_dim": llama.head_width,
        "hidden_act": "silu",
        "max_position_embeddings": shape.positions,
        "initializer_range": 0.02,
        "rms_norm_eps": shape.norm_eps,
        "use_cache": true,
        "pad_token_id": shape.pad,
        "bos_token_id": shape.bos,
        "eos_token_id": shape.eos,
        "tie_word_embeddings": llama.tied,
        "attention_bias": llama.attention_bias,
        "attention_dropout": shape.attention_dropout,
        "mlp_bias": llama.mlp_bias,
        // transformers 4 reads the first two, 5 the third.
        "rope_theta": llama.rope.theta,
        "rope_scaling": llama.rope.to_json(),
        "rope_parameters": llama.rope.to_json(),
        "torch_dtype": "float32"
    });
    if let (Scaling::Default, Value::Object(map)) = (&llama.rope.scaling, &mut config) {
        map.shift_remove("rope_scaling");
    }
    config
}

/// Reads Llama; the defaults are those of `LlamaConfig`.
pub(super) fn llama(config: &ConfigFile<'_>) -> Result<Architecture> {
    config.only("hidden_act", "silu")?;
    let (hidden, heads) =
        (config.whole("hidden_size", None)?, config.whole("num_attention_heads", None)?);
    let kv_heads = config.whole("num_key_value_heads", Some(heads))?;
    if heads < 1 || kv_heads < 1 || heads % kv_heads != 0 {
        let message = format!("{heads} heads cannot share {kv_heads} of keys and values");
        return Err(Error::input(config.path, message));
    }
    let eos = config.id("eos_token_id", 2);
    Ok(Architecture {
        family: Family::Llama(Llama {
            kv_heads,
            head_width: config.whole("head_dim", Some(hidden / heads))?,
            rope: Rope::read(config.json).map_err(|e| e.within(config.path.display()))?,
            tied: config.flag("tie_word_embeddings", false),
            attention_bias: config.flag("attention_bias", false),
            mlp_bias: config.flag("mlp_bias", false),
        }),
        vocabulary: config.whole("vocab_size", None)?,
        hidden,
        layers: config.whole("num_hidden_layers", None)?,
        heads,
        intermediate: config.whole("intermediate_size", None)?,
        dropout: 0.0,
        attention_dropout: config.number("attention_dropout", 0.0),
        norm_eps: config.number("rms_norm_eps", 1e-6),
        positions: config.whole("max_position_embeddings", Some(2048))?,
        // Llama has no padding of its own; nothing is predicted from it.
        pad: config.id("pad_token_id", i64::from(eos)),
        bos: config.id("bos_token_id", 1),
        eos,
        tokens: config.class().ends_with("ForCausalLM"),
        labels: Vec::new(),
        languages: Vec::new(),
    })
}
