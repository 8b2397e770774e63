// What a kernel may ask of the threads that run it: phases with a barrier behind each, numbers of its own, shared
// memory.
//
// A kernel is a struct with `kThreads`, `Params` and `template <class Block> static void run(Block&, const Params&)`.
// It is written once and runs twice: on a device (DeviceBlock), and in tests on the host, where an executor takes the
// threads of a phase in any order. A phase whose outcome depends on that order lacks a barrier.
//
// Arithmetic is spelled out: no contraction, fused multiply-adds by name, exponentials from shared/elementary.h. So the
// host executor gives the bits of the device.
#pragma once

#include <cstddef>
#include <cstdint>

#include "shared/host_device.h"

#if defined(__CUDACC__)
#define PG_TILE __device__ __forceinline__
#else
#define PG_TILE inline
#endif

namespace phantomgrad::cuda {

/// a * b + c in one rounding.
PG_HD float fused(float a, float b, float c) {
#if defined(__CUDA_ARCH__)
  return __fmaf_rn(a, b, c);
#else
  return __builtin_fmaf(a, b, c);
#endif
}
PG_HD double fused(double a, double b, double c) { return ieee::fma(a, b, c); }

PG_HD constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
/// a / b for 0 <= a < 2^32 and 0 < b < 2^32, such as numbers of blocks: a division of 64 bits is a call with spills.
PG_HD constexpr int64_t quotient(int64_t a, int64_t b) { return static_cast<uint32_t>(a) / static_cast<uint32_t>(b); }
PG_HD constexpr int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

#if defined(__CUDACC__)

extern __shared__ __align__(16) unsigned char dynamic_shared[];

template <int Threads>
class DeviceBlock {
 public:
  static constexpr int kThreads = Threads;

  /// Numbers that every thread has for itself and that outlive a phase.
  template <class T>
  class Own {
   public:
    PG_TILE explicit Own(DeviceBlock&) {}
    PG_TILE T& operator[](int) { return value_; }

   private:
    T value_;
  };

  PG_TILE int64_t index() const { return static_cast<int64_t>(blockIdx.x); }

  /// Runs body(thread) for every thread of the block, then waits for all of them.
  template <class Body>
  PG_TILE void phase(Body body) {
    body(static_cast<int>(threadIdx.x));
    __syncthreads();
  }

  /// The same without waiting: for numbers of the threads' own and for output. Shared memory is out of bounds here.
  template <class Body>
  PG_TILE void each(Body body) {
    body(static_cast<int>(threadIdx.x));
  }

  template <class T>
  PG_TILE T* shared() {
    return reinterpret_cast<T*>(dynamic_shared);
  }
};

#endif

}  // namespace phantomgrad::cuda
