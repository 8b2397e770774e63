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

// Turns logits into their softmax, in place, and returns their lse.
template <class T>
T softmax(T* row, int64_t n) {
  T most = maximum<T>(row, n);
  if (!std::isfinite(most)) most = 0;
  exponentials(row, n, most);
  const double sum = total<T>(row, n);
  const T inverse = static_cast<T>(1 / sum);
  for (int64_t j = 0; j < n; ++j) row[j] *= inverse;
  return static_cast<T>(static_cast<double>(most) + std::log(sum));
}

// What the noise of keys and values does to the rows of one sample and head .
template <class T>
class Noise {
 public:
  // `workspace` is looked at only where there is noise.
  Noise(const AttentionParams<T>& p, T* workspace) : p_(p) {
    if (!corrects() && p.noise.value == nullptr) return;
    key_ = workspace;
    value_ = key_ + p.rows * p.dim;
    plain_ = value_ + p.rows;
    squares_ = plain_ + p.rows;
    penalty_ = squares_ + kAttentionRows * p.dim;
    if (corrects()) {
      if (p.noise.diagonal)
        transpose<T>(p.rows, p.dim, p.noise.key, p.noise.key_row, key_, p.rows);
      else
        for (int64_t r = 0; r < p.rows; ++r) key_[r] = p.noise.key[r * p.noise.key_row];
    }
    if (p.noise.value != nullptr)
      for (int64_t r = 0; r < p.rows; ++r) value_[r] = p.noise.value[r * p.noise.value_row];
  }

  bool corrects() const { return p_.noise.correction != Correction::off; }
  bool damps() const { return p_.noise.correction == Correction::paper; }
  bool second_order() const { return p_.noise.correction == Correction::second_order; }

  // Half the variance of every logit of the block.
  void enter(const Block<T>& block) {
    const T factor = p_.scale * p_.scale / 2;
    const T* query = p_.query + block.first * p_.query_row;
    if (p_.noise.diagonal) {
      for (int64_t i = 0; i < block.count; ++i)
        for (int64_t c = 0; c < p_.dim; ++c)
          squares_[i * p_.dim + c] = query[i * p_.query_row + c] * query[i * p_.query_row + c];
      gemm<T>(block.count, block.keys, p_.dim, {squares_, p_.dim, 1}, key_, p_.rows, penalty_, p_.rows, false);
    }
    for (int64_t i = 0; i < block.count; ++i) {
      T* row = penalty_ + i * p_.rows;
      const int64_t n = visible(p_, block.first + i);
      if (p_.noise.diagonal) {
        for (int64_t j = 0; j < n; ++j) row[j] *= factor;
      } else {
        const T c = factor * static_cast<T>(sum_of_squares<T>(query + i * p_.query_row, p_.dim));
        for (int64_t j = 0; j < n; ++j) row[j] = c * key_[j];
      }
    }
  }

  // Row i of the block, in the forward pass: shifts the logits, or keeps what damp() needs.
  void correct(int64_t i, T* logits, int64_t n, const AttentionRows<T>& rows, int64_t at) {
    if (second_order()) {
      std::copy_n(logits, n, plain_);
      rows.plain_lse[at] = softmax(plain_, n);
    }
    shift(i, logits, n);
  }

  // The same in the backward pass, where the lse of the uncorrected logits is known.
  void correct_again(int64_t i, T* logits, int64_t n, const AttentionRows<const T>& rows, int64_t at) {
    if (second_order()) {
      std::copy_n(logits, n, plain_);
      exponentials(plain_, n, rows.plain_lse[at]);
    }
    shift(i, logits, n);
  }

  // Correction::paper only: row i of weights or of their gradients times e^-penalty, after the softmax.
  void damp(int64_t i, T* row, int64_t n) const {
    const T* penalty = penalty_ + i * p_.rows;
    for (int64_t j = 0; j < n; ++j) row[j] *= penalty[j];
  }

  // sum of weights^2 variance: the weights count as known.
  T variance_of(const T* weights, int64_t n) const {
    constexpr int L = kLanes<T>;
    Vec<T> sum{};
    int64_t j = 0;
    for (; j + L <= n; j += L) sum = fma(load(weights + j) * load(weights + j), load(value_ + j), sum);
    if (j < n) {
      const int tail = static_cast<int>(n - j);
      const Vec<T> w = load_part(weights + j, tail);
      sum = fma(w * w, load_part(value_ + j, tail), sum);
    }
    return horizontal_sum<T>(sum);
  }

 private:
  // std::min keeps a NaN: what is wrong with a sample must show.
  void shift(int64_t i, T* logits, int64_t n) {
    T* penalty = penalty_ + i * p_.rows;
    const T most = p_.noise.most;
    if (damps()) {
      for (int64_t j = 0; j < n; ++j) penalty[j] = -std::min(penalty[j], most);
      exponentials(penalty, n, T(0));
      return;
    }
    if (second_order())
      for (int64_t j = 0; j < n; ++j) penalty[j] *= 1 - 2 * plain_[j];
    for (int64_t j = 0; j < n; ++j) logits[j] -= std::min(penalty[j], most);
  }

  const AttentionParams<T>& p_;
  T *key_ = nullptr, *value_ = nullptr, *plain_ = nullptr, *squares_ = nullptr, *penalty_ = nullptr;
};

}  // namespace

template <class T>
void attention_forward(const AttentionParams<T>& p, T* output, int64_t output_row, const AttentionRows<T>& rows,
                       T* workspace) {
  T *key_t = workspace, *weights = workspace + 2 * p.rows * p.dim;
  Noise<T> noise(p, weights + 2 * kAttentionRows * p.rows);
  transpose<T>(p.rows, p.dim, p.key, p.key_row, key_t, p.rows);
  for (int64_t first = 0; first < p.rows; first += kAttentionRows) {
    const int64_t count = std::min(kAttentionRows, p.rows - first);
    const Block<T> block{first, count, visible(p, first + count - 1)};
    logits(p, block, key_t, weights);
    if (noise.corrects()) noise.enter(block);
    for (int64_t i = 0; i < count; ++i) {
      T* row = weights + i * p.rows;
      const int64_t n = visible(p, first + i), at = (first + i) * rows.row;
      for (int64_t j = 0; j < n; ++j) row[j] *= p.scale;
      if (noise.corrects()) noise.correct(i, row, n, rows, at);
      rows.lse[at] = softmax(row, n);
      if (noise.damps()) noise.damp(i, row, n);
      if (p.dropout > 0) drop(p, first + i, row, n);
      if (rows.variance != nullptr) rows.variance[at] = noise.variance_of(row, n);
      std::fill(row + n, row + block.keys, T(0));
    }
    gemm<T>(count, p.dim, block.keys, {weights, p.rows, 1}, p.value, p.value_row, output + first * output_row,
            output_row, false);
  }
}

template <class T>
void attention_backward(const AttentionParams<T>& p, const T* d_output, int64_t output_row,
                        const AttentionRows<const T>& rows, T* d_query, int64_t d_query_row, T* d_key,
                        int64_t d_key_row, T* d_value, int64_t d_value_row, T* workspace) {
  T *key_t = workspace, *value_t = workspace + p.rows * p.dim, *weights = workspace + 2 * p.rows * p.dim,
    *d_weights = weights + kAttentionRows * p.rows;
  Noise<T> noise(p, weights + 2 * kAttentionRows * p.rows);
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
    if (noise.corrects()) noise.enter(block);
    for (int64_t i = 0; i < count; ++i) {
      T *row = weights + i * p.rows, *d_row = d_weights + i * p.rows;
      const int64_t n = visible(p, first + i), r = first + i;
      for (int64_t j = 0; j < n; ++j) row[j] *= p.scale;
      if (noise.corrects()) noise.correct_again(i, row, n, rows, r * rows.row);
      exponentials(row, n, rows.lse[r * rows.row]);
      // d_row belongs to the dropped weights: through the mask first. The plain weights serve the softmax, the dropped
      // ones d_value.
      if (p.dropout > 0) drop(p, r, d_row, n);
      if (noise.damps()) noise.damp(i, d_row, n);
      const T along = static_cast<T>(dot<T>(row, d_row, n));
      for (int64_t j = 0; j < n; ++j) d_row[j] = p.scale * row[j] * (d_row[j] - along);
      if (noise.damps()) noise.damp(i, row, n);
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

#define PG_INSTANCES(T)                                                                                                \
  template void attention_forward<T>(const AttentionParams<T>&, T*, int64_t, const AttentionRows<T>&, T*);             \
  template void attention_backward<T>(const AttentionParams<T>&, const T*, int64_t, const AttentionRows<const T>&, T*, \
                                      int64_t, T*, int64_t, T*, int64_t, T*);
PG_INSTANCES(float)
PG_INSTANCES(double)

}  // namespace phantomgrad::cpu::PG_ISA
