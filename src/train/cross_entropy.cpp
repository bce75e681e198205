// Cross-entropy of logits x Wᵀ + b that are never held all at once.
//
// The vocabulary is cut into blocks. Forward keeps a running log-sum-exp over the blocks and the
// gold logit; backward computes each block of logits again, turns it into (softmax − gold) · g, and
// writes that block's rows of the weight's gradient at once. Neither the logits nor a copy of the
// weight in the kind of the products exists as a whole (as in Wijmans et al. 2024, §4).
#include "guard.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

namespace {

using at::Tensor;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// Logits of a block: at most this many numbers of 32 bits, but at least so many ids.
constexpr int64_t NUMBERS = int64_t(1) << 22;
constexpr int64_t LEAST = 1024;

int64_t block_size(const Tensor &x, const Tensor &weight) {
  const int64_t size = std::max(LEAST, NUMBERS / std::max<int64_t>(1, x.size(0)));
  return std::min(size, std::max<int64_t>(1, weight.size(0)));
}

// Logits of some ids in 32 bits, and the rows of the weight that made them.
std::pair<Tensor, Tensor> logits_of(const Tensor &x, const Tensor &weight, const Tensor &bias,
                                    int64_t first, int64_t count) {
  Tensor rows = weight.narrow(0, first, count).to(x.scalar_type());
  Tensor logits = at::matmul(x, rows.t()).to(at::kFloat);
  if (bias.defined()) logits.add_(bias.narrow(0, first, count));
  return {std::move(logits), std::move(rows)};
}

struct LinearCrossEntropy : torch::autograd::Function<LinearCrossEntropy> {
  static Tensor forward(AutogradContext *context, const Tensor &x, const Tensor &weight,
                        const std::optional<Tensor> &given, const Tensor &gold) {
    const Tensor bias = given.value_or(Tensor());
    const int64_t n = x.size(0), ids = weight.size(0), block = block_size(x, weight);
    const auto wide = x.options().dtype(at::kFloat);
    Tensor normalizer = at::full({n}, -std::numeric_limits<float>::infinity(), wide);
    Tensor of_gold = at::zeros({n}, wide);
    for (int64_t first = 0; first < ids; first += block) {
      const int64_t count = std::min(block, ids - first);
      Tensor logits = logits_of(x, weight, bias, first, count).first;
      Tensor place = gold - first;
      Tensor inside = place.ge(0).logical_and_(place.lt(count));
      Tensor picked = logits.gather(1, place.clamp(0, count - 1).unsqueeze(1)).squeeze(1);
      of_gold.add_(picked.masked_fill_(inside.logical_not(), 0.0));
      normalizer = at::logaddexp(normalizer, at::logsumexp(logits, 1));
    }
    context->save_for_backward({x, weight, bias, gold, normalizer});
    return normalizer - of_gold;
  }

  static variable_list backward(AutogradContext *context, variable_list upstream) {
    at::NoGradGuard no_grad;
    const auto saved = context->get_saved_variables();
    const Tensor &x = saved[0], &weight = saved[1], &bias = saved[2], &gold = saved[3],
                 &normalizer = saved[4];
    const int64_t n = x.size(0), ids = weight.size(0), block = block_size(x, weight);
    const bool of_x = context->needs_input_grad(0), of_weight = context->needs_input_grad(1),
               of_bias = bias.defined() && context->needs_input_grad(2);
    const auto wide = x.options().dtype(at::kFloat);
    Tensor dx = of_x ? at::zeros(x.sizes(), wide) : Tensor();
    Tensor dweight = of_weight ? at::empty_like(weight) : Tensor();
    Tensor dbias = of_bias ? at::empty_like(bias) : Tensor();
    const Tensor scale = upstream[0].to(at::kFloat).unsqueeze(1);
    for (int64_t first = 0; first < ids; first += block) {
      const int64_t count = std::min(block, ids - first);
      auto [logits, rows] = logits_of(x, weight, bias, first, count);
      logits.sub_(normalizer.unsqueeze(1)).exp_();
      Tensor place = gold - first;
      Tensor inside = place.ge(0).logical_and_(place.lt(count));
      logits.scatter_add_(1, place.clamp(0, count - 1).unsqueeze(1),
                          inside.to(at::kFloat).neg_().unsqueeze(1));
      logits.mul_(scale);
      if (of_bias) dbias.narrow(0, first, count).copy_(logits.sum(0));
      if (!of_x && !of_weight) continue;
      Tensor narrow = logits.to(x.scalar_type());
      if (of_x) dx.add_(at::matmul(narrow, rows));
      if (of_weight) dweight.narrow(0, first, count).copy_(at::matmul(narrow.t(), x));
    }
    if (of_x) dx = dx.to(x.scalar_type());
    return {dx, dweight, dbias, Tensor()};
  }
};

} // namespace

extern "C" {

// −log softmax(x Wᵀ + b) at the gold ids: x [n, hidden] of any float kind, weight [ids, hidden],
// bias [ids] or null, gold [n] of 64 bits. The result has 32 bits and a backward pass.
const char *hexapla_linear_cross_entropy(const at::Tensor *x, const at::Tensor *weight,
                                         const at::Tensor *bias, const at::Tensor *gold,
                                         at::Tensor **out) {
  return hexapla::guarded([&] {
    TORCH_CHECK(x->dim() == 2 && weight->dim() == 2 && x->size(1) == weight->size(1) &&
                    gold->dim() == 1 && gold->size(0) == x->size(0),
                "linear cross-entropy: bad shapes");
    const auto given = bias ? std::optional<Tensor>(*bias) : std::nullopt;
    *out = new Tensor(LinearCrossEntropy::apply(*x, *weight, given, *gold));
  });
}

} // extern "C"
