//! MosaicML's MDS: `index.json` and shards of samples, as llm-foundry's datasets of tokens.
//!
//! A sample is one array of `length` ids (`ndarray:int32:LENGTH`). In `parts` documents follow one
//! another and are cut where a sample ends, the last one filled up with padding; in `stream` a
//! sample is a row of the pack. A shard is the number of samples, where each begins and where the
//! last ends (32 bits each), its configuration as JSON, and the samples
//! (`streaming/base/format/mds`).

use std::fmt::Write;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::handoff::Handoff;
use super::out::{Out, Spool, write_file};
use super::{Format, Layout, Place, Takes, TokenRow, TokenSink};
use crate::error::{Error, Result};

/// Bytes of a shard, as the format's own writer has them.
const SHARD: u64 = 1 << 26;

/// The format.
pub struct Mds;

impl Format for Mds {
    fn name(&self) -> &'static str {
        "mds"
    }

    fn doc(&self) -> &'static str {
        "MosaicML streaming shards, samples of `length` ids in the column `tokens`: llm-foundry, composer."
    }

    fn takes(&self, _layout: Layout) -> Option<Takes> {
        super::tokens()
    }

    fn fixed_length(&self) -> bool {
        true
    }

    fn token_sink(&self, place: &Place) -> Result<Box<dyn TokenSink>> {
        // `local: NAME` and `split: train` is how streams are named.
        let folder = place.dir.join(&place.name).join(place.split.name());
        Ok(Box::new(Sink::new(folder, place)?))
    }

    fn beside(&self, handoff: &Handoff) -> Result<Vec<(String, String)>> {
        let stream = |text: &mut String, group: &str, share: Option<f64>| {
            let _ = write!(text, "  {0}:\n    local: {0}\n    split: train\n", json!(group));
            if let Some(share) = share {
                let _ = writeln!(text, "    proportion: {share}");
            }
        };
        if handoff.settings.layout == Layout::Stream {
            let mut text = String::from("shuffle: false\nstreams:\n");
            stream(&mut text, "stream", None);
            return Ok(vec![("streams.yaml".into(), text)]);
        }
        let stages = handoff.stages.iter().enumerate();
        Ok(stages
            .map(|(i, stage)| {
                let mut text = String::from("streams:\n");
                for (group, share) in &stage.shares {
                    stream(&mut text, group, Some(*share));
                }
                (format!("streams-stage-{}.yaml", i + 1), text)
            })
            .collect())
    }

    fn usage(&self, handoff: &Handoff) -> String {
        let length = handoff.settings.length;
        match handoff.settings.layout {
            Layout::Parts => format!(
                "`streams-stage-N.yaml` goes under `train_loader: dataset:` of llm-foundry, with \
                 `max_seq_len: {length}`, `shuffle: true`; `Stream(local=…, split=…, proportion=…)` \
                 is the same in Python. Samples are of one length, so that proportions are shares \
                 of tokens. Paths are relative to this folder.\n"
            ),
            Layout::Stream => format!(
                "`streams.yaml` goes under `train_loader: dataset:` of llm-foundry, with \
                 `max_seq_len: {length}`. `shuffle: false` keeps the order.\n"
            ),
        }
    }
}

struct Sink {
    folder: PathBuf,
    settings: super::Settings,
    /// Samples in a full shard.
    full: usize,
    samples: Spool,
    /// Samples in the open shard.
    count: usize,
    /// The beginning of a sample.
    open: Vec<i32>,
    shards: Vec<Value>,
    all: u64,
}

impl Sink {
    fn new(folder: PathBuf, place: &Place) -> Result<Self> {
        let settings = place.settings.clone();
        if settings.length == 0 {
            return Err(Error::internal("samples of no length"));
        }
        let bytes = settings.length as u64 * 4 + 4;
        let full = (SHARD.saturating_sub(1024) / bytes).max(1) as usize;
        let samples = Spool::new(&folder)?;
        Ok(Self {
            folder,
            settings,
            full,
            samples,
            count: 0,
            open: Vec::new(),
            shards: Vec::new(),
            all: 0,
        })
    }

    /// What each shard says of itself, keys in the order of their names.
    fn config(&self) -> Value {
        let length = self.settings.length;
        json!({
            "column_encodings": [format!("ndarray:int32:{length}")],
            "column_names": ["tokens"],
            "column_sizes": [length * 4],
            "compression": null,
            "format": "mds",
            "hashes": [],
            "size_limit": SHARD,
            "version": 2,
        })
    }

    /// Ends the sample at hand.
    fn sample(&mut self) -> Result<()> {
        self.open.resize(self.settings.length, self.settings.pad);
        self.samples.ids(&self.open)?;
        self.open.clear();
        self.count += 1;
        self.all += 1;
        if self.count == self.full { self.shard() } else { Ok(()) }
    }

    /// Ends the shard at hand.
    fn shard(&mut self) -> Result<()> {
        if self.count == 0 {
            return Ok(());
        }
        let mut config = self.config();
        let text = config.to_string();
        let name = format!("shard.{:05}.mds", self.shards.len());
        let mut out = Out::create(self.folder.join(&name))?;
        let head = 4 + 4 * (self.count + 1) + text.len();
        let size = self.settings.length * 4;
        out.write(&(self.count as u32).to_le_bytes())?;
        for i in 0..=self.count {
            out.write(&((head + i * size) as u32).to_le_bytes())?;
        }
        out.write(text.as_bytes())?;
        out.append(std::mem::replace(&mut self.samples, Spool::new(&self.folder)?))?;
        out.finish()?;
        if let Some(config) = config.as_object_mut() {
            let bytes = head + self.count * size;
            config.insert(
                "raw_data".into(),
                json!({ "basename": name, "bytes": bytes, "hashes": {} }),
            );
            config.insert("samples".into(), json!(self.count));
            config.insert("zip_data".into(), Value::Null);
        }
        self.shards.push(config);
        self.count = 0;
        Ok(())
    }
}

impl TokenSink for Sink {
    fn row(&mut self, row: &TokenRow<'_>) -> Result<()> {
        let mut rest = row.ids;
        while !rest.is_empty() {
            let some = rest.len().min(self.settings.length - self.open.len());
            self.open.extend_from_slice(&rest[..some]);
            rest = &rest[some..];
            if self.open.len() == self.settings.length {
                self.sample()?;
            }
        }
        match self.settings.layout {
            // A row is a sample of its own.
            Layout::Stream if !self.open.is_empty() => self.sample(),
            _ => Ok(()),
        }
    }

    fn finish(mut self: Box<Self>) -> Result<Option<u64>> {
        if !self.open.is_empty() {
            self.sample()?;
        }
        self.shard()?;
        let index = json!({ "shards": self.shards, "version": 2 });
        write_file(self.folder.join("index.json"), index.to_string().as_bytes())?;
        Ok(Some(self.all))
    }
}
