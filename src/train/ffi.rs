//! The seam to C++: tensors over Arrow memory, the fused optimizer, keyed noise.
//!
//! The only place of the trainer with `unsafe`. It never hands out a tensor that may be written
//! through: what [`tensor_over`] returns aliases memory that Rust believes immutable and that may
//! be mapped read-only, so callers read it and copy before they change anything.
#![allow(unsafe_code)]

pub mod cuda;
pub mod group;

use std::ffi::{CStr, c_char, c_int, c_void};

use arrow::buffer::Buffer;
use tch::{Device, Tensor};
use torch_sys::C_tensor;

use crate::error::{Error, Result};

unsafe extern "C" {
    fn hexapla_tensor_over(
        data: *mut c_void,
        shape: *const i64,
        rank: c_int,
        owner: *mut c_void,
        release: extern "C" fn(*mut c_void),
        out: *mut *mut C_tensor,
    ) -> *const c_char;

    fn hexapla_fused_adamw(
        parameters: *const *const C_tensor,
        first: *const *const C_tensor,
        second: *const *const C_tensor,
        steps: *const *const C_tensor,
        count: c_int,
        rate: f64,
        beta1: f64,
        beta2: f64,
        decay: f64,
        eps: f64,
        scale: *const C_tensor,
        skip: *const C_tensor,
    ) -> *const c_char;

    fn hexapla_grad_norm(
        parameters: *const *const C_tensor,
        count: c_int,
        out: *mut *mut C_tensor,
    ) -> *const c_char;

    fn hexapla_deterministic(on: c_int) -> *const c_char;

    fn hexapla_dropout_factors(
        like: *const C_tensor,
        share: f64,
        seed: u64,
        out: *mut *mut C_tensor,
    ) -> *const c_char;

    fn hexapla_fill_normal(tensor: *const C_tensor, deviation: f64, seed: u64) -> *const c_char;

    fn hexapla_linear_cross_entropy(
        x: *const C_tensor,
        weight: *const C_tensor,
        bias: *const C_tensor,
        gold: *const C_tensor,
        out: *mut *mut C_tensor,
    ) -> *const c_char;

    fn hexapla_clear_grads(parameters: *const *const C_tensor, count: c_int) -> *const c_char;

    fn hexapla_leave_at_once();
}

/// Makes the end of the process skip the destructors of libtorch, which take longer than many a
/// command. For a program's `main` alone: Rust's own buffers are flushed before, C's are not.
pub fn leave_at_once() {
    // SAFETY: it registers a handler, and reads and writes nothing of ours.
    unsafe { hexapla_leave_at_once() }
}

/// Dropout's factors for a tensor on the CPU: 0 for a share of the places, elsewhere what keeps
/// the mean; each is a function of (seed, place), whatever the number of threads.
pub fn dropout_factors(like: &Tensor, share: f64, seed: u64) -> Result<Tensor> {
    let mut out = std::ptr::null_mut();
    // SAFETY: `like` is borrowed for the call and `out` is written before it is read.
    check(unsafe { hexapla_dropout_factors(like.as_ptr(), share, seed, &mut out) })?;
    // SAFETY: without a failure `out` is a fresh heap-allocated at::Tensor that nobody else owns.
    Ok(unsafe { Tensor::from_ptr(out) })
}

/// Fills a tensor on the CPU from N(0, deviation²) as a function of the seed.
pub fn fill_normal(tensor: &mut Tensor, deviation: f64, seed: u64) -> Result<()> {
    // SAFETY: the tensor is borrowed mutably for the call.
    check(unsafe { hexapla_fill_normal(tensor.as_ptr(), deviation, seed) })
}

/// −log softmax(x Wᵀ + b) at the gold ids, in 32 bits and with a backward pass: x [n, hidden],
/// W [ids, hidden], b `[ids]`, gold `[n]` of 64 bits.
///
/// Logits are computed block by block, forward and backward, and never held all at once.
pub fn linear_cross_entropy(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    gold: &Tensor,
) -> Result<Tensor> {
    let mut out = std::ptr::null_mut();
    let bias = bias.map_or(std::ptr::null(), Tensor::as_ptr);
    // SAFETY: the tensors are borrowed for the call, and the other side keeps what it needs for
    // the backward pass alive itself; `out` is written before it is read.
    check(unsafe {
        hexapla_linear_cross_entropy(x.as_ptr(), weight.as_ptr(), bias, gold.as_ptr(), &mut out)
    })?;
    // SAFETY: without a failure `out` is a fresh heap-allocated at::Tensor that nobody else owns.
    Ok(unsafe { Tensor::from_ptr(out) })
}

/// The numbers of one AdamW step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamW {
    /// Learning rate.
    pub rate: f64,
    /// Decay of the first and second moment.
    pub betas: (f64, f64),
    /// Decoupled weight decay.
    pub decay: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
}

/// An `Int` tensor on the CPU over the buffer's own bytes, which stay alive until the last alias
/// of the tensor is gone.
///
/// Nothing is copied. The tensor must not be written through. Errors when the buffer is shorter
/// than the shape or is not aligned to four bytes.
pub fn tensor_over(buffer: Buffer, shape: &[i64]) -> Result<Tensor> {
    let wanted = shape.iter().try_fold(4usize, |product, &size| {
        usize::try_from(size).ok().and_then(|size| product.checked_mul(size))
    });
    if wanted.is_none_or(|bytes| bytes > buffer.len()) {
        let bytes = buffer.len();
        return Err(Error::internal(format!("{bytes} bytes cannot hold an i32 tensor {shape:?}")));
    }
    if buffer.as_ptr().align_offset(align_of::<i32>()) != 0 {
        return Err(Error::internal("token ids are not aligned to four bytes"));
    }
    let data = buffer.as_ptr().cast_mut().cast::<c_void>();
    let owner = Box::into_raw(Box::new(buffer)).cast::<c_void>();
    let mut out = std::ptr::null_mut();
    // SAFETY: `data` points at `shape`'s product of i32, checked above, and lives as long as
    // `owner`, a boxed Buffer that is given away here: the other side calls `release` on it
    // exactly once, also when it fails. `shape` outlives the call.
    let failure = unsafe {
        hexapla_tensor_over(data, shape.as_ptr(), shape.len() as c_int, owner, release, &mut out)
    };
    check(failure)?;
    // SAFETY: without a failure `out` is a fresh heap-allocated at::Tensor that nobody else owns.
    Ok(unsafe { Tensor::from_ptr(out) })
}

/// The same for values of our own.
pub fn tensor_of(values: Vec<i32>, shape: &[i64]) -> Result<Tensor> {
    tensor_over(Buffer::from_vec(values), shape)
}

extern "C" fn release(owner: *mut c_void) {
    // SAFETY: `owner` came from `Box::into_raw` in `tensor_over` and is released once.
    drop(unsafe { Box::from_raw(owner.cast::<Buffer>()) });
}

/// The bytes of a tensor as they lie in memory; none of one that is not contiguous on the CPU.
///
/// For tensors that nobody writes to meanwhile.
pub fn bytes(tensor: &Tensor) -> &[u8] {
    let kind = tensor.f_kind().map(|kind| kind.elt_size_in_bytes());
    let length = kind.map(|size| size * tensor.numel()).unwrap_or(0);
    let data = tensor.data_ptr().cast::<u8>();
    if length == 0 || data.is_null() || !tensor.device().eq(&Device::Cpu) || !tensor.is_contiguous()
    {
        return &[];
    }
    // SAFETY: a contiguous tensor on the CPU has so many bytes there, which live as long as the
    // tensor, which is borrowed.
    unsafe { std::slice::from_raw_parts(data, length) }
}

/// A copy of a tensor's values in memory of their own, without a history.
pub fn copy_of(tensor: &Tensor) -> Result<Tensor> {
    let _guard = tch::no_grad_guard();
    let mut copy = tensor.f_detach()?.f_empty_like()?;
    copy.f_copy_(tensor)?;
    Ok(copy)
}

/// One step of AdamW over the parameters that have a gradient; their step counts advance by one.
///
/// The four lists run parallel. Parameters without a gradient stay as they are. `control` is what
/// gradients are divided by, and 1 for a step that moves nothing; both 32-bit, without dimensions.
pub fn fused_adamw(
    parameters: &[&Tensor],
    first: &[&Tensor],
    second: &[&Tensor],
    steps: &[&Tensor],
    numbers: AdamW,
    control: Option<(&Tensor, &Tensor)>,
) -> Result<()> {
    let count = parameters.len();
    if [first.len(), second.len(), steps.len()].iter().any(|&n| n != count) {
        return Err(Error::internal("the optimizer's lists differ in length"));
    }
    let [p, m, v, s] = [parameters, first, second, steps].map(pointers);
    let pointer = |tensor: Option<&Tensor>| tensor.map_or(std::ptr::null(), |t| t.as_ptr());
    // SAFETY: each list holds `count` pointers to tensors that are borrowed for the call. Writing
    // to them through a shared borrow is what every in-place operation of libtorch does; the
    // trainer runs on one thread.
    check(unsafe {
        hexapla_fused_adamw(
            p.as_ptr(),
            m.as_ptr(),
            v.as_ptr(),
            s.as_ptr(),
            count as c_int,
            numbers.rate,
            numbers.betas.0,
            numbers.betas.1,
            numbers.decay,
            numbers.eps,
            pointer(control.map(|(scale, _)| scale)),
            pointer(control.map(|(_, skip)| skip)),
        )
    })
}

/// The norm of all gradients of the parameters together (32-bit, no dimensions); none where no
/// parameter has one.
pub fn grad_norm(parameters: &[&Tensor]) -> Result<Option<Tensor>> {
    let p = pointers(parameters);
    let mut out = std::ptr::null_mut();
    // SAFETY: as many valid pointers as are counted, borrowed for the call; `out` is written first.
    check(unsafe { hexapla_grad_norm(p.as_ptr(), p.len() as c_int, &mut out) })?;
    // SAFETY: where `out` is not null it is a fresh heap-allocated at::Tensor that nobody else owns.
    Ok((!out.is_null()).then(|| unsafe { Tensor::from_ptr(out) }))
}

/// Lets libtorch use only operations that give equal bits for equal inputs; those that cannot fail.
pub fn deterministic(on: bool) -> Result<()> {
    // SAFETY: it sets a flag.
    check(unsafe { hexapla_deterministic(on.into()) })
}

/// Forgets the gradients of the parameters; afterwards they are undefined rather than zero.
pub fn clear_grads(parameters: &[&Tensor]) -> Result<()> {
    let p = pointers(parameters);
    // SAFETY: as many valid pointers as are counted, borrowed for the call.
    check(unsafe { hexapla_clear_grads(p.as_ptr(), p.len() as c_int) })
}

fn pointers(tensors: &[&Tensor]) -> Vec<*const C_tensor> {
    tensors.iter().map(|t| t.as_ptr()).collect()
}

fn check(failure: *const c_char) -> Result<()> {
    if failure.is_null() {
        return Ok(());
    }
    // SAFETY: a message is a NUL-terminated string that lives until this thread's next call.
    let text = unsafe { CStr::from_ptr(failure) }.to_string_lossy();
    Err(Error::internal(format!("libtorch: {}", text.lines().next().unwrap_or_default())))
}

#[cfg(test)]
mod tests {
    use std::ptr::NonNull;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tch::Kind;

    use super::*;

    struct Owned {
        values: Vec<i32>,
        released: Arc<AtomicUsize>,
    }

    impl Drop for Owned {
        fn drop(&mut self) {
            self.released.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn counted(values: Vec<i32>) -> (Buffer, Arc<AtomicUsize>) {
        let released = Arc::new(AtomicUsize::new(0));
        let owned = Arc::new(Owned { values, released: released.clone() });
        let bytes = owned.values.len() * 4;
        let start = NonNull::from(&owned.values[0]).cast::<u8>();
        // SAFETY: the vector is never touched again and lives as long as its owner.
        (unsafe { Buffer::from_custom_allocation(start, bytes, owned) }, released)
    }

    #[test]
    fn the_tensor_is_the_buffer_and_keeps_it_alive() {
        let (buffer, released) = counted((0..12).collect());
        let address = buffer.as_ptr() as usize;
        let tensor = tensor_over(buffer, &[3, 4]).unwrap();
        assert_eq!(tensor.data_ptr() as usize, address);
        assert_eq!(tensor.kind(), Kind::Int);
        let row = tensor.get(2);
        let clone = tensor.shallow_clone();
        drop(tensor);
        drop(clone);
        assert_eq!(released.load(Ordering::SeqCst), 0);
        assert_eq!(Vec::<i32>::try_from(&row).unwrap(), [8, 9, 10, 11]);
        drop(row);
        assert_eq!(released.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_slice_starts_where_it_was_cut_and_lengths_are_checked() {
        let (buffer, released) = counted((0..12).collect());
        let slice = buffer.slice_with_length(16, 32);
        drop(buffer);
        let tensor = tensor_over(slice.clone(), &[2, 4]).unwrap();
        assert_eq!(tensor.data_ptr() as usize, slice.as_ptr() as usize);
        assert_eq!(Vec::<i32>::try_from(tensor.get(0)).unwrap(), [4, 5, 6, 7]);
        assert!(tensor_over(slice.clone(), &[9]).is_err());
        assert!(tensor_over(slice.slice(1), &[4]).is_err());
        drop((tensor, slice));
        assert_eq!(released.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn the_fused_step_is_the_textbook_step_and_counts() {
        let float = (Kind::Float, Device::Cpu);
        let weight = Tensor::from_slice(&[1.0f32, -2.0]).set_requires_grad(true);
        let unused = Tensor::from_slice(&[5.0f32]).set_requires_grad(true);
        let m = [Tensor::zeros([2], float), Tensor::zeros([1], float)];
        let v = [Tensor::zeros([2], float), Tensor::zeros([1], float)];
        let steps = [Tensor::zeros([], float), Tensor::zeros([], float)];
        let numbers = AdamW { rate: 0.1, betas: (0.9, 0.999), decay: 0.01, eps: 1e-8 };
        (&weight * Tensor::from_slice(&[0.5f32, -0.25])).sum(Kind::Float).backward();
        let refs = |t: &'_ [Tensor; 2]| t.iter().map(Tensor::shallow_clone).collect::<Vec<_>>();
        let (m, v, steps) = (refs(&m), refs(&v), refs(&steps));
        fused_adamw(
            &[&weight, &unused],
            &m.iter().collect::<Vec<_>>(),
            &v.iter().collect::<Vec<_>>(),
            &steps.iter().collect::<Vec<_>>(),
            numbers,
            None,
        )
        .unwrap();
        // The first step moves by the rate in the gradient's direction, after the decay.
        let moved = Vec::<f32>::try_from(weight.detach()).unwrap();
        assert!((moved[0] - (1.0 * 0.999 - 0.1)).abs() < 1e-5, "{moved:?}");
        assert!((moved[1] - (-2.0 * 0.999 + 0.1)).abs() < 1e-5, "{moved:?}");
        assert_eq!(unused.detach().double_value(&[0]), 5.0);
        assert_eq!((steps[0].double_value(&[]), steps[1].double_value(&[])), (1.0, 0.0));
        clear_grads(&[&weight, &unused]).unwrap();
        assert!(!weight.grad().defined());
    }

    #[test]
    fn dropout_keeps_the_mean_and_depends_on_seed_and_place_alone() {
        for kind in [Kind::Float, Kind::BFloat16] {
            let like = Tensor::zeros([1000, 333], (kind, Device::Cpu));
            let factors = dropout_factors(&like, 0.1, 7).unwrap();
            assert_eq!(factors.kind(), kind);
            let wide = factors.to_kind(Kind::Float);
            let dropped = wide.eq(0.0).to_kind(Kind::Float).mean(Kind::Float).double_value(&[]);
            assert!((dropped - 0.1).abs() < 0.003, "{dropped}");
            assert!((wide.mean(Kind::Float).double_value(&[]) - 1.0).abs() < 0.005);
            assert!(factors.equal(&dropout_factors(&like, 0.1, 7).unwrap()));
            assert!(!factors.equal(&dropout_factors(&like, 0.1, 8).unwrap()));
            let short = Tensor::zeros([3], (kind, Device::Cpu));
            let start = dropout_factors(&short, 0.1, 7).unwrap();
            assert!(factors.view([-1]).narrow(0, 0, 3).equal(&start));
        }
        let int = Tensor::zeros([3], (Kind::Int, Device::Cpu));
        assert!(dropout_factors(&int, 0.1, 7).is_err());
    }

    #[test]
    fn normal_numbers_are_a_function_of_the_seed() {
        let filled = |seed| {
            let mut tensor = Tensor::zeros([100, 100], (Kind::Float, Device::Cpu));
            fill_normal(&mut tensor, 0.02, seed).unwrap();
            tensor
        };
        assert!(filled(3).equal(&filled(3)));
        assert!(!filled(3).equal(&filled(4)));
        assert!((filled(3).std(true).double_value(&[]) - 0.02).abs() < 0.001);
    }

    #[test]
    fn blocks_of_logits_have_the_losses_and_gradients_of_all_of_them() {
        let float = (Kind::Float, Device::Cpu);
        // More ids than one block holds, with gold ids at the ends of blocks.
        let ids = 5000;
        for with_bias in [true, false] {
            let leaf = |shape: &[i64], seed| {
                let mut tensor = Tensor::zeros(shape, float);
                fill_normal(&mut tensor, 0.5, seed).unwrap();
                tensor.set_requires_grad(true)
            };
            let gold = Tensor::from_slice(&[0i64, 1023, 1024, 4999, 77, 2048]);
            let gold = gold.repeat([700]);
            let g = leaf(&[gold.size()[0]], 9).detach();
            let (a, b) = (leaf(&[gold.size()[0], 8], 1), leaf(&[gold.size()[0], 8], 1));
            let (v, w) = (leaf(&[ids, 8], 2), leaf(&[ids, 8], 2));
            let (c, d) = (leaf(&[ids], 3), leaf(&[ids], 3));
            let ours = linear_cross_entropy(&a, &v, with_bias.then_some(&c), &gold).unwrap();
            let logits = b.linear(&w, with_bias.then_some(&d));
            let theirs =
                logits.cross_entropy_loss::<Tensor>(&gold, None, tch::Reduction::None, -100, 0.0);
            let near = |x: &Tensor, y: &Tensor| (x - y).abs().max().double_value(&[]) < 2e-5;
            assert!(near(&ours, &theirs));
            ours.dot(&g).backward();
            theirs.dot(&g).backward();
            assert!(near(&a.grad(), &b.grad()) && near(&v.grad(), &w.grad()));
            assert!(!with_bias || near(&c.grad(), &d.grad()));
        }
        let wrong = Tensor::from_slice(&[0i64]);
        let x = Tensor::zeros([2, 3], float);
        assert!(linear_cross_entropy(&x, &Tensor::zeros([4, 3], float), None, &wrong).is_err());
    }

    #[test]
    fn an_exception_becomes_an_error() {
        let weight = Tensor::from_slice(&[1.0f32, 2.0]).set_requires_grad(true);
        weight.sum(Kind::Float).backward();
        let short = Tensor::from_slice(&[0.0f64]);
        let numbers = AdamW { rate: 0.1, betas: (0.9, 0.999), decay: 0.0, eps: 1e-8 };
        let error = fused_adamw(&[&weight], &[&short], &[&short], &[&short], numbers, None);
        assert!(error.unwrap_err().to_string().starts_with("libtorch: "));
    }
}
