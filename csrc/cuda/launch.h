// Starts a kernel: on a CUDA stream, or (in the tests' build by a C++ compiler) on the host executor.
#pragma once

#include "cuda/block.h"

#if defined(__CUDACC__)

#include <cuda_runtime.h>
#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/csrc/stable/accelerator.h>
#include <torch/csrc/stable/macros.h>

namespace phantomgrad::cuda {

/// The device that the arguments live on, and its current stream.
class Place {
 public:
  explicit Place(int32_t device) : guard_(device) {
    void* stream = nullptr;
    TORCH_ERROR_CODE_CHECK(aoti_torch_get_current_cuda_stream(device, &stream));
    stream_ = static_cast<cudaStream_t>(stream);
  }
  cudaStream_t stream() const { return stream_; }

 private:
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
  // More than 48 KiB has to be asked for, once a kernel and device; asking again costs a microsecond and no wait.
  if (shared > 48 * 1024)
    STD_CUDA_CHECK(
        cudaFuncSetAttribute(entry<Kernel>, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared)));
  entry<Kernel>
      <<<static_cast<unsigned>(blocks), Kernel::kThreads, static_cast<size_t>(shared), place.stream()>>>(params);
  STD_CUDA_KERNEL_LAUNCH_CHECK();
}

}  // namespace phantomgrad::cuda

#else

#include "tile_executor.h"  // test/csrc/cuda/host

#endif
