// Runs: consecutive samples whose rows go through one matrix product of the clipped sum.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "ops/segments.h"

namespace phantomgrad {

struct Run {
  int64_t first, last;  // samples
};

/// At most this many samples share a partial sum in the data's own type (privacy.md, section 3); the rest is float64.
inline constexpr int64_t kRunSamples = 64;
/// Rows of one run stay in the second-level cache, unless one sample alone has more.
inline constexpr int64_t kRunRows = 512;

/// Factors that rows of type T are scaled by in that type: others would lose digits there, upwards too, or overflow.
/// What has another one is added in float64.
template <class T>
bool ordinary_factor(double factor) {
  return sizeof(T) == 8 || (std::abs(factor) >= 0x1p-100 && std::abs(factor) <= 0x1p60);
}

/// Splits the samples for which `takes(sample)` holds into runs. Samples between two runs are not touched: their rows
/// may hold NaN.
template <class Takes>
std::vector<Run> make_runs(const Segments& segments, Takes takes) {
  std::vector<Run> runs;
  int64_t rows = 0;
  bool open = false;
  for (int64_t b = 0; b < segments.count(); ++b) {
    if (!takes(b)) {
      open = false;
      continue;
    }
    const int64_t length = segments.length(b);
    if (!open || b - runs.back().first >= kRunSamples || rows + length > kRunRows) {
      runs.push_back({b, b});
      rows = 0;
      open = true;
    }
    runs.back().last = b + 1;
    rows += length;
  }
  return runs;
}

}  // namespace phantomgrad
