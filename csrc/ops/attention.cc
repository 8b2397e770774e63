// Softmax attention over packed rows. It has no parameters: the per-sample rule is that samples never see each other.
#include "cpu/attention.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <cmath>

#include "cpu/parallel.h"
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
};

class Attention final : public Operation {
 public:
  Attention(Segments segments, AttentionOptions options, at::Tensor sample_keys)
      : segments_(std::move(segments)), options_(options), sample_keys_(std::move(sample_keys)) {
    for (int64_t b = 0; b < segments_.count(); ++b) longest_ = std::max(longest_, segments_.length(b));
  }

  at::Tensor forward(const std::vector<at::Tensor>& inputs, const std::vector<BookEntry>&,
                     const std::vector<bool>&) override {
    const int64_t rows = segments_.rows(), width = inputs[2].size(1);
    at::Tensor output = at::empty({rows, width}, inputs[0].options());
    lse_ = at::empty({rows, options_.heads}, inputs[0].options());
    each_head<0>(inputs, [&](auto params, int64_t first, int64_t head, auto* workspace) {
      using T = std::remove_pointer_t<decltype(workspace)>;
      PG_CALL((attention_forward<T>), params, output.mutable_data_ptr<T>() + first * width + head * params.dim, width,
              lse_.mutable_data_ptr<T>() + first * options_.heads + head, options_.heads, workspace);
    });
    return output;
  }

  void backward(const std::vector<at::Tensor>& inputs, const at::Tensor& gradient, Sink& sink) override {
    const int64_t rows = segments_.rows(), width = inputs[2].size(1);
    at::Tensor d_query = at::empty({rows, width}, gradient.options()), d_key = at::empty_like(d_query),
               d_value = at::empty_like(d_query);
    each_head<1>(inputs, [&](auto params, int64_t first, int64_t head, auto* workspace) {
      using T = std::remove_pointer_t<decltype(workspace)>;
      const int64_t at = first * width + head * params.dim;
      PG_CALL((attention_backward<T>), params, gradient.const_data_ptr<T>() + at, width,
              lse_.const_data_ptr<T>() + first * options_.heads + head, options_.heads,
              d_query.mutable_data_ptr<T>() + at, width, d_key.mutable_data_ptr<T>() + at, width,
              d_value.mutable_data_ptr<T>() + at, width, workspace);
    });
    if (sink.needs(0)) sink.gradient(0, d_query);
    if (sink.needs(1)) sink.gradient(1, d_key);
    if (sink.needs(2)) sink.gradient(2, d_value);
  }

 private:
  // Calls body(params, first row, head, workspace) for every sample and head, samples in parallel.
  template <int Pass, class Body>
  void each_head(const std::vector<at::Tensor>& inputs, Body body) const {
    with_floating("attention", inputs[0], [&](auto zero) {
      using T = decltype(zero);
      const int64_t dim = inputs[2].size(1) / options_.heads;
      const int64_t mean = segments_.mean_length(), grain = cpu::grain_for(mean * mean * dim);
      cpu::parallel_for(0, segments_.count() * options_.heads, grain, [&](int64_t begin, int64_t end) {
        Buffer<T> workspace(cpu::attention_workspace(longest_, dim));
        for (int64_t i = begin; i < end; ++i) {
          const int64_t b = i / options_.heads, head = i % options_.heads, first = segments_.first(b);
          if (segments_.length(b) == 0) continue;
          const auto pointer = [&](const at::Tensor& t) {
            return t.const_data_ptr<T>() + first * t.stride(0) + head * dim;
          };
          const uint64_t stream = options_.dropout == 0
                                      ? 0
                                      : mix64(dropout_stream(options_.seed, options_.step, options_.site,
                                                             sample_keys_.const_data_ptr<int64_t>()[b]) +
                                              static_cast<uint64_t>(head));
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
                                               stream};
          body(params, first, head, workspace.data());
        }
      });
    });
  }

  Segments segments_;
  AttentionOptions options_;
  at::Tensor sample_keys_, lse_;
  int64_t longest_ = 0;
};

at::Tensor rows_in_order(const at::Tensor& t) { return t.stride(-1) == 1 ? t : t.contiguous(); }

}  // namespace

at::Tensor attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                     const at::Tensor& cu_seqlens, int64_t heads, bool causal, double dropout, int64_t seed,
                     int64_t step, int64_t site, const std::optional<at::Tensor>& sample_keys) {
  PG_CHECK(query.dim() == 2 && key.sizes() == query.sizes() && value.sizes() == query.sizes(), "ERR_INVALID_ARGUMENT",
           "attention: query, key and value must be packed rows [N, heads * dim] of one shape, got ", query.sizes(),
           ", ", key.sizes(), " and ", value.sizes(), ".");
  PG_CHECK(key.scalar_type() == query.scalar_type() && value.scalar_type() == query.scalar_type(),
           "ERR_INVALID_ARGUMENT", "attention: query, key and value must have one dtype.");
  PG_CHECK(heads >= 1 && query.size(1) % heads == 0, "ERR_INVALID_ARGUMENT", "attention: ", heads,
           " heads do not divide a width of ", query.size(1), ".");
  PG_CHECK(dropout >= 0 && dropout < 1, "ERR_INVALID_ARGUMENT", "attention: dropout must lie in [0, 1), got ", dropout,
           ".");
  Segments segments(cu_seqlens);
  PG_CHECK(segments.rows() == query.size(0), "ERR_BATCH_DIMENSION", "attention: cuSeqlens end at ", segments.rows(),
           ", the input has ", query.size(0), " rows.");
  at::Tensor keys;
  if (dropout > 0) {
    PG_CHECK(sample_keys.has_value() && sample_keys->numel() == segments.count(), "ERR_INVALID_ARGUMENT",
             "attention: dropout needs one sample key for each of ", segments.count(), " samples.");
    keys = own_integers("attention", "sampleKeys", *sample_keys);
  }
  return tap(std::make_shared<Attention>(std::move(segments),
                                         AttentionOptions{heads, causal, dropout, seed, step, site}, keys),
             {rows_in_order(query), rows_in_order(key), rows_in_order(value)});
}

}  // namespace phantomgrad
