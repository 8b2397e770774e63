// What trials of the plugin's kernels share: small samples of odd lengths, and comparisons of both results.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <string>
#include <vector>

#include "ops/plugin.h"
#include "ops/use.h"

namespace phantomgrad {

/// Longer than a tile of 64 rows, empty, single, and short.
inline const std::vector<int64_t> kTrialLengths{3, 0, 66, 1};
// One side wider than a tile, none a multiple of anything.
inline constexpr int64_t kTrialLeft = 67, kTrialRight = 5, kTrialIds = 7;

/// Relative to the largest number of a result: a wrong index or a missing tile is off by its size.
double trial_tolerance(const at::TensorOptions& options);
SegmentsPtr trial_segments(const std::vector<int64_t>& lengths = kTrialLengths);
/// Numbers without a pattern that a tile could repeat; no generator is touched.
at::Tensor trial_numbers(at::IntArrayRef shape, double phase, const at::TensorOptions& options);
/// Int64 [count] on the CPU, rows of a table of kTrialIds.
at::Tensor trial_ids(int64_t count);

/// What differs between the results of the plugin and of LibTorch; empty: nothing.
std::string trial_difference(const char* what, const at::Tensor& ours, const at::Tensor& theirs, double tolerance);
/// The same of norms, bounds and clipped sums of the uses that `make` gives, by both.
std::string compare_records(int64_t left, int64_t right, double tolerance,
                            const std::function<std::vector<UsePtr>()>& make);

template <class Body>
auto with_trial(bool served, Body body) {
  const PluginTrial trial(served);
  return body();
}

// One function a family: empty where it agrees with LibTorch on the device of `options`.
std::string try_norm_layer(const at::TensorOptions& options);
std::string try_attention(const at::TensorOptions& options);
std::string try_private_update(const at::TensorOptions& options);

}  // namespace phantomgrad
