//! AdamW over the model's own masters: fused, in groups, resumable.
//!
//! A group is the parameters that share a decay and a rate. Moments, step counts and averages are
//! plain tensors of the checkpoint. A parameter that a step did not touch (the head of an objective
//! that had no rows) keeps its value, moments and count.

use std::collections::BTreeMap;

use glob::Pattern;
use tch::{Kind, Tensor};

use crate::error::{Error, Result};
use crate::train::config::OptimizerConfig;
use crate::train::ffi;
use crate::train::guard::{Guard, Seen};
use crate::train::model::Parameters;

/// The optimizer's state.
pub struct Optimizer {
    config: OptimizerConfig,
    groups: Vec<Group>,
    /// By parameter, whether it is learned.
    learned: Vec<bool>,
    first: Vec<Tensor>,
    second: Vec<Tensor>,
    steps: Vec<Tensor>,
    /// Averages of the parameters over the steps, where they are wanted.
    averages: Vec<Tensor>,
    guard: Guard,
}

/// Parameters that move alike.
struct Group {
    members: Vec<usize>,
    decay: f64,
    /// Their share of the learning rate.
    rate: f64,
}

impl Optimizer {
    /// A new optimizer for parameters; they must be passed in the same order ever after.
    ///
    /// Parameters under `freeze` no longer ask for gradients. Errors when a pattern fits none.
    pub fn new(parameters: &Parameters, config: &OptimizerConfig) -> Result<Self> {
        let list: Vec<_> = parameters.iter().collect();
        let frozen = matching("optimizer.freeze", &config.freeze, parameters)?;
        let plain = matching("optimizer.no_decay", &config.no_decay, parameters)?;
        let names: Vec<&str> = list.iter().map(|p| p.name.as_str()).collect();
        let depths = depths(&names);
        let deepest = depths.iter().copied().max().unwrap_or(0);
        // Keyed by bits, so that the groups stand in the same order on every machine.
        let mut groups: BTreeMap<(bool, i64), Group> = BTreeMap::new();
        for (i, p) in list.iter().enumerate() {
            if frozen[i] {
                let _ = p.tensor.shallow_clone().f_requires_grad_(false)?;
                continue;
            }
            let decayed = p.decay && !plain[i];
            let below = deepest - depths[i];
            let group = groups.entry((!decayed, below)).or_insert_with(|| Group {
                members: Vec::new(),
                decay: if decayed { config.weight_decay } else { 0.0 },
                rate: config.layer_decay.powi(below as i32),
            });
            group.members.push(i);
        }
        let mut groups: Vec<Group> = groups.into_values().collect();
        merge_equal(&mut groups);
        let zeros = || -> Result<Vec<Tensor>> {
            list.iter().map(|p| Ok(p.tensor.f_detach()?.f_zeros_like()?)).collect()
        };
        let count = |_| Ok(Tensor::f_zeros([1i64; 0], (Kind::Float, parameters.device()))?);
        let averages = match config.ema > 0.0 {
            true => list.iter().map(|p| ffi::copy_of(&p.tensor)).collect(),
            false => Ok(Vec::new()),
        }?;
        Ok(Self {
            config: config.clone(),
            groups,
            learned: frozen.iter().map(|frozen| !frozen).collect(),
            first: zeros()?,
            second: zeros()?,
            steps: list.iter().map(count).collect::<Result<_>>()?,
            averages,
            guard: Guard::new(config, parameters.device())?,
        })
    }

    /// How many numbers are learned.
    pub fn learned(&self, parameters: &Parameters) -> u64 {
        let all = parameters.iter().zip(&self.learned).filter(|(_, learned)| **learned);
        all.map(|(p, _)| p.tensor.numel() as u64).sum()
    }

    /// Moves the parameters by one step at a learning rate and forgets their gradients.
    ///
    /// Gradients are scaled down to the configured norm. A step that would do harm moves nothing;
    /// [`Self::seen`] tells how many there were. Nothing here waits for the device.
    pub fn step(&mut self, parameters: &Parameters, rate: f64) -> Result<()> {
        let all = parameters.tensors();
        let Some(norm) = ffi::grad_norm(&all)? else { return Ok(()) };
        let verdict = self.guard.judge(norm)?;
        for group in &self.groups {
            let numbers = ffi::AdamW {
                rate: rate * group.rate,
                betas: self.config.betas,
                decay: group.decay,
                eps: self.config.eps,
            };
            let chosen = &group.members;
            ffi::fused_adamw(
                &chosen.iter().map(|&i| all[i]).collect::<Vec<_>>(),
                &chosen.iter().map(|&i| &self.first[i]).collect::<Vec<_>>(),
                &chosen.iter().map(|&i| &self.second[i]).collect::<Vec<_>>(),
                &chosen.iter().map(|&i| &self.steps[i]).collect::<Vec<_>>(),
                numbers,
                Some((&verdict.scale, &verdict.skip)),
            )?;
        }
        if !self.averages.is_empty() {
            let _guard = tch::no_grad_guard();
            // A skipped step is none for the averages either.
            let share = verdict.skip.f_neg()?.f_add_scalar(1.0)?;
            let share = share.f_mul_scalar(1.0 - self.config.ema)?;
            for ((average, tensor), _) in
                self.averages.iter_mut().zip(&all).zip(&self.learned).filter(|(_, l)| **l)
            {
                let _ = average.f_lerp_tensor_(tensor, &share)?;
            }
        }
        ffi::clear_grads(&all)
    }

    /// What became of the steps so far; waits for the device.
    pub fn seen(&self) -> Result<Seen> {
        self.guard.seen()
    }

    /// The parameters' averages by name; none where they are not wanted.
    pub fn averages(&self, parameters: &Parameters) -> Vec<(String, Tensor)> {
        let names = parameters.iter().map(|p| p.name.clone());
        names.zip(self.averages.iter().map(Tensor::shallow_clone)).collect()
    }

    /// Exchanges the parameters' values with their averages; doing it twice undoes it.
    pub fn swap_averages(&mut self, parameters: &Parameters) -> Result<()> {
        let _guard = tch::no_grad_guard();
        for (average, tensor) in self.averages.iter_mut().zip(parameters.tensors()) {
            let values = ffi::copy_of(tensor)?;
            tensor.shallow_clone().f_copy_(average)?;
            average.f_copy_(&values)?;
        }
        Ok(())
    }

    /// Its tensors under `first.NAME`, `second.NAME`, `step.NAME` and `guard`; the same storage, so
    /// that they can be saved and filled.
    pub fn tensors(&self, parameters: &Parameters) -> Vec<(String, Tensor)> {
        let mut list = Vec::new();
        for (i, p) in parameters.iter().enumerate() {
            for (kind, tensors) in
                [("first", &self.first), ("second", &self.second), ("step", &self.steps)]
            {
                list.push((format!("{kind}.{}", p.name), tensors[i].shallow_clone()));
            }
        }
        list.push(("guard".into(), self.guard.state()));
        list
    }
}

/// Which parameters patterns such as `*.embeddings.*` fit; errors for one that fits none.
fn matching(key: &str, patterns: &[String], parameters: &Parameters) -> Result<Vec<bool>> {
    let mut found = vec![false; parameters.iter().count()];
    for text in patterns {
        let pattern = Pattern::new(text)
            .map_err(|e| Error::usage(format!("`{key}`: the pattern `{text}`: {e}")))?;
        let mut any = false;
        for (found, p) in found.iter_mut().zip(parameters.iter()) {
            let fits = pattern.matches(&p.name);
            any |= fits;
            *found |= fits;
        }
        if !any {
            let names: Vec<&str> = parameters.iter().map(|p| p.name.as_str()).take(3).collect();
            return Err(Error::usage(format!("`{key}`: no parameter has a name like `{text}`"))
                .hint_with(format!("names are such as {}", names.join(", "))));
        }
    }
    Ok(found)
}

/// The depth of each parameter: embeddings 0, the layers from 1 on, heads the deepest.
///
/// A layer is told by the number in its name, as in `encoder.layer.3.output` (BEiT's layer-wise
/// decay counts alike). The layers of an encoder and a decoder of one model count side by side.
fn depths(names: &[&str]) -> Vec<i64> {
    let layer = |name: &str| -> Option<i64> {
        let mut parts = name.split('.');
        parts.find(|part| *part == "layer" || *part == "layers")?;
        parts.next()?.parse().ok()
    };
    let last = names.iter().filter_map(|name| layer(name)).max().map_or(0, |l| l + 1);
    let depth = |name: &&str| match layer(name) {
        Some(l) => l + 1,
        None if name.contains("embed") || name.contains("shared") => 0,
        None => last + 1,
    };
    names.iter().map(depth).collect()
}

/// Makes one group of those that have the same numbers.
fn merge_equal(groups: &mut Vec<Group>) {
    let mut merged: Vec<Group> = Vec::new();
    for group in groups.drain(..) {
        match merged.iter_mut().find(|m| m.decay == group.decay && m.rate == group.rate) {
            Some(same) => same.members.extend(group.members),
            None => merged.push(group),
        }
    }
    *groups = merged;
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    fn parameters() -> (Parameters, Tensor, Tensor) {
        let mut p = Parameters::new(5, Device::Cpu);
        let weight = p.weight("w", &[2, 3]).unwrap();
        let bias = p.bias("b", 3).unwrap();
        (p, weight, bias)
    }

    fn config() -> OptimizerConfig {
        OptimizerConfig { weight_decay: 0.5, ..OptimizerConfig::default() }
    }

    #[test]
    fn clipping_scales_and_reports_the_norm_before() {
        // The first step of Adam has the size of the rate whatever the gradient's; the moments tell.
        let (p, weight, bias) = parameters();
        let mut optimizer = Optimizer::new(&p, &config()).unwrap();
        (weight.sum(Kind::Float) * 2.0 + bias.sum(Kind::Float)).backward();
        let norm = (6.0f64 * 4.0 + 3.0).sqrt();
        optimizer.step(&p, 0.1).unwrap();
        assert!((optimizer.seen().unwrap().norm - norm).abs() < 1e-5);
        let first = &optimizer.tensors(&p)[0].1;
        let expected = 2.0 / norm * (1.0 - config().betas.0);
        assert!((first.double_value(&[0, 0]) - expected).abs() < 1e-6);
    }

    #[test]
    fn biases_do_not_decay_and_untouched_parameters_stay() {
        let (p, weight, bias) = parameters();
        let mut optimizer = Optimizer::new(&p, &config()).unwrap();
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

    #[test]
    fn a_step_that_is_not_finite_moves_nothing() {
        let (p, weight, bias) = parameters();
        let mut optimizer = Optimizer::new(&p, &OptimizerConfig { ema: 0.5, ..config() }).unwrap();
        (weight.sum(Kind::Float) + bias.sum(Kind::Float)).backward();
        optimizer.step(&p, 0.1).unwrap();
        let copies = || -> Vec<Tensor> {
            let all = optimizer.tensors(&p).into_iter().filter(|(name, _)| name != "guard");
            let all = all.chain(optimizer.averages(&p)).map(|(_, t)| t);
            all.chain(p.tensors().into_iter().map(Tensor::detach)).map(|t| t.copy()).collect()
        };
        let before = copies();
        (weight.sum(Kind::Float) * f64::NAN + bias.sum(Kind::Float)).backward();
        optimizer.step(&p, 0.1).unwrap();
        let copies = || -> Vec<Tensor> {
            let all = optimizer.tensors(&p).into_iter().filter(|(name, _)| name != "guard");
            let all = all.chain(optimizer.averages(&p)).map(|(_, t)| t);
            all.chain(p.tensors().into_iter().map(Tensor::detach)).map(|t| t.copy()).collect()
        };
        assert!(before.iter().zip(copies()).all(|(a, b)| a.equal(&b)));
        assert_eq!(optimizer.seen().unwrap().in_a_row, 1);
        assert!(!weight.grad().defined());
    }

    #[test]
    fn averages_follow_and_can_be_exchanged() {
        let (p, weight, _) = parameters();
        let mut optimizer = Optimizer::new(&p, &OptimizerConfig { ema: 0.75, ..config() }).unwrap();
        let start = weight.detach().copy();
        weight.sum(Kind::Float).backward();
        optimizer.step(&p, 0.1).unwrap();
        let moved = weight.detach().copy();
        let expected = &start * 0.75 + &moved * 0.25;
        optimizer.swap_averages(&p).unwrap();
        assert!((weight.detach() - expected).abs().max().double_value(&[]) < 1e-6);
        optimizer.swap_averages(&p).unwrap();
        assert!(weight.detach().equal(&moved));
    }

    fn layered() -> Parameters {
        let mut p = Parameters::new(5, Device::Cpu);
        for name in ["m.embeddings.w", "m.layer.0.w", "m.layer.1.w", "head.w"] {
            let _ = p.weight(name, &[2]).unwrap();
        }
        p
    }

    #[test]
    fn lower_layers_move_less_and_frozen_ones_not_at_all() {
        let p = layered();
        let config = OptimizerConfig {
            layer_decay: 0.5,
            freeze: vec!["*embeddings*".into()],
            no_decay: vec!["head.*".into()],
            ..config()
        };
        let mut optimizer = Optimizer::new(&p, &config).unwrap();
        assert_eq!(optimizer.learned(&p), 6);
        let before: Vec<Tensor> = p.tensors().iter().map(|t| t.detach().copy()).collect();
        assert!(!p.tensors()[0].requires_grad());
        for t in &p.tensors()[1..] {
            t.sum(Kind::Float).backward();
        }
        optimizer.step(&p, 0.1).unwrap();
        let moved = |i: usize, decay: f64, rate: f64| {
            let expected = &before[i] * (1.0 - decay * rate) - rate;
            (p.tensors()[i].detach() - expected).abs().max().double_value(&[])
        };
        assert!(p.tensors()[0].equal(&before[0]));
        // The loss is a plain sum, so each first step has the size of its own rate.
        for (i, decay, rate) in [(1, 0.5, 0.025), (2, 0.5, 0.05), (3, 0.0, 0.1)] {
            assert!(moved(i, decay, rate) < 1e-4, "{i}: {}", moved(i, decay, rate));
        }
    }

    #[test]
    fn a_pattern_that_fits_nothing_is_told() {
        let config = OptimizerConfig { freeze: vec!["encoder.*".into()], ..config() };
        let error = Optimizer::new(&layered(), &config).err().unwrap();
        let words = "`optimizer.freeze`: no parameter has a name like `encoder.*`";
        assert_eq!(error.to_string(), words);
        assert!(error.hint().unwrap().contains("m.layer.0.w"));
    }
}
