// LibTorch's thread pool behind the CPU kernels' door.
#include "cpu/parallel.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>

#ifndef _OPENMP
#error "compiled without OpenMP, at::parallel_for would run on one thread without a word"
#endif

namespace phantomgrad::cpu {

// Pieces shrink towards the end: a thread that the machine holds up, or whose items are longer, takes fewer of them.
void parallel_for(int64_t begin, int64_t end, int64_t grain, const std::function<void(int64_t, int64_t)>& body) {
  if (begin >= end) return;
  const int64_t least = std::max<int64_t>(grain, 1);
  const int64_t threads = std::min<int64_t>(at::get_num_threads(), (end - begin + least - 1) / least);
  if (threads == 1 || at::in_parallel_region()) return body(begin, end);
  std::atomic<int64_t> next{begin};
  at::parallel_for(0, threads, 1, [&](int64_t, int64_t) {
    for (int64_t first = next.load();;) {
      if (first >= end) return;
      const int64_t last = std::min(end, first + std::max(least, (end - first) / (2 * threads)));
      if (!next.compare_exchange_weak(first, last)) continue;
      body(first, last);
      first = next.load();
    }
  });
}

int thread_count() { return at::get_num_threads(); }

}  // namespace phantomgrad::cpu
