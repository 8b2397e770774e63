// The one door of CPU kernels to threads; csrc/ops/parallel.cc puts LibTorch's pool behind it.
#pragma once

#include <cstdint>
#include <functional>

namespace phantomgrad::cpu {

/// Runs `body(first, last)` over a partition of [begin, end) into ranges of at least `grain`, on the calling thread's
/// pool. Kernels give the same bits however the range is cut.
void parallel_for(int64_t begin, int64_t end, int64_t grain, const std::function<void(int64_t, int64_t)>& body);

/// The grain for items of `operations` elementary operations each: what a thread is woken for should take longer than
/// waking it.
constexpr int64_t grain_for(int64_t operations) {
  constexpr int64_t worth_a_thread = 1 << 16;
  return operations >= worth_a_thread ? 1 : worth_a_thread / (operations < 1 ? 1 : operations);
}

/// Threads that parallel_for may use.
int thread_count();

}  // namespace phantomgrad::cpu
