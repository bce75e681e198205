//! Rotary positions (Su et al. 2021): pairs of values of queries and keys are turned by an angle
//! that grows with the position, so that their product depends on the distance.
//!
//! The pairs are (i, i + d/2), as in `transformers`. Scaled variants for texts longer than those
//! of the training are computed as its `modeling_rope_utils` does.

use std::f64::consts::PI;

use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

use crate::error::{Error, Result};

/// How the angles of rotary positions grow.
#[derive(Debug, Clone, PartialEq)]
pub struct Rope {
    /// The base θ of the frequencies θ^(−2i/d).
    pub theta: f64,
    /// How they are slowed down for longer texts.
    pub scaling: Scaling,
}

/// How frequencies are slowed down for texts longer than the original training's.
#[derive(Debug, Clone, PartialEq)]
pub enum Scaling {
    /// Not at all.
    Default,
    /// All by a factor (position interpolation, Chen et al. 2023).
    Linear {
        /// The factor.
        factor: f64,
    },
    /// By a larger base (NTK-aware), which leaves texts of the original length as they are.
    Dynamic {
        /// The factor.
        factor: f64,
    },
    /// Slow ones by a factor, fast ones not, a ramp between (Llama 3.1).
    Llama3 {
        /// The factor.
        factor: f64,
        /// Wavelengths above `original` over this are slowed down in full.
        low: f64,
        /// Wavelengths below `original` over this are left alone.
        high: f64,
        /// The length of the original training.
        original: f64,
    },
    /// As `Llama3` with a ramp over dimensions, and the cosines scaled (Peng et al. 2023).
    Yarn {
        /// The factor.
        factor: f64,
        /// What cosines and sines are multiplied by.
        attention: f64,
        /// Turns over the original length above which a frequency is left alone.
        fast: f64,
        /// Turns below which it is slowed down in full.
        slow: f64,
        /// The length of the original training.
        original: f64,
        /// Whether the ramp begins and ends at whole dimensions.
        truncate: bool,
    },
}

/// Kinds of scaling by the names of `transformers`.
const TYPES: [&str; 5] = ["default", "linear", "dynamic", "llama3", "yarn"];

impl Rope {
    /// Reads `rope_parameters` (transformers 5) or `rope_theta` and `rope_scaling` (4).
    pub fn read(config: &Value) -> Result<Self> {
        let empty = json!({});
        let of = |key: &str| config.get(key).filter(|v| v.is_object());
        let parameters = of("rope_parameters").or(of("rope_scaling")).unwrap_or(&empty);
        let number = |key: &str| parameters.get(key).and_then(Value::as_f64);
        let needed = |key: &str| {
            number(key).ok_or_else(|| Error::usage(format!("`{key}` of the rope is missing")))
        };
        let longest = config["max_position_embeddings"].as_f64();
        let theta = number("rope_theta").or(config["rope_theta"].as_f64()).unwrap_or(10_000.0);
        if number("partial_rotary_factor").is_some_and(|share| share != 1.0) {
            return Err(Error::usage("`partial_rotary_factor` other than 1"));
        }
        let original = || {
            number("original_max_position_embeddings")
                .or(longest)
                .ok_or_else(|| Error::usage("`original_max_position_embeddings` is missing"))
        };
        let name = parameters.get("rope_type").or(parameters.get("type"));
        let scaling = match name.and_then(Value::as_str).unwrap_or("default") {
            "default" => Scaling::Default,
            "linear" => Scaling::Linear { factor: needed("factor")? },
            "dynamic" => Scaling::Dynamic { factor: needed("factor")? },
            "llama3" => Scaling::Llama3 {
                factor: needed("factor")?,
                low: needed("low_freq_factor")?,
                high: needed("high_freq_factor")?,
                original: original()?,
            },
            "yarn" => {
                let factor = needed("factor")?;
                // The paper's √t, §3.4; DeepSeek divides two of them.
                let root = |scale: f64| match factor > 1.0 {
                    true => 0.1 * scale * factor.ln() + 1.0,
                    false => 1.0,
                };
                let attention = match (number("mscale"), number("mscale_all_dim")) {
                    (Some(one), Some(all)) if one != 0.0 && all != 0.0 => root(one) / root(all),
                    _ => root(1.0),
                };
                Scaling::Yarn {
                    factor,
                    attention: number("attention_factor").unwrap_or(attention),
                    fast: number("beta_fast").unwrap_or(32.0),
                    slow: number("beta_slow").unwrap_or(1.0),
                    original: original()?,
                    truncate: parameters["truncate"].as_bool().unwrap_or(true),
                }
            }
            other => return Err(Error::unknown("rope type", other, TYPES)),
        };
        Ok(Self { theta, scaling })
    }

    /// `rope_parameters` of `config.json`.
    pub fn to_json(&self) -> Value {
        let theta = self.theta;
        match self.scaling {
            Scaling::Default => json!({"rope_type": "default", "rope_theta": theta}),
            Scaling::Linear { factor } => {
                json!({"rope_type": "linear", "rope_theta": theta, "factor": factor})
            }
            Scaling::Dynamic { factor } => {
                json!({"rope_type": "dynamic", "rope_theta": theta, "factor": factor})
            }
            Scaling::Llama3 { factor, low, high, original } => json!({
                "rope_type": "llama3", "rope_theta": theta, "factor": factor,
                "low_freq_factor": low, "high_freq_factor": high,
                "original_max_position_embeddings": original as i64
            }),
            Scaling::Yarn { factor, attention, fast, slow, original, truncate } => json!({
                "rope_type": "yarn", "rope_theta": theta, "factor": factor,
                "attention_factor": attention, "beta_fast": fast, "beta_slow": slow,
                "original_max_position_embeddings": original as i64, "truncate": truncate
            }),
        }
    }

    /// Radians per position of each of the `width`/2 pairs.
    pub fn frequencies(&self, width: i64) -> Vec<f64> {
        let d = width as f64;
        let plain = |i: f64| self.theta.powf(-2.0 * i / d);
        let indices = (0..width / 2).map(|i| i as f64);
        match self.scaling {
            // `Dynamic` changes nothing up to the longest text, and longer ones are refused.
            Scaling::Default | Scaling::Dynamic { .. } => indices.map(plain).collect(),
            Scaling::Linear { factor } => indices.map(|i| plain(i) / factor).collect(),
            Scaling::Llama3 { factor, low, high, original } => indices
                .map(|i| {
                    let turns = original * plain(i) / (2.0 * PI);
                    let kept = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                    plain(i) * (kept + (1.0 - kept) / factor)
                })
                .collect(),
            Scaling::Yarn { factor, fast, slow, original, truncate, .. } => {
                // The pair that makes so many turns over the original length.
                let pair =
                    |turns: f64| d * (original / (turns * 2.0 * PI)).ln() / (2.0 * self.theta.ln());
                let (mut first, mut last) = (pair(fast), pair(slow));
                if truncate {
                    (first, last) = (first.floor(), last.ceil());
                }
                let (first, mut last) = (first.max(0.0), last.min(d - 1.0));
                if first == last {
                    last += 0.001;
                }
                indices
                    .map(|i| {
                        let slowed = ((i - first) / (last - first)).clamp(0.0, 1.0);
                        plain(i) * (1.0 - slowed + slowed / factor)
                    })
                    .collect()
            }
        }
    }

    /// Cosines and sines [rows, 1, length, d/2] of positions [rows, length].
    pub fn turns(&self, positions: &Tensor, width: i64, kind: Kind) -> Result<[Tensor; 2]> {
        let device: Device = positions.device();
        let frequencies: Vec<f32> = self.frequencies(width).iter().map(|f| *f as f32).collect();
        let frequencies = Tensor::f_from_slice(&frequencies)?.f_to_device(device)?;
        let angles = positions.f_to_kind(Kind::Float)?.f_unsqueeze(-1)?.f_mul(&frequencies)?;
        let angles = angles.f_unsqueeze(1)?;
        let scale = match self.scaling {
            Scaling::Yarn { attention, .. } => attention,
            _ => 1.0,
        };
        let scaled = |x: Tensor| -> Result<Tensor> { Ok(x.f_mul_scalar(scale)?.f_to_kind(kind)?) };
        Ok([scaled(angles.f_cos()?)?, scaled(angles.f_sin()?)?])
    }
}

/// Turns the pairs of x [rows, heads, length, d]: (a, b) ↦ (a cos − b sin, b cos + a sin).
pub fn rotate(x: &Tensor, [cos, sin]: &[Tensor; 2]) -> Result<Tensor> {
    let half = x.size()[3] / 2;
    let (a, b) = (x.f_narrow(3, 0, half)?, x.f_narrow(3, half, half)?);
    let first = a.f_mul(cos)?.f_sub(&b.f_mul(sin)?)?;
    let second = b.f_mul(cos)?.f_add(&a.f_mul(sin)?)?;
    Ok(Tensor::f_cat(&[first, second], 3)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_depends_on_the_distance_alone() {
        let rope = Rope { theta: 10_000.0, scaling: Scaling::Default };
        let product = |p: i32, q: i32| {
            let turned = |position: i32, seed: f64| {
                let x = (Tensor::arange(8, (Kind::Float, Device::Cpu)) * seed).sin();
                let at = Tensor::from_slice(&[position]).view([1, 1]);
                rotate(&x.view([1, 1, 1, 8]), &rope.turns(&at, 8, Kind::Float).unwrap()).unwrap()
            };
            (turned(p, 0.7) * turned(q, 1.3)).sum(Kind::Float).double_value(&[])
        };
        assert!((product(3, 1) - product(13, 11)).abs() < 1e-5);
        assert!((product(3, 1) - product(3, 2)).abs() > 1e-3);
    }

    #[test]
    fn what_is_written_is_read_and_other_types_are_refused() {
        for scaling in [
            Scaling::Default,
            Scaling::Linear { factor: 4.0 },
            Scaling::Dynamic { factor: 2.0 },
            Scaling::Llama3 { factor: 8.0, low: 1.0, high: 4.0, original: 8192.0 },
            Scaling::Yarn {
                factor: 4.0,
                attention: 1.1,
                fast: 32.0,
                slow: 1.0,
                original: 64.0,
                truncate: true,
            },
        ] {
            let rope = Rope { theta: 500_000.0, scaling };
            let config = json!({"rope_parameters": rope.to_json()});
            assert_eq!(Rope::read(&config).unwrap(), rope);
        }
        // As transformers 4 wrote it.
        let old = json!({"rope_theta": 5e5, "rope_scaling": {"type": "linear", "factor": 2.0}});
        let want = Rope { theta: 5e5, scaling: Scaling::Linear { factor: 2.0 } };
        assert_eq!(Rope::read(&old).unwrap(), want);
        let other = json!({"rope_parameters": {"rope_type": "longrope"}});
        let error = Rope::read(&other).unwrap_err().to_string();
        assert!(error.starts_with("unknown rope type `longrope`; expected one of: default"));
    }

    #[test]
    fn llama3_slows_down_the_slow_ones() {
        let plain = Rope { theta: 500_000.0, scaling: Scaling::Default }.frequencies(64);
        let scaling = Scaling::Llama3 { factor: 8.0, low: 1.0, high: 4.0, original: 8192.0 };
        let scaled = Rope { theta: 500_000.0, scaling }.frequencies(64);
        assert_eq!(scaled[0], plain[0]);
        assert!((scaled[31] * 8.0 - plain[31]).abs() < 1e-12);
    }
}
