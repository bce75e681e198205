//! Models as files of safetensors: headers are read whole, tensors one at a time.
//!
//! The crate of that name wants a whole file in memory; the format is a length, a header in JSON
//! and the bytes, so that streaming needs no more than this.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::values::{self, Kind, Number};
use crate::error::{Error, Result};

/// The file of a model's weights.
pub const MODEL: &str = "model.safetensors";

/// Headers above this are damage: the format allows no more.
const MAX_HEADER: u64 = 100 << 20;

/// Where a tensor lies and what it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// The name of its type in the header.
    pub dtype: String,
    /// What it is made of.
    pub kind: Kind,
    /// Its shape.
    pub shape: Vec<u64>,
    file: usize,
    begin: u64,
    length: u64,
}

/// The weights of a folder, in one file or several.
#[derive(Debug)]
pub struct Model {
    /// The folder, or the file.
    pub dir: PathBuf,
    files: Vec<PathBuf>,
    tensors: BTreeMap<String, Tensor>,
}

impl Model {
    /// Reads the headers of a Hugging Face folder.
    pub fn open(dir: &Path) -> Result<Self> {
        let files = files(dir)?;
        let mut tensors = BTreeMap::new();
        for (number, path) in files.iter().enumerate() {
            for tensor in header(path, number)? {
                if let Some(twice) = tensors.insert(tensor.name.clone(), tensor) {
                    return Err(Error::input(path, format!("`{}` is there twice", twice.name)));
                }
            }
        }
        Ok(Self { dir: dir.to_path_buf(), files, tensors })
    }

    /// A tensor by its name.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// All tensors in the order of their names.
    pub fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        self.tensors.values()
    }

    /// The numbers of a tensor.
    pub fn read<N: Number>(&self, name: &str) -> Result<Vec<N>> {
        let kind = self.get(name).map_or(Kind::F32, |t| t.kind);
        Ok(values::from_bytes(&self.bytes(name)?, kind))
    }

    /// The bytes of a tensor.
    pub fn bytes(&self, name: &str) -> Result<Vec<u8>> {
        let Some(tensor) = self.get(name) else {
            return Err(Error::input(&self.dir, format!("`{name}` is not there")));
        };
        let path = &self.files[tensor.file];
        let mut file = File::open(path).map_err(|e| Error::io(path, e))?;
        file.seek(SeekFrom::Start(tensor.begin)).map_err(|e| Error::io(path, e))?;
        let mut bytes = Vec::with_capacity(tensor.length as usize);
        file.take(tensor.length).read_to_end(&mut bytes).map_err(|e| Error::io(path, e))?;
        if bytes.len() as u64 != tensor.length {
            return Err(Error::input(path, format!("it ends inside of `{name}`")));
        }
        Ok(bytes)
    }
}

/// The safetensors of a folder.
fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    if dir.is_file() {
        return Ok(vec![dir.to_path_buf()]);
    }
    let single = dir.join(MODEL);
    if single.is_file() {
        return Ok(vec![single]);
    }
    let index = dir.join(format!("{MODEL}.index.json"));
    let Some(json) = super::json(&index)? else {
        return Err(Error::input(dir, format!("no `{MODEL}` here"))
            .hint_with("expected a Hugging Face folder, or a run with `LATEST`"));
    };
    let map = json["weight_map"].as_object().into_iter().flatten();
    let mut names: Vec<&str> = map.filter_map(|(_, file)| file.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    match names.iter().find(|name| name.contains(['/', '\\'])) {
        Some(name) => Err(Error::input(&index, format!("`{name}` lies outside of the folder"))),
        None => Ok(names.into_iter().map(|name| dir.join(name)).collect()),
    }
}

fn header(path: &Path, number: usize) -> Result<Vec<Tensor>> {
    let damaged = |what: String| Error::input(path, format!("damaged: {what}"));
    let mut file = File::open(path).map_err(|e| Error::io(path, e))?;
    let size = file.metadata().map_err(|e| Error::io(path, e))?.len();
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(|_| damaged("it has no header".into()))?;
    let length = u64::from_le_bytes(length);
    let data = length.saturating_add(8);
    if length > MAX_HEADER || data > size {
        return Err(damaged(format!("a header of {length} bytes in a file of {size}")));
    }
    let mut text = vec![0; length as usize];
    file.read_exact(&mut text).map_err(|e| Error::io(path, e))?;
    let header: Map<String, Value> =
        serde_json::from_slice(&text).map_err(|e| damaged(format!("its header: {e}")))?;
    let mut tensors = Vec::new();
    for (name, entry) in header.iter().filter(|(name, _)| *name != "__metadata__") {
        let dtype = entry["dtype"].as_str().unwrap_or_default();
        let kind = Kind::named(dtype)
            .ok_or_else(|| Error::input(path, format!("`{name}` is of type `{dtype}`")))?;
        let whole = |list: &Value| -> Option<Vec<u64>> {
            list.as_array()?.iter().map(Value::as_u64).collect()
        };
        let shape = whole(&entry["shape"]);
        let (Some(shape), Some([begin, end])) =
            (shape, whole(&entry["data_offsets"]).and_then(|o| <[u64; 2]>::try_from(o).ok()))
        else {
            return Err(damaged(format!("`{name}` has no shape or place")));
        };
        let count = shape.iter().try_fold(kind.bytes() as u64, |n, d| n.checked_mul(*d));
        let length = end.checked_sub(begin);
        if count.is_none() || count != length || data.saturating_add(end) > size {
            return Err(damaged(format!("`{name}` does not lie where the header says")));
        }
        tensors.push(Tensor {
            name: name.clone(),
            dtype: dtype.into(),
            kind,
            shape,
            file: number,
            begin: data + begin,
            length: end - begin,
        });
    }
    Ok(tensors)
}

/// Writes a model of the same tensors as another, one after the other.
pub struct Writer {
    path: PathBuf,
    out: BufWriter<File>,
    order: Vec<Tensor>,
    written: usize,
}

impl Writer {
    /// Begins a file with the header of all tensors.
    pub fn create(path: &Path, like: &Model) -> Result<Self> {
        // Wide types first, so that every tensor is aligned; then by name, as the crate writes.
        let mut order: Vec<Tensor> = like.tensors().cloned().collect();
        order.sort_by(|a, b| (b.kind.bytes(), &a.name).cmp(&(a.kind.bytes(), &b.name)));
        let mut header = Map::new();
        header.insert("__metadata__".into(), json!({ "format": "pt" }));
        let mut at = 0;
        for tensor in &order {
            let place = [at, at + tensor.length];
            at = place[1];
            let entry =
                json!({ "dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": place });
            header.insert(tensor.name.clone(), entry);
        }
        let mut text = Value::from(header).to_string().into_bytes();
        text.resize(text.len().next_multiple_of(8), b' ');
        let file = File::create(path).map_err(|e| Error::io(path, e))?;
        let mut out = BufWriter::new(file);
        let begun =
            out.write_all(&(text.len() as u64).to_le_bytes()).and_then(|()| out.write_all(&text));
        begun.map_err(|e| Error::io(path, e))?;
        Ok(Self { path: path.into(), out, order, written: 0 })
    }

    /// The tensors in the order in which they are to be written.
    pub fn order(&self) -> Vec<Tensor> {
        self.order.clone()
    }

    /// Writes the next tensor.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let fits = self.order.get(self.written).is_some_and(|t| t.length == bytes.len() as u64);
        if !fits {
            return Err(Error::internal(format!("tensor {} has another size", self.written)));
        }
        self.written += 1;
        self.out.write_all(bytes).map_err(|e| Error::io(&self.path, e))
    }

    /// Ends the file, durably.
    pub fn finish(mut self) -> Result<()> {
        if self.written != self.order.len() {
            return Err(Error::internal("tensors are missing"));
        }
        self.out.flush().map_err(|e| Error::io(&self.path, e))?;
        self.out.get_ref().sync_all().map_err(|e| Error::io(&self.path, e))
    }
}
