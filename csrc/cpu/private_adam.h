// The private update on the CPU: release of the clipped sum, alone or fused with Adam over a flat arena.
#pragma once

#include <cstdint>

#include "cpu/isa.h"
#include "shared/adam.h"
#include "shared/arena_profile.h"
#include "shared/grid.h"
#include "shared/noise_layout.h"

namespace phantomgrad::cpu {

/// Flat arrays of `count` elements that do not overlap.
template <class T>
struct AdamArena {
  T *parameters, *exp_avg, *exp_avg_sq;
  double* sum;  // clipped gradients; zero afterwards
  int64_t count;
};

/// private_adam:  tiles [first_tile, last_tile) of the arena; gives how many of their parameters are not finite
///                afterwards.
/// privatise:     out[i] = what is released of sum[i] (out and sum may be the same array).
/// `stream` is not read where release.noise_std is 0. `profile` has no runs, or covers the array.
PG_EVERY_ISA(template <class T>
             int64_t private_adam(const AdamArena<T>& arena, const Release& release, const ArenaProfile& profile,
                                  const ChaChaStream& stream, const AdamConstants& constants, int64_t first_tile,
                                  int64_t last_tile);
             void privatise(const double* sum, double* out, int64_t count, const Release& release,
                            const ArenaProfile& profile, const ChaChaStream& stream, int64_t first_tile,
                            int64_t last_tile);)

/// The whole arena, on all threads: the same bits for every number of threads and instruction set.
template <class T>
int64_t private_adam(const AdamArena<T>& arena, const Release& release, const ArenaProfile& profile,
                     const ChaChaStream& stream, const AdamConstants& constants);
void privatise(const double* sum, double* out, int64_t count, const Release& release, const ArenaProfile& profile,
               const ChaChaStream& stream);

}  // namespace phantomgrad::cpu
