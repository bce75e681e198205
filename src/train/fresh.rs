//! Models to be asked, on the CPU: as a run left them, or as it began.
//!
//! Learns nothing.

use std::path::Path;

use tch::Device;

use crate::error::Result;
use crate::train::config::Dtype;
use crate::train::model::{Architecture, Model};
use crate::train::{predict, retention};

/// Sets the number of threads of libtorch, which decides the order of its sums.
pub fn set_threads(threads: usize) {
    tch::set_num_threads(i32::try_from(threads).unwrap_or(i32::MAX));
}

/// The model of a run's latest checkpoint, or of a Hugging Face folder.
pub fn trained(path: &Path, dtype: Dtype) -> Result<Model> {
    predict::load(path, dtype, Device::Cpu)
}

/// The model of a run as it was drawn from its seed, before its first step.
pub fn untrained(path: &Path, seed: u64, dtype: Dtype) -> Result<Model> {
    let shape = Architecture::read(&retention::resolve(path)?)?;
    Model::new(shape, seed, dtype, Device::Cpu)
}
