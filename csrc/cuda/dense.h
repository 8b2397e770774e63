// Uses of a dense parameter, G_b = sum_t g_t a_t^T: norms by Gram or direct tiles, their certificate, the clipped sum.
// Twin: reference/linear.cc. Mathematics: Li et al. 2022 (arXiv 2110.05679), section 4.
//
// Norms come in two steps: tiles leave partial sums, one float64 a tile; `DenseNorm` (dense_norm.h) adds them in order
// and certifies. The grids depend on the longest sample only, tiles beyond a sample's end give 0: a captured graph
// serves every batch.
#pragma once

#include "cuda/tile.h"

namespace phantomgrad::cuda {

/// Rows of samples: sample b owns the rows offsets[b] .. offsets[b + 1].
template <class T>
struct DenseRows {
  const T* a;              // [N, d] inputs of the layer
  const T* g;              // [N, p] gradients of the per-sample losses at its output
  const int64_t* offsets;  // [B + 1]
  int64_t samples, d, p;
  int64_t bias;  // 1: the inputs have a column of ones behind them, so that weight and bias count together; else 0

  PG_TILE int64_t columns() const { return d + bias; }
  PG_TILE T input(int64_t row, int64_t column) const {
    return column < d ? a[row * d + column] : column < columns() ? T(1) : T(0);
  }
};

PG_HD constexpr int64_t side_count(int64_t n) { return ceil_div(n, kSide); }
PG_HD constexpr int64_t pair_count(int64_t longest) { return side_count(longest) * (side_count(longest) + 1) / 2; }

/// partial[b, pair] = sum over the tile pair of (a_t . a_s + bias) (g_t . g_s); pairs off the diagonal count twice.
template <class T>
struct GhostGram {
  static constexpr int kThreads = kTileThreads;
  static constexpr int64_t kShared = sizeof(Panels<T>) + kThreads * sizeof(double);

  struct Params {
    DenseRows<T> rows;
    int64_t pairs;    // pair_count of the longest sample
    double* partial;  // [B, pairs]
  };

  template <class Block>
  PG_TILE static void run(Block& block, const Params& params) {
    const DenseRows<T>& r = params.rows;
    const int64_t sample = block.index() / params.pairs, pair = block.index() % params.pairs;
    int64_t down = 0, right = pair;  // pair = right (right + 1) / 2 + down, down <= right
    for (int64_t j = 0; right >= 0; ++j) {
      if (right <= j) {
        down = right, right = j;
        break;
      }
      right -= j + 1;
    }
    const int64_t begin = r.offsets[sample], length = r.offsets[sample + 1] - begin;
    if (right * kSide >= length) {
      block.each([&](int thread) {
        if (thread == 0) params.partial[block.index()] = 0;
      });
      return;
    }
    Panels<T>& panels = *block.template shared<Panels<T>>();
    double* scratch = reinterpret_cast<double*>(&panels + 1);
    typename Block::template Own<Elements<T>> inputs(block), gradients(block);
    const int64_t top = down * kSide, left = right * kSide;
    const auto gram = [&](auto& sum, const T* x, int64_t width) {
      const auto from = [&](int64_t first) {
        return [=](int row, int64_t k) { return first + row < length ? x[(begin + first + row) * width + k] : T(0); };
      };
      multiply<false, false, T>(block, panels, sum, width, from(top), from(left));
    };
    gram(inputs, r.a, r.d);
    gram(gradients, r.g, r.p);
    typename Block::template Own<double> sum(block);
    block.each([&](int thread) {
      double own = 0;
      each_element(thread, [&](int i, int j, int row, int column) {
        if (top + row < length && left + column < length)
          own += (static_cast<double>(inputs[thread].at[i][j]) + static_cast<double>(r.bias)) *
                 static_cast<double>(gradients[thread].at[i][j]);
      });
      sum[thread] = down == right ? own : 2 * own;
    });
    sum_threads(block, scratch, sum, params.partial + block.index());
  }
};

/// partial[b, tile] = sum of squares over one 64 x 64 tile of G_b, formed in S.
template <class T, class S>
struct GhostDirect {
  static constexpr int kThreads = kTileThreads;
  static constexpr int64_t kShared = sizeof(Panels<S>) + kThreads * sizeof(double);

  struct Params {
    DenseRows<T> rows;
    const uint8_t* wanted;  // [B] samples with 0 are left out (their tiles give 0), or null: all
    double* partial;        // [B, side_count(p) * side_count(d)]
  };

  static int64_t tiles(int64_t d, int64_t p) { return side_count(p) * side_count(d); }

  template <class Block>
  PG_TILE static void run(Block& block, const Params& params) {
    const DenseRows<T>& r = params.rows;
    const int64_t across = side_count(r.columns()), tiles = side_count(r.p) * across;
    const int64_t sample = block.index() / tiles, tile = block.index() % tiles;
    const int64_t top = tile / across * kSide, left = tile % across * kSide;
    if (params.wanted != nullptr && params.wanted[sample] == 0) {
      block.each([&](int thread) {
        if (thread == 0) params.partial[block.index()] = 0;
      });
      return;
    }
    Panels<S>& panels = *block.template shared<Panels<S>>();
    double* scratch = reinterpret_cast<double*>(&panels + 1);
    typename Block::template Own<Elements<S>> gradient(block);
    sample_tile(block, panels, gradient, r, sample, top, left);
    typename Block::template Own<double> sum(block);
    block.each([&](int thread) {
      sum[thread] = 0;
      each_element(thread, [&](int i, int j, int row, int column) {
        const double x = static_cast<double>(gradient[thread].at[i][j]);
        if (top + row < r.p && left + column < r.columns()) sum[thread] = fused(x, x, sum[thread]);
      });
    });
    sum_threads(block, scratch, sum, params.partial + block.index());
  }

  /// One tile of G_b: the same bits in the norm and in the clipped sum.
  template <class Block, class Gradient>
  PG_TILE static void sample_tile(Block& block, Panels<S>& panels, Gradient& gradient, const DenseRows<T>& r,
                                  int64_t sample, int64_t top, int64_t left) {
    const int64_t begin = r.offsets[sample], length = r.offsets[sample + 1] - begin;
    multiply<true, true, S>(
        block, panels, gradient, length,
        [&](int row, int64_t t) { return top + row < r.p ? r.g[(begin + t) * r.p + top + row] : T(0); },
        [&](int column, int64_t t) { return r.input(begin + t, left + column); });
  }
};

/// partial[split, p, d] = sum over the samples of a split of factor_b G_b: G_b formed in S, its product and the sum in
/// float64 (promotion at each sample's end). Samples with factor 0 are never read.
template <class T, class S>
struct ClippedSum {
  static constexpr int kThreads = kTileThreads;
  static constexpr int64_t kShared = sizeof(Panels<S>);

  struct Params {
    DenseRows<T> rows;
    const double* factors;  // [B]
    const uint8_t* exact;   // [B] or null: none
    uint8_t takes;          // samples whose `exact` has this value
    int64_t splits;
    double* partial;  // [splits, p, d]
  };

  template <class Block>
  PG_TILE static void run(Block& block, const Params& params) {
    const DenseRows<T>& r = params.rows;
    const int64_t across = side_count(r.d), tiles = side_count(r.p) * across;
    const int64_t split = block.index() / tiles, tile = block.index() % tiles;
    const int64_t top = tile / across * kSide, left = tile % across * kSide;
    const int64_t first = r.samples * split / params.splits, last = r.samples * (split + 1) / params.splits;
    Panels<S>& panels = *block.template shared<Panels<S>>();
    typename Block::template Own<Elements<S>> gradient(block);
    typename Block::template Own<Elements<double>> sum(block);
    block.each([&](int thread) { each_element(thread, [&](int i, int j, int, int) { sum[thread].at[i][j] = 0; }); });
    for (int64_t b = first; b < last; ++b) {
      const double factor = params.factors[b];
      if (factor == 0 || (params.exact == nullptr ? 0 : params.exact[b]) != params.takes) continue;
      GhostDirect<T, S>::sample_tile(block, panels, gradient, r, b, top, left);
      block.each([&](int thread) {
        each_element(thread, [&](int i, int j, int, int) {
          sum[thread].at[i][j] += factor * static_cast<double>(gradient[thread].at[i][j]);
        });
      });
    }
    block.each([&](int thread) {
      each_element(thread, [&](int i, int j, int row, int column) {
        if (top + row < r.p && left + column < r.d)
          params.partial[(split * r.p + top + row) * r.d + left + column] = sum[thread].at[i][j];
      });
    });
  }
};

}  // namespace phantomgrad::cuda
