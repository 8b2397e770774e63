// Softmax attention over packed rows, plain and corrected for noisy keys (Re-Attention). It has no parameters: the
// per-sample rule is that samples never see each other.
#include "cpu/attention.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>

#include "cpu/parallel.h"
#include "ops/any.h"
#include "ops/buffer.h"
#include "ops/dispatch.h"
#include "ops/operators.h"
#include "ops/tap.h"
#include "shared/dropout_mask.h"

namespace phantomgrad {
namespace {

struct AttentionOptions {
  int64_t heads;
  bool causal;
  double dropout;
  int64_t seed, step, site;
  Correction correction = Correction::off;
  double max_penalty = std::numeric_limits<double>::infinity();
};

// Inputs: query, key, value, and for Re-Attention the variances of keys and values, which are constants to autograd.
class Attention final : public Operation {
 public:
  Attention(Segments segments, AttentionOptions options, at::Tensor sample_keys)
      : segments_(std::move(segments)), options_(options), sample_keys_(std::move(sample_keys)) {
    for (int64_t b = 0; b < segments_.count(); ++b) longest_ = std::max(longest_, segments_.length(b));
  }

  at::Tensor forward(const std::vector<at::Tensor>& inputs, const std::vector<BookEntry>&,
                     const std::vector<bool>&) override {
    generic_ = !has_kernels(inputs[0]);
    if (generic_) {
      check_floating("attention", inputs[0]);
      AnyAttended result = any_attention(any_call(inputs));
      variance_ = result.variance;
      lse_ = result.lse;
      plain_lse_ = result.plain_lse;
      return result.output;
    }
    const int64_t rows = segments_.rows(), width = inputs[2].size(1);
    at::Tensor output = at::empty({rows, width}, inputs[0].options());
    const auto numbers = [&](bool wanted) {
      return wanted ? at::empty({rows, options_.heads}, inputs[0].options()) : at::Tensor();
    };
    lse_ = numbers(true);
    plain_lse_ = numbers(options_.correction == Correction::second_order);
    variance_ = numbers(inputs.size() > 4 && inputs[4].defined());
    each_head(inputs, [&](auto params, int64_t first, int64_t head, auto* workspace) {
      using T = std::remove_pointer_t<decltype(workspace)>;
      const auto row = [&](const at::Tensor& t) {
        return t.defined() ? host_writable<T>(t) + first * options_.heads + head : nullptr;
      };
      const cpu::AttentionRows<T> results{row(lse_), row(plain_lse_), row(variance_), options_.heads};
      PG_CALL((attention_forward<T>), params, host_writable<T>(output) + first * width + head * params.dim, width,
              results, workspace);
    });
    return output;
  }

  /// [rows, heads] of the last forward pass; undefined where no variance of values was given.
  const at::Tensor& variance() const { return variance_; }

  void backward(const std::vector<at::Tensor>& inputs, const at::Tensor& gradient, Sink& sink) override {
    if (generic_) {
      const std::vector<at::Tensor> gradients =
          any_attention_backward(any_call(inputs), gradient, {{}, {}, lse_, plain_lse_});
      for (size_t i = 0; i < 3; ++i)
        if (sink.needs(i)) sink.gradient(i, gradients[i]);
      return;
    }
    const int64_t rows = segments_.rows(), width = inputs[2].size(1);
    at::Tensor d_query = at::empty({rows, width}, gradient.options()), d_key = at::empty_like(d_query),
               d_value = at::empty_like(d_query);
    each_head(inputs, [&](auto params, int64_t first, int64_t head, auto* workspace) {
      using T = std::remove_pointer_t<decltype(workspace)>;
      const int64_t at = first * width + head * params.dim;
      const auto row = [&](const at::Tensor& t) {
        return t.defined() ? host_data<T>(t) + first * options_.heads + head : nullptr;
      };
      const cpu::AttentionRows<const T> rows_of{row(lse_), row(plain_lse_), nullptr, options_.heads};
      PG_CALL((attention_backward<T>), params, host_data<T>(gradient) + at, width, rows_of,
              host_writable<T>(d_query) + at, width, host_writable<T>(d_key) + at, width,
              host_writable<T>(d_value) + at, width, workspace);
    });
    if (sink.needs(0)) sink.gradient(0, d_query);
    if (sink.needs(1)) sink.gradient(1, d_key);
    if (sink.needs(2)) sink.gradient(2, d_value);
  }

 private:
  uint64_t stream(int64_t sample, int64_t head) const {
    return mix64(dropout_stream(options_.seed, options_.step, options_.site, host_data<int64_t>(sample_keys_)[sample]) +
                 static_cast<uint64_t>(head));
  }

  AnyAttention any_call(const std::vector<at::Tensor>& inputs) const {
    std::vector<uint64_t> streams;
    if (options_.dropout > 0)
      for (int64_t b = 0; b < segments_.count(); ++b)
        for (int64_t head = 0; head < options_.heads; ++head) streams.push_back(stream(b, head));
    const bool noisy = inputs.size() > 3;
    return {inputs[0],
            inputs[1],
            inputs[2],
            segments_,
            options_.heads,
            options_.causal,
            options_.dropout,
            std::move(streams),
            options_.correction,
            options_.max_penalty,
            noisy ? inputs[3] : at::Tensor(),
            noisy ? inputs[4] : at::Tensor()};
  }

  // Calls body(params, first row, head, workspace) for every sample and head, samples in parallel.
  template <class Body>
  void each_head(const std::vector<at::Tensor>& inputs, Body body) const {
    with_floating("attention", inputs[0], [&](auto zero) {
      using T = decltype(zero);
      const int64_t dim = inputs[2].size(1) / options_.heads;
      const int64_t mean = segments_.mean_length(), grain = cpu::grain_for(mean * mean * dim);
      cpu::parallel_for(0, segments_.count() * options_.heads, grain, [&](int64_t begin, int64_t end) {
        Buffer<T> workspace(cpu::attention_workspace(longest_, dim, inputs.size() > 3));
        for (int64_t i = begin; i < end; ++i) {
          const int64_t b = i / options_.heads, head = i % options_.heads, first = segments_.first(b);
          if (segments_.length(b) == 0) continue;
          const auto pointer = [&](const at::Tensor& t) { return host_data<T>(t) + first * t.stride(0) + head * dim; };
          const uint64_t own_stream = options_.dropout == 0 ? 0 : stream(b, head);
          const cpu::AttentionParams<T> params{pointer(inputs[0]),
                                               pointer(inputs[1]),
                                               pointer(inputs[2]),
                                               inputs[0].stride(0),
                                               inputs[1].stride(0),
                                               inputs[2].stride(0),
                                               segments_.length(b),
                                               dim,
                                               static_cast<T>(1 / std::sqrt(static_cast<double>(dim))),
                                               options_.causal,
                                               options_.dropout,
                                               own_stream,
                                               noise<T>(inputs, first, head)};
          body(params, first, head, workspace.data());
        }
      });
    });
  }

  // Both variances have a column a head; that of the keys may have one a channel.
  template <class T>
  cpu::AttentionNoise<T> noise(const std::vector<at::Tensor>& inputs, int64_t first, int64_t head) const {
    if (inputs.size() < 4) return {};
    const at::Tensor &key = inputs[3], &value = inputs[4];
    const int64_t each = key.size(1) / options_.heads;
    return {options_.correction,
            host_data<T>(key) + first * key.stride(0) + head * each,
            key.stride(0),
            each > 1,
            value.defined() ? host_data<T>(value) + first * value.stride(0) + head : nullptr,
            value.defined() ? value.stride(0) : 0,
            static_cast<T>(options_.max_penalty)};
  }

  Segments segments_;
  AttentionOptions options_;
  at::Tensor sample_keys_, lse_, plain_lse_, variance_;
  int64_t longest_ = 0;
  bool generic_ = false;
};

at::Tensor rows_in_order(const at::Tensor& t) { return t.stride(-1) == 1 ? t : t.contiguous(); }

// What attention and re_attention ask alike.
std::shared_ptr<Attention> checked_attention(const char* operation, const at::Tensor& query, const at::Tensor& key,
                                             const at::Tensor& value, const at::Tensor& cu_seqlens,
                                             const AttentionOptions& options,
                                             const std::optional<at::Tensor>& sample_keys) {
  PG_CHECK(query.dim() == 2 && key.sizes() == query.sizes() && value.sizes() == query.sizes(), "ERR_INVALID_ARGUMENT",
           operation, ": query, key and value must be packed rows [N, heads * dim] of one shape, got ", query.sizes(),
           ", ", key.sizes(), " and ", value.sizes(), ".");
  PG_CHECK(key.scalar_type() == query.scalar_type() && value.scalar_type() == query.scalar_type(),
           "ERR_INVALID_ARGUMENT", operation, ": query, key and value must have one dtype.");
  PG_CHECK(options.heads >= 1 && query.size(1) % options.heads == 0, "ERR_INVALID_ARGUMENT", operation, ": ",
           options.heads, " heads do not divide a width of ", query.size(1), ".");
  PG_CHECK(options.dropout >= 0 && options.dropout < 1, "ERR_INVALID_ARGUMENT", operation,
           ": dropout must lie in [0, 1), got ", options.dropout, ".");
  Segments segments(cu_seqlens);
  PG_CHECK(segments.rows() == query.size(0), "ERR_BATCH_DIMENSION", operation, ": cuSeqlens end at ", segments.rows(),
           ", the input has ", query.size(0), " rows.");
  at::Tensor keys;
  if (options.dropout > 0) {
    PG_CHECK(sample_keys.has_value() && sample_keys->numel() == segments.count(), "ERR_INVALID_ARGUMENT", operation,
             ": dropout needs one sample key for each of ", segments.count(), " samples.");
    keys = own_integers(operation, "sampleKeys", *sample_keys);
  }
  return std::make_shared<Attention>(std::move(segments), options, keys);
}

// A constant: gradients through a variance would not be sums of products of rows, which the norm rules need.
at::Tensor constant_rows(const char* name, const at::Tensor& variance, const at::Tensor& query,
                         at::IntArrayRef widths) {
  const bool fits = variance.dim() == 2 && variance.size(0) == query.size(0) &&
                    std::find(widths.begin(), widths.end(), variance.size(1)) != widths.end();
  PG_CHECK(fits && variance.scalar_type() == query.scalar_type(), "ERR_INVALID_ARGUMENT", "reAttention: ", name,
           " must be [", query.size(0), ", ", widths[0], "], one number a row and head, of the query's dtype, got ",
           variance.toString(), " ", variance.sizes(), ".");
  return rows_in_order(variance.detach());
}

}  // namespace

Correction correction_of(std::string_view name) {
  if (name == "off") return Correction::off;
  if (name == "logit") return Correction::logit;
  if (name == "paper") return Correction::paper;
  if (name == "secondOrder") return Correction::second_order;
  refuse("ERR_INVALID_ARGUMENT", "reAttention: correction must be one of logit, paper, secondOrder, off, got ",
         std::string(name), ".");
}

at::Tensor attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                     const at::Tensor& cu_seqlens, int64_t heads, bool causal, double dropout, int64_t seed,
                     int64_t step, int64_t site, const std::optional<at::Tensor>& sample_keys) {
  return tap("attention",
             checked_attention("attention", query, key, value, cu_seqlens, {heads, causal, dropout, seed, step, site},
                               sample_keys),
             {rows_in_order(query), rows_in_order(key), rows_in_order(value)});
}

std::tuple<at::Tensor, at::Tensor> re_attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                                                const at::Tensor& key_variance, const at::Tensor& cu_seqlens,
                                                const std::optional<at::Tensor>& value_variance, int64_t heads,
                                                bool causal, std::string_view correction,
                                                std::optional<double> max_penalty, double dropout, int64_t seed,
                                                int64_t step, int64_t site,
                                                const std::optional<at::Tensor>& sample_keys) {
  AttentionOptions options{heads, causal, dropout, seed, step, site, correction_of(correction)};
  if (max_penalty.has_value()) {
    PG_CHECK(*max_penalty >= 0, "ERR_INVALID_ARGUMENT", "reAttention: maxPenalty must be at least 0, got ",
             *max_penalty, ".");
    options.max_penalty = *max_penalty;
  }
  auto operation = checked_attention("reAttention", query, key, value, cu_seqlens, options, sample_keys);
  const at::Tensor of_keys = constant_rows("keyVariance", key_variance, query, {heads, query.size(1)});
  const at::Tensor of_values =
      value_variance.has_value() ? constant_rows("valueVariance", *value_variance, query, {heads}) : at::Tensor();
  at::Tensor output = tap("reAttention", operation,
                          {rows_in_order(query), rows_in_order(key), rows_in_order(value), of_keys, of_values});
  at::Tensor variance =
      of_values.defined() ? operation->variance() : at::zeros({query.size(0), heads}, query.options());
  return {std::move(output), std::move(variance)};
}

}  // namespace phantomgrad
