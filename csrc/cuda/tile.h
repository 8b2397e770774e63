// Products of 64 x 64 tiles in registers, with a known number of roundings, and sums over the threads of a block.
//
// 256 threads hold 4 x 4 elements each. An element is summed over the depth in the order 0, 1, 2, ...: runs of 64 fused
// multiply-adds, the runs then added up. So its bits depend on its row and column alone, not on the tile that it is in:
// what one kernel computed, another computes again.
#pragma once

#include "cuda/block.h"

namespace phantomgrad::cuda {

inline constexpr int kSide = 64, kEach = 4, kAcross = kSide / kEach;
inline constexpr int kTileThreads = kAcross * kAcross;
inline constexpr int kDepth = 16;
inline constexpr int kRun = 64;

/// The elements of one thread: rows kEach * (thread / kAcross) + i, columns kEach * (thread % kAcross) + j.
template <class S>
struct Elements {
  S at[kEach][kEach];
};

template <class S>
struct Panels {
  // Padded: neighbouring depths start in other banks.
  S left[kDepth][kSide + 4], right[kDepth][kSide + 4];
};

/// Calls body(i, j, row, column) for the elements of a thread.
template <class Body>
PG_TILE void each_element(int thread, Body body) {
#pragma unroll
  for (int i = 0; i < kEach; ++i)
#pragma unroll
    for (int j = 0; j < kEach; ++j) body(i, j, thread / kAcross * kEach + i, thread % kAcross * kEach + j);
}

/// sum(row, column) = sum over k < depth of left(row, k) right(column, k), in S. `LeftRuns`: neighbouring rows, not
/// neighbouring depths, are neighbours in memory. Loaders give 0 for rows and columns that do not exist.
template <bool LeftRuns, bool RightRuns, class S, class Block, class Sum, class Left, class Right>
PG_TILE void multiply(Block& block, Panels<S>& panels, Sum& sum, int64_t depth, Left left, Right right) {
  typename Block::template Own<Elements<S>> run(block);
  block.each([&](int thread) {
    each_element(thread, [&](int i, int j, int, int) { sum[thread].at[i][j] = run[thread].at[i][j] = S(0); });
  });
  for (int64_t first = 0; first < depth; first += kDepth) {
    block.phase([&](int thread) {
#pragma unroll
      for (int e = 0; e < kSide * kDepth / kTileThreads; ++e) {
        const int at = e * kTileThreads + thread;
        const int row = LeftRuns ? at % kSide : at / kDepth, k = LeftRuns ? at / kSide : at % kDepth;
        panels.left[k][row] = first + k < depth ? static_cast<S>(left(row, first + k)) : S(0);
        const int column = RightRuns ? at % kSide : at / kDepth, l = RightRuns ? at / kSide : at % kDepth;
        panels.right[l][column] = first + l < depth ? static_cast<S>(right(column, first + l)) : S(0);
      }
    });
    block.phase([&](int thread) {
      Elements<S>& own = run[thread];
      const int row = thread / kAcross * kEach, column = thread % kAcross * kEach;
#pragma unroll
      for (int k = 0; k < kDepth; ++k) {
        S l[kEach], r[kEach];
#pragma unroll
        for (int i = 0; i < kEach; ++i) l[i] = panels.left[k][row + i], r[i] = panels.right[k][column + i];
#pragma unroll
        for (int i = 0; i < kEach; ++i)
#pragma unroll
          for (int j = 0; j < kEach; ++j) own.at[i][j] = fused(l[i], r[j], own.at[i][j]);
      }
      if ((first + kDepth) % kRun != 0 && first + kDepth < depth) return;
      each_element(thread, [&](int i, int j, int, int) {
        sum[thread].at[i][j] += own.at[i][j];
        own.at[i][j] = S(0);
      });
    });
  }
}

/// Roundings that one element of multiply() may have suffered.
PG_HD double product_roundings(int64_t depth) {
  return static_cast<double>(smaller(depth, kRun) + ceil_div(depth, kRun));
}

/// gamma_n = n u / (1 - n u): the relative error of n roundings in a row (Higham 2002, Lemma 3.1).
template <class S>
PG_HD double rounding(double n) {
  const double nu = n * (sizeof(S) == 4 ? 0x1p-24 : 0x1p-53);
  return nu / (1 - nu);
}

/// Sums one number of each thread in a fixed order; `out` gets it. `scratch` has room for Block::kThreads numbers.
template <class Block, class Values>
PG_TILE void sum_threads(Block& block, double* scratch, Values& values, double* out) {
  constexpr int kGroup = 16;
  block.phase([&](int thread) { scratch[thread] = values[thread]; });
  block.phase([&](int thread) {
    if (thread % kGroup != 0) return;
    double sum = 0;
    for (int i = 0; i < kGroup; ++i) sum += scratch[thread + i];
    scratch[thread] = sum;
  });
  block.phase([&](int thread) {
    if (thread != 0) return;
    double sum = 0;
    for (int i = 0; i < Block::kThreads; i += kGroup) sum += scratch[i];
    *out = sum;
  });
}

/// The sum over `count` numbers that lie `apart`, in order.
PG_TILE double sum_of(const double* first, int64_t count, int64_t apart) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += first[i * apart];
  return sum;
}

/// sum[i] += partial[0, i] + partial[1, i] + ..., in this order.
struct AddSplits {
  static constexpr int kThreads = 256;

  struct Params {
    const double* partial;  // [splits, count]
    int64_t splits, count;
    double* sum;  // [count]
  };

  static int64_t blocks(int64_t count) { return ceil_div(count, kThreads); }

  template <class Block>
  PG_TILE static void run(Block& block, const Params& params) {
    block.each([&](int thread) {
      const int64_t i = block.index() * kThreads + thread;
      if (i < params.count) params.sum[i] += sum_of(params.partial + i, params.splits, params.count);
    });
  }
};

}  // namespace phantomgrad::cuda
