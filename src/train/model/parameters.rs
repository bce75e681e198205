//! Parameters: an ordered list of names and tensors, and the layers made of them.
//!
//! Names are those of `transformers`. tch's own `VarStore` is not used: it renames duplicates,
//! loses the order and takes over a file's dtype. Masters are always 32-bit.

use tch::{Device, Kind, Tensor};

use crate::error::Result;
use crate::id;
use crate::train::ffi;

/// Standard deviation of new weights.
pub(crate) const INITIALIZER_RANGE: f64 = 0.02;

/// A tensor that is learned.
pub struct Parameter {
    /// Its name in `model.safetensors`.
    pub name: String,
    /// Its 32-bit values.
    pub tensor: Tensor,
    /// Whether weight decay applies; not to norms and biases.
    pub decay: bool,
    /// The dimension that is indexed by ids of the vocabulary, where there is one.
    pub by_id: Option<i64>,
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

    /// A weight whose rows belong to positions or types; the row of padding is zero.
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

    /// Zeros that belong to a model's file and are not learned.
    pub fn constant(&mut self, name: &str, shape: &[i64]) -> Result<Tensor> {
        let tensor = self.add(name, Tensor::f_zeros(shape, (Kind::Float, Device::Cpu))?, false)?;
        Ok(tensor.f_set_requires_grad(false)?)
    }

    /// Marks the parameter that was added last as indexed by ids in a dimension.
    pub fn by_id(&mut self, dimension: i64) {
        if let Some(last) = self.list.last_mut() {
            last.by_id = Some(dimension);
        }
    }

    /// A linear layer `NAME.weight` [outputs, inputs], `NAME.bias`.
    pub fn linear(&mut self, name: &str, inputs: i64, outputs: i64) -> Result<Linear> {
        self.projection(name, inputs, outputs, true)
    }

    /// A linear layer with or without a bias.
    pub fn projection(
        &mut self,
        name: &str,
        inputs: i64,
        outputs: i64,
        bias: bool,
    ) -> Result<Linear> {
        let weight = self.weight(&format!("{name}.weight"), &[outputs, inputs])?;
        let bias = bias.then(|| self.bias(&format!("{name}.bias"), outputs)).transpose()?;
        Ok(Linear { weight, bias })
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

    /// A root-mean-square norm `NAME.weight`.
    pub fn rms_norm(&mut self, name: &str, size: i64, eps: f64) -> Result<RmsNorm> {
        let ones = Tensor::f_ones([size], (Kind::Float, Device::Cpu))?;
        Ok(RmsNorm { weight: self.add(&format!("{name}.weight"), ones, false)?, eps })
    }

    fn add(&mut self, name: &str, values: Tensor, decay: bool) -> Result<Tensor> {
        let tensor = values.f_to_device(self.device)?.f_set_requires_grad(true)?;
        let handle = tensor.shallow_clone();
        self.list.push(Parameter { name: name.into(), tensor, decay, by_id: None });
        Ok(handle)
    }
}

/// x Wᵀ + b, or x Wᵀ.
pub struct Linear {
    /// [outputs, inputs].
    pub weight: Tensor,
    /// `[outputs]`.
    pub bias: Option<Tensor>,
}

impl Linear {
    /// Applies it in the kind of the input, casting the masters for this pass.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let kind = x.f_kind()?;
        let bias = self.bias.as_ref().map(|bias| cast(bias, kind)).transpose()?;
        Ok(x.f_linear(&cast(&self.weight, kind)?, bias.as_ref())?)
    }
}

/// Several layers of one input side by side, as one product: the same sums, fewer passes over it.
pub fn together(layers: &[&Linear], x: &Tensor) -> Result<Tensor> {
    let kind = x.f_kind()?;
    let weights: Vec<&Tensor> = layers.iter().map(|layer| &layer.weight).collect();
    let weight = cast(&Tensor::f_cat(&weights, 0)?, kind)?;
    let biases: Option<Vec<&Tensor>> = layers.iter().map(|layer| layer.bias.as_ref()).collect();
    let bias = match biases {
        None => None,
        Some(biases) => Some(cast(&Tensor::f_cat(&biases, 0)?, kind)?),
    };
    Ok(x.f_linear(&weight, bias.as_ref())?)
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

/// x / √(mean x² + ε) · w (Zhang and Sennrich 2019).
pub struct RmsNorm {
    weight: Tensor,
    eps: f64,
}

impl RmsNorm {
    /// Applies it in 32 bits and returns the kind of the input.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let kind = x.f_kind()?;
        let wide = cast(x, Kind::Float)?;
        let mean = wide.f_square()?.f_mean_dim(-1i64, true, Kind::Float)?;
        let unit = wide.f_mul(&mean.f_add_scalar(self.eps)?.f_rsqrt()?)?;
        cast(&unit.f_mul(&self.weight)?, kind)
    }
}

/// The tensor in a kind; the tensor itself where it has that kind.
pub fn cast(tensor: &Tensor, kind: Kind) -> Result<Tensor> {
    if tensor.f_kind()? == kind {
        return Ok(tensor.shallow_clone());
    }
    Ok(tensor.f_to_kind(kind)?)
}
