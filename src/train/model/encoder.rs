//! The encoder: BERT's layers, under the names of XLM-R or of BERT.
//!
//! x ← LayerNorm(x + Attention(x)), then x ← LayerNorm(x + W₂ gelu(W₁ x)), inside of documents
//! only, with learned positions that begin anew in each (Devlin et al. 2019; Conneau et al. 2020).
//! Heads: tokens (tied to the embedding) and classes of a sequence. Sentence vectors are means
//! (`predict`).

use tch::{Kind, Tensor};

use crate::error::{Error, Result};
use crate::train::ffi;
use crate::train::layout::Unit;
use crate::train::model::architecture::{Architecture, Family};
use crate::train::model::attention::{Drop, Mask, attention};
use crate::train::model::parameters::{Linear, Norm, Parameters, cast, together};
use crate::train::model::{Head, Network, Noise, no_head};
use crate::train::work::Work;

/// An encoder with its heads.
pub struct Encoder {
    shape: Architecture,
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

/// What the two families call the parts outside of the layers.
struct Names {
    body: &'static str,
    token_dense: &'static str,
    token_norm: &'static str,
    token_bias: &'static str,
    class_dense: &'static str,
    class_out: &'static str,
}

const ROBERTA: Names = Names {
    body: "roberta",
    token_dense: "lm_head.dense",
    token_norm: "lm_head.layer_norm",
    token_bias: "lm_head.bias",
    class_dense: "classifier.dense",
    class_out: "classifier.out_proj",
};

const BERT: Names = Names {
    body: "bert",
    token_dense: "cls.predictions.transform.dense",
    token_norm: "cls.predictions.transform.LayerNorm",
    token_bias: "cls.predictions.bias",
    class_dense: "bert.pooler.dense",
    class_out: "classifier",
};

impl Encoder {
    /// A new encoder, whose parameters are added to the list.
    pub fn new(shape: &Architecture, p: &mut Parameters, compute: Kind) -> Result<Self> {
        let (types, names) = match shape.family {
            Family::Roberta { types } => (types, ROBERTA),
            Family::Bert { types } => (types, BERT),
            _ => return Err(Error::internal("an encoder of another family")),
        };
        let (h, eps) = (shape.hidden, shape.norm_eps);
        let embeddings = |name: &str| format!("{}.embeddings.{name}", names.body);
        let words = p.embedding(
            &embeddings("word_embeddings.weight"),
            [shape.vocabulary, h],
            Some(shape.pad),
        )?;
        p.by_id(0);
        // XLM-R's row of padding stands among the positions too.
        let pad = matches!(shape.family, Family::Roberta { .. }).then_some(shape.pad);
        let positions =
            p.embedding(&embeddings("position_embeddings.weight"), [shape.positions, h], pad)?;
        let types = p.embedding(&embeddings("token_type_embeddings.weight"), [types, h], None)?;
        let norm = p.norm(&embeddings("LayerNorm"), h, eps)?;
        let mut layers = Vec::new();
        for l in 0..shape.layers {
            let at = |name: &str| format!("{}.encoder.layer.{l}.{name}", names.body);
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
            true => {
                let dense = p.linear(names.token_dense, h, h)?;
                let norm = p.norm(names.token_norm, h, eps)?;
                let bias = p.bias(names.token_bias, shape.vocabulary)?;
                p.by_id(0);
                Some(TokenHead { dense, norm, bias })
            }
        };
        let classes = match shape.labels.len() as i64 {
            0 => None,
            n => Some(ClassHead {
                dense: p.linear(names.class_dense, h, h)?,
                out: p.linear(names.class_out, h, n)?,
            }),
        };
        let shape = shape.clone();
        Ok(Self { shape, compute, words, positions, types, norm, layers, tokens, classes })
    }

    fn embed(&self, work: &Work, noise: Noise) -> Result<Tensor> {
        let (shape, device) = (work.layout.shape(), self.words.device());
        let pad = i64::from(self.shape.pad);
        let ids = ffi::tensor_over(work.ids.clone(), &shape)?.f_to_device(device)?;
        let positions = work.layout.positions(self.shape.first_position(), device)?;
        let words = Tensor::f_embedding(&self.words, &ids, pad, false, false)?;
        let unlearned = if matches!(self.shape.family, Family::Roberta { .. }) { pad } else { -1 };
        let places = Tensor::f_embedding(&self.positions, &positions, unlearned, false, false)?;
        let types = match self.type_ids(work)? {
            None => self.types.f_select(0, 0)?,
            Some(types) => {
                let types = ffi::tensor_of(types, &shape)?.f_to_device(device)?;
                Tensor::f_embedding(&self.types, &types, -1, false, false)?
            }
        };
        let x = self.norm.forward(&words.f_add(&places)?.f_add(&types)?)?;
        cast(&self.drop(noise, 0).apply(x)?, self.compute)
    }

    /// The type of each place: its language, or for BERT the side of its pair; none where all have
    /// the first type.
    fn type_ids(&self, work: &Work) -> Result<Option<Vec<i32>>> {
        let known = &self.shape.languages;
        if known.is_empty() {
            let sides = matches!(self.shape.family, Family::Bert { types } if types > 1);
            let second = |&d: &i32| i32::from(d >= 0 && d % 2 == 1);
            let pairs = sides && work.layout.unit == Unit::Pair;
            return Ok(pairs.then(|| work.layout.documents.iter().map(second).collect()));
        }
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
        Ok(Some(match work.place_langs.is_empty() {
            true => vec![rows.first().copied().unwrap_or(0); places],
            false => work.place_langs.iter().map(|&lang| rows[usize::from(lang)]).collect(),
        }))
    }

    fn layer(
        &self,
        layer: &Layer,
        x: &Tensor,
        mask: &Mask,
        noise: Noise,
        place: u64,
    ) -> Result<Tensor> {
        let mixed = layer.attended.forward(&self.attend(layer, x, mask, noise, place)?)?;
        let mixed = self.drop(noise, place + 1).apply(mixed)?;
        let x = layer.attention_norm.forward(&mixed.f_add(x)?)?;
        let inner = layer.intermediate.forward(&x)?.f_gelu("none")?;
        let output = self.drop(noise, place + 2).apply(layer.output.forward(&inner)?)?;
        layer.output_norm.forward(&output.f_add(&x)?)
    }

    fn attend(
        &self,
        layer: &Layer,
        x: &Tensor,
        mask: &Mask,
        noise: Noise,
        place: u64,
    ) -> Result<Tensor> {
        let (rows, length) = (x.size()[0], x.size()[1]);
        let (heads, width) = (self.shape.heads, self.shape.hidden);
        let qkv = together(&[&layer.query, &layer.key, &layer.value], x)?;
        let qkv = qkv.f_view([rows, length, 3, heads, width / heads])?;
        let qkv = qkv.f_permute([2, 0, 3, 1, 4])?;
        let (q, k, v) = (qkv.f_select(0, 0)?, qkv.f_select(0, 1)?, qkv.f_select(0, 2)?);
        let drop = Drop { share: self.shape.attention_dropout, noise, place };
        let mixed = attention([&q, &k, &v], mask, drop)?;
        Ok(mixed.f_transpose(1, 2)?.f_reshape([rows, length, width])?)
    }

    fn drop(&self, noise: Noise, place: u64) -> Drop {
        Drop { share: self.shape.dropout, noise, place }
    }
}

impl Network for Encoder {
    fn forward_to(&self, work: &Work, noise: Noise, layers: usize) -> Result<Tensor> {
        let mask = Mask::of(&work.layout, false, self.compute, self.words.device())?;
        let mut x = self.embed(work, noise)?;
        for (l, layer) in self.layers.iter().take(layers).enumerate() {
            // Every place that drops values has a number; the embeddings are 0.
            let place = 3 * l as u64 + 1;
            x = self.layer(layer, &x, &mask, noise, place)?;
        }
        Ok(x)
    }

    fn head(&self, hidden: &Tensor) -> Result<Head> {
        let head = self.tokens.as_ref().ok_or_else(|| no_head("predicts tokens"))?;
        let x = head.norm.forward(&head.dense.forward(hidden)?.f_gelu("none")?)?;
        let (weight, bias) = (self.words.shallow_clone(), Some(head.bias.shallow_clone()));
        Ok(Head { x, weight, bias })
    }

    fn class_logits(&self, hidden: &Tensor, noise: Noise) -> Result<Tensor> {
        let head = self.classes.as_ref().ok_or_else(|| no_head("classifies"))?;
        let first = hidden.f_select(1, 0)?;
        // BERT drops nothing before its pooler.
        let first = match self.shape.family {
            Family::Bert { .. } => first,
            _ => self.drop(noise, u64::MAX).apply(first)?,
        };
        let x = head.dense.forward(&first)?.f_tanh()?;
        head.out.forward(&self.drop(noise, u64::MAX - 1).apply(x)?)
    }
}

#[cfg(test)]
#[path = "encoder_tests.rs"]
pub(crate) mod tests;
