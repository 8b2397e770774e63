// Softmax attention over packed samples, plain and corrected for noisy keys (Re-Attention), whole rows in shared
// memory. Twin: reference/re_attention.cc. Corrections: shared/correction.h; the keys' variance is one number a row and
// head.
//
// A row of logits is kept whole, so there is no online softmax and nothing is rescaled; samples are as long as shared
// memory allows. Weights are recomputed from lse in the backward pass, by the same operations.
#pragma once

#include "cuda/tile.h"
#include "shared/correction.h"
#include "shared/dropout_mask.h"
#include "shared/elementary.h"

namespace phantomgrad::cuda {

template <class T>
struct AttentionRows {
  const T *query, *key, *value;  // [N, heads * dim]
  const int64_t* offsets;        // [B + 1]
  int64_t samples, heads, dim, longest;
  bool causal;
  double scale;  // logits = scale q . k
  // Dropout on the weights: none where threshold is 0.
  const int64_t* streams;  // [B, heads] of shared/dropout_mask.h, or null
  uint32_t threshold;
  double kept;  // 1 / (1 - rate)
  Correction correction;
  const T *key_variance, *value_variance;  // [N, heads]; null: none
  double most;                             // no penalty is larger

  PG_TILE int64_t width() const { return heads * dim; }
  PG_HD static int64_t padded(int64_t longest) { return ceil_div(longest, kSide) * kSide + 1; }
};

/// One sample and one head, seen by the block that works on it.
template <class T>
struct AttentionSlice {
  const AttentionRows<T>& all;
  int64_t sample, head, begin, rows;

  PG_TILE AttentionSlice(const AttentionRows<T>& a, int64_t index)
      : all(a), sample(index / a.heads), head(index % a.heads) {
    begin = a.offsets[sample];
    rows = a.offsets[sample + 1] - begin;
  }

  PG_TILE int64_t at(int64_t row, int64_t column) const {
    return (begin + row) * all.width() + head * all.dim + column;
  }
  PG_TILE T of(const T* x, int64_t row, int64_t column) const {
    return row < rows && column < all.dim ? x[at(row, column)] : T(0);
  }
  PG_TILE int64_t number(int64_t row) const { return (begin + row) * all.heads + head; }
  PG_TILE int64_t visible(int64_t row) const { return all.causal ? row + 1 : rows; }
  PG_TILE bool keeps(int64_t row, int64_t column) const {
    return all.threshold == 0 ||
           dropout_keeps(static_cast<uint64_t>(all.streams[sample * all.heads + head]),
                         (static_cast<uint64_t>(row) << 32) + static_cast<uint64_t>(column), all.threshold);
  }

  /// Half the variance of the row's logits that a key variance of 1 would cause.
  PG_TILE double penalty_of(int64_t row) const {
    double square = 0;
    for (int64_t k = 0; k < all.dim; ++k) {
      const double q = static_cast<double>(of(all.query, row, k));
      square = fused(q, q, square);
    }
    return all.scale * all.scale / 2 * square;
  }
  PG_TILE double capped(double penalty) const { return penalty > all.most ? all.most : penalty; }
  PG_TILE double variance_of_key(int64_t column) const { return static_cast<double>(all.key_variance[number(column)]); }
};

/// logits[row][column] = scale q_row . k_column, for 64 rows from `top` on and all columns that any of them sees.
template <class T, class Block, class Product>
PG_TILE void plain_logits(Block& block, Panels<T>& panels, Product& product, const AttentionSlice<T>& s, int64_t top,
                          T* logits, int64_t stride) {
  const int64_t last = smaller(top + kSide, s.rows);
  for (int64_t left = 0; left < s.visible(last - 1); left += kSide) {
    multiply<false, false, T>(
        block, panels, product, s.all.dim, [&](int row, int64_t k) { return s.of(s.all.query, top + row, k); },
        [&](int column, int64_t k) { return s.of(s.all.key, left + column, k); });
    block.phase([&](int thread) {
      each_element(thread, [&](int i, int j, int row, int column) {
        logits[row * stride + left + column] = product[thread].at[i][j] * static_cast<T>(s.all.scale);
      });
    });
  }
}

/// One row in place, by one thread: z becomes z - penalty as the correction says. `plain` is the lse of the row as it
/// is.
template <class T>
PG_TILE void shift_row(const AttentionSlice<T>& s, T* z, int64_t n, double penalty, double plain) {
  const Correction c = s.all.correction;
  if (c == Correction::off || c == Correction::paper) return;
  for (int64_t j = 0; j < n; ++j) {
    double p = penalty * s.variance_of_key(j);
    if (c == Correction::second_order) p *= 1 - 2 * exponential(static_cast<double>(z[j]) - plain);
    z[j] = static_cast<T>(static_cast<double>(z[j]) - s.capped(p));
  }
}

/// What the weights are multiplied by after the softmax.
template <class T>
PG_TILE double factor_of(const AttentionSlice<T>& s, int64_t row, int64_t column, double penalty) {
  double factor = s.keeps(row, column) ? s.all.kept : 0;
  if (s.all.correction == Correction::paper) factor *= exponential(-s.capped(penalty * s.variance_of_key(column)));
  return factor;
}

template <class T>
PG_TILE double log_sum(const T* z, int64_t n) {
  double most = static_cast<double>(z[0]), sum = 0;
  for (int64_t j = 1; j < n; ++j)
    if (static_cast<double>(z[j]) > most) most = static_cast<double>(z[j]);
  for (int64_t j = 0; j < n; ++j) sum += exponential(static_cast<double>(z[j]) - most);
  return sum > 0 ? most + logarithm(sum) : 0.0 / 0.0;
}

/// output [N, heads * dim], lse and (second order) plain_lse [N, heads], and the output's variance sum_j P_j^2 v_j.
/// One block: 64 query rows of one sample and head.
template <class T>
struct AttentionForward {
  static constexpr int kThreads = kTileThreads;

  struct Params {
    AttentionRows<T> rows;
    int64_t tiles;                           // of query rows of the longest sample
    T *output, *lse, *plain_lse, *variance;  // plain_lse and variance may be null
  };

  static int64_t shared(int64_t longest) {
    return sizeof(Panels<T>) + kSide * AttentionRows<T>::padded(longest) * sizeof(T);
  }

  template <class Block>
  PG_TILE static void run(Block& block, const Params& p) {
    const AttentionSlice<T> s(p.rows, block.index() / p.tiles);
    const int64_t top = block.index() % p.tiles * kSide, stride = AttentionRows<T>::padded(p.rows.longest);
    if (top >= s.rows) return;
    Panels<T>& panels = *block.template shared<Panels<T>>();
    T* logits = reinterpret_cast<T*>(&panels + 1);
    typename Block::template Own<Elements<T>> product(block);
    plain_logits(block, panels, product, s, top, logits, stride);
    block.phase([&](int thread) {
      const int64_t row = top + thread;
      if (thread >= kSide || row >= s.rows) return;
      T* z = logits + thread * stride;
      const int64_t n = s.visible(row), end = s.visible(smaller(top + kSide, s.rows) - 1);
      const bool noisy = p.rows.correction != Correction::off;
      const double penalty = noisy ? s.penalty_of(row) : 0;
      double plain = 0;
      if (p.rows.correction == Correction::second_order) {
        p.plain_lse[s.number(row)] = static_cast<T>(log_sum(z, n));
        plain = static_cast<double>(p.plain_lse[s.number(row)]);
      }
      shift_row(s, z, n, penalty, plain);
      const T lse = static_cast<T>(log_sum(z, n));
      p.lse[s.number(row)] = lse;
      double variance = 0;
      for (int64_t j = 0; j < n; ++j) {
        const double weight = exponential(static_cast<double>(z[j]) - static_cast<double>(lse));
        z[j] = static_cast<T>(weight * factor_of(s, row, j, penalty));
        if (p.variance != nullptr)
          variance += static_cast<double>(z[j]) * static_cast<double>(z[j]) *
                      static_cast<double>(p.rows.value_variance[s.number(j)]);
      }
      for (int64_t j = n; j < end; ++j) z[j] = T(0);
      if (p.variance != nullptr) p.variance[s.number(row)] = static_cast<T>(variance);
    });
    const int64_t end = s.visible(smaller(top + kSide, s.rows) - 1);
    for (int64_t left = 0; left < p.rows.dim; left += kSide) {
      multiply<false, true, T>(
          block, panels, product, end,
          [&](int row, int64_t k) { return top + row < s.rows ? logits[row * stride + k] : T(0); },
          [&](int column, int64_t k) { return s.of(p.rows.value, k, left + column); });
      block.each([&](int thread) {
        each_element(thread, [&](int i, int j, int row, int column) {
          if (top + row < s.rows && left + column < p.rows.dim)
            p.output[s.at(top + row, left + column)] = product[thread].at[i][j];
        });
      });
    }
  }
};

/// d_query, d_key, d_value [N, heads * dim] from the gradient of the output, penalties held constant. One block: one
/// sample and head; it goes through the query rows in order, 64 at a time, and adds up d_key and d_value on the way.
template <class T>
struct AttentionBackward {
  static constexpr int kThreads = kTileThreads;

  struct Params {
    AttentionRows<T> rows;
    const T *d_output, *lse, *plain_lse;
    T *d_query, *d_key, *d_value;
  };

  static int64_t shared(int64_t longest) {
    return sizeof(Panels<T>) + 2 * kSide * AttentionRows<T>::padded(longest) * sizeof(T);
  }

  template <class Block>
  PG_TILE static void run(Block& block, const Params& p) {
    const AttentionSlice<T> s(p.rows, block.index());
    const int64_t stride = AttentionRows<T>::padded(p.rows.longest), dim = p.rows.dim;
    Panels<T>& panels = *block.template shared<Panels<T>>();
    T *weights = reinterpret_cast<T*>(&panels + 1), *inner = weights + kSide * stride;
    typename Block::template Own<Elements<T>> product(block);
    for (int64_t top = 0; top < s.rows; top += kSide) {
      const int64_t last = smaller(top + kSide, s.rows), end = s.visible(last - 1);
      plain_logits(block, panels, product, s, top, weights, stride);
      for (int64_t left = 0; left < end; left += kSide) {
        multiply<false, false, T>(
            block, panels, product, dim, [&](int row, int64_t k) { return s.of(p.d_output, top + row, k); },
            [&](int column, int64_t k) { return s.of(p.rows.value, left + column, k); });
        block.phase([&](int thread) {
          each_element(thread, [&](int i, int j, int row, int column) {
            inner[row * stride + left + column] = product[thread].at[i][j];
          });
        });
      }
      block.phase([&](int thread) {
        if (thread < kSide && top + thread < s.rows)
          row_backward(p, s, top + thread, weights + thread * stride, inner + thread * stride, end);
      });
      for (int64_t left = 0; left < dim; left += kSide) {
        multiply<false, true, T>(
            block, panels, product, end,
            [&](int row, int64_t k) { return top + row < s.rows ? inner[row * stride + k] : T(0); },
            [&](int column, int64_t k) { return s.of(p.rows.key, k, left + column); });
        block.each([&](int thread) {
          each_element(thread, [&](int i, int j, int row, int column) {
            if (top + row < s.rows && left + column < dim)
              p.d_query[s.at(top + row, left + column)] = product[thread].at[i][j];
          });
        });
      }
      add_transposed(block, panels, product, s, inner, stride, p.rows.query, p.d_key, top, last, end);
      add_transposed(block, panels, product, s, weights, stride, p.d_output, p.d_value, top, last, end);
    }
  }

 private:
  // From logits and the gradient of the final weights to the final weights and the gradient of the logits, in place.
  PG_TILE static void row_backward(const Params& p, const AttentionSlice<T>& s, int64_t row, T* z, T* d, int64_t end) {
    const int64_t n = s.visible(row);
    const bool noisy = p.rows.correction != Correction::off;
    const double penalty = noisy ? s.penalty_of(row) : 0;
    const double plain =
        p.rows.correction == Correction::second_order ? static_cast<double>(p.plain_lse[s.number(row)]) : 0;
    shift_row(s, z, n, penalty, plain);
    const double lse = static_cast<double>(p.lse[s.number(row)]);
    double along = 0;
    for (int64_t j = 0; j < n; ++j) {
      z[j] = static_cast<T>(exponential(static_cast<double>(z[j]) - lse));
      d[j] = static_cast<T>(static_cast<double>(d[j]) * factor_of(s, row, j, penalty));
      along += static_cast<double>(z[j]) * static_cast<double>(d[j]);
    }
    for (int64_t j = 0; j < n; ++j) {
      d[j] = static_cast<T>(p.rows.scale * static_cast<double>(z[j]) * (static_cast<double>(d[j]) - along));
      z[j] = static_cast<T>(static_cast<double>(z[j]) * factor_of(s, row, j, penalty));
    }
    for (int64_t j = n; j < end; ++j) z[j] = d[j] = T(0);
  }

  // to[column, :] += sum over the tile's rows of x[row][column] y[row, :]; the first tile that reaches a column sets
  // it.
  template <class Block, class Product>
  PG_TILE static void add_transposed(Block& block, Panels<T>& panels, Product& product, const AttentionSlice<T>& s,
                                     const T* x, int64_t stride, const T* y, T* to, int64_t top, int64_t last,
                                     int64_t end) {
    for (int64_t under = 0; under < end; under += kSide)
      for (int64_t left = 0; left < s.all.dim; left += kSide) {
        multiply<true, true, T>(
            block, panels, product, last - top,
            [&](int row, int64_t k) { return under + row < end ? x[k * stride + under + row] : T(0); },
            [&](int column, int64_t k) { return s.of(y, top + k, left + column); });
        const bool first = s.all.causal ? under + kSide > top : top == 0;
        block.each([&](int thread) {
          each_element(thread, [&](int i, int j, int row, int column) {
            if (under + row >= end || left + column >= s.all.dim) return;
            T& out = to[s.at(under + row, left + column)];
            out = first ? product[thread].at[i][j] : out + product[thread].at[i][j];
          });
        });
      }
  }
};

}  // namespace phantomgrad::cuda
