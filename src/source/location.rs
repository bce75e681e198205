//! Where the bytes of a file lie: a file, a member of a zip archive, an object, standard input.
//!
//! Gives bytes as they are stored in the file or the archive; compression below that is the
//! business of `decompress`.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use xxhash_rust::xxh3::Xxh3;

use super::archive::Member;
use crate::error::{Error, Result, refused};
use crate::id;
use crate::store::remote::{self, Entry};

/// A stream of bytes that can be handed to a thread.
pub type Bytes = Box<dyn BufRead + Send>;

/// Bytes that are read from the system at once.
pub const BUFFER: usize = 128 << 10;

/// Where the bytes of a file lie.
#[derive(Debug, Clone, Default)]
pub enum Location {
    /// A file.
    File(PathBuf),
    /// A member of a zip archive.
    Member(Arc<Member>),
    /// An object of an object store or a web server.
    Remote(Arc<Entry>),
    /// Standard input, as a file that has no name.
    #[default]
    Stdin,
}

/// What stands for standard input where a path is expected.
pub const STDIN: &str = "-";

/// Standard input, spooled to a file without a name: it is read more than once.
fn stdin() -> Result<&'static File> {
    static SPOOLED: OnceLock<File> = OnceLock::new();
    if let Some(file) = SPOOLED.get() {
        return Ok(file);
    }
    let io = |e| Error::io("standard input", e);
    let mut file = tempfile::tempfile().map_err(io)?;
    io::copy(&mut io::stdin().lock(), &mut file).map_err(io)?;
    Ok(SPOOLED.get_or_init(|| file))
}

/// A reader of a file that others read too, each from the beginning.
struct Shared {
    file: &'static File,
    at: u64,
}

impl Read for Shared {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = std::os::unix::fs::FileExt::read_at(self.file, buf, self.at)?;
        self.at += n as u64;
        Ok(n)
    }
}

impl From<&Path> for Location {
    fn from(path: &Path) -> Self {
        Self::File(path.into())
    }
}

/// A file with random access; a temporary one where the bytes lie elsewhere.
#[derive(Debug)]
pub enum Local {
    /// The file itself.
    Itself(PathBuf),
    /// A copy that vanishes with this value.
    Copy(tempfile::NamedTempFile),
}

impl Local {
    /// Its path.
    pub fn path(&self) -> &Path {
        match self {
            Self::Itself(path) => path,
            Self::Copy(file) => file.path(),
        }
    }
}

impl Location {
    /// The file on disk, of a member the archive.
    pub fn path(&self) -> &Path {
        match self {
            Self::File(path) => path,
            Self::Member(member) => member.archive.path(),
            Self::Remote(entry) => Path::new(remote::shown(&entry.url)),
            Self::Stdin => Path::new("standard input"),
        }
    }

    /// Its bytes; `counted` grows by those that are read from disk.
    pub fn open(&self, counted: Arc<AtomicU64>) -> Result<Bytes> {
        let io = |e| Error::io(self.path(), e);
        match self {
            Self::Stdin => {
                Ok(buffered(Counted { inner: Shared { file: stdin()?, at: 0 }, counted }))
            }
            Self::File(path) => {
                Ok(buffered(Counted { inner: File::open(path).map_err(io)?, counted }))
            }
            Self::Remote(entry) => {
                Ok(buffered(Counted { inner: remote::open(&entry.url)?, counted }))
            }
            Self::Member(member) => {
                let mut file = File::open(member.archive.path()).map_err(io)?;
                file.seek(SeekFrom::Start(member.begin)).map_err(io)?;
                let inner = Counted { inner: file, counted }.take(member.stored);
                member.decode(buffered(inner)).map_err(io)
            }
        }
    }

    /// A file with these bytes that can be read at any place.
    pub fn local(&self) -> Result<Local> {
        match self {
            Self::File(path) => Ok(Local::Itself(path.clone())),
            Self::Remote(entry) => remote::fetch(&entry.url).map(Local::Copy),
            Self::Member(_) | Self::Stdin => {
                let io = |e| Error::io(self.path(), e);
                let mut copy = tempfile::NamedTempFile::new().map_err(io)?;
                let mut bytes = self.open(Arc::default())?;
                io::copy(&mut bytes, copy.as_file_mut()).map_err(io)?;
                copy.flush().map_err(io)?;
                Ok(Local::Copy(copy))
            }
        }
    }

    /// Its first bytes, at most `n`; fewer where it is shorter or damaged.
    pub fn head(&self, n: usize) -> Result<Vec<u8>> {
        let mut head = Vec::with_capacity(n);
        match self.open(Arc::default())?.take(n as u64).read_to_end(&mut head) {
            Err(e) if refused(&e) => Err(Error::reading(self.path(), e)),
            _ => Ok(head),
        }
    }

    /// The number of its bytes on disk and their xxh3-128; of a member, of its compressed bytes;
    /// of an object, what its store says changes with its content.
    pub fn hash(&self) -> Result<(u64, String)> {
        let io = |e| Error::reading(self.path(), e);
        let (mut hash, mut bytes, mut buffer) = (Xxh3::new(), 0, vec![0; 1 << 20]);
        let mut stored: Box<dyn Read> = match self {
            Self::Remote(entry) => match &entry.etag {
                Some(etag) => return Ok((entry.size, id::hex128(id::hash128(etag.as_bytes())))),
                None => Box::new(remote::open(&entry.url)?),
            },
            Self::File(path) => Box::new(File::open(path).map_err(io)?),
            Self::Stdin => Box::new(Shared { file: stdin()?, at: 0 }),
            Self::Member(member) => {
                hash.update(&member.method.to_le_bytes());
                let mut file = File::open(member.archive.path()).map_err(io)?;
                file.seek(SeekFrom::Start(member.begin)).map_err(io)?;
                Box::new(file.take(member.stored))
            }
        };
        loop {
            match stored.read(&mut buffer) {
                Ok(0) => return Ok((bytes, id::hex128(hash.digest128()))),
                Ok(n) => {
                    hash.update(&buffer[..n]);
                    bytes += n as u64;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(io(e)),
            }
        }
    }
}

fn buffered(inner: impl Read + Send + 'static) -> Bytes {
    Box::new(BufReader::with_capacity(BUFFER, inner))
}

/// A reader that adds what it read to a counter.
struct Counted<R> {
    inner: R,
    counted: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buf)?;
        self.counted.fetch_add(n as u64, Relaxed);
        Ok(n)
    }
}
