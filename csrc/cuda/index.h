// Uses of a table by rows (embeddings, candidates): per-sample norms and clipped sums by a plan that is made
// beforehand. Twin: reference/embedding.cc.
//
// Entry e adds scale * coefficient_e * rows[e / fan] to the table's row ids[e]. A plan lists the entries so that equal
// ids are neighbours: within each sample for norms, over the whole batch for sums. It depends on ids alone. A thread
// owns a column and walks the list: no atomics, a fixed order, any length.
#pragma once

#include "cuda/tile.h"

namespace phantomgrad::cuda {

template <class T>
struct IndexRows {
  const T* rows;          // [entries / fan, d]
  const T* coefficients;  // [entries] or null: 1
  int64_t d, fan;
  double scale;

  PG_TILE double weight(int64_t e) const {
    return coefficients == nullptr ? scale : scale * static_cast<double>(coefficients[e]);
  }
  PG_TILE double value(int64_t e, int64_t column) const {
    return weight(e) * static_cast<double>(rows[quotient(e, fan) * d + column]);
  }
};

/// partial[b, part] = sum over ids and over the columns of a part of (sum of the sample's entries with that id)^2;
/// products[b, part] the same of absolute values, so that sqrt(product) >= what may have cancelled.
template <class T>
struct IndexNorm {
  static constexpr int kThreads = 64;
  static constexpr int64_t kShared = kThreads * sizeof(double);

  struct Params {
    IndexRows<T> rows;
    const int64_t* plan;      // entries, those of sample b at begin[b] .. begin[b + 1], equal ids together
    const uint8_t* opens;     // whether plan[i] is the first of its id
    const int64_t* begin;     // [B + 1]
    double *partial, *sizes;  // [B, parts]
  };

  static int64_t parts(int64_t d) { return ceil_div(d, kThreads); }

  template <class Block>
  PG_TILE static void run(Block& block, const Params& p) {
    const int64_t parts = ceil_div(p.rows.d, kThreads), sample = quotient(block.index(), parts);
    typename Block::template Own<double> square(block), size(block);
    block.each([&](int thread) {
      const int64_t column = (block.index() - sample * parts) * kThreads + thread;
      square[thread] = size[thread] = 0;
      if (column >= p.rows.d) return;
      double sum = 0, most = 0;
      for (int64_t i = p.begin[sample]; i < p.begin[sample + 1]; ++i) {
        if (p.opens[i]) {
          square[thread] = fused(sum, sum, square[thread]);
          size[thread] = fused(most, most, size[thread]);
          sum = most = 0;
        }
        const double x = p.rows.value(p.plan[i], column);
        sum += x;
        most += x < 0 ? -x : x;
      }
      square[thread] = fused(sum, sum, square[thread]);
      size[thread] = fused(most, most, size[thread]);
    });
    sum_threads(block, block.template shared<double>(), square, p.partial + block.index());
    sum_threads(block, block.template shared<double>(), size, p.sizes + block.index());
  }
};

/// norm2 and bound of IndexNorm's partial sums. A sum of n entries in float64 is wrong by at most gamma_n times the sum
/// of their sizes: n is the sample's for the norm, and the whole batch's for the clipped sum that follows.
struct IndexBound {
  static constexpr int kThreads = 128;

  struct Params {
    const double *partial, *sizes;   // [B, parts]
    const int64_t* begin;            // [B + 1]
    int64_t samples, parts, listed;  // `listed`: entries of the batch
    double *norm2, *bound;           // [B]
  };

  static int64_t blocks(int64_t samples) { return ceil_div(samples, kThreads); }

  template <class Block>
  PG_TILE static void run(Block& block, const Params& p) {
    block.each([&](int thread) {
      const int64_t b = block.index() * kThreads + thread;
      if (b >= p.samples) return;
      const double square = sum_of(p.partial + b * p.parts, p.parts, 1);
      const double size = ieee::sqrt(sum_of(p.sizes + b * p.parts, p.parts, 1));
      const auto entries = static_cast<double>(p.begin[b + 1] - p.begin[b]);
      p.norm2[b] = square;
      const double added = rounding<double>(entries + 4) + rounding<double>(static_cast<double>(p.listed) + 4);
      const double summed = rounding<double>(entries + static_cast<double>(p.parts) + 64);
      p.bound[b] = (ieee::sqrt(square) + added * size) * (1 + summed);
    });
  }
};

/// sum[id] += sum over the entries of that id, in the plan's order, of factor * weight * row: float64.
template <class T>
struct IndexSum {
  static constexpr int kThreads = 64;

  struct Params {
    IndexRows<T> rows;
    const int64_t* plan;       // entries of the batch, equal ids together
    const int64_t* runs;       // [ids + 1] where each id's entries begin
    const int64_t* ids;        // [ids] rows of the table
    const int64_t* sample_of;  // [entries]
    const double* factors;     // [B]
    double* sum;               // [M, d]
  };

  template <class Block>
  PG_TILE static void run(Block& block, const Params& p) {
    const int64_t parts = ceil_div(p.rows.d, kThreads), id = quotient(block.index(), parts);
    block.each([&](int thread) {
      const int64_t column = (block.index() - id * parts) * kThreads + thread;
      if (column >= p.rows.d) return;
      double sum = 0;
      for (int64_t i = p.runs[id]; i < p.runs[id + 1]; ++i) {
        const double factor = p.factors[p.sample_of[p.plan[i]]];
        if (factor != 0) sum += factor * p.rows.value(p.plan[i], column);
      }
      p.sum[p.ids[id] * p.rows.d + column] += sum;
    });
  }
};

}  // namespace phantomgrad::cuda
