//! The weights of a folder with fewer rows: safetensors files walked through a mapping and written
//! row by row.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::TensorInfo;
use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::store::whole::WholeFile;
use crate::store::{manifest, mmap};

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// How the tensors of tokens are named in the models of `transformers`; where a number of
/// `config.json` equals the number of tokens, others are left alone.
const NAMES: &[&str] = &[
    "embed_tokens.weight",
    "word_embeddings.weight",
    "shared.weight",
    "wte.weight",
    "embed_in.weight",
    "tok_embeddings.weight",
    "lm_head.weight",
    "lm_head.bias",
    "lm_head.decoder.weight",
    "lm_head.decoder.bias",
    "predictions.bias",
    "predictions.decoder.weight",
    "predictions.decoder.bias",
    "embed_out.weight",
    "output.weight",
    "final_logits_bias",
];

/// Writes the weights of a folder into another one, of tensors with a row for each of `rows` tokens
/// those of `kept` alone; returns how many tensors that were.
pub fn trim(from: &Path, to: &Path, config: &Value, rows: usize, kept: &[u32]) -> Result<usize> {
    let files = shards(from)?;
    let doubtful = equals(config, rows as u64) > 1;
    let mut changed = 0;
    let mut total = 0;
    let mut place = Map::new();
    for file in &files {
        let path = from.join(file);
        let bytes = mmap::map(&path)?;
        let (header, metadata) =
            SafeTensors::read_metadata(&bytes).map_err(|e| Error::input(&path, e))?;
        let data = &bytes[header + 8..];
        let mut plan: Vec<(String, &TensorInfo, Option<usize>)> = Vec::new();
        for name in metadata.offset_keys() {
            let Some(info) = metadata.info(&name) else { continue };
            let known = !doubtful || NAMES.iter().any(|end| name.ends_with(end));
            let axis = info.shape.iter().position(|n| *n == rows).filter(|_| known);
            changed += usize::from(axis.is_some());
            plan.push((name, info, axis));
        }
        let mut out = WholeFile::create(&to.join(file))?;
        let failed = |e| Error::io(to.join(file), e);
        let (head, size) = header_of(&plan, metadata.metadata(), kept.len())
            .map_err(|e| e.within(path.display()))?;
        out.write_all(&(head.len() as u64).to_le_bytes()).map_err(failed)?;
        out.write_all(&head).map_err(failed)?;
        for (name, info, axis) in &plan {
            place.insert(name.clone(), json!(file));
            let (start, end) = info.data_offsets;
            let values = &data[start..end];
            let Some(axis) = axis else {
                out.write_all(values).map_err(failed)?;
                continue;
            };
            let outer: usize = info.shape[..*axis].iter().product();
            let row = values.len() / (outer * rows).max(1);
            for block in values.chunks_exact((row * rows).max(1)) {
                for id in kept {
                    let at = *id as usize * row;
                    out.write_all(&block[at..at + row]).map_err(failed)?;
                }
            }
        }
        out.commit()?;
        total += size;
    }
    if changed == 0 {
        return Err(Error::input(from, format!("no tensor has {rows} rows, one for each token"))
            .hint_with("is `vocab_size` in config.json right?"));
    }
    if files.len() > 1 || files[0] != SINGLE {
        let index = json!({"metadata": {"total_size": total}, "weight_map": place});
        manifest::replace(&to.join(INDEX), format!("{index:#}\n").as_bytes())?;
    }
    Ok(changed)
}

/// The safetensors files of a folder.
fn shards(from: &Path) -> Result<Vec<String>> {
    if from.join(SINGLE).is_file() {
        return Ok(vec![SINGLE.into()]);
    }
    let path = from.join(INDEX);
    let text = fs::read_to_string(&path).map_err(|_| {
        Error::input(from, format!("neither `{SINGLE}` nor `{INDEX}` here")).hint_with(
            "weights of other formats are written so by `save_pretrained` of transformers",
        )
    })?;
    let index: Value = serde_json::from_str(&text).map_err(|e| Error::input(&path, e))?;
    let names = index["weight_map"].as_object().into_iter().flatten();
    let mut files: Vec<String> =
        names.filter_map(|(_, file)| Some(file.as_str()?.into())).collect();
    files.sort();
    files.dedup();
    // A name leads nowhere else.
    let wrong = |file: &String| file.contains(['/', '\\']) || !file.ends_with(".safetensors");
    if files.is_empty() || files.iter().any(wrong) {
        return Err(Error::input(&path, "no files of weights in its `weight_map`"));
    }
    Ok(files)
}

/// How many numbers of a configuration equal one.
fn equals(value: &Value, number: u64) -> usize {
    match value {
        Value::Object(object) => object.values().map(|v| equals(v, number)).sum(),
        value => usize::from(value.as_u64() == Some(number)),
    }
}

/// The header of a file as JSON, filled up to eight bytes, and the bytes behind it.
fn header_of(
    plan: &[(String, &TensorInfo, Option<usize>)],
    metadata: &Option<std::collections::HashMap<String, String>>,
    kept: usize,
) -> Result<(Vec<u8>, usize)> {
    let mut header = Map::new();
    let mut all: BTreeMap<&str, &str> = BTreeMap::from([("format", "pt")]);
    all.extend(metadata.iter().flatten().map(|(key, value)| (key.as_str(), value.as_str())));
    header.insert("__metadata__".into(), json!(all));
    let mut at = 0;
    for (name, info, axis) in plan {
        let (start, end) = info.data_offsets;
        let mut shape = info.shape.clone();
        let mut size = end - start;
        if let Some(axis) = axis {
            let rows = shape[*axis].max(1);
            if size % rows != 0 {
                return Err(Error::usage(format!("`{name}` has rows of less than a byte")));
            }
            size = size / rows * kept;
            shape[*axis] = kept;
        }
        let dtype = serde_json::to_value(info.dtype)
            .map_err(|e| Error::internal(format!("the type of `{name}`: {e}")))?;
        let of = json!({"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]});
        header.insert(name.clone(), of);
        at += size;
    }
    let mut text = Value::Object(header).to_string().into_bytes();
    text.resize(text.len().next_multiple_of(8), b' ');
    Ok((text, at))
}
