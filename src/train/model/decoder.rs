//! The decoder: Llama's layers under Llama's names.
//!
//! x ← x + Attention(RMSNorm(x)), then x ← x + SwiGLU(RMSNorm(x)), backwards inside of documents
//! only, with rotary positions that begin anew in each (Touvron et al. 2023). No biases unless
//! `config.json` asks for them, no dropout but of attention weights.

use tch::{Kind, Tensor};

use crate::error::{Error, Result};
use crate::train::ffi;
use crate::train::model::architecture::{Architecture, Family, Llama};
use crate::train::model::attention::{Drop, Mask, attention};
use crate::train::model::parameters::{Linear, Parameters, RmsNorm, cast, together};
use crate::train::model::rope::rotate;
use crate::train::model::{Head, Network, Noise};
use crate::train::work::Work;

/// A Llama without its parameters' names.
pub struct Decoder {
    shape: Architecture,
    llama: Llama,
    compute: Kind,
    words: Tensor,
    layers: Vec<Layer>,
    norm: RmsNorm,
    // None when it is `words`.
    output: Option<Tensor>,
}

struct Layer {
    attention_norm: RmsNorm,
    query: Linear,
    key: Linear,
    value: Linear,
    attended: Linear,
    inner_norm: RmsNorm,
    gate: Linear,
    up: Linear,
    down: Linear,
}

impl Decoder {
    /// A new decoder, whose parameters are added to the list.
    pub fn new(shape: &Architecture, p: &mut Parameters, compute: Kind) -> Result<Self> {
        let Family::Llama(llama) = shape.family.clone() else {
            return Err(Error::internal("a decoder of another family"));
        };
        let (h, eps, inner) = (shape.hidden, shape.norm_eps, shape.intermediate);
        let (queries, keys) = (shape.heads * llama.head_width, llama.kv_heads * llama.head_width);
        let words = p.embedding("model.embed_tokens.weight", [shape.vocabulary, h], None)?;
        p.by_id(0);
        let mut layers = Vec::new();
        for l in 0..shape.layers {
            let at = |name: &str| format!("model.layers.{l}.{name}");
            let (attention, mlp) = (llama.attention_bias, llama.mlp_bias);
            layers.push(Layer {
                attention_norm: p.rms_norm(&at("input_layernorm"), h, eps)?,
                query: p.projection(&at("self_attn.q_proj"), h, queries, attention)?,
                key: p.projection(&at("self_attn.k_proj"), h, keys, attention)?,
                value: p.projection(&at("self_attn.v_proj"), h, keys, attention)?,
                attended: p.projection(&at("self_attn.o_proj"), queries, h, attention)?,
                inner_norm: p.rms_norm(&at("post_attention_layernorm"), h, eps)?,
                gate: p.projection(&at("mlp.gate_proj"), h, inner, mlp)?,
                up: p.projection(&at("mlp.up_proj"), h, inner, mlp)?,
                down: p.projection(&at("mlp.down_proj"), inner, h, mlp)?,
            });
        }
        let norm = p.rms_norm("model.norm", h, eps)?;
        let mut output = None;
        if !llama.tied {
            output = Some(p.weight("lm_head.weight", &[shape.vocabulary, h])?);
            p.by_id(0);
        }
        Ok(Self { shape: shape.clone(), llama, compute, words, layers, norm, output })
    }

    fn layer(
        &self,
        layer: &Layer,
        x: &Tensor,
        mask: &Mask,
        turns: &[Tensor; 2],
        drop: Drop,
    ) -> Result<Tensor> {
        let mixed = self.attend(layer, &layer.attention_norm.forward(x)?, mask, turns, drop)?;
        let x = x.f_add(&mixed)?;
        let y = layer.inner_norm.forward(&x)?;
        let gated = layer.gate.forward(&y)?.f_silu()?.f_mul(&layer.up.forward(&y)?)?;
        Ok(x.f_add(&layer.down.forward(&gated)?)?)
    }

    fn attend(
        &self,
        layer: &Layer,
        x: &Tensor,
        mask: &Mask,
        turns: &[Tensor; 2],
        drop: Drop,
    ) -> Result<Tensor> {
        let (rows, length) = (x.size()[0], x.size()[1]);
        let (heads, kv_heads) = (self.shape.heads, self.llama.kv_heads);
        let qkv = together(&[&layer.query, &layer.key, &layer.value], x)?;
        let qkv = qkv.f_view([rows, length, heads + 2 * kv_heads, self.llama.head_width])?;
        let qkv = qkv.f_transpose(1, 2)?;
        let turned = rotate(&qkv.f_narrow(1, 0, heads + kv_heads)?, turns)?;
        let (q, k) = (turned.f_narrow(1, 0, heads)?, turned.f_narrow(1, heads, kv_heads)?);
        let v = qkv.f_narrow(1, heads + kv_heads, kv_heads)?;
        let mixed = attention([&q, &k, &v], mask, drop)?;
        let mixed = mixed.f_transpose(1, 2)?.f_reshape([rows, length, -1])?;
        layer.attended.forward(&mixed)
    }
}

impl Network for Decoder {
    fn forward_to(&self, work: &Work, noise: Noise, layers: usize) -> Result<Tensor> {
        let device = self.words.device();
        let ids = ffi::tensor_over(work.ids.clone(), &work.layout.shape())?.f_to_device(device)?;
        let positions = work.layout.positions(0, device)?;
        let mask = Mask::of(&work.layout, true, self.compute, device)?;
        let turns = self.llama.rope.turns(&positions, self.llama.head_width, self.compute)?;
        let words = Tensor::f_embedding(&self.words, &ids, -1, false, false)?;
        let mut x = cast(&words, self.compute)?;
        for (place, layer) in self.layers.iter().take(layers).enumerate() {
            let drop = Drop { share: self.shape.attention_dropout, noise, place: place as u64 };
            x = self.layer(layer, &x, &mask, &turns, drop)?;
        }
        // The last norm belongs to the last layer.
        if layers < self.layers.len() { Ok(x) } else { self.norm.forward(&x) }
    }

    fn head(&self, hidden: &Tensor) -> Result<Head> {
        let weight = self.output.as_ref().unwrap_or(&self.words).shallow_clone();
        Ok(Head { x: hidden.shallow_clone(), weight, bias: None })
    }
}

#[cfg(test)]
#[path = "decoder_tests.rs"]
pub(crate) mod tests;
