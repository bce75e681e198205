//! `metrics.jsonl`: one JSON object a line, as the trainer writes it.
//!
//! A line that is cut off (a killed run) is passed over; of two lines for one step (a resumed
//! run) the later counts.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::model::{Loss, Run};
use crate::error::{Error, Result};

/// The file's name in the folder of a run.
const METRICS: &str = "metrics.jsonl";
/// Seeds of a run lie in folders of their own below it.
const DEPTH: usize = 3;

/// All runs below a folder, by name; none when there is no such folder.
pub(super) fn runs(folder: &Path) -> Result<Vec<Run>> {
    let mut files = Vec::new();
    find(folder, DEPTH, &mut files)?;
    files.sort();
    let mut runs = Vec::new();
    for file in files {
        let home = file.parent().unwrap_or(folder);
        let name = home.strip_prefix(folder).unwrap_or(home).to_string_lossy().into_owned();
        let bytes = fs::read(&file).map_err(|e| Error::io(&file, e))?;
        let run = parse(name, &String::from_utf8_lossy(&bytes));
        if run.steps > 0 {
            runs.push(run);
        }
    }
    Ok(runs)
}

fn find(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(Error::io(folder, e)),
    };
    for entry in entries {
        let path = entry.map_err(|e| Error::io(folder, e))?.path();
        if path.is_dir() && depth > 0 {
            find(&path, depth - 1, files)?;
        } else if path.file_name().is_some_and(|name| name == METRICS) {
            files.push(path);
        }
    }
    Ok(())
}

fn parse(name: String, text: &str) -> Run {
    let mut lines: BTreeMap<u64, serde_json::Map<String, Value>> = BTreeMap::new();
    for line in text.lines() {
        let Ok(Value::Object(line)) = serde_json::from_str(line) else { continue };
        if let Some(step) = line.get("step").and_then(Value::as_u64) {
            lines.entry(step).or_default().extend(line);
        }
    }
    let mut run = Run { name, ..Run::default() };
    let mut by: BTreeMap<(String, String), Loss> = BTreeMap::new();
    let mut counters: BTreeMap<String, f64> = BTreeMap::new();
    for (step, line) in &lines {
        let x = *step as f64;
        run.steps = *step;
        for (key, value) in line {
            match (key.as_str(), value.as_f64().filter(|v| v.is_finite())) {
                ("step" | "steps", _) => {}
                ("loss", Some(y)) => run.loss.0.push((x, y)),
                ("lr", Some(y)) => run.lr.0.push((x, y)),
                ("tokens", Some(n)) => run.tokens = n as u64,
                ("losses" | "validation", _) => {
                    for (group, value) in value.as_object().into_iter().flatten() {
                        let (objective, lang) = group.split_once('/').unwrap_or((group, ""));
                        let Some(y) = value.as_f64().filter(|v| v.is_finite()) else { continue };
                        let (objective, lang) = (objective.to_string(), lang.to_string());
                        let known = (objective.clone(), lang.clone());
                        let loss = by.entry(known).or_insert_with(|| Loss {
                            objective,
                            lang,
                            ..Loss::default()
                        });
                        let held_out = key == "validation";
                        let curve = if held_out { &mut loss.validation } else { &mut loss.curve };
                        curve.0.push((x, y));
                    }
                }
                (_, Some(y)) => {
                    counters.insert(key.clone(), y);
                }
                _ => {}
            }
        }
    }
    run.by = by.into_values().collect();
    run.counters = counters.into_iter().collect();
    run
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_and_repeated_lines_do_no_harm() {
        let text = concat!(
            "{\"step\":1,\"tokens\":100,\"lr\":0.1,\"loss\":5.0,\"losses\":{\"mlm/deu_Latn\":5.0}}\n",
            "{\"step\":2,\"tokens\":200,\"loss\":9.0,\"losses\":{}}\n",
            "{\"step\":2,\"tokens\":210,\"loss\":4.0,\"bytes_aliased\":64,\"validation\":{\"mlm/deu_Latn\":4.5},\"losses\":{\"tlm/a-b\":3.0}}\n",
            "{\"step\":3,\"tok",
        );
        let run = parse("pretrain".into(), text);
        assert_eq!((run.steps, run.tokens), (2, 210));
        assert_eq!(run.loss.0, [(1.0, 5.0), (2.0, 4.0)]);
        assert_eq!(run.by.len(), 2);
        assert_eq!(run.by[0].validation.0, [(2.0, 4.5)]);
        assert_eq!((run.by[1].objective.as_str(), run.by[1].lang.as_str()), ("tlm", "a-b"));
        assert_eq!(run.counters, [("bytes_aliased".to_string(), 64.0)]);
    }
}
