//! Encoder and decoder: the layers of M2M-100 (NLLB) and of mBART under their names.
//!
//! Pre-norm on both sides: x ← x + f(LayerNorm(x)) for attention, for attention to the source, and
//! for the feed-forward layer, then one more norm (Fan et al. 2021; Liu et al. 2020). M2M-100's
//! positions are sines and cosines; mBART's are learned, and its embeddings are normed.

use tch::{Device, Kind, Tensor};

use crate::error::{Error, Result};
use crate::train::ffi;
use crate::train::layout::Layout;
use crate::train::model::architecture::{Activation, Architecture, Family, Seq2seqShape};
use crate::train::model::attention::{Drop, Mask, attention};
use crate::train::model::parameters::{Linear, Norm, Parameters, cast};
use crate::train::model::{Head, Network, Noise};
use crate::train::work::Work;

/// Layer norms of both families add this.
const EPS: f64 = 1e-5;

/// An encoder and a decoder that share their token embedding.
pub struct Seq2seq {
    shape: Architecture,
    own: Seq2seqShape,
    compute: Kind,
    words: Tensor,
    encoder: Side,
    decoder: Side,
    // mBART adds constants to the logits.
    bias: Option<Tensor>,
}

/// The encoder or the decoder.
struct Side {
    positions: Tensor,
    embedding_norm: Option<Norm>,
    layers: Vec<Layer>,
    norm: Norm,
    heads: i64,
    // Numbers of the places that drop values go on from here.
    first_place: u64,
}

struct Layer {
    own: Attention,
    // To the source, in the decoder.
    source: Option<Attention>,
    inner_norm: Norm,
    inner: Linear,
    outer: Linear,
}

struct Attention {
    norm: Norm,
    query: Linear,
    key: Linear,
    value: Linear,
    attended: Linear,
}

/// Places that drop values in a layer.
const PLACES: u64 = 8;

impl Seq2seq {
    /// A new model, whose parameters are added to the list.
    pub fn new(shape: &Architecture, p: &mut Parameters, compute: Kind) -> Result<Self> {
        let Family::Seq2seq(own) = shape.family.clone() else {
            return Err(Error::internal("an encoder and decoder of another family"));
        };
        let words =
            p.embedding("model.shared.weight", [shape.vocabulary, shape.hidden], Some(shape.pad))?;
        p.by_id(0);
        let sizes = [shape.layers, shape.heads, shape.intermediate];
        let encoder = Side::new(shape, &own, p, "model.encoder", sizes, 0)?;
        let sizes = [own.decoder_layers, own.decoder_heads, own.decoder_intermediate];
        let decoder = Side::new(shape, &own, p, "model.decoder", sizes, 1 << 32)?;
        let mut bias = None;
        if own.is_mbart {
            bias = Some(p.constant("final_logits_bias", &[1, shape.vocabulary])?);
            p.by_id(1);
        }
        Ok(Self { shape: shape.clone(), own, compute, words, encoder, decoder, bias })
    }

    /// Tokens and their positions, before any layer.
    fn embed(
        &self,
        side: &Side,
        ids: &arrow::buffer::Buffer,
        layout: &Layout,
        noise: Noise,
    ) -> Result<Tensor> {
        let (device, pad) = (self.words.device(), i64::from(self.shape.pad));
        let ids = ffi::tensor_over(ids.clone(), &layout.shape())?.f_to_device(device)?;
        let positions = layout.positions(self.shape.first_position(), device)?;
        let words = Tensor::f_embedding(&self.words, &ids, pad, false, false)?;
        let scale = if self.own.scaled { (self.shape.hidden as f64).sqrt() } else { 1.0 };
        let places = Tensor::f_embedding(&side.positions, &positions, -1, false, false)?;
        let mut x = words.f_mul_scalar(scale)?.f_add(&places)?;
        if let Some(norm) = &side.embedding_norm {
            x = norm.forward(&x)?;
        }
        let drop = Drop { share: self.shape.dropout, noise, place: side.first_place };
        cast(&drop.apply(x)?, self.compute)
    }

    fn layer(
        &self,
        side: &Side,
        l: usize,
        x: Tensor,
        mask: &Mask,
        source: Option<(&Tensor, &Mask)>,
        noise: Noise,
    ) -> Result<Tensor> {
        let layer = &side.layers[l];
        let first = side.first_place + 1 + l as u64 * PLACES;
        let share = self.shape.dropout;
        let drop = |place: u64| Drop { share, noise, place: first + place };
        let weights = |place: u64| Drop { share: self.shape.attention_dropout, ..drop(place) };
        let y = layer.own.norm.forward(&x)?;
        let mixed = layer.own.forward(&y, &y, mask, side.heads, weights(0))?;
        let mut x = x.f_add(&drop(1).apply(mixed)?)?;
        if let (Some(attention), Some((states, mask))) = (&layer.source, source) {
            let y = attention.norm.forward(&x)?;
            let mixed = attention.forward(&y, states, mask, side.heads, weights(2))?;
            x = x.f_add(&drop(3).apply(mixed)?)?;
        }
        let y = layer.inner.forward(&layer.inner_norm.forward(&x)?)?;
        let y = match self.own.activation {
            Activation::Relu => y.f_relu()?,
            Activation::Gelu => y.f_gelu("none")?,
        };
        let y = Drop { share: self.own.activation_dropout, ..drop(4) }.apply(y)?;
        Ok(x.f_add(&drop(5).apply(layer.outer.forward(&y)?)?)?)
    }

    /// The states of the source after some layers.
    fn encode(
        &self,
        ids: &arrow::buffer::Buffer,
        layout: &Layout,
        noise: Noise,
        layers: usize,
    ) -> Result<Tensor> {
        let side = &self.encoder;
        let mask = Mask::of(layout, false, self.compute, self.words.device())?;
        let mut x = self.embed(side, ids, layout, noise)?;
        for l in 0..layers.min(side.layers.len()) {
            x = self.layer(side, l, x, &mask, None, noise)?;
        }
        // The last norm belongs to the last layer.
        if layers < side.layers.len() { Ok(x) } else { side.norm.forward(&x) }
    }
}

impl Network for Seq2seq {
    /// Of work with a source the states of the target, else those of the encoder.
    fn forward_to(&self, work: &Work, noise: Noise, layers: usize) -> Result<Tensor> {
        let Some(source) = &work.source else {
            return self.encode(&work.ids, &work.layout, noise, layers);
        };
        let device = self.words.device();
        let states = self.encode(&source.ids, &source.layout, noise, layers)?;
        let mask = Mask::of(&work.layout, true, self.compute, device)?;
        let across = Mask::across(&work.layout, &source.layout, self.compute, device)?;
        let side = &self.decoder;
        let mut x = self.embed(side, &work.ids, &work.layout, noise)?;
        for l in 0..side.layers.len() {
            x = self.layer(side, l, x, &mask, Some((&states, &across)), noise)?;
        }
        side.norm.forward(&x)
    }

    fn head(&self, hidden: &Tensor) -> Result<Head> {
        let bias = self.bias.as_ref().map(|bias| bias.f_select(0, 0)).transpose()?;
        Ok(Head { x: hidden.shallow_clone(), weight: self.words.shallow_clone(), bias })
    }
}

impl Side {
    fn new(
        shape: &Architecture,
        own: &Seq2seqShape,
        p: &mut Parameters,
        name: &str,
        [layers, heads, inner]: [i64; 3],
        first_place: u64,
    ) -> Result<Self> {
        let h = shape.hidden;
        let rows = shape.positions + i64::from(shape.first_position());
        let (positions, embedding_norm) = match own.is_mbart {
            true => (
                p.embedding(&format!("{name}.embed_positions.weight"), [rows, h], None)?,
                Some(p.norm(&format!("{name}.layernorm_embedding"), h, EPS)?),
            ),
            false => (sines(rows, h, shape.pad, p.device())?, None),
        };
        let mut list = Vec::new();
        for l in 0..layers {
            let at = |part: &str| format!("{name}.layers.{l}.{part}");
            let own = Attention::new(p, &at("self_attn"), &at("self_attn_layer_norm"), h)?;
            let source = match name.ends_with("decoder") {
                false => None,
                true => {
                    let norm = at("encoder_attn_layer_norm");
                    Some(Attention::new(p, &at("encoder_attn"), &norm, h)?)
                }
            };
            list.push(Layer {
                own,
                source,
                inner: p.linear(&at("fc1"), h, inner)?,
                outer: p.linear(&at("fc2"), inner, h)?,
                inner_norm: p.norm(&at("final_layer_norm"), h, EPS)?,
            });
        }
        let norm = p.norm(&format!("{name}.layer_norm"), h, EPS)?;
        Ok(Self { positions, embedding_norm, layers: list, norm, heads, first_place })
    }
}

impl Attention {
    fn new(p: &mut Parameters, name: &str, norm: &str, h: i64) -> Result<Self> {
        let at = |part: &str| format!("{name}.{part}");
        Ok(Self {
            key: p.linear(&at("k_proj"), h, h)?,
            value: p.linear(&at("v_proj"), h, h)?,
            query: p.linear(&at("q_proj"), h, h)?,
            attended: p.linear(&at("out_proj"), h, h)?,
            norm: p.norm(norm, h, EPS)?,
        })
    }

    /// From normed states x [rows, queries, hidden] to states y [rows, keys, hidden].
    fn forward(
        &self,
        x: &Tensor,
        y: &Tensor,
        mask: &Mask,
        heads: i64,
        drop: Drop,
    ) -> Result<Tensor> {
        let split = |layer: &Linear, states: &Tensor| -> Result<Tensor> {
            let [rows, length, width] = states.size()[..] else {
                return Err(Error::internal("hidden states without three dimensions"));
            };
            let parts = layer.forward(states)?.f_view([rows, length, heads, width / heads])?;
            Ok(parts.f_transpose(1, 2)?)
        };
        let (q, k, v) = (split(&self.query, x)?, split(&self.key, y)?, split(&self.value, y)?);
        let mixed = attention([&q, &k, &v], mask, drop)?.f_transpose(1, 2)?;
        self.attended.forward(&mixed.f_reshape(x.size())?)
    }
}

/// sin and cos of p·10000^(−i/(h/2 − 1)) side by side [rows, hidden]; the row of padding is zero.
///
/// Vaswani et al. 2017 §3.5 as tensor2tensor, and after it `transformers`, computes it.
fn sines(rows: i64, hidden: i64, pad: i32, device: Device) -> Result<Tensor> {
    let half = hidden / 2;
    let step = 10_000f64.ln() / (half - 1).max(1) as f64;
    let rates: Vec<f32> = (0..half).map(|i| (-step * i as f64).exp() as f32).collect();
    let places = Tensor::f_arange(rows, (Kind::Float, Device::Cpu))?.f_unsqueeze(1)?;
    let angles = places.f_mul(&Tensor::f_from_slice(&rates)?)?;
    let odd = Tensor::f_zeros([rows, hidden % 2], (Kind::Float, Device::Cpu))?;
    let table = Tensor::f_cat(&[angles.f_sin()?, angles.f_cos()?, odd], 1)?;
    let _ = table.f_select(0, i64::from(pad))?.f_zero_()?;
    Ok(table.f_to_device(device)?)
}

#[cfg(test)]
#[path = "seq2seq_tests.rs"]
pub(crate) mod tests;
