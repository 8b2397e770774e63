// Starts a kernel: on a CUDA stream, or (in the tests' build by a C++ compiler) on the host executor.
#pragma once

#include <stdexcept>
#include <string>

#include "cuda/block.h"

namespace phantomgrad::cuda {

/// Refuses more blocks than a grid holds. A launch would cut their number to 32 bits, leave most of the work out and
/// report nothing.
inline void check_grid(int64_t blocks) {
  if (blocks > INT32_MAX)
    throw std::runtime_error("[ERR_INVALID_ARGUMENT] a kernel would need " + std::to_string(blocks) +
                             " blocks, a grid holds 2^31 - 1: take smaller batches.");
}

}  // namespace phantomgrad::cuda

#if defined(__CUDACC__)

#include <cuda_runtime.h>
#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/csrc/stable/accelerator.h>
#include <torch/csrc/stable/macros.h>

namespace phantomgrad::cuda {

/// Throws LibTorch's message for a call that failed. The error is taken out of this run time first: LibTorch has a run
/// time of its own, so that nobody else would, and the next launch would report it a second time.
inline void check_cuda(cudaError_t status) {
  if (status == cudaSuccess) return;
  static_cast<void>(cudaGetLastError());
  STD_CUDA_CHECK(status);
}

/// The device that the arguments live on, and its current stream.
class Place {
 public:
  explicit Place(int32_t device) : device_(device), guard_(device) {
    void* stream = nullptr;
    TORCH_ERROR_CODE_CHECK(aoti_torch_get_current_cuda_stream(device, &stream));
    stream_ = static_cast<cudaStream_t>(stream);
  }
  cudaStream_t stream() const { return stream_; }

  /// Bytes of shared memory that a block may ask for here: 163 KiB on A100, 227 KiB on H100, 99 KiB on GPUs for
  /// desktops.
  int64_t most_shared() const {
    int bytes = 0;
    check_cuda(cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device_));
    return bytes;
  }

 private:
  int32_t device_;
  torch::stable::accelerator::DeviceGuard guard_;
  cudaStream_t stream_ = nullptr;
};

template <class Kernel>
__global__ void __launch_bounds__(Kernel::kThreads) entry(const typename Kernel::Params params) {
  DeviceBlock<Kernel::kThreads> block;
  Kernel::run(block, params);
}

/// `blocks` blocks of Kernel::kThreads threads with `shared` bytes of shared memory each. No block: nothing happens.
template <class Kernel>
void launch(const Place& place, int64_t blocks, int64_t shared, const typename Kernel::Params& params) {
  if (blocks == 0) return;
  check_grid(blocks);
  // More than 48 KiB has to be asked for, once a kernel and device; asking again costs a microsecond and no wait.
  if (shared > 48 * 1024)
    check_cuda(
        cudaFuncSetAttribute(entry<Kernel>, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared)));
  entry<Kernel>
      <<<static_cast<unsigned>(blocks), Kernel::kThreads, static_cast<size_t>(shared), place.stream()>>>(params);
  check_cuda(cudaGetLastError());
}

}  // namespace phantomgrad::cuda

#else

#include "tile_executor.h"  // test/csrc/cuda/host

#endif
