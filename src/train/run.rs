//! A training run: what it starts from, the loop, and what it leaves behind.
//!
//! The loop is rate, batch, forward, loss, backward, clip, step, log, save. A run is bit-identical
//! when it is resumed, also twice, at the same number of threads; a run that exists is never
//! begun anew over itself.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::Value;
use tch::{Device, Tensor};

use crate::error::{Error, Result};
use crate::store::manifest::Manifest;
use crate::train::batch::Source;
use crate::train::checkpoint::{self, Contents, State};
use crate::train::config::{ModelConfig, TrainConfig};
use crate::train::data::{self, Data, Labelled, Packed};
use crate::train::labelled::Examples;
use crate::train::loss::{self, Tally, Weights};
use crate::train::metrics::{Log, Progress};
use crate::train::model::{Architecture, Encoder};
use crate::train::optim::Optimizer;
use crate::train::predict;
use crate::train::retention;
use crate::train::schedule;
use crate::train::vocabulary::Vocabulary;
use crate::train::weights::{self, Match};
use crate::train::work::Work;

/// Micro-batches of packed rows that a validation reads.
const VALIDATION_BATCHES: u64 = 16;

/// Keys of the configuration that may differ between a run and its resumption.
const ADJUSTABLE: [&str; 9] = [
    "steps",
    "epochs",
    "tokens",
    "seeds",
    "device",
    "log_every",
    "save_every",
    "validate_every",
    "keep",
];

/// What a run begins with.
#[derive(Debug, Clone, Copy)]
pub enum Start<'a> {
    /// A new model of this shape.
    New(&'a ModelConfig),
    /// The encoder of a run or of a Hugging Face folder; its heads where they fit.
    From(&'a Path),
}

/// A run to be made.
#[derive(Debug, Clone)]
pub struct Run<'a> {
    /// Its folder.
    pub dir: &'a Path,
    /// Its configuration, validated.
    pub config: &'a TrainConfig,
    /// What it begins with; not looked at when it is resumed.
    pub start: Start<'a>,
    /// The folder of its tokenizer.
    pub tokenizer: &'a Path,
    /// The languages there are, for a model with language embeddings.
    pub languages: &'a [String],
    /// The seed of weights, masks, dropout and order.
    pub seed: u64,
    /// Whether to go on from its latest checkpoint, if there is one.
    pub resume: bool,
    /// Node, key and inputs for the manifests of its checkpoints.
    pub manifest: Manifest,
}

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

/// Trains on packed rows with `mlm`, `tlm` or both.
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
    let packed = |source, seed| Packed {
        source,
        objectives: &config.objectives,
        vocabulary: &vocabulary,
        longest: begun.model.architecture().longest(),
        mask_probability: config.mask_probability,
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
    let labelled = |examples, seed| Labelled {
        examples,
        vocabulary: &vocabulary,
        longest: begun.model.architecture().longest(),
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

/// A run with its model, optimizer and place.
struct Begun {
    model: Encoder,
    optimizer: Optimizer,
    state: State,
    from: Option<PathBuf>,
    /// Held until the run ends, so that no second process writes the same run.
    _lock: File,
}

impl Begun {
    fn new(
        run: &Run<'_>,
        vocabulary: &Vocabulary,
        labels: &[String],
        length: Option<i64>,
    ) -> Result<Self> {
        run.config.validate()?;
        let lock = lock(run.dir)?;
        retention::sweep(run.dir)?;
        let device = device(&run.config.device)?;
        let config = serde_json::to_value(run.config)
            .map_err(|e| Error::internal(format!("configuration of a run: {e}")))?;
        let latest = retention::latest(run.dir)?;
        if let Some(dir) = latest {
            if !run.resume {
                return Err(Error::usage(format!("run {} exists", run.dir.display()))
                    .hint_with("go on with it (`--resume`), or move its folder away"));
            }
            checkpoint::verify(&dir)?;
            let state = checkpoint::load_state(&dir)?;
            same_run(run, &state, &config)?;
            let model = checkpoint::load_model(&dir, run.config.dtype, device)?;
            let optimizer = Optimizer::new(model.parameters(), &run.config.optimizer)?;
            checkpoint::load_optimizer(&dir, &model, &optimizer)?;
            let state = State { config, ..state };
            return Ok(Self { model, optimizer, state, from: Some(dir), _lock: lock });
        }
        let model = begin(run, vocabulary, labels, length, device)?;
        let optimizer = Optimizer::new(model.parameters(), &run.config.optimizer)?;
        let state =
            State { step: 0, tokens: 0, seed: run.seed, source: Value::Null, config, best: None };
        Ok(Self { model, optimizer, state, from: None, _lock: lock })
    }

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
        let weights =
            Weights { objectives: &config.objectives, languages: config.language_weights.as_ref() };
        if self.from.is_some() {
            data.seek(&self.state.source)?;
        }
        let mut log = Log::open(run.dir, self.state.step)?;
        let mut line = Line::new(steps);
        let mut last = None;
        let mut saved = self.from.clone();
        while self.state.step < steps {
            let step = self.state.step;
            let rate = schedule::rate(&config.optimizer, step, steps);
            let works = line.waiting(|| data.step(step))?;
            let coefficients = loss::coefficients(&works, weights)?;
            let mut loss = 0.0;
            for (micro, (work, coefficients)) in works.iter().zip(&coefficients).enumerate() {
                if coefficients.is_empty() {
                    continue;
                }
                tch::manual_seed(data::key(run.seed ^ 1, step, micro) as i64);
                let losses = (work.objective.score)(&self.model, work, true)?;
                let weighted =
                    Tensor::f_from_slice(coefficients)?.f_to_device(self.model.device())?;
                losses.f_dot(&weighted)?.f_backward()?;
                loss += line.tally.add(work, &losses, coefficients)?;
            }
            let norm = self.optimizer.clip(self.model.parameters())?;
            let finite = loss.is_finite() && norm.is_finite();
            if finite {
                self.optimizer.step(self.model.parameters(), rate)?;
                self.state.step = step + 1;
                self.state.source = data.state();
            }
            self.state.tokens += works.iter().map(|work| work.tokens).sum::<u64>();
            line.add(&works);

            let (done, at_end) = (step + 1, step + 1 == steps);
            let validate = !validation.is_empty() && (at_end || done % validate_every == 0);
            let losses = (finite && validate).then(|| self.validate(validation)).transpose()?;
            if at_end || done % config.log_every == 0 || losses.is_some() || !finite {
                let progress = line.end(done, self.state.tokens, rate, loss, norm, losses);
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

/// The steps since the last line of the metrics.
struct Line {
    steps: u64,
    tally: Tally,
    tokens: u64,
    bytes: (u64, u64),
    wait: f64,
    since: Instant,
}

impl Line {
    fn new(steps: u64) -> Self {
        let tally = Tally::default();
        Self { steps, tally, tokens: 0, bytes: (0, 0), wait: 0.0, since: Instant::now() }
    }

    fn waiting<T>(&mut self, wait: impl FnOnce() -> Result<T>) -> Result<T> {
        let began = Instant::now();
        let result = wait();
        self.wait += began.elapsed().as_secs_f64();
        result
    }

    fn add(&mut self, works: &[Work]) {
        for work in works {
            self.tokens += work.tokens;
            self.bytes.0 += work.bytes_aliased;
            self.bytes.1 += work.bytes_gathered;
        }
    }

    fn end(
        &mut self,
        step: u64,
        tokens: u64,
        lr: f64,
        loss: f64,
        grad_norm: f64,
        validation: Option<BTreeMap<String, f64>>,
    ) -> Progress {
        let seconds = self.since.elapsed().as_secs_f64().max(1e-9);
        let line = Progress {
            step,
            steps: self.steps,
            tokens,
            lr,
            loss,
            grad_norm,
            losses: self.tally.by_language(),
            tokens_per_second: self.tokens as f64 / seconds,
            bytes_aliased: self.bytes.0,
            bytes_gathered: self.bytes.1,
            wait_seconds: self.wait,
            validation,
        };
        *self = Self { bytes: self.bytes, ..Self::new(self.steps) };
        line
    }
}

/// A model at its first step.
fn begin(
    run: &Run<'_>,
    vocabulary: &Vocabulary,
    labels: &[String],
    length: Option<i64>,
    device: Device,
) -> Result<Encoder> {
    let tokens = ["mlm", "tlm"].iter().any(|name| run.config.objectives.contains_key(*name));
    let heads = |shape| Architecture { tokens, labels: labels.to_vec(), ..shape };
    let new = |shape| Encoder::new(heads(shape), run.seed, run.config.dtype, device);
    match run.start {
        Start::New(config) => new(Architecture::new(config, vocabulary, length, run.languages)?),
        Start::From(path) => {
            let dir = retention::resolve(path)?;
            let shape = Architecture::read(&dir)?;
            if shape.vocabulary < vocabulary.size || shape.pad != vocabulary.pad {
                return Err(Error::input(
                    &dir,
                    format!(
                        "the model has {} ids with padding {}, the tokenizer {} with {}",
                        shape.vocabulary, shape.pad, vocabulary.size, vocabulary.pad
                    ),
                ));
            }
            let model = new(shape)?;
            weights::read(&dir, &checkpoint::named(&model), Match::Encoder)?;
            Ok(model)
        }
    }
}

/// Refuses to go on with a run that was made otherwise, and names the difference.
fn same_run(run: &Run<'_>, state: &State, config: &Value) -> Result<()> {
    let mut changed: Vec<String> = Vec::new();
    let (old, new) = (state.config.as_object(), config.as_object());
    let keys = |map: Option<&serde_json::Map<String, Value>>| -> Vec<String> {
        map.into_iter().flat_map(|map| map.keys().cloned()).collect()
    };
    for key in keys(old).into_iter().chain(keys(new)) {
        let differs = old.and_then(|map| map.get(&key)) != new.and_then(|map| map.get(&key));
        if differs && !ADJUSTABLE.contains(&key.as_str()) && !changed.contains(&key) {
            changed.push(key);
        }
    }
    if state.seed != run.seed {
        changed.push("seed".into());
    }
    if changed.is_empty() {
        return Ok(());
    }
    let dir = run.dir.display();
    Err(Error::usage(format!("run {dir} was made with other values of: {}", changed.join(", ")))
        .hint_with("set them back, or give the run another name"))
}

fn lock(dir: &Path) -> Result<File> {
    fs::create_dir_all(dir).map_err(|e| Error::io(dir, e))?;
    let path = dir.join(".lock");
    let file = File::create(&path).map_err(|e| Error::io(&path, e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(Error::usage(format!("run {} is being trained by another process", dir.display())))
        }
        Err(TryLockError::Error(e)) => Err(Error::io(&path, e)),
    }
}

/// The device of a name: `auto`, `cpu`, `cuda` or `cuda:N`.
pub fn device(name: &str) -> Result<Device> {
    let index = match name {
        "auto" => return Ok(Device::cuda_if_available()),
        "cpu" => return Ok(Device::Cpu),
        "cuda" => Some(0),
        _ => name.strip_prefix("cuda:").and_then(|n| n.parse::<usize>().ok()),
    };
    let index =
        index.ok_or_else(|| Error::unknown("device", name, ["auto", "cpu", "cuda", "cuda:N"]))?;
    let count = tch::Cuda::device_count();
    if index as i64 >= count {
        return Err(Error::usage(format!("device `{name}`: {count} CUDA devices are there"))
            .hint_with("use `cpu`, or a libtorch with CUDA"));
    }
    Ok(Device::Cuda(index))
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
