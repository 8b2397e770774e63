// One block of rows through the softmax head: three passes over its logits, which stay in the cache between them.
#include "cpu/softmax_head.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "cpu/gemm.h"
#include "cpu/reduce.h"
#include "cpu/vec.h"
#include "cpu/vec_math.h"

namespace phantomgrad::cpu::PG_ISA {
namespace {

// Columns between two visits of the same row: a block of 64 rows of them fits the second-level cache.
constexpr int64_t kChunk = 512;

template <class T>
T finish_logits(const HeadParams<T>& params, int64_t first, int64_t count, T* z, T best) {
  const T* bias = params.bias == nullptr ? nullptr : params.bias + first;
  const uint8_t* live = params.live == nullptr ? nullptr : params.live + first;
  if (bias != nullptr)
    for (int64_t j = 0; j < count; ++j) z[j] += bias[j];
  if (live != nullptr)
    for (int64_t j = 0; j < count; ++j)
      if (!live[j]) z[j] = -std::numeric_limits<T>::infinity();
  return std::max(best, maximum<T>(z, count));
}

// z <- e^(z - most); returns the sum, with at most 32 additions a lane before float64.
template <class T>
double exponentials(T* z, int64_t n, T most) {
  constexpr int L = kLanes<T>;
  double total = 0;
  const Vec<T> shift = splat(most);
  int64_t j = 0;
  while (j + L <= n) {
    Vec<T> sum = {};
    for (int run = 0; run < 32 && j + L <= n; ++run, j += L) {
      const Vec<T> e = exp(load(z + j) - shift);
      store(z + j, e);
      sum += e;
    }
    double lanes = 0;
    for (int lane = 0; lane < L; ++lane) lanes += static_cast<double>(sum[lane]);
    total += lanes;
  }
  if (j < n) {
    const int tail = static_cast<int>(n - j);
    const Vec<T> e = exp(load_part(z + j, tail) - shift);
    store_part(z + j, e, tail);
    for (int lane = 0; lane < tail; ++lane) total += static_cast<double>(e[lane]);
  }
  return total;
}

// z <- factor z - mass on live columns.
template <class T>
void residual_chunk(T* z, int64_t n, T factor, T mass, const uint8_t* live) {
  if (live == nullptr) {
    for (int64_t j = 0; j < n; ++j) z[j] = z[j] * factor - mass;
  } else {
    for (int64_t j = 0; j < n; ++j) z[j] = live[j] ? z[j] * factor - mass : T(0);
  }
}

}  // namespace

template <class T>
void pack_table(const T* table, int64_t vocabulary, int64_t dim, int64_t first_panel, int64_t last_panel, T* packed) {
  for (int64_t panel = first_panel; panel < last_panel; ++panel) {
    const int64_t first = panel * kPanel, columns = std::min(kPanel, vocabulary - first);
    transpose<T>(columns, dim, table + first * dim, dim, packed + panel * dim * kPanel, kPanel);
  }
}

namespace {

// Panel `index` of the table, transposed: the one that was packed for all blocks, or this block's own.
template <class T>
const T* panel_of(const HeadParams<T>& params, int64_t index, T* own) {
  if (params.packed != nullptr) return params.packed + index * params.dim * kPanel;
  const int64_t first = index * kPanel, columns = std::min(kPanel, params.vocabulary - first);
  transpose<T>(columns, params.dim, params.table + first * params.dim, params.dim, own, kPanel);
  return own;
}

}  // namespace

template <class T>
void head_block(const HeadParams<T>& params, int64_t rows, bool residual, T* z, T* panel, T* lse, double* loss,
                T* d_hidden) {
  const int64_t M = params.vocabulary, d = params.dim;
  T best[kHeadRows];
  double mean_logit[kHeadRows], target_logit[kHeadRows];
  std::fill(best, best + rows, -std::numeric_limits<T>::infinity());
  std::fill(mean_logit, mean_logit + rows, 0.0);

  for (int64_t first = 0; first < M; first += kChunk) {
    const int64_t count = std::min(kChunk, M - first);
    for (int64_t j = 0; j < count; j += kPanel)
      gemm<T>(rows, std::min(kPanel, count - j), d, {params.hidden, d, 1},
              panel_of(params, (first + j) / kPanel, panel), kPanel, z + first + j, M, false);
    for (int64_t r = 0; r < rows; ++r) {
      best[r] = finish_logits(params, first, count, z + r * M + first, best[r]);
      if (params.smoothing > 0) {
        const T* row = z + r * M + first;
        double sum = 0;
        for (int64_t j = 0; j < count; ++j)
          if (params.live == nullptr || params.live[first + j]) sum += static_cast<double>(row[j]);
        mean_logit[r] += sum;
      }
    }
  }

  T factor[kHeadRows], mass[kHeadRows];
  const double hit = 1 - params.smoothing;
  for (int64_t r = 0; r < rows; ++r) {
    target_logit[r] = static_cast<double>(z[r * M + params.targets[r]]);
    // A row without a finite maximum (NaN, or no live column) has to poison its own loss and nothing else.
    const T most = std::isfinite(best[r]) ? best[r] : T(0);
    const double sum = exponentials(z + r * M, M, most);
    const double log_sum = static_cast<double>(most) + std::log(sum), w = static_cast<double>(params.weights[r]);
    lse[r] = static_cast<T>(log_sum);
    const double smooth = params.smoothing > 0
                              ? params.smoothing * (log_sum - mean_logit[r] / static_cast<double>(params.live_count))
                              : 0;
    loss[r] = w == 0 ? 0 : w * (hit * (log_sum - target_logit[r]) + smooth);
    factor[r] = static_cast<T>(w / sum);
    mass[r] = static_cast<T>(w * params.smoothing / static_cast<double>(params.live_count));
  }
  if (!residual) return;

  for (int64_t first = 0; first < M; first += kChunk) {
    const int64_t count = std::min(kChunk, M - first);
    const uint8_t* live = params.live == nullptr ? nullptr : params.live + first;
    for (int64_t r = 0; r < rows; ++r) {
      T* row = z + r * M;
      if (params.weights[r] == T(0))
        std::fill(row + first, row + first + count, T(0));
      else
        residual_chunk(row + first, count, factor[r], mass[r], live);
      const int64_t y = params.targets[r];
      if (y >= first && y < first + count) row[y] -= static_cast<T>(static_cast<double>(params.weights[r]) * hit);
    }
    gemm<T>(rows, d, count, {z + first, M, 1}, params.table + first * d, d, d_hidden, d, first > 0);
  }
  if (params.scale != T(1))
    for (int64_t i = 0; i < rows * d; ++i) d_hidden[i] *= params.scale;
}

#define PG_INSTANCES(T)                                                          \
  template void pack_table<T>(const T*, int64_t, int64_t, int64_t, int64_t, T*); \
  template void head_block<T>(const HeadParams<T>&, int64_t, bool, T*, T*, T*, double*, T*);
PG_INSTANCES(float)
PG_INSTANCES(double)

}  // namespace phantomgrad::cpu::PG_ISA
