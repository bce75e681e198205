// The few calls of libtorch that tch does not offer. A `tensor` is what tch holds: a pointer to a
// heap-allocated at::Tensor.
#include "guard.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/rsub.h>
#include <ATen/ops/stack.h>

#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

namespace {

using hexapla::guarded;

// Sixteen bits of a hash of (seed, place) decide each place: splitmix64's finaliser over blocks of
// four places, so that the factors do not depend on the number of threads.
template <class T>
void fill_factors(T *data, int64_t count, uint64_t seed, uint32_t threshold, float kept) {
  const T values[2] = {static_cast<T>(0.0f), static_cast<T>(kept)};
  at::parallel_for(0, (count + 3) / 4, 8192, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      uint64_t h = seed + static_cast<uint64_t>(block + 1) * 0x9E3779B97F4A7C15u;
      h = (h ^ (h >> 30)) * 0xBF58476D1CE4E5B9u;
      h = (h ^ (h >> 27)) * 0x94D049BB133111EBu;
      h ^= h >> 31;
      const int64_t first = block * 4, last = std::min<int64_t>(first + 4, count);
      for (int64_t i = first; i < last; ++i, h >>= 16)
        data[i] = values[(h & 0xFFFF) >= threshold];
    }
  });
}

} // namespace

extern "C" {

// A tensor like `like` (float or bfloat16, on the CPU) of dropout's factors: 0 for a share of the
// places, elsewhere what keeps the mean.
const char *hexapla_dropout_factors(const at::Tensor *like, double share, uint64_t seed,
                                    at::Tensor **out) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    at::Tensor factors = at::empty_like(*like, at::MemoryFormat::Contiguous);
    const auto threshold = static_cast<uint32_t>(share * 65536.0 + 0.5);
    const float kept = 65536.0f / static_cast<float>(65536 - threshold);
    TORCH_CHECK(factors.device().is_cpu() && threshold < 65536, "dropout factors: bad arguments");
    if (factors.scalar_type() == at::kBFloat16)
      fill_factors(factors.data_ptr<at::BFloat16>(), factors.numel(), seed, threshold, kept);
    else
      fill_factors(factors.data_ptr<float>(), factors.numel(), seed, threshold, kept);
    *out = new at::Tensor(std::move(factors));
  });
}

// Fills a tensor on the CPU from N(0, deviation²) with a generator of its own.
const char *hexapla_fill_normal(at::Tensor *tensor, double deviation, uint64_t seed) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    tensor->normal_(0.0, deviation, at::detail::createCPUGenerator(seed));
  });
}

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
// counts but does not advance them; at step 0 its bias correction divides by zero. `scale` divides
// the gradients and `skip` (0 or 1) keeps everything as it is; either may be null.
const char *hexapla_fused_adamw(at::Tensor *const *parameters, at::Tensor *const *first,
                                at::Tensor *const *second, at::Tensor *const *steps, int count,
                                double rate, double beta1, double beta2, double decay, double eps,
                                const at::Tensor *scale, const at::Tensor *skip) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    std::optional<at::Tensor> scaled, skipped;
    if (scale) scaled = *scale;
    if (skip) skipped = *skip;
    const at::Tensor advance = skip ? at::rsub(*skip, 1) : at::Tensor();
    std::vector<at::Tensor> p, g, m, v, s;
    for (int i = 0; i < count; ++i) {
      const at::Tensor &grad = parameters[i]->grad();
      if (!grad.defined()) continue;
      if (skip)
        steps[i]->add_(advance);
      else
        steps[i]->add_(1);
      p.push_back(*parameters[i]);
      g.push_back(grad);
      m.push_back(*first[i]);
      v.push_back(*second[i]);
      s.push_back(*steps[i]);
    }
    if (p.empty()) return;
    at::_fused_adamw_(p, g, m, v, {}, s, rate, beta1, beta2, decay, eps,
                      /*amsgrad=*/false, /*maximize=*/false, scaled, skipped);
  });
}

// The norm of all gradients together; null where there is none.
const char *hexapla_grad_norm(at::Tensor *const *parameters, int count, at::Tensor **out) {
  return guarded([&] {
    at::NoGradGuard no_grad;
    std::vector<at::Tensor> grads;
    for (int i = 0; i < count; ++i)
      if (parameters[i]->grad().defined()) grads.push_back(parameters[i]->grad());
    *out = nullptr;
    if (!grads.empty()) *out = new at::Tensor(at::stack(at::_foreach_norm(grads)).norm());
  });
}

const char *hexapla_deterministic(int on) {
  return guarded([&] {
    at::globalContext().setDeterministicAlgorithms(on != 0, /*warn_only=*/false);
    at::globalContext().setDeterministicCuDNN(on != 0);
    if (on) at::globalContext().setBenchmarkCuDNN(false);
  });
}

// Forgets the gradients, so that an unused parameter is told from one whose gradient is zero.
const char *hexapla_clear_grads(at::Tensor *const *parameters, int count) {
  return guarded([&] {
    for (int i = 0; i < count; ++i) parameters[i]->mutable_grad().reset();
  });
}

// When the process exits, the destructors of libtorch's operators and what they free are skipped.
// Handlers run in the reverse order of their registration, and libtorch's came when it was loaded.
void hexapla_leave_at_once() {
  on_exit([](int status, void *) { _exit(status); }, nullptr);
}

} // extern "C"
