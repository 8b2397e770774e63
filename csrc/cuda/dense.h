// Uses of a dense parameter, G_b = sum_t g_t a_t^T: norms by Gram or direct tiles, their certificate, the clipped sum.
// Twin: reference/linear.cc. Mathematics: Li et al. 2022 (arXiv 2110.05679), section 4.
//
// Norms come in two steps: tiles leave partial sums, one float64 a tile; `DenseNorm` adds them in order and certifies.
// The grids depend on the longest sample only, tiles beyond a sample's end give 0: a captured graph serves every batch.
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

/// products[b] = sum_t |(a_t, bias)| |g_t|: what the certificate scales with. Not below it, and far above it where the
/// squares of a row underflow, so that the certificate fails there and the sample is computed in float64.
template <class T>
struct RowProducts {
  static constexpr int kThreads = 256;
  static constexpr int kLanes = 16, kRows = kThreads / kLanes;

  struct Params {
    DenseRows<T> rows;
    double* products;  // [B]
  };

  struct Shared {
    double square[2][kRows][kLanes], most[2][kRows][kLanes];
    double total[kRows];
  };
  static constexpr int64_t kShared = sizeof(Shared);

  template <class Block>
  PG_TILE static void run(Block& block, const Params& params) {
    const DenseRows<T>& r = params.rows;
    Shared& s = *block.template shared<Shared>();
    const int64_t begin = r.offsets[block.index()], end = r.offsets[block.index() + 1];
    block.phase([&](int thread) {
      if (thread < kRows) s.total[thread] = 0;
    });
    for (int64_t first = begin; first < end; first += kRows) {
      block.phase([&](int thread) {
        const int lane = thread % kLanes;
        const int64_t t = first + thread / kLanes;
        for (int side = 0; side < 2; ++side) {
          double square = 0, most = 0;
          const int64_t width = side == 0 ? r.d : r.p;
          for (int64_t k = lane; t < end && k < width; k += kLanes) {
            const double x = static_cast<double>(side == 0 ? r.a[t * r.d + k] : r.g[t * r.p + k]);
            square = fused(x, x, square);
            // Written so that a NaN is kept: the sample has to be dropped.
            if (!((x < 0 ? -x : x) <= most)) most = x < 0 ? -x : x;
          }
          s.square[side][thread / kLanes][lane] = square;
          s.most[side][thread / kLanes][lane] = most;
        }
      });
      block.phase([&](int thread) {
        if (thread >= kRows || first + thread >= end) return;
        const double gradient = norm(s.square[1][thread], s.most[1][thread], r.p, 0);
        s.total[thread] += gradient * norm(s.square[0][thread], s.most[0][thread], r.d, static_cast<double>(r.bias));
      });
    }
    block.phase([&](int thread) {
      if (thread != 0) return;
      double sum = 0;
      for (int i = 0; i < kRows; ++i) sum += s.total[i];
      params.products[block.index()] = sum * (1 + 0x1p-40);
    });
  }

 private:
  PG_TILE static double norm(const double* squares, const double* mosts, int64_t width, double bias) {
    constexpr double kSafe = sizeof(T) == 4 ? 0x1p-120 : 0x1p-960, kUnsafe = sizeof(T) == 4 ? 0x1p16 : 0x1p28;
    double square = 0, most = 0;
    for (int lane = 0; lane < kLanes; ++lane) {
      square += squares[lane];
      if (!(mosts[lane] <= most)) most = mosts[lane];
    }
    const double n = static_cast<double>(width);
    if (square < n * kSafe) square = kUnsafe * kUnsafe * most * most * n, square = most == 0 ? 0 : square;
    // most^2 may underflow in float64 as well; the norm itself does not.
    if (most > 0 && square == 0) return kUnsafe * most * ieee::sqrt(n) + bias;
    return ieee::sqrt(square + bias);
  }
};

/// Which tiles made the partial sums of a norm.
enum class NormKind { gram, direct, exact };

/// norm2[b] and bound[b] from partial sums and products (gradients.md section 3). bound covers the exact norm of the
/// factors and the rounding of the clipped sum. `failed[b]` = 1 where it exceeds the norm by more than `slack` allows.
template <class T>
struct DenseNorm {
  static constexpr int kThreads = 128;

  struct Params {
    NormKind kind;
    const double *partial, *products;  // [B, tiles], [B]
    const int64_t* offsets;            // [B + 1]
    const uint8_t* wanted;             // [B] others keep what they have, or null: all
    int64_t samples, tiles, d, p;
    double slack;
    double *norm2, *bound;  // [B]
    uint8_t* failed;        // [B]
  };

  static int64_t blocks(int64_t samples) { return ceil_div(samples, kThreads); }

  template <class Block>
  PG_TILE static void run(Block& block, const Params& params) {
    block.each([&](int thread) {
      const int64_t b = block.index() * kThreads + thread;
      if (b >= params.samples || (params.wanted != nullptr && params.wanted[b] == 0)) return;
      const int64_t rows = params.offsets[b + 1] - params.offsets[b];
      const double total = sum_of(params.partial + b * params.tiles, params.tiles, 1), products = params.products[b];
      // NaN stays: a sample that is not finite has no norm.
      const double norm2 = total < 0 ? 0 : total;
      // The clipped sum forms the sample's gradient in T (exact: in float64) and adds it up in float64.
      const double own = product_roundings(rows) + 2;
      double bound;
      if (params.kind == NormKind::gram) {
        const double pairs = product_roundings(params.d) + product_roundings(params.p) + 2;
        bound = ieee::sqrt(norm2 + rounding<T>(pairs) * products * products) + rounding<T>(own) * products;
      } else if (params.kind == NormKind::direct) {
        bound = ieee::sqrt(norm2) + rounding<T>(2 * own) * products;
        // Squares of a float64 gradient may have underflowed.
        const double safe = static_cast<double>(params.d * params.p) * (sizeof(T) == 4 ? 0x1p-120 : 0x1p-960);
        if (norm2 < safe && products > bound) bound = products;
      } else {
        bound = ieee::sqrt(norm2) + rounding<double>(2 * own + 4) * products;
        if (norm2 < static_cast<double>(params.d * params.p) * 0x1p-960 && products > bound) bound = products;
      }
      bound *= 1 + 0x1p-30;
      params.norm2[b] = norm2;
      params.bound[b] = bound;
      if (params.failed != nullptr) {
        const double excess = bound * bound - norm2;
        params.failed[b] = excess > params.slack * norm2 && excess - excess == 0 ? 1 : 0;
      }
    });
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
