//! Attention: softmax(q kᵀ / √d + bias) v, with the kernel that is fastest where it runs, and the
//! keyed dropout that every architecture shares.

use tch::{Device, Kind, Tensor};

use crate::error::Result;
use crate::id;
use crate::train::ffi;
use crate::train::layout::Layout;
use crate::train::model::Noise;

/// Who may attend to whom.
pub enum Mask {
    /// Everybody to everybody.
    None,
    /// Each place to itself and those before it.
    Causal,
    /// Where the bias [rows, 1, queries, keys] is 0; elsewhere it is −∞.
    Bias(Tensor),
}

impl Mask {
    /// Inside of documents only, and for `causal` only backwards.
    pub fn of(layout: &Layout, causal: bool, kind: Kind, device: Device) -> Result<Self> {
        match (layout.full, causal) {
            (true, true) => Ok(Self::Causal),
            (true, false) => Ok(Self::None),
            (false, _) => Ok(Self::Bias(layout.bias(layout, causal, kind, device)?)),
        }
    }

    /// From the documents of one layout to the same documents of another.
    pub fn across(from: &Layout, to: &Layout, kind: Kind, device: Device) -> Result<Self> {
        match from.full && to.full {
            true => Ok(Self::None),
            false => Ok(Self::Bias(from.bias(to, false, kind, device)?)),
        }
    }
}

/// A share of values to drop, and where: every place of a model that drops values has a number.
#[derive(Debug, Clone, Copy)]
pub struct Drop {
    /// The share.
    pub share: f64,
    /// The key of the pass.
    pub noise: Noise,
    /// The number of the place.
    pub place: u64,
}

impl Drop {
    /// The key of this place's draws; none where nothing is dropped.
    fn key(self) -> Noise {
        self.noise.filter(|_| self.share > 0.0).map(|key| id::keyed(self.place, key))
    }

    /// Drops the share of the values and keeps their mean.
    pub fn apply(self, x: Tensor) -> Result<Tensor> {
        let Some(key) = self.key() else {
            return Ok(x);
        };
        if x.device() == Device::Cpu {
            return Ok(x.f_mul(&ffi::dropout_factors(&x, self.share, key)?)?);
        }
        // The kernel draws from the device's own generator.
        tch::manual_seed(key as i64);
        Ok(x.f_dropout(self.share, true)?)
    }
}

/// softmax(q kᵀ / √d + mask) v: q [rows, heads, queries, d], k and v [rows, heads, keys, d].
///
/// There may be fewer heads of k and v: each serves a group of q's (Ainslie et al. 2023).
pub fn attention([q, k, v]: [&Tensor; 3], mask: &Mask, drop: Drop) -> Result<Tensor> {
    let groups = q.size()[1] / k.size()[1];
    let (k, v) = (repeated(k, groups)?, repeated(v, groups)?);
    // On a CPU the fused kernel does not multiply bfloat16 with the matrix unit: plain products
    // are 2.5 to 4.5 times as fast at lengths from 32 to 512 (AMX). Nor does it drop weights.
    let key = drop.key();
    let cpu = q.device() == Device::Cpu;
    if cpu && (q.f_kind()? == Kind::BFloat16 || key.is_some()) {
        return products(q, &k, &v, mask, drop);
    }
    if let Some(key) = key {
        tch::manual_seed(key as i64);
    }
    let share = if key.is_some() { drop.share } else { 0.0 };
    let (bias, causal) = match mask {
        Mask::None => (None, false),
        Mask::Causal => (None, true),
        Mask::Bias(bias) => (Some(bias), false),
    };
    Ok(Tensor::f_scaled_dot_product_attention(q, &k, &v, bias, share, causal, None, false)?)
}

fn products(q: &Tensor, k: &Tensor, v: &Tensor, mask: &Mask, drop: Drop) -> Result<Tensor> {
    let scale = (q.size()[3] as f64).sqrt().recip();
    let kind = q.f_kind()?;
    let scores = q.f_mul_scalar(scale)?.f_matmul(&k.f_transpose(2, 3)?)?;
    let scores = match mask {
        Mask::None => scores,
        Mask::Causal => scores.f_add(&causal_bias(&scores)?)?,
        Mask::Bias(bias) => {
            let mut scores = scores;
            scores.f_add_(bias)?
        }
    };
    let weights = drop.apply(scores.f_softmax(-1, kind)?)?;
    Ok(weights.f_matmul(v)?)
}

/// −∞ above the diagonal of scores [.., n, n].
fn causal_bias(scores: &Tensor) -> Result<Tensor> {
    let size = scores.size();
    let n = [size[size.len() - 2], size[size.len() - 1]];
    let all = Tensor::f_full(n, f64::NEG_INFINITY, (scores.f_kind()?, scores.device()))?;
    Ok(all.f_triu(1)?)
}

/// Each head `groups` times, side by side.
fn repeated(x: &Tensor, groups: i64) -> Result<Tensor> {
    if groups == 1 {
        return Ok(x.shallow_clone());
    }
    let size = x.size();
    let [rows, heads, length, width] = [size[0], size[1], size[2], size[3]];
    let wide = x.f_unsqueeze(2)?.f_expand([rows, heads, groups, length, width], false)?;
    Ok(wide.f_reshape([rows, heads * groups, length, width])?)
}
