//! Models: their shape as `config.json` tells it, their parameters, their passes.

pub mod architecture;
pub mod encoder;
pub mod parameters;

pub use architecture::Architecture;
pub use encoder::Encoder;
pub use parameters::{Parameter, Parameters};
