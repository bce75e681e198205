//! What a run tells while it runs: `metrics.jsonl`, and a callback for a progress bar.
//!
//! Metrics are a log and no result: they hold times, and nothing is ever computed from them. After
//! a resume the lines of steps that will be run again are cut off.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::store::manifest;
use crate::train::loss::Tally;
use crate::train::work::Work;

/// The file's name in the run's folder.
pub const METRICS: &str = "metrics.jsonl";

/// One line of the metrics: the steps since the line before.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Progress {
    /// Optimizer steps done.
    pub step: u64,
    /// Optimizer steps of the whole run.
    pub steps: u64,
    /// Tokens read since the run began, without padding.
    pub tokens: u64,
    /// The learning rate of the last step.
    pub lr: f64,
    /// The last step's loss, weighted as it is minimised.
    pub loss: f64,
    /// The norm of the last step's gradients before clipping.
    pub grad_norm: f64,
    /// Nats per prediction by `objective/language`.
    pub losses: BTreeMap<String, f64>,
    /// Tokens per second since the line before, without padding.
    pub tokens_per_second: f64,
    /// Bytes of token ids used in place in the mapped files, since the run began or was resumed.
    pub bytes_aliased: u64,
    /// Bytes of token ids that were copied together from rows.
    pub bytes_gathered: u64,
    /// Seconds spent waiting for rows since the line before.
    pub wait_seconds: f64,
    /// Nats per prediction on the validation rows by `objective/language`, when just measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<BTreeMap<String, f64>>,
}

/// What has gathered since the last line.
pub struct Window {
    steps: u64,
    /// Losses by language.
    pub tally: Tally,
    tokens: u64,
    bytes: (u64, u64),
    wait: f64,
    since: Instant,
}

impl Window {
    /// An empty window of a run of `steps` steps.
    pub fn new(steps: u64) -> Self {
        let tally = Tally::default();
        Self { steps, tally, tokens: 0, bytes: (0, 0), wait: 0.0, since: Instant::now() }
    }

    /// Runs what waits for rows and counts its time.
    pub fn waiting<T>(&mut self, wait: impl FnOnce() -> Result<T>) -> Result<T> {
        let began = Instant::now();
        let result = wait();
        self.wait += began.elapsed().as_secs_f64();
        result
    }

    /// Counts the micro-batches of a step.
    pub fn add(&mut self, works: &[Work]) {
        for work in works {
            self.tokens += work.tokens;
            self.bytes.0 += work.bytes_aliased;
            self.bytes.1 += work.bytes_gathered;
        }
    }

    /// Closes the window: `step` comes with the step, its rate, loss and norm, and gets the rest.
    pub fn end(&mut self, step: Progress) -> Progress {
        let seconds = self.since.elapsed().as_secs_f64().max(1e-9);
        let line = Progress {
            steps: self.steps,
            losses: self.tally.by_language(),
            tokens_per_second: self.tokens as f64 / seconds,
            bytes_aliased: self.bytes.0,
            bytes_gathered: self.bytes.1,
            wait_seconds: self.wait,
            ..step
        };
        // Bytes count on; everything else begins anew.
        *self = Self { bytes: self.bytes, ..Self::new(self.steps) };
        line
    }
}

/// The file, open for appending.
pub struct Log {
    path: PathBuf,
    file: File,
}

impl Log {
    /// Opens the log of a run that has done `step` steps, and cuts off what comes after.
    pub fn open(run: &Path, step: u64) -> Result<Self> {
        let path = run.join(METRICS);
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                let kept: Vec<&str> = text.lines().filter(|line| until(line, step)).collect();
                let mut text = kept.join("\n");
                if !text.is_empty() {
                    text.push('\n');
                }
                manifest::replace(&path, text.as_bytes())?;
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(Error::io(&path, e)),
        }
        let file = OpenOptions::new().create(true).append(true).open(&path);
        Ok(Self { file: file.map_err(|e| Error::io(&path, e))?, path })
    }

    /// Appends a line.
    pub fn write(&mut self, progress: &Progress) -> Result<()> {
        let mut line = serde_json::to_string(progress)
            .map_err(|e| Error::internal(format!("metrics: {e}")))?;
        line.push('\n');
        self.file.write_all(line.as_bytes()).map_err(|e| Error::io(&self.path, e))
    }
}

/// Whether a line is whole and of a step not after `step`.
fn until(line: &str, step: u64) -> bool {
    let value: Option<Value> = serde_json::from_str(line).ok();
    value.and_then(|value| value["step"].as_u64()).is_some_and(|at| at <= step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resumed_log_has_each_step_once() {
        let dir = tempfile::tempdir().unwrap();
        let line = |step| Progress { step, ..Progress::default() };
        let mut log = Log::open(dir.path(), 0).unwrap();
        for step in 1..=4 {
            log.write(&line(step)).unwrap();
        }
        std::fs::write(
            dir.path().join(METRICS),
            std::fs::read_to_string(dir.path().join(METRICS)).unwrap() + "{\"step\": 5, \"to",
        )
        .unwrap();
        let mut log = Log::open(dir.path(), 2).unwrap();
        log.write(&line(3)).unwrap();
        let text = std::fs::read_to_string(dir.path().join(METRICS)).unwrap();
        let steps: Vec<u64> = text
            .lines()
            .map(|l| serde_json::from_str::<Value>(l).unwrap()["step"].as_u64().unwrap())
            .collect();
        assert_eq!(steps, [1, 2, 3]);
    }
}
