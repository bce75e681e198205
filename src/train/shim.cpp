// The few calls of libtorch that tch does not offer. Every function returns null, or a message
// that lives until the thread's next call; no C++ exception crosses into Rust. A `tensor` is what
// tch holds: a pointer to a heap-allocated at::Tensor.
#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/from_blob.h>

#include <cstdint>
#include <exception>
#include <string>
#include <vector>

namespace {

thread_local std::string message;

template <class F>
const char *guarded(F &&body) noexcept {
  try {
    body();
    return nullptr;
  } catch (const c10::Error &error) {
    message = error.what_without_backtrace();
  } catch (const std::exception &error) {
    message = error.what();
  } catch (...) {
    message = "unknown C++ exception";
  }
  return message.c_str();
}

} // namespace

extern "C" {

// An int32 tensor over foreign memory. `release(owner)` runs exactly once: when the last tensor
// that shares the storage is gone, or before this returns a message.
const char *hexapla_tensor_over(void *data, const int64_t *shape, int rank, void *owner,
                                void (*release)(void *), at::Tensor **out) {
  return guarded([&] {
    auto maker = at::for_blob(data, at::IntArrayRef(shape, static_cast<size_t>(rank)));
    *out = new at::Tensor(
        maker.context(owner, release).options(at::TensorOptions().dtype(at::kInt)).make_tensor());
  });
}

// One step of AdamW for the parameters that have a gradient. `_fused_adamw_` reads the step
// counts but does not advance them; at step 0 its bias correction divides by zero.
const char *hexapla_fused_adamw(at::Tensor *const *parameters, at::Tensor *const *first,
                                at::Tensor *const *second, at::Tensor *const *steps, int count,
                                double rate, double beta1, double beta2, double decay, double eps) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    std::vector<at::Tensor> p, g, m, v, s;
    for (int i = 0; i < count; ++i) {
      const at::Tensor &grad = parameters[i]->grad();
      if (!grad.defined()) continue;
      steps[i]->add_(1);
      p.push_back(*parameters[i]);
      g.push_back(grad);
      m.push_back(*first[i]);
      v.push_back(*second[i]);
      s.push_back(*steps[i]);
    }
    if (p.empty()) return;
    at::_fused_adamw_(p, g, m, v, {}, s, rate, beta1, beta2, decay, eps,
                      /*amsgrad=*/false, /*maximize=*/false);
  });
}

// Forgets the gradients, so that an unused parameter is told from one whose gradient is zero.
const char *hexapla_clear_grads(at::Tensor *const *parameters, int count) {
  return guarded([&] {
    for (int i = 0; i < count; ++i) parameters[i]->mutable_grad().reset();
  });
}

} // extern "C"
