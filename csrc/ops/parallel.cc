// LibTorch's thread pool behind the CPU kernels' door.
#include "cpu/parallel.h"

#include <ATen/Parallel.h>

#ifndef _OPENMP
#error "compiled without OpenMP, at::parallel_for would run on one thread without a word"
#endif

namespace phantomgrad::cpu {

void parallel_for(int64_t begin, int64_t end, int64_t grain, const std::function<void(int64_t, int64_t)>& body) {
  at::parallel_for(begin, end, grain, body);
}

int thread_count() { return at::get_num_threads(); }

}  // namespace phantomgrad::cpu
