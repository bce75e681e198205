//! Weights in safetensors files: written with the header that `transformers` wants, read strictly.
//!
//! Names and shapes must agree in both directions, and an error lists what does not. The values
//! of a file are converted to the masters' 32 bits, never the other way round.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use safetensors::tensor::{SafeTensors, TensorView, View};
use safetensors::{Dtype, serialize_to_file};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

use crate::error::{Error, Result};
use crate::store::mmap;
use crate::train::ffi;
use crate::train::model::architecture::Naming;

/// The file of a model's weights.
pub const MODEL: &str = "model.safetensors";

/// What older checkpoints have in its place.
const PICKLED: &str = "pytorch_model.bin";

/// How a file's names are matched with a model's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// Every tensor of either must be in the other.
    Whole,
    /// All but the heads must be whole; those are taken where name and shape agree, else stay new.
    Body,
}

/// Writes tensors as one file.
pub fn write(path: &Path, tensors: &[(String, Tensor)]) -> Result<()> {
    let stored = tensors
        .iter()
        .map(|(name, tensor)| Ok((name.clone(), Stored::new(name, tensor)?)))
        .collect::<Result<Vec<_>>>()?;
    let header = HashMap::from([("format".to_string(), "pt".to_string())]);
    serialize_to_file(stored, Some(header), path).map_err(|e| Error::io(path, e))
}

/// Fills tensors by name from a safetensors file or the model of a folder, sharded or not.
///
/// Files are mapped, so that what is held besides the tensors is one of them at a time. Returns the
/// names that stayed as they were (always none for `Match::Whole`). Errors when names are missing
/// or unexpected or shapes differ.
pub fn read(
    path: &Path,
    into: &[(String, Tensor)],
    matching: Match,
    naming: Naming,
) -> Result<Vec<String>> {
    let mut missing: BTreeMap<&str, &Tensor> =
        into.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    let (mut unexpected, mut different) = (BTreeSet::new(), Vec::new());
    let wanted: BTreeSet<&str> = missing.keys().copied().collect();
    // BERT's pooler has the prefix of the body, but is a head.
    let of_body = |name: &str| name.starts_with(naming.body) && !naming.is_redundant(name);
    for file in files(path)? {
        let bytes = mmap::map(&file)?;
        let stored = SafeTensors::deserialize(&bytes).map_err(|e| Error::input(&file, e))?;
        let bare = !stored.names().iter().any(|name| of_body(name));
        for (name, view) in stored.tensors() {
            let name = modern(&name, |name| bare && wanted.contains(name), naming.body);
            let Some(tensor) = missing.get(name.as_str()) else {
                if !naming.is_redundant(&name) {
                    unexpected.insert(name);
                }
                continue;
            };
            let shape: Vec<i64> = view.shape().iter().map(|&n| n as i64).collect();
            if shape != tensor.size() {
                if matching == Match::Whole || of_body(&name) {
                    different.push(format!("{name} {shape:?} instead of {:?}", tensor.size()));
                }
                continue;
            }
            let _guard = tch::no_grad_guard();
            tensor.shallow_clone().f_copy_(&values(&file, &view)?)?;
            missing.remove(name.as_str());
        }
    }
    missing.retain(|name, _| !naming.optional.contains(name));
    let mut left: Vec<String> = missing.into_keys().map(Into::into).collect();
    left.sort();
    if matching == Match::Body {
        // Foreign heads are not taken over.
        unexpected.retain(|name| of_body(name));
    }
    let lacking: Vec<&String> =
        left.iter().filter(|name| matching == Match::Whole || of_body(name)).collect();
    let mut faults = Vec::new();
    if !lacking.is_empty() {
        faults.push(format!("missing: {}", some(lacking.iter().map(|n| n.as_str()))));
    }
    if !unexpected.is_empty() {
        faults.push(format!("unexpected: {}", some(unexpected.iter().map(String::as_str))));
    }
    if !different.is_empty() {
        faults.push(format!("other shapes: {}", some(different.iter().map(String::as_str))));
    }
    if !faults.is_empty() {
        return Err(Error::input(path, format!("not this model: {}", faults.join("; "))));
    }
    Ok(left)
}

/// A short list of names for an error.
fn some<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 8;
    let more = names.len().saturating_sub(SHOWN);
    let shown: Vec<String> = names.take(SHOWN).map(|name| format!("`{name}`")).collect();
    match more {
        0 => shown.join(", "),
        n => format!("{} and {n} more", shown.join(", ")),
    }
}

/// The files of weights: the file itself, or those of a folder.
fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_path_buf()]);
    }
    let single = path.join(MODEL);
    if single.is_file() {
        return Ok(vec![single]);
    }
    let index = path.join(format!("{MODEL}.index.json"));
    if !index.is_file() {
        let error = Error::input(path, format!("no `{MODEL}` here"));
        if path.join(PICKLED).is_file() {
            return Err(error.hint_with(format!(
                "`{PICKLED}` is Python's own format, which may run code; convert it there with: \
                 python3 -c \"import torch; from safetensors.torch import save_file; \
                 w = torch.load('{PICKLED}', weights_only=True); \
                 save_file({{k: v.clone() for k, v in w.items()}}, '{MODEL}', {{'format': 'pt'}})\""
            )));
        }
        return Err(error);
    }
    let text = std::fs::read_to_string(&index).map_err(|e| Error::io(&index, e))?;
    let json: Value = serde_json::from_str(&text).map_err(|e| Error::input(&index, e))?;
    let map = json["weight_map"].as_object().into_iter().flatten();
    let names: BTreeSet<&str> = map.filter_map(|(_, file)| file.as_str()).collect();
    if let Some(name) = names.iter().find(|name| name.contains(['/', '\\'])) {
        return Err(Error::input(&index, format!("`{name}` lies outside of the folder")));
    }
    Ok(names.into_iter().map(|name| path.join(name)).collect())
}

/// The present name of a tensor: old layer norms had gamma and beta, bare models no prefix.
fn modern(name: &str, is_bare: impl Fn(&str) -> bool, body: &str) -> String {
    let name = name
        .replace("LayerNorm.gamma", "LayerNorm.weight")
        .replace("LayerNorm.beta", "LayerNorm.bias");
    let whole = format!("{body}{name}");
    if is_bare(&whole) { whole } else { name }
}

fn values(path: &Path, view: &TensorView<'_>) -> Result<Tensor> {
    let kind = match view.dtype() {
        Dtype::F32 => Kind::Float,
        Dtype::F16 => Kind::Half,
        Dtype::BF16 => Kind::BFloat16,
        Dtype::F64 => Kind::Double,
        other => return Err(Error::input(path, format!("weights of type {other:?}"))),
    };
    let shape: Vec<i64> = view.shape().iter().map(|&n| n as i64).collect();
    Ok(Tensor::f_from_data_size(view.data(), &shape, kind)?)
}

/// A tensor on the CPU with what the format says of it.
struct Stored {
    dtype: Dtype,
    shape: Vec<usize>,
    tensor: Tensor,
}

impl Stored {
    fn new(name: &str, tensor: &Tensor) -> Result<Self> {
        let kind = tensor.f_kind()?;
        let dtype = match kind {
            Kind::Float => Dtype::F32,
            Kind::BFloat16 => Dtype::BF16,
            Kind::Int => Dtype::I32,
            Kind::Int64 => Dtype::I64,
            other => return Err(Error::internal(format!("`{name}` has kind {other:?}"))),
        };
        let tensor = tensor.f_detach()?.f_to_device(Device::Cpu)?.f_contiguous()?;
        let shape = tensor.size().iter().map(|&n| n as usize).collect();
        Ok(Self { dtype, shape, tensor })
    }
}

impl View for Stored {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        // Written as it lies in memory: a checkpoint has no room for a second copy of itself.
        Cow::Borrowed(ffi::bytes(&self.tensor))
    }

    fn data_len(&self) -> usize {
        ffi::bytes(&self.tensor).len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMING: Naming =
        Naming { body: "roberta.", redundant: &["tied", "*.buffer"], optional: &[] };

    fn tensors(names: &[(&str, &[i64])], value: f64) -> Vec<(String, Tensor)> {
        let full = |shape: &[i64]| Tensor::full(shape, value, (Kind::Float, Device::Cpu));
        names.iter().map(|(name, shape)| ((*name).to_string(), full(shape))).collect()
    }

    #[test]
    fn a_file_is_read_back_and_has_the_header() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(MODEL);
        let names: &[(&str, &[i64])] = &[("roberta.a", &[2, 3]), ("step", &[])];
        write(&path, &tensors(names, 0.25)).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        assert_eq!(header.metadata().as_ref().unwrap()["format"], "pt");
        let into = tensors(names, 0.0);
        assert!(read(dir.path(), &into, Match::Whole, NAMING).unwrap().is_empty());
        assert!(into.iter().all(|(_, t)| t.min().double_value(&[]) == 0.25));
    }

    #[test]
    fn what_does_not_fit_is_listed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(MODEL);
        write(&path, &tensors(&[("roberta.a", &[2]), ("roberta.b", &[2]), ("c", &[1])], 1.0))
            .unwrap();
        let into = tensors(&[("roberta.a", &[3]), ("roberta.d", &[2]), ("c", &[2])], 0.0);
        let error = read(&path, &into, Match::Whole, NAMING).unwrap_err().to_string();
        assert!(error.contains("missing: `c`, `roberta.a`, `roberta.d`"), "{error}");
        assert!(error.contains("unexpected: `roberta.b`"), "{error}");
        assert!(error.contains("`roberta.a [2] instead of [3]`"), "{error}");
        let into = tensors(&[("roberta.a", &[2]), ("roberta.b", &[2]), ("c", &[2])], 0.0);
        assert_eq!(read(&path, &into, Match::Body, NAMING).unwrap(), ["c"]);
    }

    #[test]
    fn buffers_and_tied_weights_say_nothing_new() {
        let dir = tempfile::tempdir().unwrap();
        let names: &[(&str, &[i64])] =
            &[("roberta.a", &[2]), ("tied", &[2]), ("roberta.layer.3.buffer", &[7])];
        write(&dir.path().join(MODEL), &tensors(names, 1.0)).unwrap();
        let into = tensors(&[("roberta.a", &[2])], 0.0);
        assert!(read(dir.path(), &into, Match::Whole, NAMING).unwrap().is_empty());
    }

    #[test]
    fn pickled_weights_get_the_line_that_converts_them() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(PICKLED), b"not read").unwrap();
        let error = read(dir.path(), &[], Match::Whole, NAMING).unwrap_err();
        assert!(error.to_string().ends_with("no `model.safetensors` here"), "{error}");
        assert!(error.hint().unwrap().contains("save_file({k: v.clone() for"), "{error:?}");
    }

    #[test]
    fn bare_and_old_names_are_understood() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(MODEL);
        let names: &[(&str, &[i64])] =
            &[("embeddings.LayerNorm.gamma", &[2]), ("pooler.dense.weight", &[2])];
        write(&path, &tensors(names, 1.0)).unwrap();
        let into = tensors(&[("roberta.embeddings.LayerNorm.weight", &[2])], 0.0);
        assert!(read(&path, &into, Match::Body, NAMING).unwrap().is_empty());
    }
}
