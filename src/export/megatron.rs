//! Megatron's `.bin` and `.idx` (`MMapIndexedDataset`, version 1): Megatron-LM, NeMo and others.
//!
//! `.bin` is the ids and nothing else. `.idx` is `MMIDIDX\0\0`, a 64-bit version, the code of the
//! type of an id in a byte (8: 16 bits unsigned, 4: 32 bits), two 64-bit counts, then lengths of
//! sequences (32 bits), their places in bytes (64 bits) and where documents begin, counted in
//! sequences (64 bits), as `megatron/core/datasets/indexed_dataset.py` reads them.

use std::fmt::Write;

use super::handoff::Handoff;
use super::out::{Out, Width};
use super::{Format, Layout, Place, Takes, TokenRow, TokenSink};
use crate::error::Result;
use crate::store::mmap::ScratchWriter;

/// Below this size Megatron takes 16 bits an id (`DType.optimal_dtype`).
const SMALL: usize = 65_500;

/// The format.
pub struct Megatron;

impl Format for Megatron {
    fn name(&self) -> &'static str {
        "megatron"
    }

    fn doc(&self) -> &'static str {
        "Indexed datasets of Megatron-LM and NeMo: `.bin` with ids of 16 or 32 bits, `.idx` with the lengths."
    }

    fn takes(&self, _layout: Layout) -> Option<Takes> {
        super::tokens()
    }

    fn token_sink(&self, place: &Place) -> Result<Box<dyn TokenSink>> {
        let folder = place.dir.join(place.split.name());
        let settings = &place.settings;
        let width = if settings.vocab_size < SMALL { Width::Two } else { Width::Four };
        Ok(Box::new(Sink {
            bin: Out::create(folder.join(format!("{}.bin", place.name)))?,
            idx: Out::create(folder.join(format!("{}.idx", place.name)))?,
            lengths: ScratchWriter::new(&folder, settings.memory),
            width,
        }))
    }

    fn beside(&self, handoff: &Handoff) -> Result<Vec<(String, String)>> {
        let prefix = |group: &str| format!("train/{group}");
        if handoff.settings.layout == Layout::Stream {
            return Ok(vec![("data-path.txt".into(), format!("1.0 {}\n", prefix("stream")))]);
        }
        let stages = handoff.stages.iter().enumerate();
        Ok(stages
            .map(|(i, stage)| {
                let mut text = String::new();
                for (group, share) in &stage.shares {
                    let _ = writeln!(text, "{share} {}", prefix(group));
                }
                (format!("data-path-stage-{}.txt", i + 1), text)
            })
            .collect())
    }

    fn usage(&self, handoff: &Handoff) -> String {
        let mut text = String::from(
            "Run Megatron in this folder. Tokens that end documents are in the files, so \
             `--append-eod` is not wanted again; `--eod-mask-loss`, `--reset-position-ids` and \
             `--reset-attention-mask` go by them. `--tokenizer-type HuggingFaceTokenizer \
             --tokenizer-model tokenizer` reads the tokenizer.\n",
        );
        match handoff.settings.layout {
            Layout::Parts => text.push_str(
                "\nEach stage is a run of Megatron that begins with the checkpoint of the stage \
                 before: `--data-args-path data-path-stage-1.txt`, or the same words after \
                 `--data-path`. Megatron draws samples of one length by these weights, so that they \
                 are shares of tokens.\n",
            ),
            Layout::Stream => text.push_str(
                "\n`--data-path train/stream --split 1000,0,0`. Megatron shuffles its samples once more: the \
                 mixture stays, the order is Megatron's.\n",
            ),
        }
        text
    }
}

struct Sink {
    bin: Out,
    idx: Out,
    lengths: ScratchWriter<u32>,
    width: Width,
}

impl TokenSink for Sink {
    fn row(&mut self, row: &TokenRow<'_>) -> Result<()> {
        self.lengths.push(row.ids.len() as u32)?;
        self.bin.ids(row.ids, self.width)
    }

    fn finish(mut self: Box<Self>) -> Result<Option<u64>> {
        let lengths = self.lengths.finish()?;
        let rows = lengths.len() as u64;
        let idx = &mut self.idx;
        idx.write(b"MMIDIDX\0\0")?;
        idx.write(&1u64.to_le_bytes())?;
        idx.write(&[if self.width == Width::Two { 8 } else { 4 }])?;
        idx.write(&rows.to_le_bytes())?;
        idx.write(&(rows + 1).to_le_bytes())?;
        for length in lengths.iter() {
            idx.write(&length.to_le_bytes())?;
        }
        let mut at = 0u64;
        for length in lengths.iter() {
            idx.write(&at.to_le_bytes())?;
            at += u64::from(*length) * self.width.bytes() as u64;
        }
        for row in 0..=rows {
            idx.write(&row.to_le_bytes())?;
        }
        self.bin.finish()?;
        self.idx.finish()?;
        Ok(None)
    }
}
