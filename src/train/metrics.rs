//! What a run tells while it runs: `metrics.jsonl`, TensorBoard's events, and the caller.
//!
//! Metrics are a log and no result: they hold times, and nothing is ever computed from them. After
//! a resume the lines of steps that will be run again are cut off.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::store::manifest;
use crate::train::group::Group;
use crate::train::guard::Seen;
use crate::train::sums::{Sums, named};
use crate::train::tensorboard::Events;
use crate::train::validate::Found;
use crate::train::work::Work;

/// The file's name in the run's folder.
pub const METRICS: &str = "metrics.jsonl";

/// What a run tells its caller.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Told<'a> {
    /// A line of the metrics.
    Progress(&'a Progress),
    /// Words for a person.
    Note(&'a str),
}

/// One line of the metrics: the steps since the line before, over all ranks.
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
    /// Steps since the run began that moved nothing, because they would have done harm.
    pub skipped: u64,
    /// Nats per prediction by `objective/language`.
    pub losses: BTreeMap<String, f64>,
    /// Tokens per second since the line before, without padding.
    pub tokens_per_second: f64,
    /// Seconds since the line before.
    pub seconds: f64,
    /// Seconds until the last step, at the speed since the line before.
    pub seconds_left: f64,
    /// Bytes of token ids used in place in the mapped files, since the run began or was resumed.
    pub bytes_aliased: u64,
    /// Bytes of token ids that were copied together from rows.
    pub bytes_gathered: u64,
    /// Seconds that a rank spent waiting for rows since the line before.
    pub wait_seconds: f64,
    /// The same as a share of the time.
    pub wait_share: f64,
    /// Memory of the process in bytes, where the system tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Memory of the device at its highest in bytes, on CUDA.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_bytes: Option<u64>,
    /// The share of the device's peak that was used, where the peak is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mfu: Option<f64>,
    /// Nats per prediction on the validation rows by `objective/language`, when just measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<BTreeMap<String, f64>>,
    /// The same as perplexities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub perplexity: Option<BTreeMap<String, f64>>,
    /// The same in bits per byte of the text that was predicted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bits_per_byte: Option<BTreeMap<String, f64>>,
    /// Nats per prediction on the validation rows above those of the training rows since the line
    /// before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap: Option<BTreeMap<String, f64>>,
}

impl Progress {
    /// Takes over what a validation found.
    pub fn validated(&mut self, found: &Found) {
        let validation = named(&found.sums, |sum| Some(sum.mean()));
        let gap = validation
            .iter()
            .filter_map(|(name, loss)| Some((name.clone(), loss - self.losses.get(name)?)))
            .collect();
        self.perplexity = Some(named(&found.sums, |sum| Some(sum.mean().exp())));
        self.bits_per_byte = Some(named(&found.sums, |sum| sum.bits_per_byte()));
        self.gap = Some(gap);
        self.validation = Some(validation);
    }
}

/// What has gathered since the last line.
pub struct Window {
    steps: u64,
    /// Losses by objective and language.
    pub sums: Sums,
    done: u64,
    tokens: u64,
    bytes: (u64, u64),
    wait: f64,
    since: Instant,
}

impl Window {
    /// An empty window of a run of `steps` steps.
    pub fn new(steps: u64, sums: Sums) -> Self {
        Self { steps, sums, done: 0, tokens: 0, bytes: (0, 0), wait: 0.0, since: Instant::now() }
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
        self.done += 1;
        for work in works {
            self.tokens += work.tokens;
            self.bytes.0 += work.bytes_aliased;
            self.bytes.1 += work.bytes_gathered;
        }
    }

    /// Closes the window: `line` comes with the step and its rate, `loss` is this rank's part of
    /// the last step's, `seen` what the optimizer saw; the rest is filled in, over all ranks.
    pub fn end(
        &mut self,
        line: Progress,
        loss: f64,
        seen: Seen,
        group: &Group,
    ) -> Result<Progress> {
        let seconds = self.since.elapsed().as_secs_f64().max(1e-9);
        let bytes = [self.bytes.0 as f64, self.bytes.1 as f64];
        let more = [loss, self.tokens as f64, self.wait, bytes[0], bytes[1]];
        let (sums, more) = self.sums.take(group, &more)?;
        let wait = more[2] / group.size() as f64;
        let per_step = seconds / self.done.max(1) as f64;
        let line = Progress {
            steps: self.steps,
            loss: more[0],
            grad_norm: seen.norm,
            skipped: seen.skipped,
            losses: named(&sums, |sum| Some(sum.mean())),
            tokens_per_second: more[1] / seconds,
            seconds,
            seconds_left: per_step * self.steps.saturating_sub(line.step) as f64,
            bytes_aliased: more[3] as u64,
            bytes_gathered: more[4] as u64,
            wait_seconds: wait,
            wait_share: wait / seconds,
            memory_bytes: memory(),
            ..line
        };
        // Bytes count on; everything else begins anew.
        (self.done, self.tokens, self.wait, self.since) = (0, 0, 0.0, Instant::now());
        Ok(line)
    }

    /// Leaves out time that was no part of a step, such as a validation's.
    pub fn leave_out(&mut self, time: Duration) {
        self.since =
            self.since.checked_add(time).map_or(self.since, |since| since.min(Instant::now()));
    }
}

/// Resident bytes of this process, as Linux tells them.
fn memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib * 1024)
}

/// The files, open for appending.
pub struct Log {
    path: PathBuf,
    file: File,
    events: Events,
}

impl Log {
    /// Opens the log of a run that has done `step` steps, and cuts off what comes after.
    pub fn open(run: &Path, step: u64) -> Result<Self> {
        let events = Events::open(run, step)?;
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
        Ok(Self { file: file.map_err(|e| Error::io(&path, e))?, path, events })
    }

    /// Appends a line.
    pub fn write(&mut self, progress: &Progress) -> Result<()> {
        let mut line = serde_json::to_string(progress)
            .map_err(|e| Error::internal(format!("metrics: {e}")))?;
        line.push('\n');
        self.file.write_all(line.as_bytes()).map_err(|e| Error::io(&self.path, e))?;
        self.events.write(progress)
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
