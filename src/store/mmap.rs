//! Files mapped read-only into Arrow buffers.
//!
//! Nothing is copied and nothing is read until it is touched; the mapping lives as long as the
//! last buffer sliced from it. It does not guard against a file that another process shortens
//! while it is mapped (the operating system then ends us with SIGBUS): hexapla replaces files by
//! renaming and never shortens one in place.

#![allow(unsafe_code)]

use std::fs::File;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::Arc;

use arrow::buffer::Buffer;
use memmap2::Mmap;

use crate::error::{Error, Result};

/// The bytes of a file as a buffer over its mapping; an empty file gives an empty buffer.
///
/// The buffer starts at a page boundary, so offsets in the file keep their alignment in memory.
pub fn map(path: &Path) -> Result<Buffer> {
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    let length = file.metadata().map_err(|e| Error::io(path, e))?.len();
    if length == 0 {
        return Ok(Buffer::from_vec(Vec::<u8>::new()));
    }
    // SAFETY: the mapping is private to this process and read-only; files of hexapla are replaced
    // by rename and never written in place, so the bytes do not change under the slice.
    let mapping = unsafe { Mmap::map(&file) }.map_err(|e| Error::io(path, e))?;
    let owner = Arc::new(mapping);
    let bytes: &[u8] = &owner;
    let (start, length) = (NonNull::from(bytes).cast::<u8>(), bytes.len());
    // SAFETY: `start` points to `length` initialised bytes that stay mapped at this address until
    // `owner` is dropped, and the buffer holds `owner` until its last slice is gone.
    Ok(unsafe { Buffer::from_custom_allocation(start, length, owner) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_outlives_its_file_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bytes");
        std::fs::write(&path, b"hexapla").unwrap();
        let buffer = map(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let slice = buffer.slice_with_length(4, 3);
        drop(buffer);
        assert_eq!(slice.as_slice(), b"pla");
    }

    #[test]
    fn an_empty_file_is_an_empty_buffer() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("nothing");
        std::fs::write(&path, b"").unwrap();
        assert_eq!(map(&path).unwrap().len(), 0);
        assert!(map(&dir.path().join("absent")).is_err());
    }
}
