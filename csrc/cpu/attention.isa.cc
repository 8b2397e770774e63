// Attention a block of query rows at a time: weights are recomputed from lse in the backward pass.
#include "cpu/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "cpu/gemm.h"
#include "cpu/reduce.h"
#include "cpu/vec.h"
#include "cpu/vec_math.h"
#include "shared/dropout_mask.h"

namespace phantomgrad::cpu::PG_ISA {
namespace {

template <class T>
struct Block {
  int64_t first, count, keys;  // query rows [first, first + count) see the keys [0, keys)
};

// Keys that row `r` of the sample may see.
template <class T>
int64_t visible(const AttentionParams<T>& p, int64_t r) {
  return p.causal ? r + 1 : p.rows;
}

template <class T>
void exponentials(T* row, int64_t n, T shift) {
  constexpr int L = kLanes<T>;
  const Vec<T> s = splat(shift);
  int64_t j = 0;
  for (; j + L <= n; j += L) store(row + j, exp(load(row + j) - s));
  if (j < n) {
    const int tail = static_cast<int>(n - j);
    store_part(row + j, exp(load_part(row + j, tail) - s), tail);
  }
}

template <class T>
void logits(const AttentionParams<T>& p, const Block<T>& block, const T* key_t, T* weights) {
  gemm<T>(block.count, block.keys, p.dim, {p.query + block.first * p.query_row, p.query_row, 1}, key_t, p.rows, weights,
          p.rows, false);
}

// weights * keep / (1 - rate), in place.
template <class T>
void drop(const AttentionParams<T>& p, int64_t r, T* row, int64_t n) {
  const uint32_t threshold = dropout_threshold(p.dropout);
  const T scale = static_cast<T>(1 / (1 - p.dropout));
  const uint64_t first = static_cast<uint64_t>(r) << 32;
  for (int64_t j = 0; j < n; ++j)
    row[j] = dropout_keeps(p.stream, first + static_cast<uint64_t>(j), threshold) ? row[j] * scale : T(0);
}

}  // namespace

template <class T>
void attention_forward(const AttentionParams<T>& p, T* output, int64_t output_row, T* lse, int64_t lse_row,
                       T* workspace) {
  T *key_t = workspace, *weights = workspace + 2 * p.rows * p.dim;
  transpose<T>(p.rows, p.dim, p.key, p.key_row, key_t, p.rows);
  for (int64_t first = 0; first < p.rows; first += kAttentionRows) {
    const int64_t count = std::min(kAttentionRows, p.rows - first);
    const Block<T> block{first, count, visible(p, first + count - 1)};
    logits(p, block, key_t, weights);
    for (int64_t i = 0; i < count; ++i) {
      T* row = weights + i * p.rows;
      const int64_t n = visible(p, first + i);
      for (int64_t j = 0; j < n; ++j) row[j] *= p.scale;
      T most = maximum<T>(row, n);
      if (!std::isfinite(most)) most = 0;
      exponentials(row, n, most);
      const double sum = total<T>(row, n);
      const T inverse = static_cast<T>(1 / sum);
      for (int64_t j = 0; j < n; ++j) row[j] *= inverse;
      if (p.dropout > 0) drop(p, first + i, row, n);
      std::fill(row + n, row + block.keys, T(0));
      lse[(first + i) * lse_row] = static_cast<T>(static_cast<double>(most) + std::log(sum));
    }
    gemm<T>(count, p.dim, block.keys, {weights, p.rows, 1}, p.value, p.value_row, output + first * output_row,
            output_row, false);
  }
}

template <class T>
void attention_backward(const AttentionParams<T>& p, const T* d_output, int64_t output_row, const T* lse,
                        int64_t lse_row, T* d_query, int64_t d_query_row, T* d_key, int64_t d_key_row, T* d_value,
                        int64_t d_value_row, T* workspace) {
  T *key_t = workspace, *value_t = workspace + p.rows * p.dim, *weights = workspace + 2 * p.rows * p.dim,
    *d_weights = weights + kAttentionRows * p.rows;
  transpose<T>(p.rows, p.dim, p.key, p.key_row, key_t, p.rows);
  transpose<T>(p.rows, p.dim, p.value, p.value_row, value_t, p.rows);
  for (int64_t r = 0; r < p.rows; ++r) {
    std::fill_n(d_key + r * d_key_row, p.dim, T(0));
    std::fill_n(d_value + r * d_value_row, p.dim, T(0));
  }
  for (int64_t first = 0; first < p.rows; first += kAttentionRows) {
    const int64_t count = std::min(kAttentionRows, p.rows - first);
    const Block<T> block{first, count, visible(p, first + count - 1)};
    const T* grad = d_output + first * output_row;
    logits(p, block, key_t, weights);
    gemm<T>(count, block.keys, p.dim, {grad, output_row, 1}, value_t, p.rows, d_weights, p.rows, false);
    for (int64_t i = 0; i < count; ++i) {
      T *row = weights + i * p.rows, *d_row = d_weights + i * p.rows;
      const int64_t n = visible(p, first + i), r = first + i;
      for (int64_t j = 0; j < n; ++j) row[j] *= p.scale;
      exponentials(row, n, lse[r * lse_row]);
      // d_row belongs to the dropped weights: through the mask first. The plain weights serve the softmax, the dropped
      // ones d_value.
      if (p.dropout > 0) drop(p, r, d_row, n);
      const T along = static_cast<T>(dot<T>(row, d_row, n));
      for (int64_t j = 0; j < n; ++j) d_row[j] = p.scale * row[j] * (d_row[j] - along);
      if (p.dropout > 0) drop(p, r, row, n);
      std::fill(row + n, row + block.keys, T(0));
      std::fill(d_row + n, d_row + block.keys, T(0));
    }
    gemm<T>(count, p.dim, block.keys, {d_weights, p.rows, 1}, p.key, p.key_row, d_query + first * d_query_row,
            d_query_row, false);
    gemm<T>(block.keys, p.dim, count, {d_weights, 1, p.rows}, p.query + first * p.query_row, p.query_row, d_key,
            d_key_row, true);
    gemm<T>(block.keys, p.dim, count, {weights, 1, p.rows}, grad, output_row, d_value, d_value_row, true);
  }
}

#define PG_INSTANCES(T)                                                                                             \
  template void attention_forward<T>(const AttentionParams<T>&, T*, int64_t, T*, int64_t, T*);                      \
  template void attention_backward<T>(const AttentionParams<T>&, const T*, int64_t, const T*, int64_t, T*, int64_t, \
                                      T*, int64_t, T*, int64_t, T*);
PG_INSTANCES(float)
PG_INSTANCES(double)

}  // namespace phantomgrad::cpu::PG_ISA
