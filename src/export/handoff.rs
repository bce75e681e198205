//! What an export holds and how it is to be mixed: what is written beside the rows.
//!
//! The shares of the plan are of tokens. An engine that draws documents or lines wants shares of
//! rows instead, which follow from the mean tokens of a row.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Format, Layout, Settings};
use crate::token::pack::GroupKind;

/// What was written of a group in a split.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Documents, pairs, or rows of a pack.
    pub rows: u64,
    /// Ids, padding not counted; for texts, the tokens that they would have.
    pub tokens: u64,
    /// Bytes of text.
    pub bytes: u64,
}

/// What was written of a group.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Its name: the language, or pair of languages, and its part of a finer mixture.
    pub name: String,
    /// What its rows hold.
    pub kind: GroupKind,
    /// For training.
    pub train: Counts,
    /// For watching it.
    pub validation: Counts,
}

/// A stage of the mixture.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// Tokens seen since training began when it ends.
    pub until: u64,
    /// Shares of its tokens by group, in the order of the names; they sum to 1.
    pub shares: Vec<(String, f64)>,
}

/// Where rows come from, for the card of a data set.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Provenance {
    /// The project's sources and their paths.
    pub sources: Vec<(String, String)>,
    /// Rows dropped by table and reason.
    pub dropped: Vec<(String, BTreeMap<String, u64>)>,
    /// The licence, as the project file says it.
    pub license: Option<String>,
}

/// A whole export.
pub struct Handoff {
    /// Its name in the project file.
    pub name: String,
    /// Its format.
    pub format: &'static dyn Format,
    /// What its files have in common.
    pub settings: Settings,
    /// The project's seed.
    pub seed: u64,
    /// The fingerprint of the tokenizer, where there is one.
    pub tokenizer: Option<String>,
    /// The stages of the mixture.
    pub stages: Vec<Stage>,
    /// What was written, in the order of the names.
    pub groups: Vec<Group>,
    /// Tokens of a step of the engine, where it counts steps.
    pub step_tokens: Option<u64>,
    /// Where the rows come from.
    pub provenance: Provenance,
}

impl Handoff {
    /// The shares of a stage in rows, by group; they sum to 1.
    pub fn row_shares(&self, stage: &Stage) -> Vec<(String, f64)> {
        let rows = |name: &str| {
            let group = self.groups.iter().find(|group| group.name == name);
            let counts = group.map(|group| group.train).unwrap_or_default();
            counts.rows as f64 / counts.tokens.max(1) as f64
        };
        let all: Vec<f64> = stage.shares.iter().map(|(name, share)| share * rows(name)).collect();
        let sum: f64 = all.iter().sum();
        let names = stage.shares.iter().map(|(name, _)| name.clone());
        names.zip(all).map(|(name, value)| (name, value / sum.max(f64::MIN_POSITIVE))).collect()
    }

    /// How often each group is gone through in a stage, from 0.
    pub fn epochs(&self, stage: usize) -> Vec<(String, f64)> {
        let began = stage.checked_sub(1).and_then(|i| self.stages.get(i)).map_or(0, |s| s.until);
        let Some(stage) = self.stages.get(stage) else { return Vec::new() };
        let tokens = |name: &str| {
            let group = self.groups.iter().find(|group| group.name == name);
            group.map_or(0, |group| group.train.tokens).max(1) as f64
        };
        let length = stage.until.saturating_sub(began) as f64;
        stage.shares.iter().map(|(n, share)| (n.clone(), share * length / tokens(n))).collect()
    }

    /// In a sentence or two, who mixes.
    pub fn who_mixes(&self) -> &'static str {
        match self.settings.layout {
            Layout::Parts => {
                "`layout = \"parts\"`: every document stands here once, and the mixture has NOT been \
                 applied. The engine mixes, by the weights of each stage."
            }
            Layout::Stream => {
                "`layout = \"stream\"`: the mixture HAS been applied, repeats included, in the order \
                 in which training with hexapla would read. Give it to the engine with weight 1 and \
                 do not mix again."
            }
        }
    }

    /// The text of `mixture.json`.
    pub fn mixture(&self) -> String {
        let stream = self.settings.layout == Layout::Stream;
        let counts = |c: &Counts| json!({ "rows": c.rows, "tokens": c.tokens });
        let groups: Map<String, Value> = self
            .groups
            .iter()
            .map(|group| {
                let value = json!({
                    "kind": group.kind.label(),
                    "train": counts(&group.train),
                    "validation": counts(&group.validation),
                });
                (group.name.clone(), value)
            })
            .collect();
        let stages: Vec<Value> =
            self.stages.iter().enumerate().map(|(i, s)| self.stage(i, s)).collect();
        let object = json!({
            "export": self.name,
            "format": self.format.name(),
            "layout": self.settings.layout.name(),
            "mixture_applied": stream,
            "note": self.who_mixes(),
            "seed": self.seed,
            "tokenizer": self.tokenizer,
            "stages": stages,
            "groups": groups,
        });
        let mut text = serde_json::to_string_pretty(&object).unwrap_or_default();
        text.push('\n');
        text
    }

    fn stage(&self, i: usize, stage: &Stage) -> Value {
        // Of a stream the rows are those of the mixture already.
        let parts = self.settings.layout == Layout::Parts;
        let rows: BTreeMap<String, f64> = self.row_shares(stage).into_iter().collect();
        let epochs: BTreeMap<String, f64> = self.epochs(i).into_iter().collect();
        let shares: Map<String, Value> = stage
            .shares
            .iter()
            .map(|(name, share)| {
                let mut value = json!({ "token_share": share });
                if parts {
                    value["row_share"] = json!(rows.get(name));
                    value["epochs"] = json!(epochs.get(name));
                }
                (name.clone(), value)
            })
            .collect();
        json!({ "until_tokens": stage.until, "groups": shares })
    }
}
