//! LitData's optimized chunks for its `TokensLoader`: `index.json` and `chunk-0-N.bin`.
//!
//! A chunk is the number of documents, where each begins and where the last ends in bytes (32 bits
//! each), and the ids, 32 bits each (`litdata/streaming/writer.py`). The loader cuts a chunk into
//! blocks of the length that it is told and leaves out what remains at its end.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::handoff::Handoff;
use super::out::{Out, Spool, write_file};
use super::{Format, Layout, Place, Takes, TokenRow, TokenSink};
use crate::error::Result;

/// Bytes of a chunk, LitData's own default.
const CHUNK: u64 = 1 << 26;

/// The place of 32-bit integers among the types of LitData (`_TORCH_DTYPES_MAPPING`).
const INT32: u32 = 16;

/// The format.
pub struct LitData;

impl Format for LitData {
    fn name(&self) -> &'static str {
        "litdata"
    }

    fn doc(&self) -> &'static str {
        "Optimized chunks of LitData for its `TokensLoader`, ids of 32 bits: LitGPT, Lightning."
    }

    fn takes(&self, _layout: Layout) -> Option<Takes> {
        super::tokens()
    }

    fn token_sink(&self, place: &Place) -> Result<Box<dyn TokenSink>> {
        let folder = place.dir.join(place.split.name()).join(&place.name);
        let ids = Spool::new(&folder)?;
        Ok(Box::new(Sink { folder, ids, limit: CHUNK, ends: Vec::new(), chunks: Vec::new() }))
    }

    fn usage(&self, handoff: &Handoff) -> String {
        match handoff.settings.layout {
            Layout::Parts => {
                let mut text = String::from(
                    "```python\nfrom litdata import CombinedStreamingDataset, StreamingDataset, \
                     TokensLoader\n\ndef part(name):\n    return StreamingDataset(f\"train/{name}\", \
                     item_loader=TokensLoader(block_size=2049), shuffle=True)\n\n",
                );
                for (i, stage) in handoff.stages.iter().enumerate() {
                    let names: Vec<&str> = stage.shares.iter().map(|(g, _)| g.as_str()).collect();
                    let weights: Vec<f64> = stage.shares.iter().map(|(_, share)| *share).collect();
                    text.push_str(&format!(
                        "# stage {}, until {} tokens\nCombinedStreamingDataset([part(name) for name \
                         in {}],\n    weights={}, iterate_over_all=False)\n",
                        i + 1,
                        stage.until,
                        json!(names),
                        json!(weights),
                    ));
                }
                text.push_str(
                    "```\n\nBlocks are of one length, so that weights are shares of tokens.\n",
                );
                text
            }
            Layout::Stream => String::from(
                "```python\nfrom litdata import StreamingDataset, TokensLoader\n\n\
                 StreamingDataset(\"train/stream\", item_loader=TokensLoader(block_size=2049), \
                 shuffle=False)\n```\n",
            ),
        }
    }
}

struct Sink {
    folder: PathBuf,
    ids: Spool,
    limit: u64,
    /// Where each document of the open chunk ends, in bytes from the first.
    ends: Vec<u64>,
    chunks: Vec<Value>,
}

impl Sink {
    fn chunk(&mut self) -> Result<()> {
        if self.ends.is_empty() {
            return Ok(());
        }
        let name = format!("chunk-0-{}.bin", self.chunks.len());
        let mut out = Out::create(self.folder.join(&name))?;
        let head = 4 * (self.ends.len() as u64 + 2);
        out.write(&(self.ends.len() as u32).to_le_bytes())?;
        out.write(&(head as u32).to_le_bytes())?;
        for end in &self.ends {
            out.write(&((head + end) as u32).to_le_bytes())?;
        }
        let bytes = self.ids.bytes();
        out.append(std::mem::replace(&mut self.ids, Spool::new(&self.folder)?))?;
        out.finish()?;
        self.chunks.push(json!({
            "chunk_bytes": head + bytes,
            "chunk_size": self.ends.len(),
            "dim": bytes / 4,
            "filename": name,
        }));
        self.ends.clear();
        Ok(())
    }
}

impl TokenSink for Sink {
    fn row(&mut self, row: &TokenRow<'_>) -> Result<()> {
        let mut end = self.ids.bytes();
        self.ids.ids(row.ids)?;
        for length in row.lengths {
            end += *length as u64 * 4;
            self.ends.push(end);
        }
        if self.ids.bytes() >= self.limit { self.chunk() } else { Ok(()) }
    }

    fn finish(mut self: Box<Self>) -> Result<Option<u64>> {
        self.chunk()?;
        let index = json!({
            "chunks": self.chunks,
            "config": {
                "chunk_bytes": CHUNK,
                "chunk_size": null,
                "compression": null,
                "data_format": [format!("no_header_tensor:{INT32}")],
                // One leaf, in the words of torch's trees.
                "data_spec": "[1, {\"type\": null, \"context\": null, \"children_spec\": []}]",
                "encryption": null,
                "item_loader": "TokensLoader",
            },
        });
        write_file(self.folder.join("index.json"), index.to_string().as_bytes())?;
        Ok(None)
    }
}
