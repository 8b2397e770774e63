// Inputs of trials and comparisons of their results.
#include "ops/plugin_trial_kit.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/sin.h>
#include <ATen/ops/zeros.h>
#include <ATen/TensorOperators.h>

#include <cmath>

#include "ops/device.h"
#include "ops/record.h"

namespace phantomgrad {

double trial_tolerance(const at::TensorOptions& options) { return options.dtype() == at::kFloat ? 2e-4 : 1e-9; }

SegmentsPtr trial_segments(const std::vector<int64_t>& lengths) {
  std::vector<int64_t> offsets{0};
  for (const int64_t length : lengths) offsets.push_back(offsets.back() + length);
  return std::make_shared<const Segments>(integers_on(at::kCPU, offsets));
}

at::Tensor trial_numbers(at::IntArrayRef shape, double phase, const at::TensorOptions& options) {
  int64_t count = 1;
  for (const int64_t size : shape) count *= size;
  const at::Tensor place = at::arange(count, at::TensorOptions().dtype(at::kDouble));
  return at::sin(at::mul(place, 1.7) + at::mul(at::mul(place, place), 0.013) + phase).view(shape).to(options);
}

at::Tensor trial_ids(int64_t count) {
  std::vector<int64_t> ids;
  for (int64_t e = 0; e < count; ++e) ids.push_back((e * e + 3 * e) % kTrialIds);
  return integers_on(at::kCPU, ids);
}

std::string trial_difference(const char* what, const at::Tensor& ours, const at::Tensor& theirs, double tolerance) {
  const at::Tensor a = on_host(ours).to(at::kDouble), b = on_host(theirs).to(at::kDouble);
  const double scale = b.abs().max().item<double>(), off = (a - b).abs().max().item<double>();
  if (off <= tolerance * scale) return "";  // false for NaN
  return c10::str(what, " differ by ", off, " of ", scale);
}

std::string compare_records(int64_t left, int64_t right, double tolerance,
                            const std::function<std::vector<UsePtr>()>& make) {
  struct Result {
    SampleNorms norms;
    at::Tensor sum;
  };
  const auto run = [&](bool served) {
    return with_trial(served, [&] {
      const std::vector<UsePtr> uses = make();
      const std::unique_ptr<Record> record = any_record(left, right, uses);
      Result result{record->norms(), {}};
      result.sum = at::zeros({left * right}, at::TensorOptions().dtype(at::kDouble).device(uses.front()->device()));
      const std::vector<double> factors{0.5, 1, 0.25, 0};
      record->accumulate(factors.data(), result.sum);
      return result;
    });
  };
  const Result ours = run(true), theirs = run(false);
  for (size_t b = 0; b < ours.norms.bound.size(); ++b)
    if (!(ours.norms.bound[b] >= std::sqrt(theirs.norms.norm2[b]) * (1 - tolerance)))
      return c10::str("the bound of sample ", b, " is ", ours.norms.bound[b], ", below its norm ",
                      std::sqrt(theirs.norms.norm2[b]));
  const std::string norms = trial_difference("squared norms", doubles_on(at::kCPU, ours.norms.norm2),
                                             doubles_on(at::kCPU, theirs.norms.norm2), tolerance);
  return norms.empty() ? trial_difference("clipped sums", ours.sum, theirs.sum, tolerance) : norms;
}

}  // namespace phantomgrad
