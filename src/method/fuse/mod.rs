//! Fusion: one model from several of the same shape, tensor by tensor.
//!
//! Linear (Wortsman et al. 2022), SLERP (Shoemake 1985), task arithmetic (Ilharco et al. 2023) and
//! TIES (Yadav et al. 2023), with the defaults and to the numbers of mergekit. An average over the
//! steps of a run, plain or exponential, is a linear one with weights to match. Checkpoints of a
//! run and foreign Hugging Face folders are the same thing: a folder with `config.json` and
//! safetensors. One tensor of each model is in memory at a time.
//!
//! No distillation, and no alignment of neurons: models that were never one are averaged as they
//! stand, and [`Fused::ancestry`] says that they should not have been.

pub mod ancestry;
pub mod formula;
pub mod safetensors;
pub mod steps;
pub mod values;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::{Error, Result};
use ancestry::Ancestry;
use formula::{combine_linear, combine_slerp, combine_tasks};
use safetensors::{Model, Tensor, Writer};
use values::{Kind, Number};

/// How models become one.
#[derive(Debug, Clone, PartialEq)]
pub enum Method {
    /// The weighted mean; with `normalize` the weights are divided by their sum.
    Linear {
        /// One weight a model.
        weights: Vec<f64>,
        /// Whether the weights are made to add up to one.
        normalize: bool,
    },
    /// Along the great circle from the first model to the second, to the place `t` of it.
    Slerp {
        /// 0 is the first model, 1 the second.
        t: f64,
    },
    /// A base and what each model is more than it: task arithmetic, or TIES where small changes
    /// are cut off and the signs that lose the vote.
    Tasks(Tasks),
}

/// Options of task arithmetic and TIES.
#[derive(Debug, Clone, PartialEq)]
pub struct Tasks {
    /// One weight a model; the base is none of them.
    pub weights: Vec<f64>,
    /// Whether the sum is divided by the weights that entered it.
    pub normalize: bool,
    /// What the sum is multiplied by.
    pub lambda: f64,
    /// TIES: the share of changes to keep, the largest of each tensor; `None` keeps all and takes
    /// no vote.
    pub density: Option<f64>,
    /// TIES: whether what is kept is scaled to the sum of sizes of what was there.
    pub rescale: bool,
}

/// What a fusion made.
#[derive(Debug, Clone)]
pub struct Fused {
    /// Tensors written.
    pub tensors: usize,
    /// Numbers in them.
    pub parameters: u64,
    /// Files that were copied from the first model.
    pub copied: Vec<String>,
    /// Whether the models have an ancestor in common, as far as it can be told.
    pub ancestry: Ancestry,
}

/// Files of a model's folder that belong to no one's weights.
fn is_copied(name: &str) -> bool {
    let weights = name.ends_with(".safetensors") || name.ends_with(".safetensors.index.json");
    let own = ["manifest.json", "state.json", "optimizer.safetensors"].contains(&name);
    let text = [".json", ".txt", ".model", ".jinja", ".md"].iter().any(|end| name.ends_with(end));
    text && !weights && !own
}

/// Fuses models into a new folder; the first one's configuration and tokenizer go with it.
///
/// Errors name the tensor that not all models have, or have in one shape; nothing is left behind.
pub fn fuse(models: &[PathBuf], base: Option<&Path>, method: &Method, out: &Path) -> Result<Fused> {
    check(models.len(), base, method)?;
    if out.exists() {
        return Err(Error::usage(format!("{}: there is something already", out.display()))
            .hint_with("name a folder that does not exist yet"));
    }
    let opened = models.iter().map(|dir| Model::open(dir)).collect::<Result<Vec<_>>>()?;
    let first = opened.first().ok_or_else(|| Error::usage("no model to fuse"))?;
    let base = base.map(Model::open).transpose()?;
    let all: Vec<&Model> = base.iter().chain(&opened).collect();
    alike(&all)?;
    let parent = out.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(|e| Error::io(parent, e))?;
    let temp = tempfile::Builder::new()
        .prefix(".tmp-")
        .tempdir_in(parent)
        .map_err(|e| Error::io(parent, e))?;
    let path = temp.path().join(safetensors::MODEL);
    let mut writer = Writer::create(&path, first)?;
    let mut seen = ancestry::Likeness::new(opened.len());
    let (mut tensors, mut parameters) = (0, 0);
    for tensor in writer.order() {
        let bytes = match tensor.kind {
            Kind::F64 => one::<f64>(&tensor, base.as_ref(), &opened, method, &mut seen)?,
            Kind::F32 | Kind::F16 | Kind::Bf16 => {
                one::<f32>(&tensor, base.as_ref(), &opened, method, &mut seen)?
            }
            // Counters and positions are no weights: all models must have the same.
            Kind::Other(_) => same(&tensor, &all)?,
        };
        writer.write(&bytes)?;
        tensors += 1;
        parameters += tensor.shape.iter().product::<u64>();
    }
    writer.finish()?;
    let copied = copy(&first.dir, temp.path())?;
    let ancestry = ancestry::of(models, seen)?;
    let temp = temp.keep();
    open_to_all(&temp)?;
    fs::rename(&temp, out).map_err(|e| Error::io(out, e))?;
    Ok(Fused { tensors, parameters, copied, ancestry })
}

fn check(models: usize, base: Option<&Path>, method: &Method) -> Result<()> {
    let (weights, wants_base) = match method {
        Method::Linear { weights, normalize } => {
            if *normalize && weights.iter().sum::<f64>().abs() < 1e-12 {
                return Err(Error::usage("the weights add up to nothing"));
            }
            (weights.len(), false)
        }
        Method::Slerp { .. } if models != 2 => {
            return Err(Error::usage(format!("slerp is between two models; {models} are given")));
        }
        Method::Slerp { .. } => (2, false),
        Method::Tasks(tasks) => (tasks.weights.len(), true),
    };
    if models == 0 {
        return Err(Error::usage("no model to fuse"));
    }
    if weights != models {
        return Err(Error::usage(format!("{weights} weights for {models} models")));
    }
    match (wants_base, base) {
        (true, None) => Err(Error::usage("what the models began with is not told")
            .hint_with("name it with `--base DIR`")),
        (false, Some(_)) => {
            Err(Error::usage("this method has no base").hint_with("`task` and `ties` have one"))
        }
        _ => Ok(()),
    }
}

/// Errors at the first tensor that not all models have in one shape.
fn alike(models: &[&Model]) -> Result<()> {
    let [first, rest @ ..] = models else { return Ok(()) };
    for other in rest {
        let (here, there) = (first.dir.display(), other.dir.display());
        for tensor in first.tensors() {
            let Some(theirs) = other.get(&tensor.name) else {
                let message = format!("`{}` is in {here} and not in {there}", tensor.name);
                return Err(
                    Error::usage(message).hint_with("only models of one shape can be fused")
                );
            };
            if theirs.shape != tensor.shape {
                return Err(Error::usage(format!(
                    "`{}` is {:?} in {here} and {:?} in {there}",
                    tensor.name, tensor.shape, theirs.shape
                ))
                .hint_with("only models of one shape, and of one vocabulary, can be fused"));
            }
        }
        if let Some(extra) = other.tensors().find(|t| first.get(&t.name).is_none()) {
            let message = format!("`{}` is in {there} and not in {here}", extra.name);
            return Err(Error::usage(message).hint_with("only models of one shape can be fused"));
        }
    }
    Ok(())
}

fn one<N: Number>(
    tensor: &Tensor,
    base: Option<&Model>,
    models: &[Model],
    method: &Method,
    seen: &mut ancestry::Likeness,
) -> Result<Vec<u8>> {
    let read = |model: &Model| -> Result<Vec<N>> { model.read(&tensor.name) };
    let values = models.iter().map(read).collect::<Result<Vec<_>>>()?;
    seen.see(tensor, &values);
    let fused = match method {
        Method::Linear { weights, normalize } => combine_linear(&values, weights, *normalize),
        Method::Slerp { t } => combine_slerp(&values[0], &values[1], *t),
        Method::Tasks(tasks) => {
            let base = base.map(read).transpose()?.unwrap_or_default();
            combine_tasks(base, values, tasks)
        }
    };
    Ok(values::to_bytes(&fused, tensor.kind))
}

fn same(tensor: &Tensor, models: &[&Model]) -> Result<Vec<u8>> {
    let mut all = models.iter().map(|model| model.bytes(&tensor.name));
    let first = all.next().transpose()?.unwrap_or_default();
    for (other, model) in all.zip(&models[1..]) {
        if other? != first {
            return Err(Error::usage(format!(
                "`{}` holds no weights and differs in {}",
                tensor.name,
                model.dir.display()
            )));
        }
    }
    Ok(first)
}

fn copy(from: &Path, to: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(from).map_err(|e| Error::io(from, e))? {
        let entry = entry.map_err(|e| Error::io(from, e))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if is_copied(&name) && entry.path().is_file() {
            names.push(name);
        }
    }
    names.sort();
    for name in &names {
        let path = from.join(name);
        fs::copy(&path, to.join(name)).map_err(|e| Error::io(&path, e))?;
    }
    Ok(names)
}

/// Temporary folders are private; a model is not.
fn open_to_all(dir: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755))
            .map_err(|e| Error::io(dir, e))?;
    }
    Ok(())
}

/// The JSON of a file; `None` where there is none.
pub(crate) fn json(path: &Path) -> Result<Option<Value>> {
    match fs::read_to_string(path) {
        Ok(text) => serde_json::from_str(&text).map(Some).map_err(|e| Error::input(path, e)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io(path, e)),
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
