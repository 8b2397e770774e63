// Backward of LayerNorm and RMSNorm, with each sample's gradients of scale and shift made on the way.
// Twin: reference/layer_norm.cc. Arithmetic of d_gamma and d_beta: as in cpu/layer_norm.isa.cc.
#pragma once

#include "cuda/tile.h"

namespace phantomgrad::cuda {

/// dx = rstd (gamma g - [centred] mean(gamma g) - xhat mean(gamma g xhat)), d_gamma[b] = sum_t g_t xhat_t, d_beta[b] =
/// sum_t g_t. RMSNorm: not centred, without mean. One block a sample; sums over a row and over rows in float64.
template <class T>
struct NormBackward {
  static constexpr int kThreads = 256;
  static constexpr int kLanes = 32, kRows = kThreads / kLanes;

  struct Params {
    const T *g, *x;          // [N, d]
    const T* gamma;          // [d]
    const T *mean, *rstd;    // [N]; mean is null for RMSNorm
    const int64_t* offsets;  // [B + 1]
    int64_t d;
    T* dx;                // [N, d] or null: not wanted
    T *d_gamma, *d_beta;  // [B, d]; d_beta null: there is none
  };

  struct Shared {
    double one[kRows][kLanes], hat[kRows][kLanes];
  };
  static constexpr int64_t kShared = sizeof(Shared);

  template <class Block>
  PG_TILE static void run(Block& block, const Params& p) {
    const int64_t begin = p.offsets[block.index()], end = p.offsets[block.index() + 1];
    if (p.dx != nullptr) inputs(block, p, begin, end);
    block.each([&](int thread) {
      for (int64_t i = thread; i < p.d; i += kThreads) {
        double scale = 0, shift = 0;
        for (int64_t t = begin; t < end; ++t) {
          const double g = static_cast<double>(p.g[t * p.d + i]);
          scale += g * static_cast<double>(hat_of(p, t, i));
          shift += g;
        }
        p.d_gamma[block.index() * p.d + i] = static_cast<T>(scale);
        if (p.d_beta != nullptr) p.d_beta[block.index() * p.d + i] = static_cast<T>(shift);
      }
    });
  }

 private:
  PG_TILE static T hat_of(const Params& p, int64_t t, int64_t i) {
    return p.mean == nullptr ? p.x[t * p.d + i] * p.rstd[t] : (p.x[t * p.d + i] - p.mean[t]) * p.rstd[t];
  }

  template <class Block>
  PG_TILE static void inputs(Block& block, const Params& p, int64_t begin, int64_t end) {
    Shared& s = *block.template shared<Shared>();
    for (int64_t first = begin; first < end; first += kRows) {
      block.phase([&](int thread) {
        const int row = thread / kLanes, lane = thread % kLanes;
        const int64_t t = first + row;
        double one = 0, hat = 0;
        for (int64_t i = lane; t < end && i < p.d; i += kLanes) {
          const T scaled = p.gamma[i] * p.g[t * p.d + i];
          one += static_cast<double>(scaled);
          hat += static_cast<double>(scaled * hat_of(p, t, i));
        }
        s.one[row][lane] = one;
        s.hat[row][lane] = hat;
      });
      block.phase([&](int thread) {
        const int row = thread / kLanes;
        const int64_t t = first + row;
        if (t >= end) return;
        const double n = static_cast<double>(p.d);
        // Every lane adds the same 32 numbers in the same order: cheaper than a third phase.
        const T one = p.mean == nullptr ? T(0) : static_cast<T>(sum_of(s.one[row], kLanes, 1) / n);
        const T along = static_cast<T>(sum_of(s.hat[row], kLanes, 1) / n);
        for (int64_t i = thread % kLanes; i < p.d; i += kLanes)
          p.dx[t * p.d + i] = p.rstd[t] * (p.gamma[i] * p.g[t * p.d + i] - one - hat_of(p, t, i) * along);
      });
    }
  }
};

}  // namespace phantomgrad::cuda
