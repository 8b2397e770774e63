// Spreads the noise kernels over instruction sets and threads.
#include "cpu/noise.h"

#include "cpu/parallel.h"

namespace phantomgrad::cpu {

void normals(const ChaChaStream& stream, int64_t count, double* out) {
  parallel_for(0, (count + kTile - 1) / kTile, 64,
               [&](int64_t first, int64_t last) { PG_CALL((normals), stream, first, last, count, out); });
}

void words(const ChaChaStream& stream, uint32_t first_block, uint32_t* out) {
  PG_CALL((words), stream, first_block, out);
}

}  // namespace phantomgrad::cpu
