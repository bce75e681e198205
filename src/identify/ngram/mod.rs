//! The built-in model
pub mod features;
pub mod model;
pub mod predict;
mod tables;
pub mod train;

use crate::identify::tag::{self, Tag};
use self::features::Letters;
use self::model::Model;

impl Model {
    pub fn raw(&self, text: &str, found: &str) -> Option<(Tag, f32)> {
        let letters = Letters::of(found)?;
        let group = self.groups.iter().find(|g| g.letters == letters)?;
        let scores = self.scores(group, text);
        let n: u32 = scores.features.iter().sum();
        let mut best: Option<(Tag, f32)> = None;
        for (label, score) in group.labels.iter().zip(&scores.scores) {
            if tag::script_agrees(label.script, found) && best.is_none_or(|b| *score > b.1) {
                best = Some((*label, *score));
            }
        }
        best.map(|(t, s)| (t, s / (n as f32).max(1.0)))
    }
}
