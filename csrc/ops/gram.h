// Inner products of rows with a proven rounding constant: short runs in the data's type, float64 between runs.
#pragma once

#include <algorithm>
#include <vector>

#include "cpu/gemm.h"
#include "ops/record.h"

namespace phantomgrad {

inline constexpr int64_t kGramRun = 2048;

/// g [m, n] = A [m, k] B [n, k]^T.
template <class T>
void gram_rows(int64_t m, int64_t n, int64_t k, const T* a, int64_t lda, const T* b, int64_t ldb, double* g) {
  std::vector<T> part(static_cast<size_t>(m * n));
  std::fill(g, g + m * n, 0.0);
  for (int64_t first = 0; first < k; first += kGramRun) {
    PG_CALL((gram<T>), m, n, std::min(kGramRun, k - first), a + first, lda, b + first, ldb, part.data(), n);
    for (int64_t i = 0; i < m * n; ++i) g[i] += static_cast<double>(part[static_cast<size_t>(i)]);
  }
}

/// Roundings that one entry of gram_rows may have suffered, relative to |a||b|.
template <class T>
double gram_roundings(int64_t k) {
  const int lanes = (cpu::isa() == cpu::Isa::avx512 ? 64
                     : cpu::isa() == cpu::Isa::avx2 ? 32
                                                    : 16) /
                    static_cast<int>(sizeof(T));
  // Additions of one lane (a product and a sum each where there is no fma), of the lanes, and of the runs.
  return 2.0 * static_cast<double>(std::min(k, kGramRun)) / lanes + lanes + 2;
}

/// <L L^T, R R^T> of `rows` rows: the squared norm of sum_t l_t r_t^T. Symmetric blocks are computed once.
template <class T>
double gram_norm2(int64_t rows, const T* l, int64_t p, int64_t ld_l, const T* r, int64_t d, int64_t ld_r) {
  constexpr int64_t block = 16;
  std::vector<double> ll(static_cast<size_t>(block * rows)), rr(static_cast<size_t>(block * rows));
  double total = 0;
  for (int64_t i = 0; i < rows; i += block) {
    const int64_t count = std::min(block, rows - i), columns = rows - i;
    gram_rows<T>(count, columns, p, l + i * ld_l, ld_l, l + i * ld_l, ld_l, ll.data());
    gram_rows<T>(count, columns, d, r + i * ld_r, ld_r, r + i * ld_r, ld_r, rr.data());
    for (int64_t row = 0; row < count; ++row)
      for (int64_t c = 0; c < columns; ++c)  // right of the diagonal block, an entry stands for its mirror image too
        total += (c < count ? 1.0 : 2.0) * ll[static_cast<size_t>(row * columns + c)] *
                 rr[static_cast<size_t>(row * columns + c)];
  }
  return total;
}

}  // namespace phantomgrad
