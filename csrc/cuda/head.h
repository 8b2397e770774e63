// The softmax head over a large vocabulary in sweeps that recompute the logits: lse and loss, dH, norms, the table's
// sum. Twin: reference/softmax_head.cc. Mathematics: gradients.md sections 1 and 6.
//
// With hidden rows already times the head's scale: z_tv = h_t . E_v + bias_v on live columns,
//   delta_tv = w_t (exp(z_tv - lse_t) - (1 - smoothing) [v = y_t] - smoothing / live).
// The sum of h_t . E_v runs over d in one fixed order (tile.h), so delta_tv has the same bits in every sweep: what is
// measured is what is summed. No sweep keeps more than a tile of logits.
#pragma once

#include "cuda/tile.h"
#include "shared/elementary.h"

namespace phantomgrad::cuda {

template <class T>
struct HeadRows {
  const T *hidden, *table;  // [N, d] times the scale; [M, d]
  const T* bias;            // [M] or null
  const uint8_t* live;      // [M] or null: every column
  const int64_t* targets;   // [N]
  const T* weights;         // [N]; 0 leaves a row out
  const int64_t* offsets;   // [B + 1]
  int64_t rows, vocabulary, d, samples, live_count;
  double smoothing;

  PG_TILE bool is_live(int64_t v) const { return live == nullptr || live[v] != 0; }
  PG_TILE T logit(T product, int64_t v) const { return bias == nullptr ? product : product + bias[v]; }

  /// delta_tv from the product h_t . E_v; 0 for columns outside the softmax and rows without weight.
  PG_TILE T residual(T product, int64_t t, int64_t v, const T* lse) const {
    if (weights[t] == T(0) || !is_live(v)) return T(0);
    const double w = static_cast<double>(weights[t]);
    const double p = exponential(static_cast<double>(logit(product, v)) - static_cast<double>(lse[t]));
    const double hit = v == targets[t] ? 1 - smoothing : 0;
    return static_cast<T>(w * (p - hit - smoothing / static_cast<double>(live_count)));
  }
};

/// sum(row, column) = h_(top + row) . E_(left + column), for rows before `end`.
template <class T, class Block, class Sum>
PG_TILE void logits_tile(Block& block, Panels<T>& panels, Sum& sum, const HeadRows<T>& h, int64_t top, int64_t end,
                         int64_t left) {
  multiply<false, false, T>(
      block, panels, sum, h.d,
      [&](int row, int64_t k) { return top + row < end ? h.hidden[(top + row) * h.d + k] : T(0); },
      [&](int column, int64_t k) { return left + column < h.vocabulary ? h.table[(left + column) * h.d + k] : T(0); });
}

/// Per row and vocabulary part: the largest live logit, the sum of exponentials relative to it, the sum of live logits
/// and the target's logit. A part is a stretch of columns; a block takes 64 rows and one part.
template <class T>
struct HeadStatistics {
  static constexpr int kThreads = kTileThreads;

  struct Params {
    HeadRows<T> head;
    int64_t parts;
    double* partial;  // [parts, 4, N]
  };

  struct Shared {
    Panels<T> panels;
    double logits[kSide][kSide + 1];
  };
  static constexpr int64_t kShared = sizeof(Shared);

  template <class Block>
  PG_TILE static void run(Block& block, const Params& p) {
    const HeadRows<T>& h = p.head;
    Shared& s = *block.template shared<Shared>();
    const int64_t part = block.index() % p.parts, top = block.index() / p.parts * kSide;
    const int64_t tiles = ceil_div(h.vocabulary, kSide);
    struct Row {
      double most, sum, total, target;
    };
    typename Block::template Own<Row> own(block);
    typename Block::template Own<Elements<T>> product(block);
    // Thread t < 64 follows row t.
    block.each([&](int thread) { own[thread] = {-1.0 / 0.0, 0, 0, 0}; });
    for (int64_t tile = tiles * part / p.parts; tile < tiles * (part + 1) / p.parts; ++tile) {
      const int64_t left = tile * kSide;
      logits_tile(block, s.panels, product, h, top, h.rows, left);
      block.phase([&](int thread) {
        each_element(thread, [&](int i, int j, int row, int column) {
          const int64_t v = left + column;
          s.logits[row][column] = v < h.vocabulary ? static_cast<double>(h.logit(product[thread].at[i][j], v)) : 0;
        });
      });
      block.phase([&](int thread) {
        if (thread >= kSide || top + thread >= h.rows) return;
        Row& r = own[thread];
        const double before = r.most;
        bool bad = false;
        for (int c = 0; c < kSide && left + c < h.vocabulary; ++c) {
          const double z = s.logits[thread][c];
          if (left + c == h.targets[top + thread]) r.target = z;
          if (!h.is_live(left + c)) continue;
          r.total += z;
          bad = bad || z != z;
          if (z > r.most) r.most = z;
        }
        // A NaN or an infinite logit poisons its row, and nothing else.
        if (bad || r.most == 1.0 / 0.0) r.sum = 0.0 / 0.0;
        if (r.most == -1.0 / 0.0) return;
        r.sum *= before == -1.0 / 0.0 ? 0 : exponential(before - r.most);
        for (int c = 0; c < kSide && left + c < h.vocabulary; ++c)
          if (h.is_live(left + c)) r.sum += exponential(s.logits[thread][c] - r.most);
      });
    }
    block.each([&](int thread) {
      if (thread >= kSide || top + thread >= h.rows) return;
      const Row& r = own[thread];
      double* out = p.partial + part * 4 * h.rows + top + thread;
      out[0] = r.most, out[h.rows] = r.sum, out[2 * h.rows] = r.total, out[3 * h.rows] = r.target;
    });
  }
};

/// lse[t] and loss[t] = w_t ((1 - smoothing) (lse - z_y) + smoothing (lse - mean live logit)), parts in order.
template <class T>
struct HeadLoss {
  static constexpr int kThreads = 128;

  struct Params {
    HeadRows<T> head;
    int64_t parts;
    const double* partial;  // [parts, 4, N]
    T* lse;                 // [N]
    double* loss;           // [N]
  };

  static int64_t blocks(int64_t rows) { return ceil_div(rows, kThreads); }

  template <class Block>
  PG_TILE static void run(Block& block, const Params& p) {
    block.each([&](int thread) {
      const HeadRows<T>& h = p.head;
      const int64_t t = block.index() * kThreads + thread;
      if (t >= h.rows) return;
      const double* first = p.partial + t;
      double most = -1.0 / 0.0, sum = 0, total = 0, target = 0;
      for (int64_t part = 0; part < p.parts; ++part)
        if (first[part * 4 * h.rows] > most) most = first[part * 4 * h.rows];
      for (int64_t part = 0; part < p.parts; ++part) {
        const double* own = first + part * 4 * h.rows;
        if (own[0] != -1.0 / 0.0 || own[h.rows] != 0) sum += own[h.rows] * exponential(own[0] - most);
        total += own[2 * h.rows];
        target += own[3 * h.rows];
      }
      // Without a finite logit there is no softmax: the row poisons its own loss.
      const double lse = sum > 0 ? most + logarithm(sum) : 0.0 / 0.0, w = static_cast<double>(h.weights[t]);
      p.lse[t] = static_cast<T>(lse);
      const double smooth = h.smoothing > 0 ? h.smoothing * (lse - total / static_cast<double>(h.live_count)) : 0;
      p.loss[t] = w == 0 ? 0 : w * ((1 - h.smoothing) * (lse - target) + smooth);
    });
  }
};

/// delta of 64 rows and 64 columns in shared memory, element by element from the registers of `product`.
template <class T, class Block, class Sum>
PG_TILE void store_residual(Block& block, T (*to)[kSide + 4], Sum& product, const HeadRows<T>& h, const T* lse,
                            int64_t top, int64_t end, int64_t left) {
  block.phase([&](int thread) {
    each_element(thread, [&](int i, int j, int row, int column) {
      const bool real = top + row < end && left + column < h.vocabulary;
      to[row][column] = real ? h.residual(product[thread].at[i][j], top + row, left + column, lse) : T(0);
    });
  });
}

/// partial[part, t, j] = sum over a part's columns v of delta_tv E_vj, for 64 rows and 64 of the d columns of E; with
/// the first of them also squares[part, t] = sum of delta_tv^2.
template <class T>
struct HeadHidden {
  static constexpr int kThreads = kTileThreads;

  struct Params {
    HeadRows<T> head;
    const T* lse;
    int64_t parts;
    double *partial, *squares;  // [parts, N, d], [parts, N]
  };

  struct Shared {
    Panels<T> panels;
    T residual[kSide][kSide + 4];
  };
  static constexpr int64_t kShared = sizeof(Shared);

  static int64_t blocks(int64_t rows, int64_t d, int64_t parts) {
    return ceil_div(rows, kSide) * ceil_div(d, kSide) * parts;
  }

  template <class Block>
  PG_TILE static void run(Block& block, const Params& p) {
    const HeadRows<T>& h = p.head;
    Shared& s = *block.template shared<Shared>();
    const int64_t across = ceil_div(h.d, kSide), part = block.index() % p.parts;
    const int64_t from = block.index() / p.parts % across * kSide, top = block.index() / p.parts / across * kSide;
    const int64_t tiles = ceil_div(h.vocabulary, kSide);
    typename Block::template Own<Elements<T>> product(block);
    typename Block::template Own<Elements<double>> sum(block);
    typename Block::template Own<double> square(block);
    block.each([&](int thread) {
      square[thread] = 0;
      each_element(thread, [&](int i, int j, int, int) { sum[thread].at[i][j] = 0; });
    });
    for (int64_t tile = tiles * part / p.parts; tile < tiles * (part + 1) / p.parts; ++tile) {
      const int64_t left = tile * kSide;
      logits_tile(block, s.panels, product, h, top, h.rows, left);
      store_residual(block, s.residual, product, h, p.lse, top, h.rows, left);
      block.phase([&](int thread) {
        if (thread >= kSide || from != 0) return;
        for (int c = 0; c < kSide; ++c) {
          const double x = static_cast<double>(s.residual[thread][c]);
          square[thread] = fused(x, x, square[thread]);
        }
      });
      multiply<false, true, T>(
          block, s.panels, product, smaller(kSide, h.vocabulary - left),
          [&](int row, int64_t k) { return s.residual[row][k]; },
          [&](int column, int64_t k) {
            return from + column < h.d ? h.table[(left + k) * h.d + from + column] : T(0);
          });
      block.each([&](int thread) {
        each_element(thread, [&](int i, int j, int, int) {
          sum[thread].at[i][j] += static_cast<double>(product[thread].at[i][j]);
        });
      });
    }
    block.each([&](int thread) {
      each_element(thread, [&](int i, int j, int row, int column) {
        if (top + row < h.rows && from + column < h.d)
          p.partial[(part * h.rows + top + row) * h.d + from + column] = sum[thread].at[i][j];
      });
      if (from == 0 && thread < kSide && top + thread < h.rows)
        p.squares[part * h.rows + top + thread] = square[thread];
    });
  }
};

/// out[i] = scale (partial[0, i] + partial[1, i] + ...), in this order.
template <class To>
struct SumParts {
  static constexpr int kThreads = 256;

  struct Params {
    const double* partial;  // [parts, count]
    int64_t parts, count;
    double scale;
    To* out;  // [count]
  };

  static int64_t blocks(int64_t count) { return ceil_div(count, kThreads); }

  template <class Block>
  PG_TILE static void run(Block& block, const Params& p) {
    block.each([&](int thread) {
      const int64_t i = block.index() * kThreads + thread;
      if (i < p.count) p.out[i] = static_cast<To>(p.scale * sum_of(p.partial + i, p.parts, p.count));
    });
  }
};

}  // namespace phantomgrad::cuda
