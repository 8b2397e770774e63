// The any-device twins of our CPU kernels: LibTorch's own operators on whatever device the tensors live.
//
// None of these files ever asks for a pointer. Each asks first whether a plugin's kernels cover the call
// (ops/plugin_covers.h); what they do not cover falls back to here.
#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <vector>

#include "ops/head.h"
#include "ops/segments.h"
#include "ops/use.h"
#include "shared/correction.h"

namespace phantomgrad {

// Uses (any_uses.cc), as their namesakes in use.h. `upstream`: what the left rows of each sample are multiplied by;
// empty: 1.
UsePtr any_dense_use(SegmentsPtr segments, at::Tensor left, at::Tensor right, std::vector<double> upstream = {});
UsePtr any_index_use(SegmentsPtr entries, at::Tensor ids, at::Tensor rows, at::Tensor coefficients, double scale,
                     int64_t padding_id);
UsePtr any_stored_use(at::Tensor per_sample, int64_t token);

// Layers (any_layers.cc). Sums over rows are float64.
/// [rows, width] to float64 [samples, width].
at::Tensor any_sample_sums(const at::Tensor& rows, const Segments& segments);
struct AnyNormalised {
  at::Tensor y, mean, rstd;
};
AnyNormalised any_layer_norm(const at::Tensor& x, const at::Tensor& gamma, const at::Tensor& beta, double eps);
struct AnyLayerNormGradients {
  at::Tensor dx, d_gamma, d_beta;  // the last two [samples, d]: float64, from the plugin the dtype of x
};
AnyLayerNormGradients any_layer_norm_backward(const at::Tensor& gradient, const at::Tensor& x, const at::Tensor& gamma,
                                              const at::Tensor& mean, const at::Tensor& rstd, const Segments& segments);

// Dropout (any_dropout.cc): which elements stay, the same as on the CPU. `streams` and `elements` are int64 and are
// broadcast against each other.
at::Tensor any_dropout_kept(const at::Tensor& streams, const at::Tensor& elements, double rate);
/// x with elements dropped; `keys`: [samples] on the CPU.
at::Tensor any_dropout(const at::Tensor& x, const Segments& segments, double rate,
                       const std::vector<uint64_t>& streams);

/// Softmax head (any_head.cc): fills in the results of a `head` whose arguments are checked. Keeps all residual rows.
void any_run_head(Head& head, const HeadWants& wants);
void any_sample_means(at::Tensor& weights, const Segments& segments);

// Attention (any_attention.cc) over packed rows [N, heads * dim].
struct AnyAttention {
  at::Tensor query, key, value;
  const Segments& segments;
  int64_t heads;
  bool causal;
  double dropout;
  std::vector<uint64_t> streams;  // [samples * heads] where dropout > 0
  Correction correction = Correction::off;
  double max_penalty = 0;
  at::Tensor key_variance, value_variance = {};  // undefined: none
};
struct AnyAttended {
  at::Tensor output, variance;  // [N, heads]; undefined without value_variance
  at::Tensor lse, plain_lse;    // [N, heads], what the plugin's backward pass goes by; undefined without it
};
AnyAttended any_attention(const AnyAttention& call);
/// `attended`: what the forward pass gave.
std::vector<at::Tensor> any_attention_backward(const AnyAttention& call, const at::Tensor& gradient,
                                               const AnyAttended& attended);

// Variance propagation (any_variance.cc), float64 within; `x` are rows [N, d], `v` [N].
/// Sums of squares of `groups` equal parts: float64 [groups].
at::Tensor any_squares(const at::Tensor& t, int64_t groups);
/// gain[g] v + weight_variance |x|^2 + bias_variance: [N, groups].
at::Tensor any_linear_variance(const at::Tensor& x, const at::Tensor& v, const at::Tensor& gain, double weight_variance,
                               double bias_variance);
at::Tensor any_layer_norm_variance(const at::Tensor& x, const at::Tensor& v, const at::Tensor& gain,
                                   double weight_variance, double bias_variance, double eps, bool saturate);
at::Tensor any_relu_variance(const at::Tensor& x, const at::Tensor& v);
at::Tensor any_gelu_variance(const at::Tensor& x, const at::Tensor& v);

// Rows of samples side by side (any_rows.cc).

/// Numbers that one temporary may hold: 128 MiB of float64.
inline constexpr int64_t kAnyNumbers = 1 << 24;

/// The samples [first, last) and their rows, each sample filled up to the longest one of them.
struct SampleBlock {
  int64_t first, last, longest;
  int64_t count() const { return last - first; }
};
/// Cuts the samples into blocks whose cost(samples, longest) stays within kAnyNumbers, one sample at least.
template <class Cost>
std::vector<SampleBlock> sample_blocks(const std::vector<int64_t>& lengths, Cost cost) {
  std::vector<SampleBlock> blocks;
  const auto samples = static_cast<int64_t>(lengths.size());
  for (int64_t b = 0; b < samples;) {
    SampleBlock block{b, b + 1, lengths[static_cast<size_t>(b)]};
    for (++b; b < samples; ++b) {
      const int64_t longest = std::max(block.longest, lengths[static_cast<size_t>(b)]);
      if (cost(block.count() + 1, longest) > kAnyNumbers) break;
      block = {block.first, b + 1, longest};
    }
    blocks.push_back(block);
  }
  return blocks;
}
std::vector<int64_t> lengths_of(const Segments& segments);

/// The rows of a block: where they begin in a packed tensor, and each one's place in [count, longest].
class BlockRows {
 public:
  BlockRows(const Segments& segments, const SampleBlock& block, const at::Device& device);
  /// Packed [N, width] to [count, longest, width], zeros behind each sample.
  at::Tensor pad(const at::Tensor& packed) const;
  /// The same of the block's own rows.
  at::Tensor pad_own(const at::Tensor& rows) const;
  /// And back: [count, longest, width] to [rows of the block, width].
  at::Tensor unpad(const at::Tensor& padded) const;
  /// Bool [count, longest]: whether there is a row.
  at::Tensor present() const;
  int64_t first() const { return first_; }
  int64_t rows() const { return rows_; }

 private:
  SampleBlock block_;
  int64_t first_, rows_;
  at::Device device_;
  bool full_;  // every sample is as long as the longest one
  at::Tensor places_;
};

/// Int64 [rows]: the sample of each row.
at::Tensor samples_of_rows(const Segments& segments, const at::Device& device);
/// values[sample] for each row.
std::vector<double> by_row(const Segments& segments, const std::vector<double>& values);
/// target[places[i]] += values[i], rows of float64, in an order that does not change from run to run.
void add_rows(const at::Tensor& target, const at::Tensor& places, const at::Tensor& values);

}  // namespace phantomgrad
