// Norms of rows for certificates, and what they do where squares underflow.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "cpu/reduce.h"

namespace phantomgrad {

/// Below this a float32 sum of `n` squares may have lost more to underflow than to rounding.
template <class T>
double safe_square(int64_t n) {
  return static_cast<double>(n) * (sizeof(T) == 4 ? 0x1p-120 : 0x1p-960);
}

/// What a row whose squares underflow counts, in units of its norm.
template <class T>
inline constexpr double kVanishingRow = sizeof(T) == 4 ? 0x1p16 : 0x1p28;

/// |x| for a row of `n` elements; 0 only for a row of zeros. A row so small that its squares underflow counts many
/// times its norm: a certificate rounding<T>(..) products^2 built from it then covers that the row's inner products may
/// be wrong altogether, and fails where that matters, so that the sample is computed in float64. (A vanishing gradient
/// is not harmless: factors like C / n bring it back to full size, with the relative error that its norm had.)
template <class T>
double row_norm(const T* x, int64_t n) {
  const double square = PG_CALL((sum_of_squares<T>), x, n);
  if (!(square < safe_square<T>(n))) return std::sqrt(square);
  double most = 0, sum = 0;
  for (int64_t i = 0; i < n; ++i) most = std::max(most, std::abs(static_cast<double>(x[i])));
  if (most == 0) return 0;
  for (int64_t i = 0; i < n; ++i) sum += (static_cast<double>(x[i]) / most) * (static_cast<double>(x[i]) / most);
  return kVanishingRow<T> * most * std::sqrt(sum);
}

}  // namespace phantomgrad
