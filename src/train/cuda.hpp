// What is different on CUDA, by libtorch's device-neutral interfaces and libraries opened at run
// time: the rest of the trainer is the same there. Compiled everywhere; it has not run on a GPU yet.
#pragma once
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

namespace hexapla {
// Sums of CUDA tensors over all ranks by NCCL, each on a stream of its own beside the current one.
c10::intrusive_ptr<c10d::Backend> nccl(const c10::intrusive_ptr<c10d::Store> &store, int rank,
                                       int size, c10::Device device);
} // namespace hexapla
