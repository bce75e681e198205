//! Checkpoints: `step-N/`, a Hugging Face folder plus what a resumed run needs.
//!
//! A checkpoint is written under a temporary name, synced file by file, renamed, and only then
//! named in `LATEST`; what a kill leaves behind is never picked up. There is no generator state in
//! it: every draw is a function of (seed, step, micro-batch).

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tch::{Device, Tensor};

use crate::error::{Error, Result};
use crate::id;
use crate::store::manifest::{self, Manifest, Part};
use crate::train::config::Dtype;
use crate::train::ffi;
use crate::train::model::architecture::Naming;
use crate::train::model::{Architecture, Model};
use crate::train::optim::Optimizer;
use crate::train::retention;
use crate::train::weights::{self, Match};

const OPTIMIZER: &str = "optimizer.safetensors";
const AVERAGES: &str = "ema.safetensors";
const STATE: &str = "state.json";

/// Files of a tokenizer folder that `transformers` and `Vocabulary` read.
const TOKENIZER: [&str; 3] = ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"];

/// Where a run is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Optimizer steps done.
    pub step: u64,
    /// Tokens read, without padding.
    pub tokens: u64,
    /// The run's seed.
    pub seed: u64,
    /// The place in the data.
    pub source: Value,
    /// The configuration it was trained with.
    pub config: Value,
    /// The step with the lowest validation loss so far, and that loss.
    pub best: Option<(u64, f64)>,
    /// Validations since the best one.
    #[serde(default)]
    pub worse: u64,
    /// The lowest validation loss of each `objective/language` and its step.
    #[serde(default)]
    pub lowest: BTreeMap<String, (u64, f64)>,
}

/// What a checkpoint is made of: copies, so that it can be written while training goes on.
pub struct Contents {
    /// The weights by name.
    pub weights: Vec<(String, Tensor)>,
    /// The optimizer's tensors by name.
    pub optimizer: Vec<(String, Tensor)>,
    /// Averages of the weights by name, where the run keeps them.
    pub averages: Vec<(String, Tensor)>,
    /// What `config.json` says.
    pub architecture: Value,
    /// The folder of its tokenizer.
    pub tokenizer: PathBuf,
    /// Where the run is.
    pub state: State,
    /// Node, key and inputs of the run; the files are added.
    pub manifest: Manifest,
}

impl Contents {
    /// Copies a model and its optimizer as they are now.
    pub fn of(
        model: &Model,
        optimizer: &Optimizer,
        tokenizer: &Path,
        state: &State,
        manifest: &Manifest,
    ) -> Result<Self> {
        let _guard = tch::no_grad_guard();
        let copies = |list: Vec<(String, Tensor)>| -> Result<Vec<(String, Tensor)>> {
            let copy = |tensor: Tensor| -> Result<Tensor> {
                let tensor = tensor.f_detach()?;
                Ok(match tensor.device() {
                    Device::Cpu => ffi::copy_of(&tensor)?,
                    _ => tensor.f_to_device(Device::Cpu)?,
                })
            };
            list.into_iter().map(|(name, tensor)| Ok((name, copy(tensor)?))).collect()
        };
        Ok(Self {
            weights: copies(named(model))?,
            optimizer: copies(optimizer.tensors(model.parameters()))?,
            averages: copies(optimizer.averages(model.parameters()))?,
            architecture: model.architecture().to_json(),
            tokenizer: tokenizer.to_path_buf(),
            state: state.clone(),
            manifest: manifest.clone(),
        })
    }
}

/// Writes `step-N` into the run's folder, makes it the latest and returns its path.
pub fn save(run: &Path, contents: &Contents) -> Result<PathBuf> {
    fs::create_dir_all(run).map_err(|e| Error::io(run, e))?;
    let temp = tempfile::Builder::new()
        .prefix(retention::TEMPORARY)
        .tempdir_in(run)
        .map_err(|e| Error::io(run, e))?;
    write(temp.path(), contents)?;
    let dir = retention::step_dir(run, contents.state.step);
    // A resumed run may reach a step that was saved but never became the latest.
    retention::discard(run, &dir)?;
    let temp = temp.keep();
    open_dir_to_all(&temp)?;
    fs::rename(&temp, &dir).map_err(|e| Error::io(&dir, e))?;
    manifest::sync_dir(run)?;
    retention::point(run, retention::LATEST, contents.state.step)?;
    Ok(dir)
}

/// Loads the model of a checkpoint or a Hugging Face folder of the same kind, whole.
pub fn load_model(dir: &Path, dtype: Dtype, device: Device) -> Result<Model> {
    let shape = Architecture::read(dir)?;
    let model = Model::new(shape, 0, dtype, device)?;
    let naming = model.architecture().naming();
    weights::read(dir, &named(&model), Match::Whole, naming)?;
    Ok(model)
}

/// Loads the optimizer of a checkpoint.
pub fn load_optimizer(dir: &Path, model: &Model, optimizer: &Optimizer) -> Result<()> {
    let into = optimizer.tensors(model.parameters());
    weights::read(&dir.join(OPTIMIZER), &into, Match::Whole, Naming::PLAIN)?;
    match optimizer.averages(model.parameters()) {
        none if none.is_empty() => Ok(()),
        into => weights::read(&dir.join(AVERAGES), &into, Match::Whole, Naming::PLAIN).map(|_| ()),
    }
}

/// Reads where the run was at a checkpoint.
pub fn load_state(dir: &Path) -> Result<State> {
    let path = dir.join(STATE);
    let text = fs::read_to_string(&path).map_err(|e| Error::io(&path, e))?;
    serde_json::from_str(&text).map_err(|e| Error::input(&path, e))
}

/// Re-hashes every file of a checkpoint against its manifest.
pub fn verify(dir: &Path) -> Result<()> {
    for part in Manifest::expect(dir)?.parts {
        let path = dir.join(&part.file);
        let bytes = fs::read(&path).map_err(|e| Error::io(&path, e).hint_with(spare(dir)))?;
        let damage = match bytes.len() as u64 {
            n if n != part.bytes => format!("it has {n} bytes instead of {}", part.bytes),
            _ if id::hex128(id::hash128(&bytes)) != part.xxh3 => {
                "its hash is not that of the manifest".to_string()
            }
            _ => continue,
        };
        return Err(Error::input(&path, format!("damaged: {damage}")).hint_with(spare(dir)));
    }
    Ok(())
}

/// What to do about a damaged checkpoint.
fn spare(dir: &Path) -> String {
    let run = dir.parent().unwrap_or(dir);
    match retention::before(run, dir) {
        Some(name) => format!(
            "write `{name}` into {} to go on from the checkpoint before it",
            run.join(retention::LATEST).display()
        ),
        None => format!("no other checkpoint is left in {}", run.display()),
    }
}

/// The parameters of a model by name.
pub fn named(model: &Model) -> Vec<(String, Tensor)> {
    model.parameters().iter().map(|p| (p.name.clone(), p.tensor.shallow_clone())).collect()
}

fn write(dir: &Path, contents: &Contents) -> Result<()> {
    weights::write(&dir.join(weights::MODEL), &contents.weights)?;
    weights::write(&dir.join(OPTIMIZER), &contents.optimizer)?;
    if !contents.averages.is_empty() {
        weights::write(&dir.join(AVERAGES), &contents.averages)?;
    }
    write_json(&dir.join("config.json"), &contents.architecture)?;
    let state = serde_json::to_value(&contents.state)
        .map_err(|e| Error::internal(format!("{STATE}: {e}")))?;
    write_json(&dir.join(STATE), &state)?;
    for name in TOKENIZER {
        let from = contents.tokenizer.join(name);
        if from.is_file() {
            let bytes = fs::read(&from).map_err(|e| Error::io(&from, e))?;
            let to = dir.join(name);
            fs::write(&to, bytes).map_err(|e| Error::io(&to, e))?;
        }
    }
    let mut manifest = contents.manifest.clone();
    manifest.version = env!("CARGO_PKG_VERSION").into();
    manifest.seed = contents.state.seed;
    manifest.parts = parts(dir)?;
    manifest.commit(dir)
}

/// Syncs and hashes every file of a folder, in the order of their names.
fn parts(dir: &Path) -> Result<Vec<Part>> {
    let list = fs::read_dir(dir).map_err(|e| Error::io(dir, e))?;
    let mut files = Vec::new();
    for entry in list {
        files.push(entry.map_err(|e| Error::io(dir, e))?.path());
    }
    files.sort();
    files
        .into_iter()
        .map(|path| {
            manifest::open_to_all(&path)?;
            File::open(&path).and_then(|f| f.sync_all()).map_err(|e| Error::io(&path, e))?;
            let bytes = fs::read(&path).map_err(|e| Error::io(&path, e))?;
            Ok(Part {
                file: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
                bytes: bytes.len() as u64,
                xxh3: id::hex128(id::hash128(&bytes)),
                ..Part::default()
            })
        })
        .collect()
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    let mut text = serde_json::to_string_pretty(value)
        .map_err(|e| Error::internal(format!("{}: {e}", path.display())))?;
    text.push('\n');
    fs::write(path, text).map_err(|e| Error::io(path, e))
}

/// Temporary folders are private; a checkpoint is not.
fn open_dir_to_all(dir: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755))
            .map_err(|e| Error::io(dir, e))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::config::OptimizerConfig;
    use crate::train::model::encoder::tests::tiny;
    use crate::train::vocabulary::tests::write_tokenizer;

    #[test]
    fn a_checkpoint_is_whole_loadable_and_verified() {
        let dir = tempfile::tempdir().unwrap();
        let (run, tokenizer) = (dir.path().join("run"), dir.path().join("tokenizer"));
        write_tokenizer(&tokenizer, 45);
        let model = Model::new(tiny(50), 3, Dtype::Fp32, Device::Cpu).unwrap();
        let config = OptimizerConfig::default();
        let optimizer = Optimizer::new(model.parameters(), &config).unwrap();
        let state = State {
            step: 7,
            tokens: 99,
            seed: 17,
            source: Value::from(3),
            config: Value::Null,
            best: None,
            worse: 0,
            lowest: BTreeMap::new(),
        };
        let manifest = Manifest { node: "train.small".into(), ..Manifest::default() };
        let contents = Contents::of(&model, &optimizer, &tokenizer, &state, &manifest).unwrap();
        let saved = save(&run, &contents).unwrap();
        // Saving the same step again replaces it with the same bytes.
        let before = Manifest::expect(&saved).unwrap();
        assert_eq!(save(&run, &contents).unwrap(), saved);
        assert_eq!(Manifest::expect(&saved).unwrap(), before);
        let files: Vec<&str> = before.parts.iter().map(|p| p.file.as_str()).collect();
        assert_eq!(
            files,
            [
                "config.json",
                "model.safetensors",
                "optimizer.safetensors",
                "state.json",
                "tokenizer.json",
                "tokenizer_config.json"
            ]
        );
        assert_eq!(retention::latest(&run).unwrap(), Some(saved.clone()));
        assert_eq!(load_state(&saved).unwrap(), state);
        verify(&saved).unwrap();
        let again = load_model(&saved, Dtype::Fp32, Device::Cpu).unwrap();
        for (a, b) in model.parameters().iter().zip(again.parameters().iter()) {
            assert_eq!(a.name, b.name);
            assert!(a.tensor.equal(&b.tensor), "{}", a.name);
        }
        load_optimizer(&saved, &again, &Optimizer::new(again.parameters(), &config).unwrap())
            .unwrap();
        fs::write(saved.join("config.json"), "{}").unwrap();
        assert!(verify(&saved).unwrap_err().to_string().contains("config.json: damaged"));
    }
}
