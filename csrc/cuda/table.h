// The gradient of a softmax head's table: norms a sample, alone or tied with an embedding, and the clipped sum.
// Twins: reference/softmax_head.cc, reference/phantom.cc. Mathematics: gradients.md sections 1, 3 and 6.
#pragma once

#include "cuda/head.h"

namespace phantomgrad::cuda {

/// products[b] = scale * sum over the sample's rows t of |x_t| sqrt(squares_t): what certificates scale with.
template <class T>
struct RowNormSum {
  static constexpr int kThreads = 128;
  static constexpr int64_t kShared = kThreads * sizeof(double);

  struct Params {
    const T* x;              // [N, d]
    const double* squares;   // [N] or null: 1
    const int64_t* offsets;  // [B + 1]
    int64_t d;
    double scale;
    double* products;  // [B]
  };

  template <class Block>
  PG_TILE static void run(Block& block, const Params& p) {
    typename Block::template Own<double> sum(block);
    block.each([&](int thread) {
      sum[thread] = 0;
      for (int64_t t = p.offsets[block.index()] + thread; t < p.offsets[block.index() + 1]; t += kThreads) {
        double square = 0;
        for (int64_t k = 0; k < p.d; ++k) {
          const double x = static_cast<double>(p.x[t * p.d + k]);
          square = fused(x, x, square);
        }
        const double other = p.squares == nullptr ? 1 : ieee::sqrt(p.squares[t]);
        // Rounded up: every step above may have lost a little.
        sum[thread] += ieee::sqrt(square) * other * (p.scale < 0 ? -p.scale : p.scale) * (1 + 0x1p-30);
      }
    });
    sum_threads(block, block.template shared<double>(), sum, p.products + block.index());
  }
};

/// One 64 x 64 tile of a sample's table gradient, sum_t delta_tv h_tj, in float64 between blocks of 64 rows.
template <class T, class Block, class Shared, class Product, class Sum>
PG_TILE void table_tile(Block& block, Shared& s, Product& product, Sum& sum, const HeadRows<T>& h, const T* lse,
                        int64_t sample, int64_t left, int64_t from, double factor) {
  const int64_t end = h.offsets[sample + 1];
  for (int64_t top = h.offsets[sample]; top < end; top += kSide) {
    logits_tile(block, s.panels, product, h, top, end, left);
    store_residual(block, s.residual, product, h, lse, top, end, left);
    multiply<true, true, T>(
        block, s.panels, product, smaller(kSide, end - top), [&](int row, int64_t t) { return s.residual[t][row]; },
        [&](int column, int64_t t) { return from + column < h.d ? h.hidden[(top + t) * h.d + from + column] : T(0); });
    block.each([&](int thread) {
      each_element(thread, [&](int i, int j, int, int) {
        sum[thread].at[i][j] += factor * static_cast<double>(product[thread].at[i][j]);
      });
    });
  }
}

/// partial[b, tile] = sum of squares over one tile of the sample's table gradient.
template <class T>
struct HeadNorm {
  static constexpr int kThreads = kTileThreads;

  struct Params {
    HeadRows<T> head;
    const T* lse;
    double* partial;  // [B, tiles]
  };

  struct Shared {
    Panels<T> panels;
    T residual[kSide][kSide + 4];
    double scratch[kThreads];
  };
  static constexpr int64_t kShared = sizeof(Shared);

  PG_HD static int64_t tiles(int64_t vocabulary, int64_t d) { return ceil_div(vocabulary, kSide) * ceil_div(d, kSide); }

  template <class Block>
  PG_TILE static void run(Block& block, const Params& p) {
    const HeadRows<T>& h = p.head;
    Shared& s = *block.template shared<Shared>();
    const int64_t across = ceil_div(h.d, kSide), all = tiles(h.vocabulary, h.d);
    const int64_t sample = block.index() / all, tile = block.index() % all;
    typename Block::template Own<Elements<T>> product(block);
    typename Block::template Own<Elements<double>> sum(block);
    typename Block::template Own<double> square(block);
    block.each([&](int thread) { each_element(thread, [&](int i, int j, int, int) { sum[thread].at[i][j] = 0; }); });
    table_tile(block, s, product, sum, h, p.lse, sample, tile / across * kSide, tile % across * kSide, 1.0);
    block.each([&](int thread) {
      square[thread] = 0;
      // Rows and columns that do not exist are 0.
      each_element(thread, [&](int i, int j, int, int) {
        square[thread] = fused(sum[thread].at[i][j], sum[thread].at[i][j], square[thread]);
      });
    });
    sum_threads(block, s.scratch, square, p.partial + block.index());
  }
};

/// d_bias[b, v] = sum over the sample's rows t of delta_tv, in order and in float64: the gradient of an output bias.
template <class T>
struct HeadBias {
  static constexpr int kThreads = kTileThreads;

  struct Params {
    HeadRows<T> head;
    const T* lse;
    double* d_bias;  // [B, M]
  };

  struct Shared {
    Panels<T> panels;
    T residual[kSide][kSide + 4];
  };
  static constexpr int64_t kShared = sizeof(Shared);

  static int64_t blocks(int64_t samples, int64_t vocabulary) { return samples * ceil_div(vocabulary, kSide); }

  template <class Block>
  PG_TILE static void run(Block& block, const Params& p) {
    const HeadRows<T>& h = p.head;
    Shared& s = *block.template shared<Shared>();
    const int64_t tiles = ceil_div(h.vocabulary, kSide), sample = quotient(block.index(), tiles);
    const int64_t left = (block.index() - sample * tiles) * kSide, end = h.offsets[sample + 1];
    typename Block::template Own<Elements<T>> product(block);
    typename Block::template Own<double> sum(block);
    block.each([&](int thread) { sum[thread] = 0; });
    for (int64_t top = h.offsets[sample]; top < end; top += kSide) {
      logits_tile(block, s.panels, product, h, top, end, left);
      store_residual(block, s.residual, product, h, p.lse, top, end, left);
      block.phase([&](int thread) {
        if (thread >= kSide) return;
        for (int row = 0; row < kSide && top + row < end; ++row)
          sum[thread] += static_cast<double>(s.residual[row][thread]);
      });
    }
    block.each([&](int thread) {
      if (thread < kSide && left + thread < h.vocabulary) p.d_bias[sample * h.vocabulary + left + thread] = sum[thread];
    });
  }
};

/// partial[split, M, d] = sum over the samples of a split of factor_b times its table gradient.
template <class T>
struct HeadTable {
  static constexpr int kThreads = kTileThreads;

  struct Params {
    HeadRows<T> head;
    const T* lse;
    const double* factors;  // [B]; rows of samples with 0 are never read
    int64_t splits;
    double* partial;  // [splits, M, d]
  };

  struct Shared {
    Panels<T> panels;
    T residual[kSide][kSide + 4];
  };
  static constexpr int64_t kShared = sizeof(Shared);

  template <class Block>
  PG_TILE static void run(Block& block, const Params& p) {
    const HeadRows<T>& h = p.head;
    Shared& s = *block.template shared<Shared>();
    const int64_t across = ceil_div(h.d, kSide), all = HeadNorm<T>::tiles(h.vocabulary, h.d);
    const int64_t split = block.index() / all, tile = block.index() % all;
    const int64_t left = tile / across * kSide, from = tile % across * kSide;
    typename Block::template Own<Elements<T>> product(block);
    typename Block::template Own<Elements<double>> sum(block);
    block.each([&](int thread) { each_element(thread, [&](int i, int j, int, int) { sum[thread].at[i][j] = 0; }); });
    for (int64_t b = h.samples * split / p.splits; b < h.samples * (split + 1) / p.splits; ++b)
      if (p.factors[b] != 0) table_tile(block, s, product, sum, h, p.lse, b, left, from, p.factors[b]);
    block.each([&](int thread) {
      each_element(thread, [&](int i, int j, int row, int column) {
        if (left + row < h.vocabulary && from + column < h.d)
          p.partial[(split * h.vocabulary + left + row) * h.d + from + column] = sum[thread].at[i][j];
      });
    });
  }
};

/// partial[b, tile] = sum over 64 input rows t and all output rows s of the sample of delta_s[id_t] (u_t . h_s): the
/// inner product of a tied table's two uses. Twin: reference/phantom.cc. Cost 4 T^2 d, independent of the vocabulary.
template <class T>
struct PhantomCross {
  static constexpr int kThreads = kTileThreads;

  struct Params {
    HeadRows<T> head;
    const T* lse;
    const int64_t* ids;         // [n] of the inputs
    const T* u;                 // [n, d] gradients at the looked-up rows
    const int64_t* in_offsets;  // [B + 1]
    double scale;               // of the embedding
    int64_t padding, tiles;     // ids that give no gradient; input tiles of the longest sample
    double* partial;            // [B, tiles]
  };

  struct Shared {
    Panels<T> panels;
    double scratch[kThreads];
  };
  static constexpr int64_t kShared = sizeof(Shared);

  template <class Block>
  PG_TILE static void run(Block& block, const Params& p) {
    const HeadRows<T>& h = p.head;
    Shared& s = *block.template shared<Shared>();
    const int64_t sample = block.index() / p.tiles, begin = p.in_offsets[sample];
    const int64_t top = begin + block.index() % p.tiles * kSide, end = p.in_offsets[sample + 1];
    typename Block::template Own<Elements<T>> logits(block), kernel(block);
    typename Block::template Own<double> sum(block);
    block.each([&](int thread) { sum[thread] = 0; });
    const auto counts = [&](int64_t t) { return t < end && p.ids[t] != p.padding; };
    for (int64_t left = h.offsets[sample]; top < end && left < h.offsets[sample + 1]; left += kSide) {
      const int64_t last = h.offsets[sample + 1];
      const auto hidden = [&](int column, int64_t k) {
        return left + column < last ? h.hidden[(left + column) * h.d + k] : T(0);
      };
      multiply<false, false, T>(
          block, s.panels, logits, h.d,
          [&](int row, int64_t k) { return counts(top + row) ? h.table[p.ids[top + row] * h.d + k] : T(0); }, hidden);
      multiply<false, false, T>(
          block, s.panels, kernel, h.d,
          [&](int row, int64_t k) { return counts(top + row) ? p.u[(top + row) * h.d + k] : T(0); }, hidden);
      block.each([&](int thread) {
        each_element(thread, [&](int i, int j, int row, int column) {
          if (!counts(top + row) || left + column >= last) return;
          const T delta = h.residual(logits[thread].at[i][j], left + column, p.ids[top + row], p.lse);
          sum[thread] += static_cast<double>(delta) * static_cast<double>(kernel[thread].at[i][j]);
        });
      });
    }
    block.each([&](int thread) { sum[thread] *= p.scale; });
    sum_threads(block, s.scratch, sum, p.partial + block.index());
  }
};

/// norm2 and bound of a table's gradient: the head's part alone, or tied with an embedding, in + out + 2 cross.
///
/// The head's gradient is formed in T over blocks of 64 rows: off by e <= gamma_67 P with P = products. Its square is
/// then off by 2 P e + e^2, the cross term by gamma P Q with Q = in_products (|delta_s[i]| <= |delta_s|). The clipped
/// sum is off by e again, and by float64 roundings of the embedding's entries.
template <class T>
struct TableNorm {
  static constexpr int kThreads = 128;

  struct Params {
    const double *partial, *products;  // [B, tiles] of HeadNorm, [B]
    int64_t tiles;
    const double *in_norm2, *in_products, *cross;  // [B], [B], [B, cross_tiles]; null: not tied
    int64_t cross_tiles;
    int64_t samples, d;
    int64_t rows;  // of the batch, the head's and the embedding's: what float64 sums run over at most
    double slack;
    double *norm2, *bound;  // [B]
    uint8_t* failed;        // [B] 1 where the bound exceeds the norm by more than `slack` allows
  };

  static int64_t blocks(int64_t samples) { return ceil_div(samples, kThreads); }

  template <class Block>
  PG_TILE static void run(Block& block, const Params& p) {
    block.each([&](int thread) {
      const int64_t b = block.index() * kThreads + thread;
      if (b >= p.samples) return;
      const double out = sum_of(p.partial + b * p.tiles, p.tiles, 1), P = p.products[b];
      const double e = rounding<T>(kSide + 3) * P;
      double norm2 = out, bound;
      if (p.in_norm2 == nullptr) {
        bound = ieee::sqrt(out) + 2 * e;
      } else {
        const double Q = p.in_products[b], added = rounding<double>(static_cast<double>(p.rows) + 64);
        norm2 += p.in_norm2[b] + 2 * sum_of(p.cross + b * p.cross_tiles, p.cross_tiles, 1);
        if (norm2 < 0) norm2 = 0;
        const double wrong = 2 * P * e + e * e + 2 * rounding<T>(product_roundings(p.d) + 2) * P * Q;
        bound = ieee::sqrt(norm2 + wrong + 2 * added * (P + Q) * (P + Q)) + e + added * Q;
      }
      bound *= 1 + rounding<double>(static_cast<double>(p.tiles + p.cross_tiles + p.samples) + 128);
      p.norm2[b] = norm2;
      p.bound[b] = bound;
      const double excess = bound * bound - norm2;
      p.failed[b] = excess > p.slack * norm2 && excess - excess == 0 ? 1 : 0;
    });
  }
};

}  // namespace phantomgrad::cuda
