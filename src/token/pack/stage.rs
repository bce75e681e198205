//! What waits to be packed: the ids of all groups in one file without a name, and a narrow record of
//! each text that is sorted externally into the order of packing.
//!
//! Texts come in the order of their ids, hence in any order of groups, and are read again group by
//! group. So each group has stretches of the file of its own: reading one touches little else.

use std::fs::File;
use std::iter::Peekable;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::store::group::{Merge, Sorted, Sorter};
use crate::store::mmap::full;

/// Ids of a stretch, at least and at most.
const STRETCH: [usize; 2] = [1 << 10, 1 << 16];

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

    /// The piece in pieces of at most `room` ids, if it is of a document; each begins with the last
    /// `overlap` ids of the one before.
    pub fn cut(self, room: usize, overlap: usize) -> impl Iterator<Item = Piece> {
        let (room, overlap) = (room as u32, overlap as u32);
        let step = room - overlap;
        let count = match self.second {
            0 if self.first > room => (self.first - overlap).div_ceil(step),
            _ => 1,
        };
        (0..count).map(move |i| match count {
            1 => self,
            _ => Piece {
                start: self.start + u64::from(i) * u64::from(step),
                first: room.min(self.first - i * step),
                second: 0,
            },
        })
    }
}

/// A text that waits: its id, and where its ids are.
pub(super) struct Text {
    pub doc_id: u64,
    pub ids: Piece,
}

/// Takes the ids of texts.
pub(super) struct Stage {
    dir: PathBuf,
    file: File,
    /// Where the next stretch begins, counted in ids.
    end: u64,
    /// Ids of a stretch.
    capacity: usize,
    /// The open stretch of each group.
    open: Vec<Stretch>,
    bytes: Vec<u8>,
    order: Sorter<5>,
}

/// A part of the file that is one group's.
#[derive(Default)]
struct Stretch {
    start: u64,
    room: usize,
    ids: Vec<i32>,
}

impl Stage {
    /// An empty one for some groups, with files on the file system of `dir`, within about `memory`
    /// bytes.
    pub fn new(dir: &Path, groups: usize, memory: usize) -> Result<Self> {
        let file = tempfile::tempfile_in(dir).map_err(|e| Error::io(dir, e))?;
        let capacity =
            (memory / 4 / size_of::<i32>() / groups.max(1)).clamp(STRETCH[0], STRETCH[1]);
        Ok(Self {
            dir: dir.into(),
            file,
            end: 0,
            capacity,
            open: (0..groups).map(|_| Stretch::default()).collect(),
            bytes: Vec::new(),
            order: Sorter::new(dir, memory / 2),
        })
    }

    /// Takes a text of a group, or both sides of a pair; `key` and then `doc_id` decide its place.
    pub fn push(
        &mut self,
        group: usize,
        key: u64,
        doc_id: u64,
        first: &[i32],
        second: &[i32],
    ) -> Result<()> {
        let len = first.len() + second.len();
        if self.open[group].ids.len() + len > self.open[group].room {
            self.flush(group)?;
            let room = self.capacity.max(len);
            self.open[group].start = self.end;
            self.open[group].room = room;
            self.end += room as u64;
        }
        let stretch = &mut self.open[group];
        let start = stretch.start + stretch.ids.len() as u64;
        stretch.ids.extend_from_slice(first);
        stretch.ids.extend_from_slice(second);
        let piece = Piece { start, first: first.len() as u32, second: second.len() as u32 };
        let [start, lengths] = piece.words();
        self.order.push([group as u64, key, doc_id, start, lengths])
    }

    fn flush(&mut self, group: usize) -> Result<()> {
        let stretch = &mut self.open[group];
        self.bytes.clear();
        self.bytes.extend(stretch.ids.drain(..).flat_map(i32::to_le_bytes));
        self.file
            .write_all_at(&self.bytes, stretch.start * size_of::<i32>() as u64)
            .map_err(|e| full(&self.dir, e))
    }

    /// Ends the input.
    pub fn finish(mut self) -> Result<Staged> {
        for group in 0..self.open.len() {
            self.flush(group)?;
        }
        Ok(Staged { dir: self.dir, file: self.file, order: self.order.finish()? })
    }
}

/// Texts in the order of packing, group by group.
pub(super) struct Staged {
    dir: PathBuf,
    file: File,
    order: Sorted<5>,
}

impl Staged {
    /// The texts of all groups.
    pub fn texts(&self) -> Result<Texts<'_>> {
        Ok(Texts(self.order.iter()?.peekable()))
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

/// Reads texts group by group.
pub(super) struct Texts<'a>(Peekable<Merge<'a, 5>>);

impl Texts<'_> {
    /// The next text of a group; groups must be asked for in the order of their numbers, each until
    /// it has no more.
    pub fn next_of(&mut self, group: usize) -> Result<Option<Text>> {
        let ours = |record: &Result<[u64; 5]>| match record {
            Ok([of, ..]) => *of == group as u64,
            Err(_) => true,
        };
        let Some([_, _, doc_id, start, lengths]) = self.0.next_if(ours).transpose()? else {
            return Ok(None);
        };
        Ok(Some(Text { doc_id, ids: Piece::of([start, lengths]) }))
    }
}
