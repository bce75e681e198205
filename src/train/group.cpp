// Several processes as one trainer: a store that they meet in, sums of tensors over all of them,
// and gradients that are summed in buckets while the backward pass still runs. As in shim.cpp,
// every function returns null or a message, and a `tensor` is what tch holds.
//
// The collectives are those of torch.distributed (c10d): gloo on CPUs, NCCL on CUDA (cuda.cpp).
// The wheel of libtorch has c10d's header of gloo but none of gloo's own; gloo_headers/ stands in
// for the five that it includes, of which only pointers are used.
#define USE_C10D_GLOO 1
#include "cuda.hpp"

#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/variable.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <c10/util/Logging.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <string>
#include <utility>
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

using Millis = std::chrono::milliseconds;
using StorePtr = c10::intrusive_ptr<c10d::Store>;
using WorkPtr = c10::intrusive_ptr<c10d::Work>;

// One operation may take so long; that a rank is gone shows much earlier, by its heartbeat.
constexpr Millis kLongest{std::chrono::hours(12)};

StorePtr connect(const char *host, uint16_t port, bool server, Millis timeout) {
  // What c10d warns of, with its stack, comes back as an error as well, and is told once.
  FLAGS_caffe2_log_level = std::max(FLAGS_caffe2_log_level, 3);
  c10d::TCPStoreOptions options;
  options.port = port;
  options.isServer = server;
  options.waitWorkers = false;
  options.timeout = timeout;
  return c10::make_intrusive<c10d::TCPStore>(host, options);
}

std::vector<uint8_t> bytes(const char *text) { return {text, text + std::strlen(text)}; }

} // namespace

struct HexaplaStore {
  StorePtr store;
};

struct HexaplaGroup {
  c10::intrusive_ptr<c10d::Backend> backend;
  StorePtr store;
  int rank, size;
  // Made when the first tensor of a GPU comes.
  c10::intrusive_ptr<c10d::Backend> cuda;

  c10d::Backend &of(const at::Tensor &tensor) {
    if (tensor.device().is_cpu()) return *backend;
    if (!cuda) cuda = hexapla::nccl(store, rank, size, tensor.device());
    return *cuda;
  }
};

struct HexaplaWork {
  // What is being summed stays alive until it is.
  std::vector<at::Tensor> tensors;
  WorkPtr work;

  // Whether it is done after so many milliseconds; throws what it failed with.
  bool done(int64_t millis) {
    if (!work->isCompleted()) {
      // c10d knows a wait that throws on timeout alone, with no kind of its own for it.
      try {
        work->wait(Millis(millis));
      } catch (...) {
        if (work->isCompleted()) throw;
        return false;
      }
    }
    work->wait(kLongest);
    return true;
  }
};

namespace {

std::unique_ptr<HexaplaWork> sum(HexaplaGroup &group, const at::Tensor &tensor) {
  auto pending = std::make_unique<HexaplaWork>();
  pending->tensors = {tensor};
  pending->work = group.of(tensor).allreduce(pending->tensors);
  return pending;
}

} // namespace

// The gradients of a list of parameters, summed over all ranks in flat buckets. A bucket is sent
// as soon as the backward pass has accumulated the last gradient in it; buckets leave in the same
// order on every rank, the last parameters first, since these have their gradients first.
struct HexaplaBuckets {
  HexaplaGroup *group;
  std::vector<at::Tensor> parameters;

  struct Bucket {
    at::Tensor flat;
    std::vector<size_t> members;
    size_t missing = 0;
    std::unique_ptr<HexaplaWork> work;
  };
  std::vector<Bucket> buckets;
  std::vector<size_t> bucket_of;
  // Each parameter's part of its bucket, in its own shape.
  std::vector<at::Tensor> parts;
  std::vector<bool> ready;
  // By parameter, how many ranks have a gradient for it.
  at::Tensor users;
  std::unique_ptr<HexaplaWork> users_work;
  size_t next = 0;
  bool armed = false;

  struct Hook : torch::autograd::PostAccumulateGradHook {
    HexaplaBuckets *owner;
    size_t index;
    Hook(HexaplaBuckets *owner, size_t index) : owner(owner), index(index) {}
    void operator()(const at::Tensor &) override {
      if (owner->armed) owner->take(index);
    }
  };

  HexaplaBuckets(HexaplaGroup *group, std::vector<at::Tensor> all, int64_t cap)
      : group(group), parameters(std::move(all)) {
    at::NoGradGuard no_grad;
    const size_t count = parameters.size();
    bucket_of.resize(count);
    parts.resize(count);
    ready.assign(count, false);
    // The first bucket is small, so that sending begins early.
    int64_t room = 0;
    for (size_t i = count; i-- > 0;) {
      const int64_t size = parameters[i].numel();
      if (buckets.empty() || room < size) {
        room = buckets.empty() ? std::min<int64_t>(cap, 1 << 18) : cap;
        buckets.emplace_back();
      }
      room -= size;
      buckets.back().members.push_back(i);
      bucket_of[i] = buckets.size() - 1;
    }
    for (Bucket &bucket : buckets) {
      int64_t total = 0;
      for (size_t i : bucket.members) total += parameters[i].numel();
      bucket.flat = at::empty({total}, parameters[bucket.members[0]].options());
      int64_t at = 0;
      for (size_t i : bucket.members) {
        parts[i] = bucket.flat.narrow(0, at, parameters[i].numel()).view(parameters[i].sizes());
        at += parameters[i].numel();
      }
    }
    users = at::zeros({static_cast<int64_t>(count)}, at::kInt);
    for (size_t i = 0; i < count; ++i)
      torch::autograd::impl::set_post_acc_grad_hooks(parameters[i],
                                                     std::make_unique<Hook>(this, i));
  }

  ~HexaplaBuckets() {
    for (at::Tensor &parameter : parameters)
      torch::autograd::impl::set_post_acc_grad_hooks(parameter, nullptr);
  }

  // From here on gradients are taken as they come.
  void arm() {
    for (Bucket &bucket : buckets) {
      bucket.missing = bucket.members.size();
      bucket.work.reset();
    }
    ready.assign(parameters.size(), false);
    users.zero_();
    next = 0;
    armed = true;
  }

  void take(size_t i) {
    at::NoGradGuard no_grad;
    if (ready[i]) return;
    ready[i] = true;
    const at::Tensor &grad = parameters[i].grad();
    if (grad.defined()) {
      users.data_ptr<int>()[i] = 1;
      if (!grad.is_same(parts[i])) parts[i].copy_(grad);
      // From now on the bucket is the gradient: nothing is copied back.
      parameters[i].mutable_grad() = parts[i];
    } else {
      parts[i].zero_();
    }
    --buckets[bucket_of[i]].missing;
    while (next < buckets.size() && buckets[next].missing == 0) {
      buckets[next].work = sum(*group, buckets[next].flat);
      ++next;
    }
  }

  // The backward pass is over: what it did not reach is sent as it is.
  void finish() {
    for (size_t i = parameters.size(); i-- > 0;) take(i);
    armed = false;
    users_work = sum(*group, users);
  }

  bool done(int64_t millis) {
    for (Bucket &bucket : buckets)
      if (bucket.work && !bucket.work->done(millis)) return false;
    if (users_work && !users_work->done(millis)) return false;
    for (Bucket &bucket : buckets) bucket.work.reset();
    users_work.reset();
    for (size_t i = 0; i < parameters.size(); ++i) {
      // What no rank used has no gradient, rather than one of zeros.
      if (users.data_ptr<int>()[i] > 0)
        parameters[i].mutable_grad() = parts[i];
      else
        parameters[i].mutable_grad().reset();
    }
    return true;
  }
};

extern "C" {

// Connects to the store at an address, which one process serves.
const char *hexapla_store_open(const char *host, uint16_t port, int server, int64_t millis,
                               HexaplaStore **out) {
  return guarded([&] { *out = new HexaplaStore{connect(host, port, server != 0, Millis(millis))}; });
}

const char *hexapla_store_set(HexaplaStore *store, const char *key, const char *value) {
  return guarded([&] { store->store->set(key, bytes(value)); });
}

// Copies the value of a key, cut to `room` bytes, and tells its length; −1 where there is none.
const char *hexapla_store_get(HexaplaStore *store, const char *key, char *into, int64_t room,
                              int64_t *length) {
  return guarded([&] {
    *length = -1;
    if (!store->store->check({key})) return;
    const std::vector<uint8_t> value = store->store->get(key);
    *length = std::min<int64_t>(static_cast<int64_t>(value.size()), room);
    std::memcpy(into, value.data(), static_cast<size_t>(*length));
  });
}

void hexapla_store_free(HexaplaStore *store) { delete store; }

// The processes of a store as a group that sums over gloo; returns when all have come.
const char *hexapla_group_join(HexaplaStore *store, const char *prefix, const char *host, int rank,
                               int size, HexaplaGroup **out) {
  return guarded([&] {
    auto options = c10d::ProcessGroupGloo::Options::create(kLongest);
    options->devices.push_back(host[0] == 0
                                   ? c10d::ProcessGroupGloo::createDefaultDevice()
                                   : c10d::ProcessGroupGloo::createDeviceForHostname(host));
    auto prefixed = c10::make_intrusive<c10d::PrefixStore>(prefix, store->store);
    auto backend = c10::make_intrusive<c10d::ProcessGroupGloo>(prefixed, rank, size, options);
    *out = new HexaplaGroup{std::move(backend), prefixed, rank, size, nullptr};
  });
}

void hexapla_group_free(HexaplaGroup *group) { delete group; }

// Begins to sum a tensor in place over all ranks.
const char *hexapla_group_sum(HexaplaGroup *group, const at::Tensor *tensor, HexaplaWork **out) {
  return guarded([&] { *out = sum(*group, *tensor).release(); });
}

// Waits some milliseconds for a sum; `done` tells whether it is there.
const char *hexapla_work_wait(HexaplaWork *work, int64_t millis, int *done) {
  return guarded([&] { *done = work->done(millis) ? 1 : 0; });
}

void hexapla_work_free(HexaplaWork *work) { delete work; }

const char *hexapla_buckets_new(HexaplaGroup *group, at::Tensor *const *parameters, int count,
                                int64_t cap, HexaplaBuckets **out) {
  return guarded([&] {
    std::vector<at::Tensor> all;
    for (int i = 0; i < count; ++i) all.push_back(*parameters[i]);
    *out = new HexaplaBuckets(group, std::move(all), cap);
  });
}

const char *hexapla_buckets_arm(HexaplaBuckets *buckets) {
  return guarded([&] { buckets->arm(); });
}

const char *hexapla_buckets_finish(HexaplaBuckets *buckets) {
  return guarded([&] { buckets->finish(); });
}

const char *hexapla_buckets_wait(HexaplaBuckets *buckets, int64_t millis, int *done) {
  return guarded([&] { *done = buckets->done(millis) ? 1 : 0; });
}

void hexapla_buckets_free(HexaplaBuckets *buckets) { delete buckets; }

} // extern "C"
