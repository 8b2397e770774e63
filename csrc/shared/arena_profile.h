// What differs between parts of the arena: the scale that gradients were summed in, and the length of their update.
#pragma once

#include <cstdint>

#include "shared/host_device.h"

namespace phantomgrad {

/// Runs of neighbouring parameters that are treated alike. No runs: scale and step are 1 everywhere.
struct ArenaProfile {
  const int64_t* ends = nullptr;  // [runs] rising; run k is ends[k - 1] .. ends[k], the last end is the arena's
  const double* scale = nullptr;  // [runs] gradients were multiplied by it before they were clipped and summed
  const double* step = nullptr;   // [runs] the update is multiplied by it
  int64_t runs = 0;
};

/// The run that parameter `at` belongs to: the first one that ends behind it.
PG_HD int64_t run_of(const ArenaProfile& profile, int64_t at) {
  int64_t low = 0, high = profile.runs;
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    if (profile.ends[middle] <= at)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

}  // namespace phantomgrad
