// Channel-wise scale and shift: one pass forward, one pass for both sums.
#include "cpu/affine.h"

#include <cstddef>
#include <vector>

#include "cpu/isa.h"

namespace phantomgrad::cpu::PG_ISA {
namespace {

// inner = 1 is the common case (features last): then channels are the vector.
template <class T>
void forward_row(const T* x, const T* w, const T* b, int64_t channels, int64_t inner, T* y) {
  if (inner == 1) {
    if (w != nullptr && b != nullptr)
      for (int64_t c = 0; c < channels; ++c) y[c] = x[c] * w[c] + b[c];
    else if (w != nullptr)
      for (int64_t c = 0; c < channels; ++c) y[c] = x[c] * w[c];
    else
      for (int64_t c = 0; c < channels; ++c) y[c] = x[c] + b[c];
    return;
  }
  for (int64_t c = 0; c < channels; ++c, x += inner, y += inner) {
    const T scale = w == nullptr ? T(1) : w[c], shift = b == nullptr ? T(0) : b[c];
    for (int64_t i = 0; i < inner; ++i) y[i] = x[i] * scale + shift;
  }
}

}  // namespace

template <class T>
void affine_forward(const T* x, const T* w, const T* b, int64_t rows, int64_t channels, int64_t inner, T* y) {
  for (int64_t r = 0; r < rows; ++r)
    forward_row(x + r * channels * inner, w, b, channels, inner, y + r * channels * inner);
}

template <class T>
void affine_sums(const T* g, const T* x, int64_t rows, int64_t channels, int64_t inner, T* d_weight, T* d_bias) {
  std::vector<double> scale(static_cast<size_t>(channels), 0.0), shift(static_cast<size_t>(channels), 0.0);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t i = 0; i < inner; ++i, ++g, ++x) {
        scale[static_cast<size_t>(c)] += static_cast<double>(*g) * static_cast<double>(*x);
        shift[static_cast<size_t>(c)] += static_cast<double>(*g);
      }
  for (int64_t c = 0; c < channels; ++c) {
    if (d_weight != nullptr) d_weight[c] = static_cast<T>(scale[static_cast<size_t>(c)]);
    if (d_bias != nullptr) d_bias[c] = static_cast<T>(shift[static_cast<size_t>(c)]);
  }
}

#define PG_INSTANCES(T)                                                                         \
  template void affine_forward<T>(const T*, const T*, const T*, int64_t, int64_t, int64_t, T*); \
  template void affine_sums<T>(const T*, const T*, int64_t, int64_t, int64_t, T*, T*);
PG_INSTANCES(float)
PG_INSTANCES(double)

}  // namespace phantomgrad::cpu::PG_ISA
