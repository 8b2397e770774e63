// Trials of the plugin's norm layers and attention.
#include "ops/any.h"
#include "ops/plugin_trial_kit.h"

namespace phantomgrad {

std::string try_norm_layer(const at::TensorOptions& options) {
  const SegmentsPtr segments = trial_segments();
  const at::Tensor x = trial_numbers({segments->rows(), kTrialLeft}, 0.5, options),
                   g = trial_numbers({segments->rows(), kTrialLeft}, 0.6, options),
                   gamma = trial_numbers({kTrialLeft}, 0.7, options);
  const AnyNormalised normal = any_layer_norm(x, gamma, at::Tensor(), 1e-5);
  const auto run = [&](bool served) {
    return with_trial(served,
                      [&] { return any_layer_norm_backward(g, x, gamma, normal.mean, normal.rstd, *segments); });
  };
  const AnyLayerNormGradients ours = run(true), theirs = run(false);
  const double tolerance = trial_tolerance(options);
  std::string trouble = trial_difference("input gradients", ours.dx, theirs.dx, tolerance);
  if (trouble.empty()) trouble = trial_difference("gradients of the scale", ours.d_gamma, theirs.d_gamma, tolerance);
  return trouble.empty() ? trial_difference("gradients of the shift", ours.d_beta, theirs.d_beta, tolerance) : trouble;
}

std::string try_attention(const at::TensorOptions& options) {
  const SegmentsPtr segments = trial_segments();
  constexpr int64_t heads = 2, width = 10;
  const int64_t rows = segments->rows();
  const auto numbers = [&](int64_t columns, double phase) { return trial_numbers({rows, columns}, phase, options); };
  std::vector<uint64_t> streams;
  for (uint64_t i = 0; i < kTrialLengths.size() * heads; ++i) streams.push_back(i * 0x9e3779b97f4a7c15u);
  const double tolerance = trial_tolerance(options);
  for (const Correction correction :
       {Correction::off, Correction::logit, Correction::paper, Correction::second_order}) {
    const bool noisy = correction != Correction::off;
    const AnyAttention call{numbers(width, 1),
                            numbers(width, 2),
                            numbers(width, 3),
                            *segments,
                            heads,
                            /*causal=*/noisy,
                            /*dropout=*/0.25,
                            streams,
                            correction,
                            /*max_penalty=*/2,
                            noisy ? numbers(heads, 4).abs() : at::Tensor(),
                            noisy ? numbers(heads, 5).abs() : at::Tensor()};
    const at::Tensor gradient = numbers(width, 6);
    const auto run = [&](bool served) {
      return with_trial(served, [&] {
        const AnyAttended attended = any_attention(call);
        std::vector<at::Tensor> all = any_attention_backward(call, gradient, attended);
        all.push_back(attended.output);
        if (noisy) all.push_back(attended.variance);
        return all;
      });
    };
    const std::vector<at::Tensor> ours = run(true), theirs = run(false);
    for (size_t i = 0; i < theirs.size(); ++i) {
      const std::string trouble =
          trial_difference(i < 3 ? "input gradients" : "outputs", ours[i], theirs[i], tolerance);
      if (!trouble.empty()) return trouble;
    }
  }
  return "";
}

}  // namespace phantomgrad
