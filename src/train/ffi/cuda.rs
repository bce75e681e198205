//! The seam to what is different on CUDA: memory, names, copies that the host does not wait for.
//!
//! It compiles everywhere and has not run on a GPU yet.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int};

use tch::{Device, Tensor};
use torch_sys::C_tensor;

use super::check;
use crate::error::Result;

unsafe extern "C" {
    fn hexapla_device_memory(index: c_int, now: *mut i64, most: *mut i64) -> *const c_char;
    fn hexapla_device_name(index: c_int, into: *mut c_char, room: c_int) -> *const c_char;
    fn hexapla_to_cuda(
        tensor: *const C_tensor,
        index: c_int,
        out: *mut *mut C_tensor,
    ) -> *const c_char;
}

/// Bytes that tensors take on a CUDA device now, and took at most.
pub fn memory(index: usize) -> Result<(u64, u64)> {
    let (mut now, mut most) = (0, 0);
    // SAFETY: both numbers outlive the call.
    check(unsafe { hexapla_device_memory(index as c_int, &mut now, &mut most) })?;
    Ok((now.max(0) as u64, most.max(0) as u64))
}

/// The name of a CUDA device, such as `NVIDIA A100-SXM4-80GB`.
pub fn name(index: usize) -> Result<String> {
    let mut bytes: [c_char; 256] = [0; 256];
    // SAFETY: one byte less than there are may be written, so the text ends with a zero.
    check(unsafe {
        hexapla_device_name(index as c_int, bytes.as_mut_ptr(), bytes.len() as c_int - 1)
    })?;
    // SAFETY: the last byte is zero, as above.
    Ok(unsafe { CStr::from_ptr(bytes.as_ptr()) }.to_string_lossy().into_owned())
}

/// A tensor of the CPU on a device: for CUDA by way of pinned memory, without waiting.
pub fn to_device(tensor: &Tensor, device: Device) -> Result<Tensor> {
    let Device::Cuda(index) = device else { return Ok(tensor.f_to_device(device)?) };
    let mut out = std::ptr::null_mut();
    // SAFETY: `tensor` is borrowed for the call and `out` is written before it is read.
    check(unsafe { hexapla_to_cuda(tensor.as_ptr(), index as c_int, &mut out) })?;
    // SAFETY: without a failure `out` is a fresh heap-allocated at::Tensor that nobody else owns.
    Ok(unsafe { Tensor::from_ptr(out) })
}
