//! The seam to c10d: a store, a group that sums, buckets of gradients. Safe handles over C++.
//!
//! A wait takes a limit and says whether it was enough, so that nobody ever waits for the dead.
#![allow(unsafe_code)]

use std::ffi::{CString, c_char, c_int, c_void};
use std::time::Duration;

use tch::Tensor;
use torch_sys::C_tensor;

use super::{check, pointers};
use crate::error::{Error, Result};

unsafe extern "C" {
    fn hexapla_store_open(
        host: *const c_char,
        port: u16,
        server: c_int,
        millis: i64,
        out: *mut *mut c_void,
    ) -> *const c_char;
    fn hexapla_store_set(
        store: *mut c_void,
        key: *const c_char,
        value: *const c_char,
    ) -> *const c_char;
    fn hexapla_store_get(
        store: *mut c_void,
        key: *const c_char,
        into: *mut u8,
        room: i64,
        length: *mut i64,
    ) -> *const c_char;
    fn hexapla_store_free(store: *mut c_void);
    fn hexapla_group_join(
        store: *mut c_void,
        prefix: *const c_char,
        host: *const c_char,
        rank: c_int,
        size: c_int,
        out: *mut *mut c_void,
    ) -> *const c_char;
    fn hexapla_group_free(group: *mut c_void);
    fn hexapla_group_sum(
        group: *mut c_void,
        tensor: *const C_tensor,
        out: *mut *mut c_void,
    ) -> *const c_char;
    fn hexapla_work_wait(work: *mut c_void, millis: i64, done: *mut c_int) -> *const c_char;
    fn hexapla_work_free(work: *mut c_void);
    fn hexapla_buckets_new(
        group: *mut c_void,
        parameters: *const *const C_tensor,
        count: c_int,
        cap: i64,
        out: *mut *mut c_void,
    ) -> *const c_char;
    fn hexapla_buckets_arm(buckets: *mut c_void) -> *const c_char;
    fn hexapla_buckets_finish(buckets: *mut c_void) -> *const c_char;
    fn hexapla_buckets_wait(buckets: *mut c_void, millis: i64, done: *mut c_int) -> *const c_char;
    fn hexapla_buckets_free(buckets: *mut c_void);
}

/// A connection to the store that the ranks meet in.
pub struct Store(*mut c_void);

// SAFETY: c10d's store guards each of its connections with a mutex.
unsafe impl Send for Store {}
// SAFETY: the same.
unsafe impl Sync for Store {}

impl Store {
    /// Connects, and serves the store when told to. Errors when nobody answers in time.
    pub fn open(host: &str, port: u16, serve: bool, limit: Duration) -> Result<Self> {
        let host = text(host)?;
        let mut out = std::ptr::null_mut();
        // SAFETY: the string outlives the call, and `out` is written before it is read.
        check(unsafe {
            hexapla_store_open(host.as_ptr(), port, serve.into(), millis(limit), &mut out)
        })?;
        Ok(Self(out))
    }

    /// Sets the value of a key.
    pub fn set(&self, key: &str, value: &str) -> Result<()> {
        let (key, value) = (text(key)?, text(value)?);
        // SAFETY: the handle is alive, the strings outlive the call.
        check(unsafe { hexapla_store_set(self.0, key.as_ptr(), value.as_ptr()) })
    }

    /// The value of a key, none where there is none yet; cut to 4,096 bytes.
    pub fn get(&self, key: &str) -> Result<Option<String>> {
        let key = text(key)?;
        let mut bytes = vec![0u8; 4096];
        let mut length = -1;
        // SAFETY: at most `room` bytes are written into the buffer, which outlives the call.
        check(unsafe {
            let room = bytes.len() as i64;
            hexapla_store_get(self.0, key.as_ptr(), bytes.as_mut_ptr(), room, &mut length)
        })?;
        let Ok(length) = usize::try_from(length) else { return Ok(None) };
        Ok(Some(String::from_utf8_lossy(&bytes[..length]).into_owned()))
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // SAFETY: the handle is freed once.
        unsafe { hexapla_store_free(self.0) }
    }
}

/// Processes that sum tensors.
pub struct Group(*mut c_void);

// SAFETY: c10d's groups take operations from any thread; ours come from the trainer's alone.
unsafe impl Send for Group {}
// SAFETY: the same.
unsafe impl Sync for Group {}

impl Group {
    /// Joins the group of a store; `host` is the address to be reached at, empty for the
    /// machine's own.
    pub fn join(store: &Store, prefix: &str, host: &str, rank: usize, size: usize) -> Result<Self> {
        let (prefix, host) = (text(prefix)?, text(host)?);
        let mut out = std::ptr::null_mut();
        // SAFETY: the store is alive, the strings outlive the call, `out` is written first.
        check(unsafe {
            let (rank, size) = (rank as c_int, size as c_int);
            hexapla_group_join(store.0, prefix.as_ptr(), host.as_ptr(), rank, size, &mut out)
        })?;
        Ok(Self(out))
    }

    /// Begins to sum a contiguous tensor over all ranks, in place.
    pub fn sum(&self, tensor: &Tensor) -> Result<Pending> {
        let mut out = std::ptr::null_mut();
        // SAFETY: the handle is alive; the other side holds the tensor's storage until it is done.
        check(unsafe { hexapla_group_sum(self.0, tensor.as_ptr(), &mut out) })?;
        Ok(Pending(out))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // SAFETY: the handle is freed once.
        unsafe { hexapla_group_free(self.0) }
    }
}

/// Something that comes to an end, or fails.
pub trait Awaited {
    /// Waits so long, and tells whether it is over.
    fn wait(&mut self, limit: Duration) -> Result<bool>;
}

/// A sum that has begun.
pub struct Pending(*mut c_void);

impl Awaited for Pending {
    fn wait(&mut self, limit: Duration) -> Result<bool> {
        let mut done = 0;
        // SAFETY: the handle is alive, `done` is written before it is read.
        check(unsafe { hexapla_work_wait(self.0, millis(limit), &mut done) })?;
        Ok(done != 0)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        // SAFETY: the handle is freed once; c10d keeps what it still works on.
        unsafe { hexapla_work_free(self.0) }
    }
}

/// Gradients in buckets that are summed over all ranks while the backward pass runs.
pub struct Buckets {
    handle: *mut c_void,
    // The buckets point at it.
    _group: std::sync::Arc<Group>,
}

impl Buckets {
    /// Buckets of at most `cap` numbers for parameters, which are watched from now on.
    pub fn new(group: std::sync::Arc<Group>, parameters: &[&Tensor], cap: usize) -> Result<Self> {
        let p = pointers(parameters);
        let mut out = std::ptr::null_mut();
        // SAFETY: as many valid pointers as are counted; the other side keeps handles of its own
        // to the tensors, and the group outlives the buckets, which hold it.
        check(unsafe {
            hexapla_buckets_new(group.0, p.as_ptr(), p.len() as c_int, cap as i64, &mut out)
        })?;
        Ok(Self { handle: out, _group: group })
    }

    /// Announces the last backward pass of a step: gradients are sent as they come.
    pub fn arm(&self) -> Result<()> {
        // SAFETY: the handle is alive.
        check(unsafe { hexapla_buckets_arm(self.handle) })
    }

    /// Sends what the backward pass did not reach.
    pub fn finish(&self) -> Result<()> {
        // SAFETY: the handle is alive.
        check(unsafe { hexapla_buckets_finish(self.handle) })
    }
}

impl Awaited for Buckets {
    fn wait(&mut self, limit: Duration) -> Result<bool> {
        let mut done = 0;
        // SAFETY: the handle is alive, `done` is written before it is read.
        check(unsafe { hexapla_buckets_wait(self.handle, millis(limit), &mut done) })?;
        Ok(done != 0)
    }
}

impl Drop for Buckets {
    fn drop(&mut self) {
        // SAFETY: the handle is freed once, and the parameters forget it.
        unsafe { hexapla_buckets_free(self.handle) }
    }
}

fn text(text: &str) -> Result<CString> {
    CString::new(text.replace('\0', " ")).map_err(|e| Error::internal(e.to_string()))
}

fn millis(limit: Duration) -> i64 {
    i64::try_from(limit.as_millis()).unwrap_or(i64::MAX).max(1)
}
