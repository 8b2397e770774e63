// Per-sample gradients that are kept as they are (norm layers, biases): their norms, and their clipped sum.
#pragma once

#include "cuda/tile.h"

namespace phantomgrad::cuda {

/// norm2[b] = sum of squares of row b, in float64; bound[b] covers the roundings of that and of the clipped sum.
template <class T>
struct StoredNorm {
  static constexpr int kThreads = 128;
  static constexpr int64_t kShared = kThreads * sizeof(double);

  struct Params {
    const T* rows;  // [B, width]
    int64_t samples, width;
    double *norm2, *bound;  // [B]
  };

  template <class Block>
  PG_TILE static void run(Block& block, const Params& p) {
    typename Block::template Own<double> sum(block);
    block.each([&](int thread) {
      sum[thread] = 0;
      for (int64_t i = thread; i < p.width; i += kThreads) {
        const double x = static_cast<double>(p.rows[block.index() * p.width + i]);
        sum[thread] = fused(x, x, sum[thread]);
      }
    });
    sum_threads(block, block.template shared<double>(), sum, p.norm2 + block.index());
    block.each([&](int thread) {
      if (thread != 0) return;
      const double added = static_cast<double>(p.width + p.samples) + 16;
      p.bound[block.index()] = ieee::sqrt(p.norm2[block.index()]) * (1 + rounding<double>(added));
    });
  }
};

/// sum[i] += sum over b of factor_b row_b[i], in order and in float64. Rows with factor 0 are never read.
template <class T>
struct StoredSum {
  static constexpr int kThreads = 128;

  struct Params {
    const T* rows;          // [B, width]
    const double* factors;  // [B]
    int64_t samples, width;
    double* sum;  // [width]
  };

  static int64_t blocks(int64_t width) { return ceil_div(width, kThreads); }

  template <class Block>
  PG_TILE static void run(Block& block, const Params& p) {
    block.each([&](int thread) {
      const int64_t i = block.index() * kThreads + thread;
      if (i >= p.width) return;
      double sum = 0;
      for (int64_t b = 0; b < p.samples; ++b)
        if (p.factors[b] != 0) sum += p.factors[b] * static_cast<double>(p.rows[b * p.width + i]);
      p.sum[i] += sum;
    });
  }
};

}  // namespace phantomgrad::cuda
