// See cuda.hpp.
#include "cuda.hpp"

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty_like.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <dlfcn.h>

#include <chrono>
#include <cstring>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using c10::impl::VirtualGuardImpl;

void *library(const char *name) {
  void *handle = dlopen(name, RTLD_NOW | RTLD_GLOBAL);
  TORCH_CHECK(handle, name, ": ", dlerror());
  return handle;
}

template <class F> F symbol(void *handle, const char *name) {
  void *found = dlsym(handle, name);
  TORCH_CHECK(found, name, ": ", dlerror());
  return reinterpret_cast<F>(found);
}

// NCCL's C interface, version 2, as nccl.h declares it.
struct UniqueId {
  char internal[128];
};
using Comm = void *;

struct Nccl {
  int (*unique_id)(UniqueId *);
  int (*init)(Comm *, int, UniqueId, int);
  int (*all_reduce)(const void *, void *, size_t, int, int, Comm, void *);
  const char *(*error)(int);

  Nccl() {
    void *handle = library("libnccl.so.2");
    unique_id = symbol<decltype(unique_id)>(handle, "ncclGetUniqueId");
    init = symbol<decltype(init)>(handle, "ncclCommInitRank");
    all_reduce = symbol<decltype(all_reduce)>(handle, "ncclAllReduce");
    error = symbol<decltype(error)>(handle, "ncclGetErrorString");
  }

  void check(int result) const { TORCH_CHECK(result == 0, "NCCL: ", error(result)); }
};

int kind(c10::ScalarType type) {
  switch (type) {
  case c10::ScalarType::Int: return 2;
  case c10::ScalarType::Long: return 4;
  case c10::ScalarType::Float: return 7;
  case c10::ScalarType::Double: return 8;
  default: TORCH_CHECK(false, "NCCL: a sum of ", c10::toString(type));
  }
}

// A sum that is done once an event is.
struct NcclWork : c10d::Work {
  c10::Device device;
  void *event = nullptr;
  explicit NcclWork(c10::Device device) : device(device) {}
  ~NcclWork() override { VirtualGuardImpl(device.type()).destroyEvent(event, device.index()); }

  bool isCompleted() override { return VirtualGuardImpl(device.type()).queryEvent(event); }
  bool isSuccess() const override { return true; }
  void synchronize() override {
    const VirtualGuardImpl guard(device.type());
    guard.block(event, guard.getStream(device));
  }
  bool wait(std::chrono::milliseconds timeout) override {
    const auto until = std::chrono::steady_clock::now() + timeout;
    while (!isCompleted()) {
      TORCH_CHECK(std::chrono::steady_clock::now() < until, "Operation timed out!");
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
    synchronize();
    return true;
  }
};

struct NcclBackend : c10d::Backend {
  Nccl nccl;
  Comm comm = nullptr;
  c10::Device device;
  c10::Stream stream;

  NcclBackend(const c10::intrusive_ptr<c10d::Store> &store, int rank, int size, c10::Device device)
      : Backend(rank, size), device(device),
        stream(VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device)) {
    VirtualGuardImpl(device.type()).setDevice(device);
    UniqueId id{};
    if (rank == 0) {
      nccl.check(nccl.unique_id(&id));
      const auto *bytes = reinterpret_cast<const uint8_t *>(id.internal);
      store->set("nccl", std::vector<uint8_t>(bytes, bytes + sizeof id.internal));
    } else {
      const std::vector<uint8_t> bytes = store->get("nccl");
      TORCH_CHECK(bytes.size() == sizeof id.internal, "NCCL: no id from rank 0");
      std::memcpy(id.internal, bytes.data(), bytes.size());
    }
    nccl.check(nccl.init(&comm, size, id, rank));
  }

  const std::string getBackendName() const override { return "nccl"; }

  c10::intrusive_ptr<c10d::Work> allreduce(std::vector<at::Tensor> &tensors,
                                           const c10d::AllreduceOptions &) override {
    const VirtualGuardImpl guard(device.type());
    auto work = c10::make_intrusive<NcclWork>(device);
    // The sum begins when what writes the tensor now is done.
    void *ready = nullptr;
    guard.record(&ready, guard.getStream(device), device.index(), c10::EventFlag::PYTORCH_DEFAULT);
    guard.block(ready, stream);
    guard.destroyEvent(ready, device.index());
    for (at::Tensor &tensor : tensors)
      nccl.check(nccl.all_reduce(tensor.data_ptr(), tensor.data_ptr(),
                                 static_cast<size_t>(tensor.numel()), kind(tensor.scalar_type()),
                                 /*sum*/ 0, comm, stream.native_handle()));
    guard.record(&work->event, stream, device.index(), c10::EventFlag::PYTORCH_DEFAULT);
    return work;
  }
};

} // namespace

c10::intrusive_ptr<c10d::Backend> hexapla::nccl(const c10::intrusive_ptr<c10d::Store> &store,
                                                int rank, int size, c10::Device device) {
  return c10::make_intrusive<NcclBackend>(store, rank, size, device);
}

namespace {
thread_local std::string message;

template <class F> const char *guarded(F &&body) noexcept {
  try {
    body();
    return nullptr;
  } catch (const c10::Error &error) {
    message = error.what_without_backtrace();
  } catch (const std::exception &error) {
    message = error.what();
  }
  return message.c_str();
}
} // namespace

extern "C" {

// Bytes that the tensors of a CUDA device take now, and took at most.
const char *hexapla_device_memory(int index, int64_t *now, int64_t *most) {
  return guarded([&] {
    const auto stats =
        c10::getDeviceAllocator(c10::kCUDA)->getDeviceStats(static_cast<c10::DeviceIndex>(index));
    const auto all = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
    *now = stats.allocated_bytes[all].current;
    *most = stats.allocated_bytes[all].peak;
  });
}

// The name of a CUDA device as the driver tells it.
const char *hexapla_device_name(int index, char *into, int room) {
  return guarded([&] {
    void *driver = library("libcuda.so.1");
    int device = 0;
    TORCH_CHECK(symbol<int (*)(unsigned)>(driver, "cuInit")(0) == 0, "the CUDA driver refused");
    TORCH_CHECK(symbol<int (*)(int *, int)>(driver, "cuDeviceGet")(&device, index) == 0 &&
                    symbol<int (*)(char *, int, int)>(driver, "cuDeviceGetName")(into, room,
                                                                                 device) == 0,
                "no CUDA device ", index);
  });
}

// A copy of a CPU tensor on a CUDA device by way of pinned memory; the host does not wait.
const char *hexapla_to_cuda(const at::Tensor *tensor, int index, at::Tensor **out) {
  return guarded([&] {
    const c10::Device device(c10::kCUDA, static_cast<c10::DeviceIndex>(index));
    // The allocator of pinned memory keeps it until the copy is done.
    *out = new at::Tensor(tensor->pin_memory().to(device, tensor->scalar_type(),
                                                  /*non_blocking=*/true, /*copy=*/true));
  });
}

} // extern "C"
