//! What was trained on beside what was planned: the checkpoints' places in the mixture.
//!
//! A checkpoint says how many tokens of each group were handed out. Beside them stands what the
//! plan gives each group by then, stage after stage. A run whose checkpoint or pack cannot be read
//! is left out.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::model::{Mix, Realised, Share};
use crate::store::manifest::Manifest;

/// The runs of a project that trained on packs of the mixtures.
pub(super) fn realised(project: &Path, runs: &[String], mixes: &[Mix]) -> Vec<Realised> {
    runs.iter().filter_map(|run| of(project, run, mixes)).collect()
}

fn of(project: &Path, run: &str, mixes: &[Mix]) -> Option<Realised> {
    let dir = project.join("runs").join(run);
    let latest = fs::read_to_string(dir.join("LATEST")).ok()?;
    let state = fs::read_to_string(dir.join(latest.trim()).join("state.json")).ok()?;
    let state: Value = serde_json::from_str(&state).ok()?;
    let pack = state["config"]["pack"].as_str()?;
    let pack = Manifest::read(&project.join("packs").join(pack)).ok()??;
    let name = pack.inputs.keys().find_map(|need| need.strip_prefix("mix."))?;
    let mix = mixes.iter().find(|mix| mix.name == name)?;
    let mut drawn: BTreeMap<String, f64> = BTreeMap::new();
    for (group, tokens) in state["source"]["drawn_tokens"].as_object()? {
        // Parts of a language stand after a point.
        let lang = group.split('.').next().unwrap_or(group);
        *drawn.entry(lang.into()).or_default() += tokens.as_str()?.parse::<f64>().ok()?;
    }
    let all = drawn.values().sum();
    let planned = planned(&mix.shares, all);
    let mut langs: Vec<String> = planned.keys().chain(drawn.keys()).cloned().collect();
    langs.sort();
    langs.dedup();
    let value = |of: &BTreeMap<String, f64>, lang: &str| of.get(lang).copied().unwrap_or(0.0);
    let languages = langs
        .into_iter()
        .map(|lang| (value(&planned, &lang), value(&drawn, &lang), lang))
        .map(|(planned, drawn, lang)| (lang, planned, drawn))
        .collect();
    Some(Realised { run: run.into(), mix: name.into(), step: state["step"].as_u64()?, languages })
}

/// What the plan gives each language of so much in all; the last stage goes on.
fn planned(shares: &[Share], all: f64) -> BTreeMap<String, f64> {
    let mut planned: BTreeMap<String, f64> = BTreeMap::new();
    let last = shares.iter().map(|share| share.stage).max().unwrap_or(0);
    let mut left = all;
    for stage in 0..=last {
        let of: Vec<&Share> = shares.iter().filter(|share| share.stage == stage).collect();
        let total: f64 = of.iter().map(|share| share.target as f64).sum();
        let spent = if stage == last { left } else { left.min(total) };
        for share in of.iter().filter(|_| total > 0.0) {
            *planned.entry(share.lang.clone()).or_default() += share.target as f64 / total * spent;
        }
        left -= spent;
    }
    planned.retain(|_, tokens| *tokens > 0.0);
    planned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_are_followed_stage_after_stage() {
        let share = |stage, lang: &str, target| Share {
            stage,
            lang: lang.into(),
            target,
            ..Share::default()
        };
        let shares = [share(0, "isl_Latn", 60), share(0, "yor_Latn", 40), share(1, "isl_Latn", 10)];
        let planned = |all: f64| planned(&shares, all).into_values().collect::<Vec<_>>();
        assert_eq!(planned(50.0), [30.0, 20.0]);
        assert_eq!(planned(100.0), [60.0, 40.0]);
        assert_eq!(planned(150.0), [110.0, 40.0]);
    }

    #[test]
    fn a_checkpoint_is_read_with_its_pack() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let mut pack = Manifest::default();
        pack.inputs.insert("mix.main".into(), "x".into());
        fs::create_dir_all(dir.path().join("packs/p")).unwrap();
        pack.commit(&dir.path().join("packs/p")).unwrap();
        write("runs/r/LATEST", "step-8\n");
        write(
            "runs/r/step-8/state.json",
            r#"{"step": 8, "config": {"pack": "p"}, "source": {"drawn_tokens":
                {"isl_Latn.web": "30", "isl_Latn.wiki": "12.5", "yor_Latn": "7.5"}}}"#,
        );
        let share = |lang: &str, target| Share { lang: lang.into(), target, ..Share::default() };
        let shares = vec![share("isl_Latn", 80), share("yor_Latn", 20)];
        let mix = Mix { name: "main".into(), shares };
        let found = realised(dir.path(), &["r".into(), "none".into()], &[mix]);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].mix.as_str(), found[0].step), ("main", 8));
        let expected = [("isl_Latn".into(), 40.0, 42.5), ("yor_Latn".into(), 10.0, 7.5)];
        assert_eq!(found[0].languages, expected);
    }
}
