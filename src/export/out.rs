//! Files being written: buffered, synced at their end, and with errors that name them.
//!
//! They lie in a folder that takes its place as a whole, so that none has a temporary name.

use std::fs::{self, File};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Bytes that wait to be written.
const BUFFER: usize = 128 << 10;

/// How many bytes an id takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    /// Unsigned, 16 bits.
    Two,
    /// 32 bits.
    Four,
}

impl Width {
    /// Bytes.
    pub fn bytes(self) -> usize {
        match self {
            Width::Two => 2,
            Width::Four => 4,
        }
    }
}

/// A file on its way.
pub(super) struct Out {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Out {
    /// Begins a file; its folder is created.
    pub fn create(path: PathBuf) -> Result<Self> {
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir).map_err(|e| Error::io(dir, e))?;
        }
        let file = File::create(&path).map_err(|e| Error::io(&path, e))?;
        Ok(Self { path, file: BufWriter::with_capacity(BUFFER, file) })
    }

    /// Appends bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|e| Error::io(&self.path, e))
    }

    /// Appends ids, least byte first.
    pub fn ids(&mut self, ids: &[i32], width: Width) -> Result<()> {
        write_ids(&mut self.file, ids, width).map_err(|e| Error::io(&self.path, e))
    }

    /// Appends what waited.
    pub fn append(&mut self, spool: Spool) -> Result<()> {
        let dir = spool.dir;
        let mut from = spool.file.into_inner().map_err(|e| Error::io(&dir, e.error()))?;
        from.seek(SeekFrom::Start(0)).map_err(|e| Error::io(&dir, e))?;
        io::copy(&mut from, &mut self.file).map_err(|e| Error::io(&self.path, e))?;
        Ok(())
    }

    /// Overwrites bytes at a place that was written before, and goes on at the end.
    pub fn patch(&mut self, at: u64, bytes: &[u8]) -> Result<()> {
        let file = &mut self.file;
        let patched = file
            .seek(SeekFrom::Start(at))
            .and_then(|_| file.write_all(bytes))
            .and_then(|()| file.seek(SeekFrom::End(0)));
        patched.map(|_| ()).map_err(|e| Error::io(&self.path, e))
    }

    /// Ends the file, durably.
    pub fn finish(mut self) -> Result<()> {
        let ended = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        ended.map_err(|e| Error::io(&self.path, e))
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// What waits until the header before it is known, in a file without a name.
pub(super) struct Spool {
    dir: PathBuf,
    file: BufWriter<File>,
    bytes: u64,
}

impl Spool {
    /// An empty one on the file system of a folder, which is created.
    pub fn new(dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir).map_err(|e| Error::io(dir, e))?;
        let file = tempfile::tempfile_in(dir).map_err(|e| Error::io(dir, e))?;
        Ok(Self { dir: dir.into(), file: BufWriter::with_capacity(BUFFER, file), bytes: 0 })
    }

    /// Appends ids of 32 bits.
    pub fn ids(&mut self, ids: &[i32]) -> Result<()> {
        self.bytes += ids.len() as u64 * 4;
        write_ids(&mut self.file, ids, Width::Four).map_err(|e| Error::io(&self.dir, e))
    }

    /// Bytes so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// A whole small file.
pub(super) fn write_file(path: PathBuf, bytes: &[u8]) -> Result<()> {
    let mut out = Out::create(path)?;
    out.write(bytes)?;
    out.finish()
}

fn write_ids(to: &mut impl Write, ids: &[i32], width: Width) -> io::Result<()> {
    ids.iter().try_for_each(|id| match width {
        Width::Two => to.write_all(&(*id as u16).to_le_bytes()),
        Width::Four => to.write_all(&id.to_le_bytes()),
    })
}
