//! External sorting and grouping of narrow records of fixed width under a memory limit.
//!
//! A record is a few `u64` words, such as a 128-bit key and a row. Records collect in memory up to
//! the limit, are then sorted and spilled as a run, and the runs are merged on reading: memory does
//! not depend on how the keys are distributed. Spill files have no name in the file system, so
//! nothing is left behind, not even by a kill. The result is a function of the records alone, not
//! of the order they came in or of the limit.
//!
//! No wide records, no text, no removal of duplicates: equal records are all kept.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use rayon::slice::ParallelSliceMut;

use super::mmap::{full, unnamed};
use crate::error::{Error, Result};

/// The least memory that a sorter works in; less is raised to it.
pub const MIN_MEMORY: usize = 1 << 20;
/// Runs merged at once; more are first merged into longer runs, which bounds open files.
const FAN_IN: usize = 128;
/// What each run under a merge holds in memory, at most.
const READ_BYTES: usize = 256 << 10;

/// Takes records of `W` words in any order.
pub struct Sorter<const W: usize> {
    dir: PathBuf,
    memory: usize,
    buffer: Vec<[u64; W]>,
    runs: Vec<Run>,
    len: u64,
}

/// Records in ascending order, word by word; may be read any number of times.
pub struct Sorted<const W: usize> {
    dir: PathBuf,
    memory: usize,
    last: Vec<[u64; W]>,
    runs: Vec<Run>,
    len: u64,
}

/// One spilled run: sorted records as little-endian words.
struct Run {
    file: File,
    records: u64,
}

impl<const W: usize> Sorter<W> {
    /// A sorter that spills to unnamed files on the file system of `dir` and holds at most `memory`
    /// bytes of records.
    pub fn new(dir: &Path, memory: usize) -> Self {
        let memory = memory.max(MIN_MEMORY);
        Self { dir: dir.into(), memory, buffer: Vec::new(), runs: Vec::new(), len: 0 }
    }

    /// Takes one record; errors when a run cannot be written.
    pub fn push(&mut self, record: [u64; W]) -> Result<()> {
        if self.buffer.len() == self.buffer.capacity() {
            self.grow()?;
        }
        self.buffer.push(record);
        self.len += 1;
        Ok(())
    }

    /// Ends the input.
    pub fn finish(mut self) -> Result<Sorted<W>> {
        if self.runs.is_empty() {
            self.buffer.par_sort_unstable();
        } else {
            // What is read next needs the memory: the last run leaves it too.
            self.spill()?;
            self.buffer = Vec::new();
        }
        while self.runs.len() > FAN_IN {
            let mut longer = Vec::new();
            for some in self.runs.chunks(FAN_IN) {
                let mut writer = RunWriter::create(&self.dir)?;
                for record in Merge::<W>::new(&self.dir, some, &[], self.memory)? {
                    writer.push(record?)?;
                }
                longer.push(writer.finish()?);
            }
            self.runs = longer;
        }
        let Self { dir, memory, buffer, runs, len } = self;
        Ok(Sorted { dir, memory, last: buffer, runs, len })
    }

    /// Makes room for more records, by memory while there is some left, else by spilling.
    fn grow(&mut self) -> Result<()> {
        let limit = (self.memory / size_of::<[u64; W]>()).max(1);
        let held = self.buffer.len();
        if held < limit {
            // Doubling needs the old and the new buffer at once, hence the last step at a half.
            let more = if held * 4 >= limit { limit } else { (held * 2).max(1024).min(limit) };
            self.buffer.reserve_exact(more - held);
            return Ok(());
        }
        self.spill()
    }

    fn spill(&mut self) -> Result<()> {
        self.buffer.par_sort_unstable();
        let mut writer = RunWriter::create(&self.dir)?;
        for record in self.buffer.drain(..) {
            writer.push(record)?;
        }
        self.runs.push(writer.finish()?);
        Ok(())
    }
}

impl<const W: usize> Sorted<W> {
    /// How many records there are.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether any record left memory.
    pub fn spilled(&self) -> bool {
        !self.runs.is_empty()
    }

    /// The records in ascending order; errors when a run cannot be read.
    pub fn iter(&self) -> Result<Merge<'_, W>> {
        Merge::new(&self.dir, &self.runs, &self.last, self.memory)
    }

    /// The records in groups with the same first `key` words, in ascending order of key.
    pub fn groups(&self, key: usize) -> Result<Groups<'_, W>> {
        Ok(Groups { records: self.iter()?, key: key.min(W), next: None })
    }
}

/// Reads sorted runs and the part that stayed in memory as one ascending sequence.
pub struct Merge<'a, const W: usize> {
    dir: &'a Path,
    readers: Vec<Reader<'a>>,
    last: std::slice::Iter<'a, [u64; W]>,
    /// The least unread record of each source; the place breaks ties, so the order is total.
    heads: BinaryHeap<Reverse<([u64; W], usize)>>,
    failed: bool,
}

impl<'a, const W: usize> Merge<'a, W> {
    fn new(dir: &'a Path, runs: &'a [Run], last: &'a [[u64; W]], memory: usize) -> Result<Self> {
        let width = W * 8;
        let share = (memory / (runs.len() + 1)).clamp(4096, READ_BYTES) / width * width;
        let readers = runs.iter().map(|run| Reader::new(run, width, share.max(width))).collect();
        let heads = BinaryHeap::with_capacity(runs.len() + 1);
        let mut merge = Self { dir, readers, last: last.iter(), heads, failed: false };
        for source in 0..=runs.len() {
            if let Some(record) = merge.read(source)? {
                merge.heads.push(Reverse((record, source)));
            }
        }
        Ok(merge)
    }

    fn read(&mut self, source: usize) -> Result<Option<[u64; W]>> {
        match self.readers.get_mut(source) {
            Some(reader) => reader
                .next()
                .map_err(|e| Error::io(self.dir, format!("reading a temporary file: {e}"))),
            None => Ok(self.last.next().copied()),
        }
    }
}

impl<const W: usize> Iterator for Merge<'_, W> {
    type Item = Result<[u64; W]>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let Reverse((record, source)) = self.heads.pop()?;
        match self.read(source) {
            Ok(Some(next)) => self.heads.push(Reverse((next, source))),
            Ok(None) => {}
            Err(error) => {
                self.failed = true;
                return Some(Err(error));
            }
        }
        Some(Ok(record))
    }
}

/// Groups of records with an equal key.
pub struct Groups<'a, const W: usize> {
    records: Merge<'a, W>,
    key: usize,
    next: Option<[u64; W]>,
}

impl<const W: usize> Iterator for Groups<'_, W> {
    type Item = Result<Vec<[u64; W]>>;

    fn next(&mut self) -> Option<Self::Item> {
        let first = match self.next.take() {
            Some(record) => record,
            None => match self.records.next()? {
                Ok(record) => record,
                Err(error) => return Some(Err(error)),
            },
        };
        let mut group = vec![first];
        loop {
            match self.records.next() {
                Some(Ok(record)) if record[..self.key] == first[..self.key] => group.push(record),
                Some(Ok(record)) => {
                    self.next = Some(record);
                    return Some(Ok(group));
                }
                Some(Err(error)) => return Some(Err(error)),
                None => return Some(Ok(group)),
            }
        }
    }
}

/// Looks records up by their first word, asked for in ascending order.
pub struct Along<'a, const W: usize> {
    records: Merge<'a, W>,
    next: Option<[u64; W]>,
}

impl<'a, const W: usize> Along<'a, W> {
    /// Begins before the first record.
    pub fn new(sorted: &'a Sorted<W>) -> Result<Self> {
        let mut records = sorted.iter()?;
        let next = records.next().transpose()?;
        Ok(Self { records, next })
    }

    /// The first record with that first word; those of lesser ones are passed over for good.
    pub fn at(&mut self, key: u64) -> Result<Option<[u64; W]>> {
        while self.next.is_some_and(|next| next[0] < key) {
            self.next = self.records.next().transpose()?;
        }
        Ok(self.next.filter(|next| next[0] == key))
    }
}

struct RunWriter {
    dir: PathBuf,
    file: BufWriter<File>,
    records: u64,
}

impl RunWriter {
    fn create(dir: &Path) -> Result<Self> {
        let file = unnamed(dir)?;
        Ok(Self { dir: dir.into(), file: BufWriter::with_capacity(READ_BYTES, file), records: 0 })
    }

    fn push<const W: usize>(&mut self, record: [u64; W]) -> Result<()> {
        self.records += 1;
        for word in record {
            self.file.write_all(&word.to_le_bytes()).map_err(|e| full(&self.dir, e))?;
        }
        Ok(())
    }

    fn finish(self) -> Result<Run> {
        let file = self.file.into_inner().map_err(|e| full(&self.dir, e.into_error()))?;
        Ok(Run { file, records: self.records })
    }
}

struct Reader<'a> {
    file: &'a File,
    width: usize,
    /// Bytes of the file that have not been read into the buffer yet, and where they begin.
    left: u64,
    offset: u64,
    buffer: Vec<u8>,
    at: usize,
    share: usize,
}

impl<'a> Reader<'a> {
    fn new(run: &'a Run, width: usize, share: usize) -> Self {
        let left = run.records * width as u64;
        Self { file: &run.file, width, left, offset: 0, buffer: Vec::new(), at: 0, share }
    }

    fn next<const W: usize>(&mut self) -> std::io::Result<Option<[u64; W]>> {
        if self.at == self.buffer.len() {
            if self.left == 0 {
                return Ok(None);
            }
            let bytes = self.left.min(self.share as u64);
            self.buffer.resize(bytes as usize, 0);
            // Reading at a place leaves the file without a position, so readers can share it.
            std::os::unix::fs::FileExt::read_exact_at(self.file, &mut self.buffer, self.offset)?;
            self.offset += bytes;
            self.left -= bytes;
            self.at = 0;
        }
        let mut record = [0; W];
        let bytes = &self.buffer[self.at..self.at + self.width];
        for (word, bytes) in record.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        self.at += self.width;
        Ok(Some(record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sorted<const W: usize>(records: &[[u64; W]], memory: usize) -> Sorted<W> {
        let mut sorter = Sorter::new(&std::env::temp_dir(), 0);
        // Below the public minimum, so that a few records already spill.
        sorter.memory = memory;
        for record in records {
            sorter.push(*record).unwrap();
        }
        sorter.finish().unwrap()
    }

    proptest! {
        #[test]
        fn groups_are_those_of_memory(
            records in prop::collection::vec([0u64..40, 0u64..9], 0..600),
            memory in 16usize..4000,
        ) {
            let mut expected = records.clone();
            expected.sort();
            let spilled = sorted(&records, memory);
            prop_assert_eq!(spilled.len(), records.len() as u64);
            for _ in 0..2 {
                let read: Vec<[u64; 2]> = spilled.iter().unwrap().map(|r| r.unwrap()).collect();
                prop_assert_eq!(&read, &expected);
            }
            let groups: Vec<Vec<[u64; 2]>> = spilled.groups(1).unwrap().map(|g| g.unwrap()).collect();
            let naive: Vec<Vec<[u64; 2]>> =
                expected.chunk_by(|a, b| a[0] == b[0]).map(<[_]>::to_vec).collect();
            prop_assert_eq!(groups, naive);
            let mut along = Along::new(&spilled).unwrap();
            for key in 0..40 {
                let first = expected.iter().find(|record| record[0] == key).copied();
                prop_assert_eq!(along.at(key).unwrap(), first);
            }
        }
    }

    #[test]
    fn more_runs_than_the_fan_in_are_merged_in_steps() {
        let records: Vec<[u64; 1]> = (0..1000).map(|i| [crate::id::keyed(i, 3)]).collect();
        let mut expected = records.clone();
        expected.sort();
        let spilled = sorted(&records, 24);
        assert!(spilled.spilled() && spilled.runs.len() <= FAN_IN);
        let read: Vec<[u64; 1]> = spilled.iter().unwrap().map(|r| r.unwrap()).collect();
        assert_eq!(read, expected);
    }

    #[test]
    fn no_file_is_ever_visible() {
        let dir = tempfile::tempdir().unwrap();
        let mut sorter = Sorter::<1>::new(dir.path(), 0);
        sorter.memory = 64;
        for i in 0..100 {
            sorter.push([i]).unwrap();
        }
        assert!(!sorter.runs.is_empty());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error_and_no_panic() {
        let mut sorter = Sorter::<1>::new(Path::new("/nowhere/at/all"), 0);
        sorter.memory = 8;
        let failed = (0..3).map(|i| sorter.push([i])).find_map(Result::err).unwrap();
        assert!(failed.to_string().starts_with("/nowhere/at/all: "), "{failed}");
    }
}
