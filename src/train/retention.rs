//! Which checkpoints of a run there are, which is the latest, and which may go.
//!
//! `LATEST` and `BEST` are files with a folder's name; a folder counts only when its manifest is
//! there, and it is put there under its name whole. Whatever begins with `.tmp-` is nobody's.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::store::manifest::{self, MANIFEST};

/// Names the checkpoint to go on from.
pub const LATEST: &str = "LATEST";

/// Names the checkpoint with the lowest validation loss.
pub const BEST: &str = "BEST";

/// The prefix of folders that are not (or no longer) there.
pub const TEMPORARY: &str = ".tmp-";

/// The folder of a step.
pub fn step_dir(run: &Path, step: u64) -> PathBuf {
    run.join(format!("step-{step}"))
}

/// The checkpoint to go on from; none where nothing was saved yet.
pub fn latest(run: &Path) -> Result<Option<PathBuf>> {
    let path = run.join(LATEST);
    let name = match std::fs::read_to_string(&path) {
        Ok(name) => name.trim().to_string(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io(&path, e)),
    };
    let dir = run.join(&name);
    if !name.starts_with("step-") || !dir.join(MANIFEST).is_file() {
        return Err(Error::input(&path, format!("names `{name}`, which is no checkpoint")));
    }
    Ok(Some(dir))
}

/// The name of the last checkpoint before a folder, where there is one.
pub fn before(run: &Path, dir: &Path) -> Option<String> {
    let number = |name: &str| name.strip_prefix("step-")?.parse::<u64>().ok();
    let this = number(&dir.file_name()?.to_string_lossy())?;
    let names = entries(run).ok()?;
    let steps = names.iter().filter_map(|name| number(name)).filter(|step| *step < this);
    let whole = steps.filter(|step| step_dir(run, *step).join(MANIFEST).is_file());
    whole.max().map(|step| format!("step-{step}"))
}

/// The folder of a model: a Hugging Face folder itself, or the latest checkpoint of a run.
pub fn resolve(path: &Path) -> Result<PathBuf> {
    if path.join("config.json").is_file() {
        return Ok(path.to_path_buf());
    }
    match latest(path)? {
        Some(dir) => Ok(dir),
        None => Err(Error::input(path, "no model here").hint_with(
            "expected a Hugging Face folder with `config.json`, or a run with `LATEST`",
        )),
    }
}

/// Names a step in `LATEST` or `BEST`, at once.
pub fn point(run: &Path, file: &str, step: u64) -> Result<()> {
    manifest::replace(&run.join(file), format!("step-{step}\n").as_bytes())
}

/// Removes checkpoints before `step` but the last `keep` (with `step` itself) and the best.
pub fn prune(run: &Path, step: u64, keep: usize, best: Option<u64>) -> Result<()> {
    let mut steps: Vec<u64> = entries(run)?
        .iter()
        .filter_map(|name| name.strip_prefix("step-")?.parse().ok())
        .filter(|&at| at <= step)
        .collect();
    steps.sort_unstable();
    let old = steps.len().saturating_sub(keep);
    for &at in steps[..old].iter().filter(|&&at| Some(at) != best) {
        discard(run, &step_dir(run, at))?;
    }
    Ok(())
}

/// Removes a folder so that it is never seen half removed.
pub fn discard(run: &Path, dir: &Path) -> Result<()> {
    let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let gone = run.join(format!("{TEMPORARY}gone-{name}"));
    remove(&gone)?;
    match std::fs::rename(dir, &gone) {
        Ok(()) => remove(&gone),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(Error::io(dir, e)),
    }
}

/// Removes what an interrupted run left behind. Only while the run is locked.
pub fn sweep(run: &Path) -> Result<()> {
    for name in entries(run)?.iter().filter(|name| name.starts_with(TEMPORARY)) {
        let path = run.join(name);
        match path.is_dir() {
            true => remove(&path)?,
            false => std::fs::remove_file(&path).map_err(|e| Error::io(&path, e))?,
        }
    }
    Ok(())
}

fn remove(dir: &Path) -> Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io(dir, e)),
        _ => Ok(()),
    }
}

fn entries(dir: &Path) -> Result<Vec<String>> {
    let list = std::fs::read_dir(dir).map_err(|e| Error::io(dir, e))?;
    list.map(|entry| {
        let entry = entry.map_err(|e| Error::io(dir, e))?;
        Ok(entry.file_name().to_string_lossy().into_owned())
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_and_the_best_stay() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path();
        for step in [5, 10, 15, 20, 25] {
            let at = step_dir(run, step);
            std::fs::create_dir(&at).unwrap();
            std::fs::write(at.join(MANIFEST), "{}").unwrap();
        }
        std::fs::create_dir(run.join(".tmp-step")).unwrap();
        assert_eq!(latest(run).unwrap(), None);
        point(run, LATEST, 20).unwrap();
        assert_eq!(latest(run).unwrap(), Some(step_dir(run, 20)));
        assert_eq!(resolve(run).unwrap(), step_dir(run, 20));
        prune(run, 20, 2, Some(5)).unwrap();
        sweep(run).unwrap();
        let mut left = entries(run).unwrap();
        left.sort();
        // What lies after the step of a resumed run is replaced when that step is reached.
        assert_eq!(left, ["LATEST", "step-15", "step-20", "step-25", "step-5"]);
        point(run, LATEST, 30).unwrap();
        assert!(latest(run).is_err());
        assert!(resolve(&run.join("step-5")).is_err());
    }
}
