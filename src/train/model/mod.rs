//! Models: their shape as `config.json` tells it, their parameters, their passes.
//!
//! A [`Model`] is what the trainer knows: hidden states, logits, losses, by name the parameters.
//! What is computed in between is a [`Network`], one file for each architecture.

pub mod architecture;
pub mod attention;
pub mod decoder;
pub mod encoder;
pub mod parameters;
pub mod rope;
pub mod seq2seq;
pub mod surgery;

pub use architecture::Architecture;
pub use parameters::{Parameter, Parameters};

use tch::{Device, Kind, Tensor};

use crate::error::{Error, Result};
use crate::train::config::{Dtype, ModelKind};
use crate::train::ffi;
use crate::train::model::decoder::Decoder;
use crate::train::model::encoder::Encoder;
use crate::train::model::parameters::cast;
use crate::train::model::seq2seq::Seq2seq;
use crate::train::work::Work;

/// The key of dropout's draws in a training pass; none in any other pass, which drops nothing.
pub type Noise = Option<u64>;

/// What an architecture computes.
pub trait Network {
    /// The hidden states after some layers [rows, length, hidden]; after 0 the embeddings.
    fn forward_to(&self, work: &Work, noise: Noise, layers: usize) -> Result<Tensor>;

    /// What turns hidden states [.., hidden] into logits over the vocabulary.
    fn head(&self, hidden: &Tensor) -> Result<Head>;

    /// Logits over the classes [rows, classes].
    fn class_logits(&self, _hidden: &Tensor, _noise: Noise) -> Result<Tensor> {
        Err(no_head("classifies"))
    }
}

/// Logits over the vocabulary that are not computed yet: x Wᵀ + b.
pub struct Head {
    /// [.., hidden].
    pub x: Tensor,
    /// [vocabulary, hidden].
    pub weight: Tensor,
    /// `[vocabulary]`.
    pub bias: Option<Tensor>,
}

/// A network with its shape and its parameters.
pub struct Model {
    architecture: Architecture,
    parameters: Parameters,
    network: Box<dyn Network>,
}

impl Model {
    /// A new model; its weights are a function of the seed and their names.
    pub fn new(shape: Architecture, seed: u64, dtype: Dtype, device: Device) -> Result<Self> {
        let mut parameters = Parameters::new(seed, device);
        let compute = match dtype {
            Dtype::Fp32 => Kind::Float,
            Dtype::Bf16 => Kind::BFloat16,
        };
        let p = &mut parameters;
        let network: Box<dyn Network> = match shape.kind() {
            ModelKind::Encoder => Box::new(Encoder::new(&shape, p, compute)?),
            ModelKind::Decoder => Box::new(Decoder::new(&shape, p, compute)?),
            ModelKind::Seq2seq => Box::new(Seq2seq::new(&shape, p, compute)?),
        };
        Ok(Self { architecture: shape, parameters, network })
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
        self.network.forward_to(work, noise, self.architecture.layers as usize)
    }

    /// The hidden states after some layers [rows, length, hidden]; after 0 the embeddings.
    pub fn forward_to(&self, work: &Work, noise: Noise, layers: usize) -> Result<Tensor> {
        self.network.forward_to(work, noise, layers)
    }

    /// Logits over the vocabulary for hidden states [.., hidden], in the kind of the pass.
    ///
    /// Errors when the model has no such head.
    pub fn token_logits(&self, hidden: &Tensor) -> Result<Tensor> {
        let Head { x, weight, bias } = self.network.head(hidden)?;
        let kind = x.f_kind()?;
        let bias = bias.map(|bias| cast(&bias, kind)).transpose()?;
        Ok(x.f_linear(&cast(&weight, kind)?, bias.as_ref())?)
    }

    /// −log P of the gold tokens `[n]` for hidden states `[n, hidden]`, in 32 bits.
    ///
    /// The logits are never held all at once. Errors when the model has no such head.
    pub fn token_losses(&self, hidden: &Tensor, gold: &Tensor) -> Result<Tensor> {
        let Head { x, weight, bias } = self.network.head(hidden)?;
        ffi::linear_cross_entropy(&x, &weight, bias.as_ref(), gold)
    }

    /// Logits over the classes [rows, classes], from the first token of each row.
    ///
    /// Errors when the model has no such head.
    pub fn class_logits(&self, hidden: &Tensor, noise: Noise) -> Result<Tensor> {
        self.network.class_logits(hidden, noise)
    }
}

/// The error of a head that a model was made without.
pub(crate) fn no_head(what: &str) -> Error {
    Error::usage(format!("the model has no head that {what}"))
}
