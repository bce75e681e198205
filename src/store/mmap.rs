//! Files mapped into memory: read-only into Arrow buffers, and scratch arrays larger than memory.
//!
//! Nothing is copied and nothing is read until it is touched; the mapping lives as long as the
//! last buffer sliced from it. It does not guard against a file that another process shortens
//! while it is mapped (the operating system then ends us with SIGBUS): hexapla replaces files by
//! renaming and never shortens one in place.
//!
//! A [`Scratch`] is an array in a file without a name, which nobody else can open. Its pages can
//! be written out and dropped when memory is wanted elsewhere; all of its bytes are on the disk
//! before it is mapped, so that a full disk is an error and not the end of the process.
//!
//! What is left to such pages is what the rest of the process does not hold, so the allocator is
//! told here to give back what is freed: [`return_freed`].

#![allow(unsafe_code)]

use std::fs::File;
use std::io::Write;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::Arc;

use arrow::buffer::Buffer;
use memmap2::{Mmap, MmapMut};

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

mod sealed {
    pub trait Plain: Copy + Default + Send + Sync + 'static {}
    impl Plain for u8 {}
    impl Plain for u32 {}
    impl Plain for u64 {}
    impl Plain for f64 {}
    impl Plain for [u64; 2] {}
    impl Plain for [u64; 4] {}
}

/// Numbers without padding for which every pattern of bits is a value.
pub trait Plain: sealed::Plain {}
impl<T: sealed::Plain> Plain for T {}

/// An array of numbers of a fixed length, in memory when it is small and else in a mapped file
/// without a name.
pub struct Scratch<T: Plain>(Held<T>);

enum Held<T> {
    Memory(Vec<T>),
    Mapped(MmapMut, usize),
}

impl<T: Plain> Scratch<T> {
    /// `len` zeros, in memory up to `memory` bytes, else on the file system of `dir`.
    pub fn zeroed(dir: &Path, len: usize, memory: usize) -> Result<Self> {
        let bytes = len.saturating_mul(size_of::<T>());
        if bytes <= memory {
            return Ok(Self(Held::Memory(vec![T::default(); len])));
        }
        let mut file = unnamed(dir)?;
        let zeros = vec![0u8; bytes.min(1 << 20)];
        let mut left = bytes;
        while left > 0 {
            let some = left.min(zeros.len());
            file.write_all(&zeros[..some]).map_err(|e| full(dir, e))?;
            left -= some;
        }
        Self::map(dir, &file, len)
    }

    /// Maps a file that holds `len` numbers.
    fn map(dir: &Path, file: &File, len: usize) -> Result<Self> {
        // SAFETY: the file has no name and its only handle is ours, so nobody else can write to it
        // or shorten it.
        let mapping = unsafe { MmapMut::map_mut(file) }.map_err(|e| Error::io(dir, e))?;
        Ok(Self(Held::Mapped(mapping, len)))
    }
}

impl<T: Plain> Deref for Scratch<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match &self.0 {
            Held::Memory(values) => values,
            // SAFETY: the mapping begins at a page and holds `len` values, written before it was
            // made, and every pattern of bits is a value of a `Plain` type.
            Held::Mapped(map, len) => unsafe {
                std::slice::from_raw_parts(map.as_ptr().cast(), *len)
            },
        }
    }
}

impl<T: Plain> DerefMut for Scratch<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        match &mut self.0 {
            Held::Memory(values) => values,
            // SAFETY: as in `deref`, and the borrow of the mapping is exclusive.
            Held::Mapped(map, len) => unsafe {
                std::slice::from_raw_parts_mut(map.as_mut_ptr().cast(), *len)
            },
        }
    }
}

/// Takes the numbers of a [`Scratch`] one after the other.
pub struct ScratchWriter<T: Plain> {
    dir: PathBuf,
    memory: usize,
    buffer: Vec<T>,
    file: Option<File>,
    written: usize,
}

impl<T: Plain> ScratchWriter<T> {
    /// A writer that holds up to `memory` bytes, and beyond it writes to the file system of `dir`.
    pub fn new(dir: &Path, memory: usize) -> Self {
        Self { dir: dir.into(), memory, buffer: Vec::new(), file: None, written: 0 }
    }

    /// How many numbers there are.
    pub fn len(&self) -> usize {
        self.written + self.buffer.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes one number; errors when it cannot be written.
    pub fn push(&mut self, value: T) -> Result<()> {
        self.buffer.push(value);
        // A buffer that grows holds twice its length for a moment.
        if self.buffer.len() * size_of::<T>() * 2 > self.memory.max(1 << 12) {
            self.spill()
        } else {
            Ok(())
        }
    }

    /// Takes some numbers.
    pub fn extend(&mut self, values: &[T]) -> Result<()> {
        values.iter().try_for_each(|value| self.push(*value))
    }

    /// Ends the array.
    pub fn finish(mut self) -> Result<Scratch<T>> {
        if self.file.is_none() {
            return Ok(Scratch(Held::Memory(self.buffer)));
        }
        self.spill()?;
        match &self.file {
            Some(file) => Scratch::map(&self.dir, file, self.written),
            None => Err(Error::internal("a spilled array has no file")),
        }
    }

    fn spill(&mut self) -> Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(unnamed(&self.dir)?),
        };
        // SAFETY: the values of a `Plain` type have no padding, so all of their bytes are
        // initialised; the slice covers just them.
        let bytes = unsafe {
            std::slice::from_raw_parts(
                self.buffer.as_ptr().cast::<u8>(),
                size_of_val(self.buffer.as_slice()),
            )
        };
        file.write_all(bytes).map_err(|e| full(&self.dir, e))?;
        self.written += self.buffer.len();
        self.buffer.clear();
        Ok(())
    }
}

/// Makes the allocator give every large buffer back to the system as soon as it is freed.
///
/// glibc does so at first, but keeps buffers of up to 32 MB in its heaps, of which each thread has
/// its own, once it has seen some freed: under a limit of 128 MB, 200 MB stayed behind with nothing
/// in them. Other allocators do as they do.
pub fn return_freed() {
    // A threshold that is set is not raised any more; the second, of the end of a heap, has been by
    // then.
    allocator(&[(M_MMAP_THRESHOLD, 1 << 20), (M_TRIM_THRESHOLD, 128 << 10)]);
}

/// Makes the allocator keep what is freed for the next request, some 64 MB for each thread.
///
/// A training step asks for the same buffers as the one before. glibc gives the end of a heap back
/// to the system between the two, and the pages are made anew each time: a third of a step of a
/// small model.
pub fn keep_freed() {
    allocator(&[
        (M_MMAP_THRESHOLD, 32 << 20),
        (M_TRIM_THRESHOLD, 512 << 20),
        (M_TOP_PAD, 64 << 20),
    ]);
}

const M_MMAP_THRESHOLD: std::ffi::c_int = -3;
const M_TOP_PAD: std::ffi::c_int = -2;
const M_TRIM_THRESHOLD: std::ffi::c_int = -1;

/// Sets parameters of glibc's allocator; a refusal leaves things as they were.
fn allocator(settings: &[(std::ffi::c_int, std::ffi::c_int)]) {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        unsafe extern "C" {
            safe fn mallopt(parameter: std::ffi::c_int, value: std::ffi::c_int) -> std::ffi::c_int;
        }
        for (parameter, value) in settings {
            let _ = mallopt(*parameter, *value);
        }
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    let _ = settings;
}

/// A new file without a name on the file system of a folder.
pub(super) fn unnamed(dir: &Path) -> Result<File> {
    tempfile::tempfile_in(dir).map_err(|e| full(dir, e))
}

/// The error of writing a temporary file.
pub fn full(dir: &Path, error: std::io::Error) -> Error {
    let error = Error::io(dir, format!("writing a temporary file: {error}"));
    error.hint_with("set TMPDIR to a folder on a disk with room, or raise the memory limit")
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

    #[test]
    fn a_scratch_array_is_the_same_in_memory_and_in_a_file() {
        let dir = tempfile::tempdir().unwrap();
        for memory in [0, 1 << 20] {
            let mut array = Scratch::<u32>::zeroed(dir.path(), 5000, memory).unwrap();
            assert_eq!((array.len(), array[4999]), (5000, 0));
            array[4999] = 7;
            assert_eq!(array.iter().sum::<u32>(), 7);
            let mut writer = ScratchWriter::<[u64; 2]>::new(dir.path(), memory);
            (0..5000).for_each(|i| writer.push([i, i * i]).unwrap());
            let array = writer.finish().unwrap();
            assert_eq!((array.len(), array[0], array[4999]), (5000, [0, 0], [4999, 4999 * 4999]));
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        assert!(Scratch::<u64>::zeroed(dir.path(), 0, 0).unwrap().is_empty());
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error_with_advice() {
        let error = Scratch::<u64>::zeroed(Path::new("/nowhere/at/all"), 9, 0).err().unwrap();
        assert!(error.to_string().starts_with("/nowhere/at/all: "), "{error}");
        assert!(error.hint().is_some());
    }
}
