// Trials of the plugin's norms, sums and head, and which trial belongs to which family.
#include <ATen/ops/index_select.h>
#include <ATen/ops/mul.h>
#include <ATen/TensorOperators.h>

#include "ops/any.h"
#include "ops/device.h"
#include "ops/plugin.h"
#include "ops/plugin_trial_kit.h"

namespace phantomgrad {
namespace {

std::string try_stored(const at::TensorOptions& options) {
  const auto samples = static_cast<int64_t>(kTrialLengths.size());
  return compare_records(1, kTrialLeft, trial_tolerance(options), [&] {
    std::vector<UsePtr> uses;
    uses.push_back(any_stored_use(trial_numbers({samples, kTrialLeft}, 0.1, options), 0));
    return uses;
  });
}

std::string try_index(const at::TensorOptions& options) {
  const SegmentsPtr segments = trial_segments();
  return compare_records(kTrialIds, kTrialLeft, trial_tolerance(options), [&] {
    std::vector<UsePtr> uses;
    uses.push_back(any_index_use(segments, trial_ids(segments->rows()),
                                 trial_numbers({segments->rows(), kTrialLeft}, 0.2, options), at::Tensor(), 1.5, 2));
    return uses;
  });
}

// Each row but for its sign and its last digits again behind it: what float32 certifies is far above what is left.
at::Tensor cancelling_rows(const at::Tensor& rows, double shrink) {
  std::vector<int64_t> from;
  std::vector<double> scale;
  for (int64_t t = 0; t < rows.size(0); ++t) {
    from.push_back(t - t % 2);
    scale.push_back(t % 2 == 0 ? 1 : shrink);
  }
  const at::Tensor factor = doubles_on(rows.device(), scale).to(rows.scalar_type()).unsqueeze(1);
  return at::mul(at::index_select(rows, 0, integers_on(rows.device(), from)), factor);
}

// Long samples of narrow rows are formed, short ones go through Gram matrices; rows that cancel are formed in float64.
std::string try_dense(const at::TensorOptions& options) {
  const SegmentsPtr segments = trial_segments();
  for (const int64_t right : {kTrialRight, kTrialLeft}) {
    const std::string trouble = compare_records(kTrialLeft, right, trial_tolerance(options), [&] {
      std::vector<UsePtr> uses;
      uses.push_back(any_dense_use(segments, trial_numbers({segments->rows(), kTrialLeft}, 0.3, options),
                                   trial_numbers({segments->rows(), right}, 0.4, options)));
      return uses;
    });
    if (!trouble.empty()) return trouble;
  }
  const SegmentsPtr pairs = trial_segments({2, 0, 66, 4});
  return compare_records(kTrialLeft, kTrialLeft, trial_tolerance(options), [&] {
    const auto rows = [&](double phase) { return trial_numbers({pairs->rows(), kTrialLeft}, phase, options); };
    std::vector<UsePtr> uses;
    uses.push_back(any_dense_use(pairs, cancelling_rows(rows(0.3), -1 + 0x1p-12), cancelling_rows(rows(0.4), 1)));
    return uses;
  });
}

// A head with bias, smoothing and a column outside the softmax, whose table is the embedding's too.
std::string try_head(const at::TensorOptions& options) {
  const SegmentsPtr segments = trial_segments();
  constexpr int64_t M = 70, d = 9;
  const int64_t rows = segments->rows();
  const double tolerance = trial_tolerance(options);
  std::vector<int64_t> targets;
  for (int64_t t = 0; t < rows; ++t) targets.push_back(1 + (5 * t + t * t) % (M - 1));
  const auto run = [&] {
    return run_head(trial_numbers({rows, d}, 1, options), trial_numbers({M, d}, 2, options),
                    integers_on(at::kCPU, targets), trial_numbers({rows}, 3, options).abs(),
                    trial_numbers({M}, 4, options), HeadOptions{0.5, 0.1, /*padding_id=*/0, std::nullopt, false},
                    HeadWants{/*residual=*/true, /*table=*/true, /*bias=*/true, /*norms=*/true}, segments);
  };
  const HeadPtr ours = with_trial(true, run), theirs = with_trial(false, run);
  std::string trouble = trial_difference("losses", ours->loss, theirs->loss, tolerance);
  if (trouble.empty()) trouble = trial_difference("log-sums", ours->lse, theirs->lse, tolerance);
  if (trouble.empty()) trouble = trial_difference("input gradients", ours->d_hidden, theirs->d_hidden, tolerance);
  if (trouble.empty()) trouble = trial_difference("gradients of the bias", ours->d_bias, theirs->d_bias, tolerance);
  for (const bool tied : {false, true}) {
    if (!trouble.empty()) break;
    trouble = compare_records(M, d, tolerance, [&] {
      std::vector<UsePtr> uses;
      if (tied)
        uses.push_back(any_index_use(segments, trial_ids(rows), trial_numbers({rows, d}, 5, options), at::Tensor(), 1.5,
                                     /*padding_id=*/2));
      uses.push_back(residual_use(run(), trial_numbers({segments->count()}, 6, options).abs() + 0.5));
      return uses;
    });
  }
  return trouble;
}

}  // namespace

std::string try_family(KernelFamily family, const at::Device& device) {
  for (const at::ScalarType type : {at::kFloat, at::kDouble}) {
    const at::TensorOptions options = at::TensorOptions().dtype(type).device(device);
    const auto run = [&] {
      switch (family) {
        case KernelFamily::private_update:
          return try_private_update(options);
        case KernelFamily::stored:
          return try_stored(options);
        case KernelFamily::index:
          return try_index(options);
        case KernelFamily::norm_layer:
          return try_norm_layer(options);
        case KernelFamily::dense:
          return try_dense(options);
        case KernelFamily::head:
          return try_head(options);
        case KernelFamily::attention:
          return try_attention(options);
      }
      return std::string("unknown");
    };
    const std::string trouble = run();
    if (!trouble.empty()) return c10::str(c10::toString(type), ": ", trouble);
  }
  return "";
}

}  // namespace phantomgrad
