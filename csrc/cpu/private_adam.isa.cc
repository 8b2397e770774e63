// The private update, one tile of 160 parameters at a time: noise, grid, divisor, Adam. Twin:
// reference/private_adam.cc.
#include "cpu/private_adam.h"

#include "cpu/noise_tile.h"

namespace phantomgrad::cpu::PG_ISA {
namespace {

// The profile, spread over one tile.
struct TileProfile {
  alignas(64) double scale[kTile], step[kTile];

  TileProfile() {
    for (int i = 0; i < kTile; ++i) scale[i] = step[i] = 1;
  }

  void load(const ArenaProfile& profile, int64_t begin, int count) {
    if (profile.runs == 0) return;
    int64_t run = run_of(profile, begin);
    for (int i = 0; i < count;) {
      const int64_t left = profile.ends[run] - begin;
      const int end = static_cast<int>(left < count ? left : count);
      for (; i < end; ++i) {
        scale[i] = profile.scale[run];
        step[i] = profile.step[run];
      }
      ++run;
    }
  }
};

inline void release_tile(const Release& release, const double* scale, const ChaChaStream& stream, int64_t tile,
                         const double* sum, int count, double* __restrict gradient) {
  if (release.noise_std == 0) {
    for (int i = 0; i < count; ++i) gradient[i] = released_without_noise(release, scale[i], sum[i]);
    return;
  }
  alignas(64) double normals[kTile];
  tile_normals(stream, tile, normals);
  for (int i = 0; i < count; ++i) gradient[i] = released(release, scale[i], sum[i], normals[i]);
}

// In double whatever the parameters' type is: the moments lose one rounding a step, the arithmetic none.
template <class T>
int64_t adam_tile(const AdamConstants& c, const Release& release, const TileProfile& profile,
                  const double* __restrict gradient, int count, T* __restrict parameters, T* __restrict exp_avg,
                  T* __restrict exp_avg_sq) {
  int64_t not_finite = 0;
  for (int i = 0; i < count; ++i) {
    double p = static_cast<double>(parameters[i]), m = static_cast<double>(exp_avg[i]),
           v = static_cast<double>(exp_avg_sq[i]);
    const double noise = c.moment_floor > 0 ? released_variance(release, profile.scale[i]) : 0;
    adam_step(c, gradient[i], profile.step[i], noise, p, m, v);
    exp_avg[i] = static_cast<T>(m);
    exp_avg_sq[i] = static_cast<T>(v);
    parameters[i] = static_cast<T>(p);
    // x - x is 0 for every finite x. The stored value counts: a float may overflow where the double does not.
    const double stored = static_cast<double>(static_cast<T>(p));
    not_finite += stored - stored == 0 ? 0 : 1;
  }
  return not_finite;
}

int in_tile(int64_t count, int64_t tile) {
  const int64_t left = count - tile * kTile;
  return static_cast<int>(left < kTile ? left : kTile);
}

}  // namespace

template <class T>
int64_t private_adam(const AdamArena<T>& arena, const Release& release, const ArenaProfile& profile,
                     const ChaChaStream& stream, const AdamConstants& constants, int64_t first_tile,
                     int64_t last_tile) {
  int64_t not_finite = 0;
  TileProfile own;
  for (int64_t tile = first_tile; tile < last_tile; ++tile) {
    const int64_t begin = tile * kTile;
    const int count = in_tile(arena.count, tile);
    alignas(64) double gradient[kTile];
    own.load(profile, begin, count);
    release_tile(release, own.scale, stream, tile, arena.sum + begin, count, gradient);
    memset(arena.sum + begin, 0, static_cast<size_t>(count) * sizeof(double));
    not_finite += adam_tile(constants, release, own, gradient, count, arena.parameters + begin, arena.exp_avg + begin,
                            arena.exp_avg_sq + begin);
  }
  return not_finite;
}

void privatise(const double* sum, double* out, int64_t count, const Release& release, const ArenaProfile& profile,
               const ChaChaStream& stream, int64_t first_tile, int64_t last_tile) {
  TileProfile own;
  for (int64_t tile = first_tile; tile < last_tile; ++tile) {
    const int64_t begin = tile * kTile;
    alignas(64) double gradient[kTile];
    const int here = in_tile(count, tile);
    own.load(profile, begin, here);
    release_tile(release, own.scale, stream, tile, sum + begin, here, gradient);
    memcpy(out + begin, gradient, static_cast<size_t>(here) * sizeof(double));
  }
}

template int64_t private_adam<float>(const AdamArena<float>&, const Release&, const ArenaProfile&, const ChaChaStream&,
                                     const AdamConstants&, int64_t, int64_t);
template int64_t private_adam<double>(const AdamArena<double>&, const Release&, const ArenaProfile&,
                                      const ChaChaStream&, const AdamConstants&, int64_t, int64_t);

}  // namespace phantomgrad::cpu::PG_ISA
