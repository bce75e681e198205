//! A file that is there whole or not at all: written under a temporary name, synced, renamed.
//!
//! A link stays a link and its target is replaced; a pipe or a device, `/dev/stdout` among them,
//! is written to as it is: what reads it gets the beginning of what fails later.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::TempPath;

use super::manifest::{open_to_all, sync_dir};
use crate::error::{Error, Result};

/// A file being written; dropped before [`WholeFile::commit`], it leaves nothing behind.
pub struct WholeFile {
    path: PathBuf,
    out: BufWriter<File>,
    temp: Option<TempPath>,
}

impl WholeFile {
    /// Begins a file; its folder is created.
    pub fn create(path: &Path) -> Result<Self> {
        // `/dev/stdout` leads to whatever file it is, which has its place already.
        let device = ["/dev", "/proc"].iter().any(|place| path.starts_with(place));
        let link = path.is_symlink() && !device;
        let target = if link { fs::canonicalize(path).ok() } else { None };
        let path = target.unwrap_or_else(|| path.to_path_buf());
        if path.is_dir() {
            return Err(Error::usage(format!("{}: a folder, not a file", path.display())));
        }
        if device || fs::metadata(&path).is_ok_and(|m| !m.is_file()) {
            let file = File::options().append(true).open(&path).map_err(|e| Error::io(&path, e))?;
            return Ok(Self { path, out: BufWriter::new(file), temp: None });
        }
        let dir = folder(&path);
        fs::create_dir_all(dir).map_err(|e| Error::io(dir, e))?;
        let temp = tempfile::Builder::new().prefix(".tmp-").tempfile_in(dir);
        let (file, temp) = temp.map_err(|e| Error::io(dir, e))?.into_parts();
        Ok(Self { path, out: BufWriter::new(file), temp: Some(temp) })
    }

    /// Puts the file in its place, durably.
    pub fn commit(mut self) -> Result<()> {
        let path = self.path;
        self.out.flush().map_err(|e| Error::io(&path, e))?;
        let Some(temp) = self.temp else { return Ok(()) };
        self.out.get_ref().sync_all().map_err(|e| Error::io(&path, e))?;
        temp.persist(&path).map_err(|e| Error::io(&path, e.error))?;
        open_to_all(&path)?;
        sync_dir(folder(&path))
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Where a file lies; a bare file name has the empty path for its folder.
fn folder(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_given_up_leaves_what_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/out.csv");
        let mut file = WholeFile::create(&path).unwrap();
        file.write_all("fyrst".as_bytes()).unwrap();
        assert!(!path.exists());
        file.commit().unwrap();
        let mut file = WholeFile::create(&path).unwrap();
        file.write_all(&[b'x'; 100_000]).unwrap();
        drop(file);
        assert_eq!(fs::read(&path).unwrap(), "fyrst".as_bytes());
        assert_eq!(fs::read_dir(dir.path().join("new")).unwrap().count(), 1);
        let error = WholeFile::create(dir.path()).map(|_| ()).unwrap_err();
        assert!(error.to_string().ends_with("a folder, not a file"), "{error}");
    }
}
