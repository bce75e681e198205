//! The `.bin` shards of llm.c (and of nanoGPT speed runs): a header of 256 integers of 32 bits, then
//! ids.
//!
//! The header has a magic number, a version and the number of ids, as `dev/data/data_common.py`
//! of llm.c writes it: 20240520 and version 1 for GPT-2 with ids of 16 bits, 20240801 and version 7
//! for Llama 3 with ids of 32 bits. A shard holds fewer than 2³¹ ids.

use std::path::PathBuf;

use super::handoff::Handoff;
use super::out::{Out, Width};
use super::{Format, Layout, Place, Takes, TokenRow, TokenSink};
use crate::error::Result;

/// Ids in a shard, as in llm.c's own data.
const SHARD: u64 = 100_000_000;

/// The format with one of its headers.
pub struct Llmc {
    name: &'static str,
    doc: &'static str,
    magic: i32,
    version: i32,
    width: Width,
}

/// What `train_gpt2` reads.
pub static GPT2: Llmc = Llmc {
    name: "llmc",
    doc: "Shards of llm.c for GPT-2: a header of 1,024 bytes, then ids of 16 bits.",
    magic: 20_240_520,
    version: 1,
    width: Width::Two,
};

/// What `train_llama3.py` reads.
pub static LLAMA3: Llmc = Llmc {
    name: "llmc-llama3",
    doc: "Shards of llm.c for Llama 3: a header of 1,024 bytes, then ids of 32 bits.",
    magic: 20_240_801,
    version: 7,
    width: Width::Four,
};

impl Format for Llmc {
    fn name(&self) -> &'static str {
        self.name
    }

    fn doc(&self) -> &'static str {
        self.doc
    }

    fn takes(&self, _layout: Layout) -> Option<Takes> {
        super::tokens()
    }

    fn ids_below(&self) -> u64 {
        match self.width {
            Width::Two => 1 << 16,
            Width::Four => 1 << 31,
        }
    }

    fn token_sink(&self, place: &Place) -> Result<Box<dyn TokenSink>> {
        Ok(Box::new(Sink {
            folder: place.dir.join(place.split.name()),
            name: place.name.clone(),
            header: [self.magic, self.version],
            width: self.width,
            limit: SHARD,
            shards: 0,
            open: None,
        }))
    }

    fn usage(&self, handoff: &Handoff) -> String {
        let mut text = String::from(
            "Shards are found by a pattern: `-i \"train/*.bin\" -j \"validation/*.bin\"`. llm.c wants \
             more ids in each shard than processes × batch × length, so the last shard of a small \
             language may have to be left out.\n",
        );
        if handoff.settings.layout == Layout::Parts {
            text.push_str(
                "\nllm.c has no weights: all shards are read alike, each document once an epoch, in \
                 the proportions that the languages have here. For the planned mixture export with \
                 `layout = \"stream\"`.\n",
            );
        }
        text
    }
}

struct Sink {
    folder: PathBuf,
    name: String,
    header: [i32; 2],
    width: Width,
    limit: u64,
    shards: u64,
    open: Option<(Out, u64)>,
}

impl Sink {
    fn close(&mut self) -> Result<()> {
        let Some((mut out, ids)) = self.open.take() else { return Ok(()) };
        out.patch(8, &(ids as i32).to_le_bytes())?;
        out.finish()
    }
}

impl TokenSink for Sink {
    fn row(&mut self, row: &TokenRow<'_>) -> Result<()> {
        let mut rest = row.ids;
        while !rest.is_empty() {
            if self.open.is_none() {
                let name = format!("{}_{:06}.bin", self.name, self.shards);
                let mut out = Out::create(self.folder.join(name))?;
                let mut header = [0i32; 256];
                header[..2].copy_from_slice(&self.header);
                out.ids(&header, Width::Four)?;
                self.open = Some((out, 0));
                self.shards += 1;
            }
            let Some((out, ids)) = &mut self.open else { continue };
            let some = rest.len().min((self.limit - *ids) as usize);
            out.ids(&rest[..some], self.width)?;
            *ids += some as u64;
            rest = &rest[some..];
            if *ids == self.limit {
                self.close()?;
            }
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<Option<u64>> {
        self.close()?;
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_shard_is_followed_by_another() {
        let dir = tempfile::tempdir().unwrap();
        let mut sink = Box::new(Sink {
            folder: dir.path().into(),
            name: "isl_Latn".into(),
            header: [20_240_520, 1],
            width: Width::Two,
            limit: 4,
            shards: 0,
            open: None,
        });
        for ids in [&[1, 2, 3][..], &[4, 5, 65_535]] {
            sink.row(&TokenRow { ids, lengths: &[3], group: "isl_Latn" }).unwrap();
        }
        sink.finish().unwrap();
        let shard = |n: usize| {
            let bytes = std::fs::read(dir.path().join(format!("isl_Latn_{n:06}.bin"))).unwrap();
            let (header, ids) = bytes.split_at(1024);
            let header: Vec<i32> =
                header.as_chunks::<4>().0.iter().map(|b| i32::from_le_bytes(*b)).collect();
            assert!(header[3..].iter().all(|n| *n == 0));
            let ids: Vec<u16> =
                ids.as_chunks::<2>().0.iter().map(|b| u16::from_le_bytes(*b)).collect();
            (header[..3].to_vec(), ids)
        };
        assert_eq!(shard(0), (vec![20_240_520, 1, 4], vec![1, 2, 3, 4]));
        assert_eq!(shard(1), (vec![20_240_520, 1, 2], vec![5, 65_535]));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
