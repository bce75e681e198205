//! The label of a text by a model: sums of weights, then a calibrated probability.

use super::features::{self, KINDS};
use super::model::{Group, MAX_LABELS, Model, Weights, entry};

/// The scores of one text before calibration.
pub(super) struct Scores {
    /// The score of each label of the group.
    pub(super) scores: Vec<f32>,
    /// Features of each kind in the text.
    pub(super) features: [u32; KINDS],
}

impl Model {
    pub(super) fn scores(&self, group: &Group, text: &str) -> Scores {
        let mut sums = [0_u32; MAX_LABELS];
        let mut n = [0_u32; KINDS];
        features::for_each(text, group.letters, |feature| {
            let weights = group.weights(feature);
            if weights.is_some() { n[feature.kind()] += 1; }
            match weights {
                Some(Weights::Row(row)) => {
                    for (sum, weight) in sums.iter_mut().zip(row) {
                        *sum += u32::from(*weight);
                    }
                }
                Some(Weights::List(list)) => {
                    for pair in list.chunks_exact(2) {
                        let (label, weight) = entry([pair[0], pair[1]]);
                        sums[label] += u32::from(weight);
                    }
                }
                None => {}
            }
        });
        let scores = sums
            .iter()
            .zip(&group.misses)
            .map(|(sum, misses)| {
                let misses: f32 = misses.iter().zip(n).map(|(miss, n)| miss * n as f32).sum::<f32>() + misses[KINDS];
                *sum as f32 * self.step + misses
            })
            .collect();
        Scores { scores, features: n }
    }
}
