//! Tokenized files of datatrove, which nanotron trains on: `.ds` with ids, `.ds.index` with where
//! documents end (64 bits, counted in ids), `.ds.metadata` with the tokenizer, the width of an id
//! and their number (`datatrove/pipeline/tokens/tokenizer.py`).

use std::fmt::Write;

use serde_json::json;

use super::handoff::Handoff;
use super::out::{Out, Width};
use super::{Format, Layout, Place, Settings, Takes, TokenRow, TokenSink};
use crate::error::{Error, Result};

/// The format.
pub struct Datatrove;

/// The folder with the tokenizer, as a path that `AutoTokenizer` takes.
const TOKENIZER: &str = "tokenizer";

fn width(settings: &Settings) -> Width {
    if settings.vocab_size <= 1 << 16 { Width::Two } else { Width::Four }
}

impl Format for Datatrove {
    fn name(&self) -> &'static str {
        "datatrove"
    }

    fn doc(&self) -> &'static str {
        "Tokenized files of datatrove, `.ds` with `.ds.index` and `.ds.metadata`: nanotron."
    }

    fn takes(&self, _layout: Layout) -> Option<Takes> {
        super::tokens()
    }

    fn token_sink(&self, place: &Place) -> Result<Box<dyn TokenSink>> {
        let folder = place.dir.join(place.split.name()).join(&place.name);
        let file = |end: &str| Out::create(folder.join(format!("00000_tokens.ds{end}")));
        Ok(Box::new(Sink {
            tokens: file("")?,
            index: file(".index")?,
            metadata: file(".metadata")?,
            width: width(&place.settings),
            ids: 0,
        }))
    }

    fn beside(&self, handoff: &Handoff) -> Result<Vec<(String, String)>> {
        let mut text = String::from("data_stages:\n");
        let stage = |text: &mut String, n: usize, step: u64, shares: &[(String, f64)]| {
            let folders: Vec<String> = shares.iter().map(|(g, _)| format!("train/{g}")).collect();
            let weights: Vec<f64> = shares.iter().map(|(_, share)| *share).collect();
            let _ = write!(
                text,
                "- name: stage {n}\n  start_training_step: {step}\n  data:\n    dataset:\n      \
                 dataset_folder: {}\n      dataset_weights: {}\n      tokenizer_name: {TOKENIZER}\n      \
                 vocab_size: {}\n      token_size_in_bytes: {}\n    num_loading_workers: 1\n    \
                 seed: {}\n",
                json!(folders),
                json!(weights),
                handoff.settings.vocab_size,
                width(&handoff.settings).bytes(),
                handoff.seed,
            );
        };
        if handoff.settings.layout == Layout::Stream {
            stage(&mut text, 1, 1, &[("stream".into(), 1.0)]);
            return Ok(vec![("data_stages.yaml".into(), text)]);
        }
        let mut began = 0;
        for (i, planned) in handoff.stages.iter().enumerate() {
            let step = match (i, handoff.step_tokens) {
                (0, _) => 1,
                (_, Some(tokens)) => 1 + u64::div_ceil(began, tokens.max(1)),
                (_, None) => {
                    return Err(Error::usage(format!(
                        "stage {} begins after {began} tokens, and nanotron counts steps",
                        i + 1
                    ))
                    .hint_with(
                        "say with `step_tokens = \"2M\"` how many tokens a step will have",
                    ));
                }
            };
            stage(&mut text, i + 1, step, &planned.shares);
            began = planned.until;
        }
        Ok(vec![("data_stages.yaml".into(), text)])
    }

    fn usage(&self, handoff: &Handoff) -> String {
        let mut text = String::from(
            "`data_stages.yaml` goes into nanotron's configuration; run it in this folder, or make \
             the paths absolute. `DatatroveFolderDataset(\"train/NAME\", seq_len=…, token_size=…)` \
             reads a folder in Python.\n",
        );
        match handoff.settings.layout {
            Layout::Parts => text.push_str(
                "\nnanotron draws samples of one length by the weights, so that they are shares of \
                 tokens.\n",
            ),
            Layout::Stream => text.push_str(
                "\nnanotron shuffles samples once more: the mixture stays, the order is nanotron's. \
                 `DatatroveFolderDataset` without `shuffle` keeps it.\n",
            ),
        }
        text
    }
}

struct Sink {
    tokens: Out,
    index: Out,
    metadata: Out,
    width: Width,
    ids: u64,
}

impl TokenSink for Sink {
    fn row(&mut self, row: &TokenRow<'_>) -> Result<()> {
        for length in row.lengths {
            self.ids += *length as u64;
            self.index.write(&self.ids.to_le_bytes())?;
        }
        self.tokens.ids(row.ids, self.width)
    }

    fn finish(mut self: Box<Self>) -> Result<Option<u64>> {
        let text =
            format!("{TOKENIZER}|{}\n{}\n{}", self.width.bytes(), self.ids, readable(self.ids));
        self.metadata.write(text.as_bytes())?;
        self.tokens.finish()?;
        self.index.finish()?;
        self.metadata.finish()?;
        Ok(None)
    }
}

/// A number of tokens as people say it: `1.23 MT`.
fn readable(ids: u64) -> String {
    let (mut value, mut prefix) = (ids as f64, "");
    for next in ["k", "M", "G", "T"] {
        if value < 1000.0 {
            break;
        }
        value /= 1000.0;
        prefix = next;
    }
    format!("{value:.2} {prefix}T")
}
