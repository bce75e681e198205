//! Flat ids: `tokens.bin` with ids of 32 bits, `document_offsets.npy` with where documents begin.
//!
//! The pair that torchtitan's documentation shows a source for, and that `numpy.memmap` and
//! `numpy.load` read in a line each. Offsets are counted in ids; there is one more than documents.

use std::path::PathBuf;

use super::handoff::Handoff;
use super::out::{Out, Width};
use super::{Format, Layout, Place, Takes, TokenRow, TokenSink};
use crate::error::Result;
use crate::store::mmap::ScratchWriter;

/// The format.
pub struct Flat;

impl Format for Flat {
    fn name(&self) -> &'static str {
        "flat"
    }

    fn doc(&self) -> &'static str {
        "Ids of 32 bits in `tokens.bin` and where documents begin in `document_offsets.npy`: torchtitan, numpy."
    }

    fn takes(&self, _layout: Layout) -> Option<Takes> {
        super::tokens()
    }

    fn token_sink(&self, place: &Place) -> Result<Box<dyn TokenSink>> {
        let folder = place.dir.join(place.split.name()).join(&place.name);
        let tokens = Out::create(folder.join("tokens.bin"))?;
        let mut offsets = ScratchWriter::new(&folder, place.settings.memory);
        offsets.push(0)?;
        Ok(Box::new(Sink { folder, tokens, offsets, ids: 0 }))
    }

    fn usage(&self, handoff: &Handoff) -> String {
        let name = match handoff.settings.layout {
            Layout::Parts => handoff.groups.first().map_or("NAME".into(), |g| g.name.clone()),
            Layout::Stream => "stream".into(),
        };
        let mut text = format!(
            "```python\ntokens = np.memmap(\"train/{name}/tokens.bin\", dtype=np.uint32, mode=\"r\")\n\
             offsets = np.load(\"train/{name}/document_offsets.npy\")\n\
             first = tokens[offsets[0]:offsets[1]]\n```\n",
        );
        if handoff.settings.layout == Layout::Parts {
            text.push_str(
                "\nThe weights of each stage are in `mixture.json`: `token_share` for an engine that \
                 draws samples of one length (torchtitan's packed datasets), `row_share` for one \
                 that draws documents.\n",
            );
        }
        text
    }
}

struct Sink {
    folder: PathBuf,
    tokens: Out,
    offsets: ScratchWriter<u64>,
    ids: u64,
}

impl TokenSink for Sink {
    fn row(&mut self, row: &TokenRow<'_>) -> Result<()> {
        for length in row.lengths {
            self.ids += *length as u64;
            self.offsets.push(self.ids)?;
        }
        self.tokens.ids(row.ids, Width::Four)
    }

    fn finish(self: Box<Self>) -> Result<Option<u64>> {
        self.tokens.finish()?;
        let offsets = self.offsets.finish()?;
        let mut out = Out::create(self.folder.join("document_offsets.npy"))?;
        out.write(&npy_header(offsets.len()))?;
        for offset in offsets.iter() {
            out.write(&offset.to_le_bytes())?;
        }
        out.finish()?;
        Ok(None)
    }
}

/// The head of a one-dimensional array of 64-bit integers (NumPy's format, version 1.0).
fn npy_header(len: usize) -> Vec<u8> {
    let dict = format!("{{'descr': '<i8', 'fortran_order': False, 'shape': ({len},), }}");
    // Magic, version and length take ten bytes; the array begins at a multiple of 64.
    let width = (10 + dict.len() + 1).next_multiple_of(64) - 11;
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(((width + 1) as u16).to_le_bytes());
    bytes.extend(format!("{dict:<width$}\n").into_bytes());
    bytes
}
