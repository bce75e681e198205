//! Parameters: an ordered list of names and tensors, and the layers made of them.
//!
//! Names are those of `transformers`. tch's own `VarStore` is not used: it renames duplicates,
//! loses the order and takes over a file's dtype. Masters are always 32-bit.

use tch::{Device, Kind, Tensor};

use crate::error::Result;
use crate::id;
use crate::train::ffi;

/// Standard deviation of new weights.
const INITIALIZER_RANGE: f64 = 0.02;

/// A tensor that is learned.
pub struct Parameter {
    /// Its name in `model.safetensors`.
    pub name: String,
    /// Its 32-bit values.
    pub tensor: Tensor,
    /// Whether weight decay applies; not to norms and biases.
    pub decay: bool,
}

/// The parameters of a model in the order in which they were made.
pub struct Parameters {
    seed: u64,
    device: Device,
    list: Vec<Parameter>,
}

impl Parameters {
    /// An empty list; new weights will be functions of the seed and their names.
    pub fn new(seed: u64, device: Device) -> Self {
        Self { seed, device, list: Vec::new() }
    }

    /// Every parameter.
    pub fn iter(&self) -> impl Iterator<Item = &Parameter> {
        self.list.iter()
    }

    /// Every tensor.
    pub fn tensors(&self) -> Vec<&Tensor> {
        self.list.iter().map(|parameter| &parameter.tensor).collect()
    }

    /// How many numbers are learned.
    pub fn count(&self) -> u64 {
        self.list.iter().map(|p| p.tensor.numel() as u64).sum()
    }

    /// Where they lie.
    pub fn device(&self) -> Device {
        self.device
    }

    /// A weight drawn from N(0, 0.02²).
    pub fn weight(&mut self, name: &str, shape: &[i64]) -> Result<Tensor> {
        // Drawn on the CPU, so that every device begins alike.
        let seed = id::keyed(id::hash64(name.as_bytes()), self.seed);
        let mut drawn = Tensor::f_empty(shape, (Kind::Float, Device::Cpu))?;
        ffi::fill_normal(&mut drawn, INITIALIZER_RANGE, seed)?;
        self.add(name, drawn, true)
    }

    /// A weight whose rows embed ids; the row of padding is zero.
    pub fn embedding(&mut self, name: &str, shape: [i64; 2], pad: Option<i32>) -> Result<Tensor> {
        let weight = self.weight(name, &shape)?;
        if let Some(pad) = pad {
            let _guard = tch::no_grad_guard();
            let _ = weight.f_select(0, i64::from(pad))?.f_zero_()?;
        }
        Ok(weight)
    }

    /// A bias of zeros.
    pub fn bias(&mut self, name: &str, size: i64) -> Result<Tensor> {
        self.add(name, Tensor::f_zeros([size], (Kind::Float, Device::Cpu))?, false)
    }

    /// A linear layer `NAME.weight` [outputs, inputs], `NAME.bias`.
    pub fn linear(&mut self, name: &str, inputs: i64, outputs: i64) -> Result<Linear> {
        Ok(Linear {
            weight: self.weight(&format!("{name}.weight"), &[outputs, inputs])?,
            bias: self.bias(&format!("{name}.bias"), outputs)?,
        })
    }

    /// A layer norm `NAME.weight`, `NAME.bias`.
    pub fn norm(&mut self, name: &str, size: i64, eps: f64) -> Result<Norm> {
        let ones = Tensor::f_ones([size], (Kind::Float, Device::Cpu))?;
        Ok(Norm {
            weight: self.add(&format!("{name}.weight"), ones, false)?,
            bias: self.bias(&format!("{name}.bias"), size)?,
            eps,
        })
    }

    fn add(&mut self, name: &str, values: Tensor, decay: bool) -> Result<Tensor> {
        let tensor = values.f_to_device(self.device)?.f_set_requires_grad(true)?;
        let handle = tensor.shallow_clone();
        self.list.push(Parameter { name: name.into(), tensor, decay });
        Ok(handle)
    }
}

/// x Wᵀ + b.
pub struct Linear {
    /// [outputs, inputs].
    pub weight: Tensor,
    /// `[outputs]`.
    pub bias: Tensor,
}

impl Linear {
    /// Applies it in the kind of the input, casting the masters for this pass.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let kind = x.f_kind()?;
        Ok(x.f_linear(&cast(&self.weight, kind)?, Some(&cast(&self.bias, kind)?))?)
    }
}

/// Layer norm.
pub struct Norm {
    weight: Tensor,
    bias: Tensor,
    eps: f64,
}

impl Norm {
    /// Applies it in 32 bits and returns the kind of the input.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let kind = x.f_kind()?;
        let size = self.weight.size();
        let wide = cast(x, Kind::Float)?;
        let y = wide.f_layer_norm(&size, Some(&self.weight), Some(&self.bias), self.eps, false)?;
        cast(&y, kind)
    }
}

/// The tensor in a kind; the tensor itself where it has that kind.
pub fn cast(tensor: &Tensor, kind: Kind) -> Result<Tensor> {
    if tensor.f_kind()? == kind {
        return Ok(tensor.shallow_clone());
    }
    Ok(tensor.f_to_kind(kind)?)
}
