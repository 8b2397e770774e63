// Inner products of rows with a proven rounding constant: short runs in the data's type, float64 between runs.
#pragma once

#include <algorithm>
#include <vector>

#include "cpu/gemm.h"
#include "cpu/reduce.h"
#include "ops/buffer.h"
#include "ops/record.h"

namespace phantomgrad {

inline constexpr int64_t kGramRun = 512;

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

/// From this many rows on, register tiles over short runs are faster than inner products along the rows.
inline constexpr int64_t kTiledRows = 48;

/// Products that one tile entry sums in a row. Short, because every one of them may round.
constexpr int64_t tiled_run(int64_t k) { return k <= 128 ? 32 : 64; }
/// Runs that are added up before their sum is added to the others': long rows round as often as short ones.
inline constexpr int64_t kStretch = 16;

/// Roundings that one entry of a Gram matrix may have suffered, relative to |a||b|, whichever way it was made.
template <class T>
double gram_roundings(int64_t k) {
  const bool fused = cpu::isa() != cpu::Isa::baseline;
  const int lanes = (cpu::isa() == cpu::Isa::avx512 ? 64
                     : cpu::isa() == cpu::Isa::avx2 ? 32
                                                    : 16) /
                    static_cast<int>(sizeof(T));
  // Additions of one lane (a product and a sum each where there is no fma), of the lanes, and of the runs.
  const double along = 2.0 * static_cast<double>(std::min(k, kGramRun)) / lanes + lanes + 2;
  const int64_t run = std::min(k, tiled_run(k)), runs = k / tiled_run(k);
  const double tiled = (fused ? 1.0 : 2.0) * static_cast<double>(run) +
                       static_cast<double>(std::min(kStretch, runs) + runs / kStretch) + 3;
  return std::max(along, tiled);
}

/// g [rows, columns] = A [rows, k] B with B = `transposed` [k, ld_t], in runs of tiled_run(k). `parts` has room for two
/// of g.
template <class T>
void gram_tiles(int64_t rows, int64_t columns, int64_t k, const T* a, int64_t lda, const T* transposed, int64_t ld_t,
                Buffer<T>& parts, T* g) {
  const int64_t size = rows * columns, run = tiled_run(k);
  T *part = parts.data(), *stretch = parts.data() + size;
  const auto add = [size](T* to, const T* from) {
    for (int64_t i = 0; i < size; ++i) to[i] += from[i];
  };
  for (int64_t begin = 0; begin < k; begin += kStretch * run) {
    T* sum = begin == 0 ? g : stretch;
    for (int64_t first = begin; first < std::min(k, begin + kStretch * run); first += run) {
      T* to = first == begin ? sum : part;
      PG_CALL((gemm<T>), rows, columns, std::min(run, k - first), {a + first, lda, 1}, transposed + first * ld_t, ld_t,
              to, columns, false);
      if (to != sum) add(sum, to);
    }
    if (sum != g) add(g, sum);
  }
}

/// <L L^T, R R^T> of `rows` rows: the squared norm of sum_t l_t r_t^T. Symmetric blocks are computed once.
template <class T>
double gram_norm2(int64_t rows, const T* l, int64_t p, int64_t ld_l, const T* r, int64_t d, int64_t ld_r) {
  // Right of the diagonal block, an entry stands for its mirror image too.
  const auto weight = [](int64_t column, int64_t count) { return column < count ? 1.0 : 2.0; };
  double total = 0;
  if (rows < kTiledRows) {
    constexpr int64_t block = 16;
    std::vector<double> ll(static_cast<size_t>(block * rows)), rr(static_cast<size_t>(block * rows));
    for (int64_t i = 0; i < rows; i += block) {
      const int64_t count = std::min(block, rows - i), columns = rows - i;
      gram_rows<T>(count, columns, p, l + i * ld_l, ld_l, l + i * ld_l, ld_l, ll.data());
      gram_rows<T>(count, columns, d, r + i * ld_r, ld_r, r + i * ld_r, ld_r, rr.data());
      for (int64_t row = 0; row < count; ++row)
        for (int64_t c = 0; c < columns; ++c)
          total += weight(c, count) * ll[static_cast<size_t>(row * columns + c)] *
                   rr[static_cast<size_t>(row * columns + c)];
    }
    return total;
  }
  Buffer<T> lt(p * rows), rt(d * rows), ll(kTiledRows * rows), rr(kTiledRows * rows), parts(2 * kTiledRows * rows);
  PG_CALL((transpose<T>), rows, p, l, ld_l, lt.data(), rows);
  PG_CALL((transpose<T>), rows, d, r, ld_r, rt.data(), rows);
  for (int64_t i = 0; i < rows; i += kTiledRows) {
    const int64_t count = std::min(kTiledRows, rows - i), columns = rows - i;
    gram_tiles<T>(count, columns, p, l + i * ld_l, ld_l, lt.data() + i, rows, parts, ll.data());
    gram_tiles<T>(count, columns, d, r + i * ld_r, ld_r, rt.data() + i, rows, parts, rr.data());
    for (int64_t row = 0; row < count; ++row) {
      const T *x = ll.data() + row * columns, *y = rr.data() + row * columns;
      total += PG_CALL((wide_dot<T>), x, y, count) + 2 * PG_CALL((wide_dot<T>), x + count, y + count, columns - count);
    }
  }
  return total;
}

/// What gram_norm2 may be off by, relative to (sum_t |l_t| |r_t|)^2: roundings of the entries, then of sums in float64,
/// which count where the entries are float64, too.
template <class T>
double gram_rounding(int64_t rows, int64_t p, int64_t d) {
  const auto n = static_cast<double>(rows);
  const double sums = rows < kTiledRows ? n * n : n + n / 16 + 64;
  return rounding<T>(gram_roundings<T>(p) + gram_roundings<T>(d)) +
         rounding<double>(sums + static_cast<double>((p + d) / kGramRun) + 4);
}

}  // namespace phantomgrad
