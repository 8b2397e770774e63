// The plain twins of attention and of how noise spreads, as operators for tests.
#include <torch/library.h>

#include <cmath>
#include <limits>
#include <string_view>
#include <vector>

#include "ops/operators.h"
#include "ops/reference_values.h"
#include "reference/attention.h"
#include "reference/re_attention.h"
#include "reference/variance.h"
#include "shared/dropout_mask.h"

namespace phantomgrad {
namespace {

// What dropout multiplies the weights [rows, rows] of one sample and head with.
std::vector<double> kept_weights(int64_t rows, double rate, uint64_t stream) {
  std::vector<double> keep(static_cast<size_t>(rows * rows));
  for (int64_t t = 0; t < rows; ++t)
    for (int64_t s = 0; s < rows; ++s) {
      const uint64_t element = (static_cast<uint64_t>(t) << 32) + static_cast<uint64_t>(s);
      keep[static_cast<size_t>(t * rows + s)] =
          dropout_keeps(stream, element, dropout_threshold(rate)) ? 1 / (1 - rate) : 0;
    }
  return keep;
}

struct Dropping {
  double rate;
  int64_t seed, step, site;
  at::Tensor keys;

  std::vector<double> kept(int64_t rows, int64_t sample, int64_t head) const {
    if (rate == 0) return {};
    const uint64_t stream = dropout_stream(seed, step, site, host_data<int64_t>(keys)[sample]);
    return kept_weights(rows, rate, mix64(stream + static_cast<uint64_t>(head)));
  }
};

/// The columns of one head in the rows of one sample.
struct HeadBlock {
  int64_t first, rows, head, heads;

  at::Tensor operator()(const at::Tensor& t) const {
    const int64_t each = t.size(1) / heads;
    return t.narrow(0, first, rows).narrow(1, head * each, each);
  }
};

/// Runs body(attention, block, gradient, sample) for every sample and head.
template <class Body>
void each_head(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, const at::Tensor& gradient,
               const at::Tensor& cu_seqlens, int64_t heads, bool causal, const Dropping& dropping, Body body) {
  const Segments segments = checked_segments(cu_seqlens, query);
  for (int64_t b = 0; b < segments.count(); ++b)
    for (int64_t head = 0; head < heads; ++head) {
      const HeadBlock block{segments.first(b), segments.length(b), head, heads};
      const Doubles q(block(query)), k(block(key)), v(block(value)), g(block(gradient));
      const std::vector<double> keep = dropping.kept(block.rows, b, head);
      const int64_t dim = query.size(1) / heads;
      const double scale = 1 / std::sqrt(static_cast<double>(dim));
      const double* mask = keep.empty() ? nullptr : keep.data();
      body(reference::Attention{block.rows, dim, q.data(), k.data(), v.data(), causal, scale, mask}, block, g.data());
    }
}

std::vector<at::Tensor> doubles_like(const at::Tensor& t, int count) {
  std::vector<at::Tensor> result;
  for (int i = 0; i < count; ++i) result.push_back(at::zeros(t.sizes(), at::TensorOptions().dtype(at::kDouble)));
  return result;
}

at::Tensor integers(const Optional& t) { return t.has_value() ? t->to(at::kLong).contiguous() : at::Tensor(); }

std::vector<at::Tensor> reference_attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                                            const at::Tensor& gradient, const at::Tensor& cu_seqlens, int64_t heads,
                                            bool causal, double dropout, int64_t seed, int64_t step, int64_t site,
                                            const Optional& sample_keys) {
  std::vector<at::Tensor> result = doubles_like(query, 4);
  each_head(query, key, value, gradient, cu_seqlens, heads, causal, {dropout, seed, step, site, integers(sample_keys)},
            [&](const reference::Attention& call, const HeadBlock& block, const double* g) {
              const Result output(call.rows, call.dim), d_query(call.rows, call.dim), d_key(call.rows, call.dim),
                  d_value(call.rows, call.dim);
              reference::attention_forward(call, output.data());
              reference::attention_backward(call, g, d_query.data(), d_key.data(), d_value.data());
              const Result* parts[] = {&output, &d_query, &d_key, &d_value};
              for (size_t i = 0; i < 4; ++i) block(result[i]).copy_(parts[i]->values);
            });
  return result;
}

std::vector<at::Tensor> reference_re_attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                                               const at::Tensor& key_variance, const at::Tensor& gradient,
                                               const at::Tensor& cu_seqlens, const Optional& value_variance,
                                               int64_t heads, bool causal, std::string_view correction,
                                               std::optional<double> max_penalty, double dropout, int64_t seed,
                                               int64_t step, int64_t site, const Optional& sample_keys) {
  std::vector<at::Tensor> result = doubles_like(query, 4);
  at::Tensor variance = at::zeros({query.size(0), heads}, at::TensorOptions().dtype(at::kDouble));
  each_head(query, key, value, gradient, cu_seqlens, heads, causal, {dropout, seed, step, site, integers(sample_keys)},
            [&](const reference::Attention& attention, const HeadBlock& block, const double* g) {
              const int64_t rows = attention.rows, dim = attention.dim;
              const Doubles of_keys(block(key_variance)),
                  of_values(value_variance.has_value() ? Optional(block(*value_variance)) : Optional());
              const reference::ReAttention call{attention,
                                                of_keys.data(),
                                                key_variance.size(1) > heads,
                                                of_values.data(),
                                                correction_of(correction),
                                                max_penalty.value_or(std::numeric_limits<double>::infinity())};
              const Result output(rows, dim), d_query(rows, dim), d_key(rows, dim), d_value(rows, dim), own(rows, 1);
              reference::re_attention_forward(call, output.data(), own.data());
              reference::re_attention_backward(call, g, d_query.data(), d_key.data(), d_value.data());
              const Result* parts[] = {&output, &d_query, &d_key, &d_value};
              for (size_t i = 0; i < 4; ++i) block(result[i]).copy_(parts[i]->values);
              block(variance).copy_(own.values);
            });
  result.push_back(variance);
  return result;
}

at::Tensor reference_linear_variance(const at::Tensor& input, const at::Tensor& variance, const at::Tensor& weight,
                                     double weight_variance, double bias_variance, int64_t groups) {
  const Doubles x(input), v(variance), w(weight);
  const int64_t out = weight.size(0) / groups, dim = weight.size(1);
  const Result result(input.size(0), groups);
  for (int64_t r = 0; r < input.size(0); ++r)
    for (int64_t g = 0; g < groups; ++g)
      result[r][g] =
          reference::linear_variance(x.row(r), dim, v.data()[r], w.row(g * out), out, weight_variance, bias_variance);
  return result.values;
}

at::Tensor reference_layer_norm_variance(const at::Tensor& input, const at::Tensor& variance, const at::Tensor& weight,
                                         double weight_variance, double bias_variance, double eps, bool saturate) {
  const Doubles x(input), v(variance), gamma(weight);
  const Result result(input.size(0));
  for (int64_t r = 0; r < input.size(0); ++r)
    *result[r] = reference::layer_norm_variance(x.row(r), input.size(1), v.data()[r], gamma.data(), weight_variance,
                                                bias_variance, eps, saturate);
  return result.values;
}

at::Tensor reference_activation_variance(const at::Tensor& input, const at::Tensor& variance,
                                         std::string_view activation) {
  const Doubles x(input), v(variance);
  const Result result(input.size(0));
  const auto rule = activation == "relu" ? reference::relu_variance : reference::gelu_variance;
  for (int64_t r = 0; r < input.size(0); ++r) *result[r] = rule(x.row(r), input.size(1), v.data()[r]);
  return result.values;
}

TORCH_LIBRARY_FRAGMENT(phantomgrad, m) {
  // Output, then the gradients of query, key and value; for re_attention the variance of the output at the end.
  m.def(
      "reference_attention(Tensor query, Tensor key, Tensor value, Tensor gradient, Tensor cu_seqlens, *, int heads=1, "
      "bool causal=True, float dropout=0.0, int seed=0, int step=0, int site=0, Tensor? sample_keys=None) -> Tensor[]",
      &reference_attention);
  m.def(
      "reference_re_attention(Tensor query, Tensor key, Tensor value, Tensor key_variance, Tensor gradient, "
      "Tensor cu_seqlens, *, Tensor? value_variance=None, int heads=1, bool causal=True, str correction='logit', "
      "float? max_penalty=None, float dropout=0.0, int seed=0, int step=0, int site=0, Tensor? sample_keys=None) -> "
      "Tensor[]",
      &reference_re_attention);
  m.def(
      "reference_linear_variance(Tensor input, Tensor variance, Tensor weight, *, float weight_variance, "
      "float bias_variance=0.0, int groups=1) -> Tensor",
      &reference_linear_variance);
  m.def(
      "reference_layer_norm_variance(Tensor input, Tensor variance, Tensor weight, *, float weight_variance=0.0, "
      "float bias_variance=0.0, float eps=1e-05, bool saturate=True) -> Tensor",
      &reference_layer_norm_variance);
  m.def("reference_activation_variance(Tensor input, Tensor variance, str activation) -> Tensor",
        &reference_activation_variance);
}

}  // namespace
}  // namespace phantomgrad
