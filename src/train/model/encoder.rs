//! The encoder: XLM-R's layers under XLM-R's names.
//!
//! Post-norm, exact GELU, learned positions that are always given explicitly, attention inside
//! documents only. Heads: tokens (tied to the embedding) and classes of a sequence. There is no
//! pooler; sentence vectors are means (`predict`).

use tch::{Device, Kind, Tensor};

use crate::error::{Error, Result};
use crate::id;
use crate::train::config::Dtype;
use crate::train::ffi;
use crate::train::model::architecture::Architecture;
use crate::train::model::parameters::{Linear, Norm, Parameters, cast};
use crate::train::work::Work;

/// The key of dropout's draws in a training pass; none in any other pass, which drops nothing.
pub type Noise = Option<u64>;

/// An encoder with its heads.
pub struct Encoder {
    architecture: Architecture,
    parameters: Parameters,
    compute: Kind,
    words: Tensor,
    positions: Tensor,
    types: Tensor,
    norm: Norm,
    layers: Vec<Layer>,
    tokens: Option<TokenHead>,
    classes: Option<ClassHead>,
}

struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    attended: Linear,
    attention_norm: Norm,
    intermediate: Linear,
    output: Linear,
    output_norm: Norm,
}

struct TokenHead {
    dense: Linear,
    norm: Norm,
    bias: Tensor,
}

struct ClassHead {
    dense: Linear,
    out: Linear,
}

impl Encoder {
    /// A new encoder; its weights are a function of the seed and their names.
    pub fn new(shape: Architecture, seed: u64, dtype: Dtype, device: Device) -> Result<Self> {
        let mut p = Parameters::new(seed, device);
        let (h, eps) = (shape.hidden, shape.norm_eps);
        let root = "roberta.embeddings";
        let words = p.embedding(
            &format!("{root}.word_embeddings.weight"),
            [shape.vocabulary, h],
            Some(shape.pad),
        )?;
        let positions = p.embedding(
            &format!("{root}.position_embeddings.weight"),
            [shape.positions, h],
            Some(shape.pad),
        )?;
        let types =
            p.embedding(&format!("{root}.token_type_embeddings.weight"), [shape.types, h], None)?;
        let norm = p.norm(&format!("{root}.LayerNorm"), h, eps)?;
        let mut layers = Vec::new();
        for l in 0..shape.layers {
            let at = |name: &str| format!("roberta.encoder.layer.{l}.{name}");
            layers.push(Layer {
                query: p.linear(&at("attention.self.query"), h, h)?,
                key: p.linear(&at("attention.self.key"), h, h)?,
                value: p.linear(&at("attention.self.value"), h, h)?,
                attended: p.linear(&at("attention.output.dense"), h, h)?,
                attention_norm: p.norm(&at("attention.output.LayerNorm"), h, eps)?,
                intermediate: p.linear(&at("intermediate.dense"), h, shape.intermediate)?,
                output: p.linear(&at("output.dense"), shape.intermediate, h)?,
                output_norm: p.norm(&at("output.LayerNorm"), h, eps)?,
            });
        }
        let tokens = match shape.tokens {
            false => None,
            true => Some(TokenHead {
                dense: p.linear("lm_head.dense", h, h)?,
                norm: p.norm("lm_head.layer_norm", h, eps)?,
                bias: p.bias("lm_head.bias", shape.vocabulary)?,
            }),
        };
        let classes = match shape.labels.len() as i64 {
            0 => None,
            n => Some(ClassHead {
                dense: p.linear("classifier.dense", h, h)?,
                out: p.linear("classifier.out_proj", h, n)?,
            }),
        };
        let compute = match dtype {
            Dtype::Fp32 => Kind::Float,
            Dtype::Bf16 => Kind::BFloat16,
        };
        Ok(Self {
            architecture: shape,
            parameters: p,
            compute,
            words,
            positions,
            types,
            norm,
            layers,
            tokens,
            classes,
        })
    }

    /// Its shape.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// Its parameters.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Where it lies.
    pub fn device(&self) -> Device {
        self.parameters.device()
    }

    /// The last hidden states [rows, length, hidden].
    pub fn forward(&self, work: &Work, noise: Noise) -> Result<Tensor> {
        self.forward_to(work, noise, self.layers.len())
    }

    /// The hidden states after some layers [rows, length, hidden]; after 0 the embeddings.
    pub fn forward_to(&self, work: &Work, noise: Noise, layers: usize) -> Result<Tensor> {
        let bias = work.layout.bias(self.compute, self.device())?;
        let mut x = self.embed(work, noise)?;
        for (l, layer) in self.layers.iter().take(layers).enumerate() {
            // Every place that drops values has a number; the embeddings are 0.
            let place = 3 * l as u64 + 1;
            x = self.layer(layer, &x, bias.as_ref(), noise, place)?;
        }
        Ok(x)
    }

    /// Logits over the vocabulary for hidden states [.., hidden], in the kind of the pass.
    ///
    /// Errors when the model has no such head.
    pub fn token_logits(&self, hidden: &Tensor) -> Result<Tensor> {
        let head = self.tokens.as_ref().ok_or_else(|| no_head("predicts tokens"))?;
        let x = head.norm.forward(&head.dense.forward(hidden)?.f_gelu("none")?)?;
        let kind = x.f_kind()?;
        Ok(x.f_linear(&cast(&self.words, kind)?, Some(&cast(&head.bias, kind)?))?)
    }

    /// Logits over the classes [rows, classes], from the first token of each row.
    ///
    /// Errors when the model has no such head.
    pub fn class_logits(&self, hidden: &Tensor, noise: Noise) -> Result<Tensor> {
        let head = self.classes.as_ref().ok_or_else(|| no_head("classifies"))?;
        let x = self.dropout(hidden.f_select(1, 0)?, noise, u64::MAX)?;
        let x = self.dropout(head.dense.forward(&x)?.f_tanh()?, noise, u64::MAX - 1)?;
        head.out.forward(&x)
    }

    fn embed(&self, work: &Work, noise: Noise) -> Result<Tensor> {
        let (shape, device) = (work.layout.shape(), self.device());
        let pad = i64::from(self.architecture.pad);
        let ids = ffi::tensor_over(work.ids.clone(), &shape)?.f_to_device(device)?;
        let positions = work.layout.positions(device)?;
        let words = Tensor::f_embedding(&self.words, &ids, pad, false, false)?;
        let places = Tensor::f_embedding(&self.positions, &positions, pad, false, false)?;
        let types = match self.architecture.languages.is_empty() {
            true => self.types.f_select(0, 0)?,
            false => {
                let types = ffi::tensor_of(self.type_ids(work)?, &shape)?.f_to_device(device)?;
                Tensor::f_embedding(&self.types, &types, -1, false, false)?
            }
        };
        let x = self.norm.forward(&words.f_add(&places)?.f_add(&types)?)?;
        cast(&self.dropout(x, noise, 0)?, self.compute)
    }

    fn type_ids(&self, work: &Work) -> Result<Vec<i32>> {
        let known = &self.architecture.languages;
        let rows: Vec<i32> = work
            .langs
            .iter()
            .map(|lang| {
                let row = known.iter().position(|name| name == lang);
                row.map(|row| row as i32).ok_or_else(|| {
                    Error::unknown("language", lang, known.iter().map(String::as_str))
                        .within("language embeddings of the model")
                })
            })
            .collect::<Result<_>>()?;
        let places = work.layout.rows * work.layout.length;
        Ok(match work.place_langs.is_empty() {
            true => vec![rows.first().copied().unwrap_or(0); places],
            false => work.place_langs.iter().map(|&lang| rows[usize::from(lang)]).collect(),
        })
    }

    fn layer(
        &self,
        layer: &Layer,
        x: &Tensor,
        bias: Option<&Tensor>,
        noise: Noise,
        place: u64,
    ) -> Result<Tensor> {
        let attended = layer.attended.forward(&self.attend(layer, x, bias, noise, place)?)?;
        let x =
            layer.attention_norm.forward(&self.dropout(attended, noise, place + 1)?.f_add(x)?)?;
        let inner = layer.intermediate.forward(&x)?.f_gelu("none")?;
        let output = self.dropout(layer.output.forward(&inner)?, noise, place + 2)?;
        layer.output_norm.forward(&output.f_add(&x)?)
    }

    fn attend(
        &self,
        layer: &Layer,
        x: &Tensor,
        bias: Option<&Tensor>,
        noise: Noise,
        place: u64,
    ) -> Result<Tensor> {
        let (b, l) = (x.size()[0], x.size()[1]);
        let (heads, width) = (self.architecture.heads, self.architecture.hidden);
        // One product for the three projections: the same sums, fewer passes over x.
        let three = [&layer.query, &layer.key, &layer.value];
        let weight = cast(&Tensor::f_cat(&three.map(|p| &p.weight), 0)?, self.compute)?;
        let shift = cast(&Tensor::f_cat(&three.map(|p| &p.bias), 0)?, self.compute)?;
        let qkv = x.f_linear(&weight, Some(&shift))?;
        let qkv = qkv.f_view([b, l, 3, heads, width / heads])?.f_permute([2, 0, 3, 1, 4])?;
        let (q, k, v) = (qkv.f_select(0, 0)?, qkv.f_select(0, 1)?, qkv.f_select(0, 2)?);
        let mixed = self.mix([&q, &k, &v], bias, noise, place)?;
        Ok(mixed.f_transpose(1, 2)?.f_reshape([b, l, width])?)
    }

    /// softmax(q kᵀ / √d + bias) v, each [rows, heads, length, d].
    fn mix(
        &self,
        [q, k, v]: [&Tensor; 3],
        bias: Option<&Tensor>,
        noise: Noise,
        place: u64,
    ) -> Result<Tensor> {
        let share = self.architecture.attention_dropout;
        let key = noise.filter(|_| share > 0.0).map(|key| id::keyed(place, key));
        let cpu = self.device() == Device::Cpu;
        // On a CPU the fused kernel does not multiply bfloat16 with the matrix unit: plain products
        // are 2.5 to 4.5 times as fast at lengths from 32 to 512 (AMX). Nor does it drop weights.
        if cpu && (self.compute == Kind::BFloat16 || key.is_some()) {
            let scale = (q.size()[3] as f64).sqrt().recip();
            let mut scores = q.f_mul_scalar(scale)?.f_matmul(&k.f_transpose(2, 3)?)?;
            if let Some(bias) = bias {
                scores = scores.f_add_(bias)?;
            }
            let mut weights = scores.f_softmax(-1, self.compute)?;
            if let Some(key) = key {
                weights = weights.f_mul(&ffi::dropout_factors(&weights, share, key)?)?;
            }
            return Ok(weights.f_matmul(v)?);
        }
        if let Some(key) = key {
            // The kernel draws from the device's own generator.
            tch::manual_seed(key as i64);
        }
        let drop = if key.is_some() { share } else { 0.0 };
        Ok(Tensor::f_scaled_dot_product_attention(q, k, v, bias, drop, false, None, false)?)
    }

    fn dropout(&self, x: Tensor, noise: Noise, place: u64) -> Result<Tensor> {
        let share = self.architecture.dropout;
        let Some(key) = noise.filter(|_| share > 0.0) else {
            return Ok(x);
        };
        let seed = id::keyed(place, key);
        if self.device() == Device::Cpu {
            return Ok(x.f_mul(&ffi::dropout_factors(&x, share, seed)?)?);
        }
        tch::manual_seed(seed as i64);
        Ok(x.f_dropout(share, true)?)
    }
}

fn no_head(what: &str) -> Error {
    Error::usage(format!("the model has no head that {what}"))
}

#[cfg(test)]
#[path = "encoder_tests.rs"]
pub(crate) mod tests;
