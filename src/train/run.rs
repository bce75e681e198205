//! A training run: what it starts from, the loop, and what it leaves behind.
//!
//! The loop is rate, batch, forward, loss, backward, clip, step, log, save. A run is bit-identical
//! when it is resumed, also twice, at the same number of threads. How it begins is `begin`'s.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tch::Tensor;

use crate::error::{Error, Result};
use crate::train::batch::Source;
use crate::train::begin::Begun;
pub use crate::train::begin::{ADJUSTABLE, Run, Start, device};
use crate::train::checkpoint::{self, Contents};
use crate::train::data::{self, Data, Labelled, Packed};
use crate::train::labelled::Examples;
use crate::train::loss::{self, Weights};
use crate::train::metrics::{Log, Progress, Window};
use crate::train::predict;
use crate::train::retention;
use crate::train::schedule;
use crate::train::vocabulary::Vocabulary;
use crate::train::work::Work;

/// Micro-batches of packed rows that a validation reads.
const VALIDATION_BATCHES: u64 = 16;

/// What a run has come to.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The last checkpoint.
    pub checkpoint: PathBuf,
    /// The checkpoint with the lowest validation loss, where there was validation.
    pub best: Option<PathBuf>,
    /// Optimizer steps done.
    pub steps: u64,
    /// Tokens read, without padding.
    pub tokens: u64,
    /// The last line of the metrics; none when there was nothing left to do.
    pub last: Option<Progress>,
}

/// Trains on packed rows with any objectives that read them.
///
/// `source` hands out `config.batch` rows at a time. Errors when the run exists and is not to be
/// resumed, when it was made with another configuration, or when the loss is not finite.
pub fn pretrain(
    run: &Run<'_>,
    source: &mut dyn Source,
    validation: Option<&mut dyn Source>,
    report: &mut dyn FnMut(&Progress),
) -> Result<Outcome> {
    let config = run.config;
    let vocabulary = Vocabulary::read(run.tokenizer)?;
    let steps = data::packed_steps(config, source.rows(), source.length())?;
    let length = source.length() as i64;
    let mut begun = Begun::new(run, &vocabulary, &[], Some(length))?;
    let architecture = begun.model.architecture().clone();
    let packed = |source, seed| Packed {
        source,
        objectives: &config.objectives,
        vocabulary: &vocabulary,
        architecture: &architecture,
        masking: config.masking(),
        accumulate: config.accumulate,
        seed,
    };
    let validation = match validation {
        None => Vec::new(),
        Some(source) => {
            let batches = source.rows().div_ceil(config.batch as u64).min(VALIDATION_BATCHES);
            let mut data = Packed { accumulate: batches as usize, ..packed(source, 0) };
            data.step(0)?
        }
    };
    let mut data = packed(source, run.seed);
    begun.train(run, &mut data, steps, &validation, report)
}

/// Trains on labelled rows with `classify`; `labels` names the classes.
///
/// Errors as [`pretrain`] does.
pub fn finetune(
    run: &Run<'_>,
    examples: &Examples,
    labels: &[String],
    validation: Option<&Examples>,
    report: &mut dyn FnMut(&Progress),
) -> Result<Outcome> {
    let config = run.config;
    examples.validate(labels.len())?;
    let vocabulary = Vocabulary::read(run.tokenizer)?;
    let steps = data::labelled_steps(config, examples.len())?;
    let mut begun = Begun::new(run, &vocabulary, labels, config.length)?;
    let architecture = begun.model.architecture().clone();
    let labelled = |examples, seed| Labelled {
        examples,
        vocabulary: &vocabulary,
        architecture: &architecture,
        batch: config.batch,
        accumulate: config.accumulate,
        seed,
        order: None,
    };
    let validation = match validation {
        None => Vec::new(),
        Some(examples) => {
            examples.validate(labels.len())?;
            let batches = examples.len().div_ceil(config.batch);
            Labelled { accumulate: batches, ..labelled(examples, 0) }.step(0)?
        }
    };
    let mut data = labelled(examples, run.seed);
    begun.train(run, &mut data, steps, &validation, report)
}

impl Begun {
    fn train(
        &mut self,
        run: &Run<'_>,
        data: &mut dyn Data,
        steps: u64,
        validation: &[Work],
        report: &mut dyn FnMut(&Progress),
    ) -> Result<Outcome> {
        let config = run.config;
        let save_every = config.save_every.unwrap_or(steps);
        let validate_every = config.validate_every.unwrap_or(save_every);
        let languages = config.language_weights.as_ref();
        let weights = Weights { objectives: &config.objectives, languages, step: 0 };
        if self.from.is_some() {
            data.seek(&self.state.source)?;
        }
        let mut log = Log::open(run.dir, self.state.step)?;
        let mut window = Window::new(steps);
        let mut last = None;
        let mut saved = self.from.clone();
        while self.state.step < steps {
            let step = self.state.step;
            let rate = schedule::rate(&config.optimizer, step, steps);
            let works = window.waiting(|| data.step(step))?;
            let coefficients = loss::coefficients(&works, weights.at(step))?;
            let mut loss = 0.0;
            for (micro, (work, coefficients)) in works.iter().zip(&coefficients).enumerate() {
                if coefficients.is_empty() {
                    continue;
                }
                let noise = Some(data::key(run.seed ^ 1, step, micro));
                let losses = (work.objective.score)(&self.model, work, noise)?;
                let weighted =
                    Tensor::f_from_slice(coefficients)?.f_to_device(self.model.device())?;
                losses.f_dot(&weighted)?.f_backward()?;
                loss += window.tally.add(work, &losses, coefficients)?;
            }
            let norm = self.optimizer.clip(self.model.parameters())?;
            let finite = loss.is_finite() && norm.is_finite();
            if finite {
                self.optimizer.step(self.model.parameters(), rate)?;
                self.state.step = step + 1;
                self.state.source = data.state();
            }
            self.state.tokens += works.iter().map(|work| work.tokens).sum::<u64>();
            window.add(&works);

            let (done, at_end) = (step + 1, step + 1 == steps);
            let validate = !validation.is_empty() && (at_end || done % validate_every == 0);
            let losses = (finite && validate).then(|| self.validate(validation)).transpose()?;
            if at_end || done % config.log_every == 0 || losses.is_some() || !finite {
                let progress = window.end(Progress {
                    step: done,
                    tokens: self.state.tokens,
                    lr: rate,
                    loss,
                    grad_norm: norm,
                    validation: losses,
                    ..Progress::default()
                });
                log.write(&progress)?;
                report(&progress);
                last = Some(progress);
            }
            if !finite {
                return Err(not_finite(done, loss, norm, saved.as_deref()));
            }
            if at_end || done % save_every == 0 {
                saved = Some(self.save(run)?);
            }
        }
        let checkpoint = saved.ok_or_else(|| Error::internal("a run without a checkpoint"))?;
        Ok(Outcome {
            checkpoint,
            best: self.best_dir(run),
            steps: self.state.step,
            tokens: self.state.tokens,
            last,
        })
    }

    /// Losses on the validation rows; remembers the best step.
    fn validate(&mut self, works: &[Work]) -> Result<BTreeMap<String, f64>> {
        let tally = predict::evaluate(&self.model, works)?;
        let (step, mean) = (self.state.step, tally.mean());
        if mean.is_finite() && self.state.best.is_none_or(|(_, best)| mean < best) {
            self.state.best = Some((step, mean));
        }
        Ok(tally.by_language())
    }

    fn save(&self, run: &Run<'_>) -> Result<PathBuf> {
        let step = self.state.step;
        let contents = Contents {
            model: &self.model,
            optimizer: &self.optimizer,
            tokenizer: run.tokenizer,
            state: &self.state,
            manifest: &run.manifest,
        };
        let dir = checkpoint::save(run.dir, &contents)?;
        let best = self.state.best.map(|(at, _)| at);
        if best == Some(step) {
            retention::point(run.dir, retention::BEST, step)?;
        }
        retention::prune(run.dir, step, run.config.keep, best)?;
        Ok(dir)
    }

    fn best_dir(&self, run: &Run<'_>) -> Option<PathBuf> {
        let (step, _) = self.state.best?;
        Some(retention::step_dir(run.dir, step)).filter(|dir| dir.is_dir())
    }
}

fn not_finite(step: u64, loss: f64, norm: f64, saved: Option<&Path>) -> Error {
    let hint = match saved {
        Some(dir) => {
            format!("the last good checkpoint is {}; try a lower `optimizer.lr`", dir.display())
        }
        None => "try a lower `optimizer.lr` or a longer `optimizer.warmup`".into(),
    };
    Error::usage(format!("step {step}: the loss is {loss} and the gradient norm {norm}"))
        .hint_with(hint)
}

#[cfg(test)]
#[path = "run_tests.rs"]
mod tests;
