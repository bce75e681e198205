//! Proof on a run of the project itself that going on after a stop changes nothing.
//!
//! The same few steps in one go and with a stop in the middle, in folders that vanish; what they
//! learned and what they left is compared to the bit.

use std::path::Path;

use serde_json::Value;

use super::build::Builder;
use super::learn::How;
use crate::error::{Error, Result};
use crate::store::manifest::Manifest;
use crate::train::config::TrainConfig;
use crate::train::fresh;
use crate::train::metrics::METRICS;

/// Steps before and after the stop.
const STEPS: u64 = 3;

impl Builder<'_> {
    /// Trains some steps in one go, and the same with a stop in the middle, in folders that vanish.
    pub(super) fn verify_resume(&self, name: &str) -> Result<String> {
        let config = self.project.train(name)?;
        fresh::set_threads(self.threads());
        let runs = self.project.dir.join("runs");
        std::fs::create_dir_all(&runs).map_err(|e| Error::io(&runs, e))?;
        let place = tempfile::Builder::new()
            .prefix(".tmp-verify-")
            .tempdir_in(&runs)
            .map_err(|e| Error::io(&runs, e))?;
        let seed = config.seeds.first().copied().unwrap_or(self.project.config.seed);
        let config = TrainConfig { log_every: 1, save_every: None, ..config.clone() };
        let go = |folder: &str, resume, until| {
            let how = How { resume, until: Some(until) };
            let dir = place.path().join(folder);
            self.one_run(name, &config, &dir, seed, Manifest::default(), how)
        };
        let whole = go("whole", false, 2 * STEPS)?;
        let half = whole.steps / 2;
        if half == 0 {
            return Err(Error::usage("a run of one step cannot be stopped in between"));
        }
        let stopped = go("parts", false, half)?;
        let parts = go("parts", true, whole.steps)?;
        let differs =
            |what: String| Error::internal(format!("after a stop at step {half}, {what}"));
        let learned = |folder: &str| -> Result<Vec<Value>> {
            let path = place.path().join(folder).join(METRICS);
            let text = std::fs::read_to_string(&path).map_err(|e| Error::io(&path, e))?;
            let lines = text.lines().map(serde_json::from_str::<Value>);
            lines
                .map(|line| {
                    let line = line.map_err(|e| Error::input(&path, e))?;
                    Ok(serde_json::json!([line["step"], line["loss"], line["grad_norm"]]))
                })
                .collect()
        };
        for (a, b) in learned("whole")?.into_iter().zip(learned("parts")?) {
            if a != b {
                return Err(differs(format!("[step, loss, norm] is {b} instead of {a}")));
            }
        }
        let hashes = |dir: &Path| -> Result<Vec<(String, String)>> {
            let parts = Manifest::expect(dir)?.parts;
            Ok(parts.into_iter().map(|part| (part.file, part.xxh3)).collect())
        };
        let (a, b) = (hashes(&whole.checkpoint)?, hashes(&parts.checkpoint)?);
        if let Some(((file, _), _)) = a.iter().zip(&b).find(|(a, b)| a != b) {
            return Err(differs(format!("{file} differs at step {}", parts.steps)));
        }
        Ok(format!(
            "train.{name}: stopped after step {}, gone on to step {}: every loss, every gradient \
             norm and all {} files of the checkpoint are equal to the bit",
            stopped.steps,
            parts.steps,
            a.len()
        ))
    }
}
