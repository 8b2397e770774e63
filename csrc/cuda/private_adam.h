// The private update on a device: noise, grid, divisor, Adam in one pass over the arena. Twin:
// reference/private_adam.cc.
//
// A thread is one lane of a tile (shared/noise_layout.h): it computes one ChaCha block and updates the ten parameters
// 16 apart that the block's normals belong to, so that 16 neighbouring threads read and write whole rows. Every
// operation is the one of cpu/private_adam.isa.cc, and so are the bits.
#pragma once

#include "cuda/block.h"
#include "shared/adam.h"
#include "shared/arena_profile.h"
#include "shared/box_muller.h"
#include "shared/grid.h"
#include "shared/noise_layout.h"

namespace phantomgrad::cuda {

/// The normals of one lane of a tile, row by row.
PG_TILE void lane_normals(const ChaChaStream& stream, uint32_t block, double (&normals)[kTileRows]) {
  uint32_t words[16];
  chacha20_block<uint32_t>(stream, block, words);
#pragma unroll
  for (int pair = 0; pair < kTileRows / 2; ++pair)
    normals_at(normal_radius(words[3 * pair], words[3 * pair + 1]), words[3 * pair + 2], normals[2 * pair],
               normals[2 * pair + 1]);
}

/// The stream as it lies in device memory, 11 words: kernel arguments would freeze it when a graph is captured.
PG_TILE ChaChaStream load_stream(const uint32_t* words) {
  ChaChaStream stream;
#pragma unroll
  for (int i = 0; i < 8; ++i) stream.key[i] = words[i];
#pragma unroll
  for (int i = 0; i < 3; ++i) stream.nonce[i] = words[8 + i];
  return stream;
}

/// Calls body(row, at, scale, step) for the parameters of one lane that exist.
template <class Body>
PG_TILE void each_of_lane(const ArenaProfile& profile, int64_t count, int64_t lane_index, Body body) {
  const int64_t first = lane_index / kTileLanes * kTile + lane_index % kTileLanes;
#pragma unroll
  for (int row = 0; row < kTileRows; ++row) {
    const int64_t at = first + row * kTileLanes;
    if (at >= count) return;
    const int64_t run = profile.runs > 0 ? run_of(profile, at) : 0;
    body(row, at, profile.runs > 0 ? profile.scale[run] : 1.0, profile.runs > 0 ? profile.step[run] : 1.0);
  }
}

template <class T>
struct PrivateAdam {
  static constexpr int kThreads = 128;

  struct Params {
    T *parameters, *exp_avg, *exp_avg_sq;  // [count]
    double* sum;                           // [count] zero afterwards
    int64_t count;
    Release release;
    ArenaProfile profile;
    const uint32_t* stream;  // [11] key and nonce; null where release.noise_std is 0
    AdamConstants constants;
    int64_t* not_finite;  // [blocks] how many of the block's parameters are not finite afterwards
  };

  static int64_t blocks(int64_t count) { return ceil_div(ceil_div(count, kTile) * kTileLanes, kThreads); }
  static constexpr int64_t kShared = kThreads * sizeof(int);

  template <class Block>
  PG_TILE static void run(Block& block, const Params& p) {
    int* found = block.template shared<int>();
    block.phase([&](int thread) {
      const int64_t lane = block.index() * kThreads + thread;
      found[thread] = 0;
      if (lane / kTileLanes * kTile >= p.count) return;
      const bool noisy = p.release.noise_std > 0;
      double normals[kTileRows];
      if (noisy) lane_normals(load_stream(p.stream), static_cast<uint32_t>(lane), normals);
      // Without runs and floor the CPU kernel takes no noise out of the second moment: the variance is not looked at.
      each_of_lane(p.profile, p.count, lane, [&](int row, int64_t at, double scale, double step) {
        const double gradient = noisy ? released(p.release, scale, p.sum[at], normals[row])
                                      : released_without_noise(p.release, scale, p.sum[at]);
        const double old = static_cast<double>(p.parameters[at]);
        double m = static_cast<double>(p.exp_avg[at]), v = static_cast<double>(p.exp_avg_sq[at]);
        const double variance = p.constants.moment_floor > 0 ? released_variance(p.release, scale) : 0;
        const double root = adam_moments(p.constants, gradient, step, variance, old, m, v);
        const T moved = static_cast<T>(adam_moved(p.constants, step, m, root, old));
        p.parameters[at] = moved;
        p.exp_avg[at] = static_cast<T>(m);
        p.exp_avg_sq[at] = static_cast<T>(v);
        p.sum[at] = 0;
        if (!(moved - moved == T(0))) ++found[thread];
      });
    });
    block.phase([&](int thread) {
      if (thread != 0) return;
      int64_t total = 0;
      for (int i = 0; i < kThreads; ++i) total += found[i];
      p.not_finite[block.index()] = total;
    });
  }
};

/// The released gradient alone, for optimizers other than Adam: out = grid rint((sum + noise) / grid) / divisor.
struct Privatise {
  static constexpr int kThreads = 128;

  struct Params {
    double *sum, *out;  // [count]; sum is zero afterwards
    int64_t count;
    Release release;
    ArenaProfile profile;
    const uint32_t* stream;
  };

  static int64_t blocks(int64_t count) { return PrivateAdam<float>::blocks(count); }

  template <class Block>
  PG_TILE static void run(Block& block, const Params& p) {
    block.phase([&](int thread) {
      const int64_t lane = block.index() * kThreads + thread;
      if (lane / kTileLanes * kTile >= p.count) return;
      const bool noisy = p.release.noise_std > 0;
      double normals[kTileRows];
      if (noisy) lane_normals(load_stream(p.stream), static_cast<uint32_t>(lane), normals);
      each_of_lane(p.profile, p.count, lane, [&](int row, int64_t at, double scale, double) {
        p.out[at] = noisy ? released(p.release, scale, p.sum[at], normals[row])
                          : released_without_noise(p.release, scale, p.sum[at]);
        p.sum[at] = 0;
      });
    });
  }
};

}  // namespace phantomgrad::cuda
