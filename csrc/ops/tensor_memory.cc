// Memory of tensors on the CPU: the C library's, aligned here.
//
// posix_memalign, which LibTorch's own allocator asks, takes a block larger than wanted and gives the rest back, so the
// hole that a tensor leaves is too small for the next tensor of its size. A backward pass, which frees activations and
// allocates gradients of the same sizes, then grows the heap instead of using it again.
#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/util/Exception.h>

#include <cstdint>
#include <cstdlib>

namespace phantomgrad {
namespace {

constexpr uintptr_t kAlignment = 64;  // as LibTorch's: a cache line, and the longest vector

// The block that malloc returned, which lies before the aligned address.
void*& block_of(void* data) { return static_cast<void**>(data)[-1]; }

void release(void* data) {
  if (data == nullptr) return;
  c10::profiledCPUMemoryReporter().Delete(data);
  std::free(block_of(data));
}

struct TensorMemory final : c10::Allocator {
  c10::DataPtr allocate(size_t bytes) override {
    void* data = nullptr;
    if (bytes > 0) {
      void* block =
          bytes > SIZE_MAX - kAlignment - sizeof(void*) ? nullptr : std::malloc(bytes + kAlignment + sizeof(void*));
      if (block == nullptr) {
        c10::profiledCPUMemoryReporter().OutOfMemory(bytes);
        TORCH_CHECK_WITH(OutOfMemoryError, false, "can't allocate memory: you tried to allocate ", bytes, " bytes.");
      }
      const uintptr_t first = reinterpret_cast<uintptr_t>(block) + sizeof(void*);
      data = reinterpret_cast<void*>((first + kAlignment - 1) / kAlignment * kAlignment);
      block_of(data) = block;
      c10::profiledCPUMemoryReporter().New(data, bytes);
    }
    return {data, data, &release, c10::Device(c10::DeviceType::CPU)};
  }

  c10::DeleterFnPtr raw_deleter() const override { return &release; }

  void copy_data(void* to, const void* from, size_t bytes) const override { default_copy_data(to, from, bytes); }
};

// Leaked: tensors may live longer than static objects with destructors would.
REGISTER_ALLOCATOR(c10::DeviceType::CPU, new TensorMemory)

}  // namespace
}  // namespace phantomgrad
