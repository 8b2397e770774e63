// Dropout by hashing the element's number: the loop has no state, so it vectorises.
#include "cpu/dropout.h"

#include "shared/dropout_mask.h"

namespace phantomgrad::cpu::PG_ISA {

template <class T>
void dropout(const T* x, int64_t n, uint64_t stream, uint64_t first_element, double rate, T* y) {
  const uint32_t threshold = dropout_threshold(rate);
  const T scale = static_cast<T>(1 / (1 - rate));
  for (int64_t i = 0; i < n; ++i)
    y[i] = dropout_keeps(stream, first_element + static_cast<uint64_t>(i), threshold) ? x[i] * scale : T(0);
}

template void dropout<float>(const float*, int64_t, uint64_t, uint64_t, double, float*);
template void dropout<double>(const double*, int64_t, uint64_t, uint64_t, double, double*);

}  // namespace phantomgrad::cpu::PG_ISA
