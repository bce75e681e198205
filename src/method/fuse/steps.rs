//! The checkpoints of a run, and the weights of averages over them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The model of a folder: itself, or the latest checkpoint of a run.
pub fn resolve(path: &Path) -> Result<PathBuf> {
    let latest = path.join("LATEST");
    if path.is_file() || path.join("config.json").is_file() || !latest.is_file() {
        return Ok(path.to_path_buf());
    }
    let name = fs::read_to_string(&latest).map_err(|e| Error::io(&latest, e))?;
    let dir = path.join(name.trim());
    if !name.starts_with("step-") || !dir.is_dir() {
        return Err(Error::input(
            &latest,
            format!("names `{}`, which is no checkpoint", name.trim()),
        ));
    }
    Ok(dir)
}

/// The checkpoints of a run, the earliest first; the last `last` of them where that is told.
pub fn steps(run: &Path, last: Option<usize>) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(run).map_err(|e| Error::io(run, e))? {
        let path = entry.map_err(|e| Error::io(run, e))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let step = name.strip_prefix("step-").and_then(|n| n.parse::<u64>().ok());
        if let Some(step) = step.filter(|_| path.join("config.json").is_file()) {
            found.push((step, path));
        }
    }
    found.sort();
    if found.is_empty() {
        return Err(Error::input(run, "no checkpoint `step-N` here")
            .hint_with("name the folder of a run; `save_every` says how many checkpoints it has"));
    }
    let wanted = last.unwrap_or(found.len());
    if wanted > found.len() || wanted == 0 {
        return Err(Error::usage(format!(
            "{}: {wanted} checkpoints are wanted, {} are there",
            run.display(),
            found.len()
        ))
        .hint_with("`keep` says how many a run keeps, `save_every` how often it saves"));
    }
    Ok(found.split_off(found.len() - wanted).into_iter().map(|(_, path)| path).collect())
}

/// The weights of an exponential moving average over checkpoints, the earliest first.
///
/// It begins at the first; each later one moves it by `1 − decay` of the way.
///
/// ```
/// assert_eq!(hexapla::method::fuse::steps::moving_average(3, 0.5), [0.25, 0.25, 0.5]);
/// ```
pub fn moving_average(steps: usize, decay: f64) -> Vec<f64> {
    let power = |n: usize| decay.powi(n as i32);
    let weight = |i: usize| match i {
        0 => power(steps - 1),
        _ => (1.0 - decay) * power(steps - 1 - i),
    };
    (0..steps).map(weight).collect()
}
