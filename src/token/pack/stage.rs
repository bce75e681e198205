//! What waits to be packed: the ids of a group in a file without a name, in the order in which they
//! came, and a narrow record of each text that is sorted externally into the order of packing.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::store::group::{Sorted, Sorter};
use crate::store::mmap::full;

/// What stays together in a row: a piece of a document, or both sides of a pair, whose ids lie one
/// after the other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Piece {
    /// Where its ids begin, counted in ids.
    start: u64,
    first: u32,
    /// Ids of the second side; 0 without one, as a side is never empty.
    second: u32,
}

impl Piece {
    /// Ids in its row: each side has one before and one after it.
    pub fn size(&self) -> usize {
        let sides = if self.second > 0 { 2 } else { 1 };
        (self.first + self.second) as usize + 2 * sides
    }

    /// As words of a record.
    pub fn words(&self) -> [u64; 2] {
        [self.start, u64::from(self.first) << 32 | u64::from(self.second)]
    }

    /// The piece of such words.
    pub fn of([start, lengths]: [u64; 2]) -> Self {
        Self { start, first: (lengths >> 32) as u32, second: lengths as u32 }
    }

    /// The piece in pieces of at most `room` ids, if it is of a document.
    fn cut(self, room: usize) -> impl Iterator<Item = Piece> {
        let (step, count) = match self.second {
            0 => (room.min(u32::MAX as usize) as u32, self.first.div_ceil(room as u32)),
            _ => (self.first, 1),
        };
        (0..count).map(move |i| Piece {
            start: self.start + u64::from(i) * u64::from(step),
            first: step.min(self.first - i * step),
            second: self.second,
        })
    }
}

/// Takes the ids of texts.
pub(super) struct Stage {
    dir: PathBuf,
    file: BufWriter<File>,
    bytes: Vec<u8>,
    ids: u64,
    order: Sorter<4>,
}

impl Stage {
    /// An empty one with files on the file system of `dir`, which sorts in `memory` bytes.
    pub fn new(dir: &Path, memory: usize) -> Result<Self> {
        let file = tempfile::tempfile_in(dir).map_err(|e| Error::io(dir, e))?;
        let file = BufWriter::with_capacity(1 << 20, file);
        Ok(Self {
            dir: dir.into(),
            file,
            bytes: Vec::new(),
            ids: 0,
            order: Sorter::new(dir, memory),
        })
    }

    /// Takes a text, or both sides of a pair; `key` and then `doc_id` decide its place.
    pub fn push(&mut self, key: u64, doc_id: u64, first: &[i32], second: &[i32]) -> Result<()> {
        let piece =
            Piece { start: self.ids, first: first.len() as u32, second: second.len() as u32 };
        self.bytes.clear();
        self.bytes.extend(first.iter().chain(second).flat_map(|id| id.to_le_bytes()));
        self.file.write_all(&self.bytes).map_err(|e| full(&self.dir, e))?;
        self.ids += (first.len() + second.len()) as u64;
        let [start, lengths] = piece.words();
        self.order.push([key, doc_id, start, lengths])
    }

    /// Ends the input.
    pub fn finish(self) -> Result<Staged> {
        let file = self.file.into_inner().map_err(|e| Error::io(&self.dir, e.error()))?;
        Ok(Staged { dir: self.dir, file, order: self.order.finish()? })
    }
}

/// Texts in the order of packing.
pub(super) struct Staged {
    dir: PathBuf,
    file: File,
    order: Sorted<4>,
}

impl Staged {
    /// Texts, pairs counted once.
    pub fn len(&self) -> u64 {
        self.order.len()
    }

    /// The pieces in order, those of documents of at most `room` ids.
    pub fn pieces(&self, room: usize) -> Result<impl Iterator<Item = Result<Piece>>> {
        Ok(self.order.iter()?.flat_map(move |record| {
            let (pieces, error) = match record {
                Ok([_, _, start, lengths]) => (Some(Piece::of([start, lengths]).cut(room)), None),
                Err(error) => (None, Some(Err(error))),
            };
            pieces.into_iter().flatten().map(Ok).chain(error)
        }))
    }

    /// The ids of both sides of a piece; the second is empty without one.
    pub fn ids(&self, piece: Piece) -> Result<(Vec<i32>, Vec<i32>)> {
        let mut bytes = vec![0; (piece.first + piece.second) as usize * 4];
        self.file
            .read_exact_at(&mut bytes, piece.start * 4)
            .map_err(|e| Error::io(&self.dir, e))?;
        let mut first: Vec<i32> =
            bytes.as_chunks::<4>().0.iter().map(|b| i32::from_le_bytes(*b)).collect();
        let second = first.split_off(piece.first as usize);
        Ok((first, second))
    }
}
