//! What a run begins with: a new model, another's weights, or its own latest checkpoint.
//!
//! The run's folder stays locked until the run ends, and what a killed run left is swept first. A
//! run is never begun anew over itself, nor resumed with another configuration.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use serde_json::Value;
use tch::Device;

use crate::error::{Error, Result};
use crate::store::manifest::Manifest;
use crate::store::mmap;
use crate::train::checkpoint::{self, State};
use crate::train::config::{ModelConfig, TrainConfig};
use crate::train::ffi;
use crate::train::group::Group;
use crate::train::model::{Architecture, Model, surgery};
use crate::train::objective;
use crate::train::optim::Optimizer;
use crate::train::retention;
use crate::train::vocabulary::{self, Vocabulary};
use crate::train::weights::{self, Match};

/// Keys of the configuration that may differ between a run and its resumption.
pub const ADJUSTABLE: [&str; 12] = [
    "steps",
    "epochs",
    "tokens",
    "seeds",
    "device",
    "log_every",
    "save_every",
    "validate_every",
    "keep",
    "validate_rows",
    "best_by",
    "patience",
];

/// What a run begins with.
#[derive(Debug, Clone, Copy)]
pub enum Start<'a> {
    /// A new model of this shape.
    New(&'a ModelConfig),
    /// The model of a run or of a Hugging Face folder; its heads where they fit.
    From(&'a Path),
}

/// A run to be made.
#[derive(Clone)]
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
    /// The processes that train it together; the first of them writes.
    pub group: &'a Group,
    /// Once it is true, the run saves after the step at hand and ends.
    pub stop: &'a AtomicBool,
    /// Where to save and end before the last step.
    pub until: Option<u64>,
}

/// A run with its model, optimizer and place.
pub(crate) struct Begun {
    /// The model.
    pub(crate) model: Model,
    /// Its optimizer.
    pub(crate) optimizer: Optimizer,
    /// Where the run is.
    pub(crate) state: State,
    /// The checkpoint it goes on from.
    pub(crate) from: Option<PathBuf>,
    /// Held until the run ends, so that no second process writes the same run.
    _lock: Option<File>,
}

impl Begun {
    /// Locks the folder and makes or loads what the run begins with.
    ///
    /// Errors when the run exists and is not to be resumed, or was made otherwise.
    pub(crate) fn new(
        run: &Run<'_>,
        vocabulary: &Vocabulary,
        labels: &[String],
        length: Option<i64>,
    ) -> Result<Self> {
        run.config.validate()?;
        mmap::keep_freed();
        ffi::deterministic(run.config.deterministic)?;
        let lock = match run.group.leads() {
            true => Some(lock(run.dir)?),
            false => None,
        };
        if lock.is_some() {
            retention::sweep(run.dir)?;
        }
        let device = device_of(&run.config.device, run.group)?;
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
        let state = State { seed: run.seed, config, ..State::default() };
        Ok(Self { model, optimizer, state, from: None, _lock: lock })
    }
}

/// A model at its first step.
fn begin(
    run: &Run<'_>,
    vocabulary: &Vocabulary,
    labels: &[String],
    length: Option<i64>,
    device: Device,
) -> Result<Model> {
    let tokens = run.config.pack.is_some();
    let heads = |shape| Architecture { tokens, labels: labels.to_vec(), ..shape };
    let new = |shape| Model::new(heads(shape), run.seed, run.config.dtype, device);
    let objectives = run.config.objectives.keys();
    match run.start {
        Start::New(config) => {
            let shape = Architecture::new(config, vocabulary, length, run.languages)?;
            objective::check_model(objectives, &shape)?;
            new(shape)
        }
        Start::From(path) => {
            let dir = retention::resolve(path)?;
            let shape = Architecture::read(&dir)?;
            objective::check_model(objectives, &shape)?;
            let load = |model: Model| -> Result<Model> {
                let naming = model.architecture().naming();
                weights::read(&dir, &checkpoint::named(&model), Match::Body, naming)?;
                Ok(model)
            };
            let Some(rows) = vocabulary::shared_rows(&dir, run.tokenizer)? else {
                return load(new(shape.with_ids(&dir, vocabulary)?)?);
            };
            if rows.iter().all(Option::is_none) {
                return Err(Error::input(&dir, "no token of the tokenizer is one of this model"));
            }
            let old =
                load(Model::new(heads(shape.clone()), run.seed, run.config.dtype, Device::Cpu)?)?;
            let model = new(shape.with_vocabulary(vocabulary))?;
            surgery::transplant(&old, &model, &rows)?;
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

/// The device of a name for one of several ranks: each has its own where none is numbered.
fn device_of(name: &str, group: &Group) -> Result<Device> {
    match device(name)? {
        Device::Cuda(_) if group.size() > 1 && !name.contains(':') => {
            device(&format!("cuda:{}", group.local()))
        }
        device => Ok(device),
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
