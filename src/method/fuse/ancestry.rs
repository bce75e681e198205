//! Whether models have an ancestor in common; without one, their average means nothing.
//!
//! What a run began with stands in the manifest of its checkpoints. Of foreign folders the weights
//! tell: matrices that were drawn independently are at right angles in so many dimensions (their
//! cosine is within a few thousandths of 0), those of models that were fine-tuned from one are
//! nearly parallel. Vectors are left out: gains of norms begin at 1 in every model.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::safetensors::Tensor;
use super::values::Number;
use crate::error::Result;

/// Below this cosine of weights models are called strangers.
pub const RELATED: f64 = 0.5;

/// What is known of the models' common origin.
#[derive(Debug, Clone, PartialEq)]
pub struct Ancestry {
    /// What each began with, as the manifests say; `None` for what was not made here.
    pub origins: Vec<Option<String>>,
    /// The lowest cosine of the matrices of the first model and another; `None` for one model or
    /// no matrix.
    pub cosine: Option<f64>,
    /// The largest distance from the first model, over its own norm.
    pub distance: Option<f64>,
}

impl Ancestry {
    /// What to tell a person, if the models seem to have no ancestor in common.
    pub fn warning(&self) -> Option<String> {
        let cosine = self.cosine.filter(|cosine| *cosine < RELATED)?;
        let mut text = format!(
            "these models seem to share no ancestor: the cosine of their matrices is {cosine:.3} \
             where models trained on from one have nearly 1; neurons of the same place then do \
             not do the same, and an average of them means nothing"
        );
        let known: Vec<&str> = self.origins.iter().flatten().map(String::as_str).collect();
        if known.len() == self.origins.len() {
            text.push_str(&format!(" (they began with: {})", known.join("; ")));
        }
        Some(text)
    }
}

/// Sums over the matrices, of the first model and each other one.
pub struct Likeness {
    dots: Vec<f64>,
    squares: Vec<f64>,
    distances: Vec<f64>,
}

impl Likeness {
    /// Before any tensor of so many models.
    pub fn new(models: usize) -> Self {
        let zeros = vec![0.0; models];
        Self { dots: zeros.clone(), squares: zeros.clone(), distances: zeros }
    }

    /// Adds a tensor of every model.
    pub fn see<N: Number>(&mut self, tensor: &Tensor, models: &[Vec<N>]) {
        if tensor.shape.len() < 2 {
            return;
        }
        let Some(first) = models.first() else { return };
        for (k, other) in models.iter().enumerate() {
            let (mut dot, mut square, mut distance) = (0.0, 0.0, 0.0);
            for (a, b) in first.iter().zip(other) {
                let (a, b) = (a.wide(), b.wide());
                dot += a * b;
                square += b * b;
                distance += (a - b) * (a - b);
            }
            self.dots[k] += dot;
            self.squares[k] += square;
            self.distances[k] += distance;
        }
    }
}

/// What manifests and weights tell.
pub fn of(models: &[PathBuf], seen: Likeness) -> Result<Ancestry> {
    let own = seen.squares.first().copied().unwrap_or(0.0);
    let cosine = |k: usize| seen.dots[k] / (own * seen.squares[k]).sqrt();
    let others = 1..seen.dots.len();
    let any = own > 0.0 && !others.is_empty();
    let cosine = any.then(|| others.clone().map(cosine).fold(f64::INFINITY, f64::min));
    let distance =
        any.then(|| others.map(|k| (seen.distances[k] / own).sqrt()).fold(0.0, f64::max));
    let origins = models.iter().map(|dir| origin(dir)).collect::<Result<_>>()?;
    Ok(Ancestry { origins, cosine, distance })
}

/// What a checkpoint of a run here says that it began with.
fn origin(dir: &Path) -> Result<Option<String>> {
    let Some(manifest) = super::json(&dir.join("manifest.json"))? else { return Ok(None) };
    let text = |value: &Value| value.as_str().map(|text| text.trim_matches('"').to_string());
    // A run that began anew names its model, and so its shape and seed, instead.
    let inputs = &manifest["inputs"];
    let init =
        text(&inputs["init"]).filter(|init| init != "null").map(|init| format!("from {init}"));
    let seed = || Some(format!("anew, seed {}", manifest["seed"].as_u64()?));
    let named = init.or_else(|| inputs.get("[model]").and_then(|_| seed()));
    let node = manifest["node"].as_str().unwrap_or("a run");
    Ok(named.map(|named| format!("{node}: {named}")))
}
