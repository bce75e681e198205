//! Steps that would do harm: gradients that are not finite, or far larger than usual.
//!
//! Such a step leaves everything as it was. It is decided where the gradients lie and never asked
//! about between two lines of the metrics, so that the host does not wait for the device at each
//! step. "Usual" is a running mean of the norms of the steps that were taken.

use tch::{Device, Kind, Tensor};

use crate::error::Result;
use crate::train::config::OptimizerConfig;

/// Steps that are taken before one can be far larger than usual.
const SETTLED: f64 = 20.0;

/// How fast the running mean follows.
const FOLLOW: f64 = 0.05;

/// What the guard has seen: numbers that are part of a checkpoint.
pub struct Guard {
    limit: f64,
    spike: f64,
    /// Running mean of the norms, steps taken, steps skipped in a row, steps skipped in all.
    state: Tensor,
    /// The norm of the last step.
    norm: Tensor,
}

/// What a step is to do with its gradients; numbers on the device.
pub struct Verdict {
    /// What the gradients are divided by.
    pub scale: Tensor,
    /// 1 for a step that is skipped, else 0.
    pub skip: Tensor,
}

/// What became of the steps so far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Seen {
    /// The norm of the last step's gradients before clipping.
    pub norm: f64,
    /// Steps skipped in a row up to now.
    pub in_a_row: u64,
    /// Steps skipped since the run began.
    pub skipped: u64,
}

impl Guard {
    /// A guard that has seen nothing.
    pub fn new(config: &OptimizerConfig, device: Device) -> Result<Self> {
        Ok(Self {
            limit: config.clip,
            spike: config.spike,
            state: Tensor::f_zeros([4], (Kind::Float, device))?,
            norm: Tensor::f_zeros([1i64; 0], (Kind::Float, device))?,
        })
    }

    /// Judges a step by the norm of its gradients (32-bit, no dimensions).
    pub fn judge(&mut self, norm: Tensor) -> Result<Verdict> {
        let [mean, taken, row, all] = [0, 1, 2, 3].map(|i| self.state.f_select(0, i));
        let (mean, taken, row, all) = (mean?, taken?, row?, all?);
        let mut skip = norm.f_isfinite()?.f_logical_not()?;
        if self.spike > 0.0 {
            let high = norm.f_gt_tensor(&mean.f_mul_scalar(self.spike)?)?;
            skip = skip.f_logical_or(&high.f_logical_and(&taken.f_ge(SETTLED)?)?)?;
        }
        let moved = mean.f_mul_scalar(1.0 - FOLLOW)?.f_add(&norm.f_mul_scalar(FOLLOW)?)?;
        let moved = norm.f_where_self(&taken.f_eq(0.0)?, &moved)?;
        let mean = mean.f_where_self(&skip, &moved)?;
        let skip = skip.f_to_kind(Kind::Float)?;
        let taken = taken.f_add_scalar(1.0)?.f_sub(&skip)?;
        let row = row.f_add_scalar(1.0)?.f_mul(&skip)?;
        let all = all.f_add(&skip)?;
        self.state.f_copy_(&Tensor::f_stack(&[mean, taken, row, all], 0)?)?;
        let scale = match self.limit > 0.0 {
            true => norm.f_add_scalar(1e-6)?.f_div_scalar(self.limit)?.f_clamp_min(1.0)?,
            false => norm.f_ones_like()?,
        };
        self.norm = norm;
        Ok(Verdict { scale, skip })
    }

    /// What it has seen; waits for the device.
    pub fn seen(&self) -> Result<Seen> {
        let mut state = [0f32; 4];
        self.state.f_to_device(Device::Cpu)?.f_copy_data(&mut state, 4)?;
        Ok(Seen {
            norm: self.norm.f_double_value(&[])?,
            in_a_row: state[2] as u64,
            skipped: state[3] as u64,
        })
    }

    /// What a checkpoint keeps of it; the same storage.
    pub fn state(&self) -> Tensor {
        self.state.shallow_clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(clip: f64, spike: f64) -> Guard {
        let config = OptimizerConfig { clip, spike, ..OptimizerConfig::default() };
        Guard::new(&config, Device::Cpu).unwrap()
    }

    fn judge(guard: &mut Guard, norm: f32) -> (f64, f64) {
        let verdict = guard.judge(Tensor::from(norm)).unwrap();
        (verdict.scale.double_value(&[]), verdict.skip.double_value(&[]))
    }

    #[test]
    fn gradients_are_scaled_down_to_the_limit() {
        let mut guard = guard(2.0, 0.0);
        assert_eq!(judge(&mut guard, 1.0), (1.0, 0.0));
        let (scale, skip) = judge(&mut guard, 8.0);
        assert!((scale - 4.0).abs() < 1e-5 && skip == 0.0);
        assert_eq!(guard.seen().unwrap(), Seen { norm: 8.0, in_a_row: 0, skipped: 0 });
    }

    #[test]
    fn what_is_not_finite_or_far_too_large_is_skipped_and_counted() {
        let mut guard = guard(1.0, 5.0);
        assert_eq!(judge(&mut guard, f32::NAN).1, 1.0);
        assert_eq!(judge(&mut guard, f32::INFINITY).1, 1.0);
        assert_eq!(guard.seen().unwrap().in_a_row, 2);
        for _ in 0..30 {
            assert_eq!(judge(&mut guard, 1.0).1, 0.0);
        }
        assert_eq!(judge(&mut guard, 4.9).1, 0.0);
        assert_eq!(judge(&mut guard, 100.0).1, 1.0);
        // A skipped step does not count as usual.
        assert_eq!(judge(&mut guard, 100.0).1, 1.0);
        let seen = guard.seen().unwrap();
        assert_eq!((seen.in_a_row, seen.skipped, seen.norm), (2, 4, 100.0));
        // At the beginning nothing is usual yet.
        let mut early = self::guard(1.0, 5.0);
        judge(&mut early, 1.0);
        assert_eq!(judge(&mut early, 100.0).1, 0.0);
    }
}
