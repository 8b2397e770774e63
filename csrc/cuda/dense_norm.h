// Norm and certified bound of a dense use from the partial sums of its tiles (gradients.md section 3).
#pragma once

#include "cuda/dense.h"

namespace phantomgrad::cuda {

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
      // Sums over threads, tiles and samples are float64: 16 elements a thread, 32 additions a block.
      const double summed = rounding<double>(static_cast<double>(params.tiles) + 64);
      double bound;
      if (params.kind == NormKind::gram) {
        const double pairs = product_roundings(params.d) + product_roundings(params.p) + 2;
        const double wrong = rounding<T>(pairs) + summed;
        bound = ieee::sqrt(norm2 + wrong * products * products) + rounding<T>(own) * products;
      } else if (params.kind == NormKind::direct) {
        bound = ieee::sqrt(norm2) + rounding<T>(2 * own) * products;
        // Squares of a float64 gradient may have underflowed.
        const double safe = static_cast<double>(params.d * params.p) * (sizeof(T) == 4 ? 0x1p-120 : 0x1p-960);
        if (norm2 < safe && products > bound) bound = products;
      } else {
        bound = ieee::sqrt(norm2) + rounding<double>(2 * own + 4) * products;
        if (norm2 < static_cast<double>(params.d * params.p) * 0x1p-960 && products > bound) bound = products;
      }
      bound *= 1 + summed + rounding<double>(static_cast<double>(params.samples) + 8);
      params.norm2[b] = norm2;
      params.bound[b] = bound;
      if (params.failed != nullptr) {
        const double excess = bound * bound - norm2;
        params.failed[b] = excess > params.slack * norm2 && excess - excess == 0 ? 1 : 0;
      }
    });
  }
};

}  // namespace phantomgrad::cuda
