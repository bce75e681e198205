//! AdamW over the model's own masters: fused, without decay on norms and biases, resumable.
//!
//! Moments and step counts are plain tensors of the checkpoint. A parameter that a step did not
//! touch (the head of an objective that had no rows) keeps its value, moments and count.

use tch::{Device, Kind, Tensor};

use crate::error::Result;
use crate::train::config::OptimizerConfig;
use crate::train::ffi;
use crate::train::model::Parameters;

/// The optimizer's state.
pub struct Optimizer {
    config: OptimizerConfig,
    first: Vec<Tensor>,
    second: Vec<Tensor>,
    steps: Vec<Tensor>,
}

impl Optimizer {
    /// A new optimizer for parameters; they must be passed in the same order ever after.
    pub fn new(parameters: &Parameters, config: &OptimizerConfig) -> Result<Self> {
        let zeros = || -> Result<Vec<Tensor>> {
            parameters.iter().map(|p| Ok(p.tensor.f_detach()?.f_zeros_like()?)).collect()
        };
        let count = parameters.iter().count();
        let step = || Tensor::f_zeros([1i64; 0], (Kind::Float, Device::Cpu));
        Ok(Self {
            config: config.clone(),
            first: zeros()?,
            second: zeros()?,
            steps: (0..count).map(|_| Ok(step()?)).collect::<Result<_>>()?,
        })
    }

    /// Scales the gradients down to the configured norm and returns the norm they had.
    pub fn clip(&self, parameters: &Parameters) -> Result<f64> {
        let grads: Vec<Tensor> =
            parameters.iter().map(|p| p.tensor.grad()).filter(Tensor::defined).collect();
        if grads.is_empty() {
            return Ok(0.0);
        }
        let norms = grads.iter().map(|g| Ok(g.f_norm()?)).collect::<Result<Vec<_>>>()?;
        let norm = Tensor::f_stack(&norms, 0)?.f_norm()?.f_double_value(&[])?;
        let limit = self.config.clip;
        if limit > 0.0 && norm > limit {
            for mut grad in grads {
                let _ = grad.f_mul_scalar_(limit / (norm + 1e-6))?;
            }
        }
        Ok(norm)
    }

    /// Moves the parameters by one step at a learning rate and forgets their gradients.
    pub fn step(&mut self, parameters: &Parameters, rate: f64) -> Result<()> {
        for decayed in [true, false] {
            let chosen: Vec<usize> = parameters
                .iter()
                .enumerate()
                .filter(|(_, p)| p.decay == decayed)
                .map(|(i, _)| i)
                .collect();
            let all = parameters.tensors();
            let decay = if decayed { self.config.weight_decay } else { 0.0 };
            let numbers =
                ffi::AdamW { rate, betas: self.config.betas, decay, eps: self.config.eps };
            ffi::fused_adamw(
                &chosen.iter().map(|&i| all[i]).collect::<Vec<_>>(),
                &chosen.iter().map(|&i| &self.first[i]).collect::<Vec<_>>(),
                &chosen.iter().map(|&i| &self.second[i]).collect::<Vec<_>>(),
                &chosen.iter().map(|&i| &self.steps[i]).collect::<Vec<_>>(),
                numbers,
            )?;
        }
        ffi::clear_grads(&parameters.tensors())
    }

    /// Its tensors under `first.NAME`, `second.NAME` and `step.NAME`; the same storage, so that
    /// they can be saved and filled.
    pub fn tensors(&self, parameters: &Parameters) -> Vec<(String, Tensor)> {
        let mut list = Vec::new();
        for (i, p) in parameters.iter().enumerate() {
            for (kind, tensors) in
                [("first", &self.first), ("second", &self.second), ("step", &self.steps)]
            {
                list.push((format!("{kind}.{}", p.name), tensors[i].shallow_clone()));
            }
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters() -> (Parameters, Tensor, Tensor) {
        let mut p = Parameters::new(5, Device::Cpu);
        let weight = p.weight("w", &[2, 3]).unwrap();
        let bias = p.bias("b", 3).unwrap();
        (p, weight, bias)
    }

    #[test]
    fn clipping_reports_the_norm_before() {
        let (p, weight, bias) = parameters();
        let config = OptimizerConfig { clip: 1.0, ..OptimizerConfig::default() };
        let optimizer = Optimizer::new(&p, &config).unwrap();
        assert_eq!(optimizer.clip(&p).unwrap(), 0.0);
        (weight.sum(Kind::Float) * 2.0 + bias.sum(Kind::Float)).backward();
        let norm = (6.0f64 * 4.0 + 3.0).sqrt();
        assert!((optimizer.clip(&p).unwrap() - norm).abs() < 1e-5);
        assert!((optimizer.clip(&p).unwrap() - 1.0).abs() < 1e-5);
    }

    #[test]
    fn biases_do_not_decay_and_untouched_parameters_stay() {
        let (p, weight, bias) = parameters();
        let config = OptimizerConfig { weight_decay: 0.5, ..OptimizerConfig::default() };
        let mut optimizer = Optimizer::new(&p, &config).unwrap();
        let before = weight.copy();
        (bias.sum(Kind::Float) * 0.0 + weight.sum(Kind::Float) * 0.0).backward();
        optimizer.step(&p, 0.1).unwrap();
        assert!(!weight.grad().defined());
        assert!((weight.detach() - before.detach() * 0.95).abs().max().double_value(&[]) < 1e-7);
        assert_eq!(bias.detach().abs().max().double_value(&[]), 0.0);
        let before = weight.detach().copy();
        bias.sum(Kind::Float).backward();
        optimizer.step(&p, 0.1).unwrap();
        assert_eq!((weight.detach() - before).abs().max().double_value(&[]), 0.0);
        let steps: Vec<f64> = optimizer
            .tensors(&p)
            .iter()
            .filter(|(name, _)| name.starts_with("step."))
            .map(|(_, t)| t.double_value(&[]))
            .collect();
        assert_eq!(steps, [1.0, 2.0]);
    }
}
