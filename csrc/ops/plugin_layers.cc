// Norm layers and attention by the plugin: results allocated here, filled there.
#include "ops/device.h"
#include "ops/plugin.h"
#include "ops/plugin_kernels.h"

namespace phantomgrad {
namespace {

// Int64 [samples * heads], the bits of the uint64 streams; undefined without dropout.
at::Tensor streams_on(const AnyAttention& call) {
  if (call.dropout == 0) return {};
  return integers_on(call.query.device(), {call.streams.begin(), call.streams.end()});
}

at::Tensor in_rows(const at::Tensor& t) { return t.defined() ? t.contiguous() : t; }

}  // namespace

AnyLayerNormGradients plugin_layer_norm_backward(const at::Tensor& gradient, const at::Tensor& x,
                                                 const at::Tensor& gamma, const at::Tensor& mean,
                                                 const at::Tensor& rstd, const Segments& segments) {
  const at::Tensor dx = plugin_output(x.sizes(), x.options()),
                   d_gamma = plugin_output({segments.count(), x.size(1)}, x.options()),
                   d_beta = plugin_output(d_gamma.sizes(), x.options());
  plugin_call(x.device(), "norm_backward_", gradient.contiguous(), x.contiguous(), gamma.contiguous(),
              mean.contiguous(), rstd.contiguous(), segments.cu_seqlens_on(x.device()), dx, d_gamma, d_beta);
  return {dx, d_gamma, d_beta};
}

AnyAttended plugin_attention(const AnyAttention& call) {
  const at::TensorOptions options = call.query.options();
  const bool second = call.correction == Correction::second_order;
  const auto numbers = [&](bool wanted) {
    return wanted ? plugin_output({call.query.size(0), call.heads}, options) : at::Tensor();
  };
  AnyAttended result{plugin_output(call.query.sizes(), options), numbers(call.value_variance.defined()), numbers(true),
                     numbers(second)};
  plugin_call(call.query.device(), "re_attention_forward_", in_rows(call.query), in_rows(call.key), in_rows(call.value),
              call.segments.cu_seqlens_on(call.query.device()), call.heads, call.segments.longest(), call.causal,
              call.dropout, streams_on(call), static_cast<int>(call.correction), in_rows(call.key_variance),
              in_rows(call.value_variance), call.max_penalty, result.output, result.lse, result.plain_lse,
              result.variance);
  return result;
}

std::vector<at::Tensor> plugin_attention_backward(const AnyAttention& call, const at::Tensor& gradient,
                                                  const AnyAttended& attended) {
  const at::Tensor d_query = plugin_output(call.query.sizes(), call.query.options()),
                   d_key = plugin_output(d_query.sizes(), d_query.options()),
                   d_value = plugin_output(d_query.sizes(), d_query.options());
  plugin_call(call.query.device(), "re_attention_backward_", in_rows(call.query), in_rows(call.key),
              in_rows(call.value), call.segments.cu_seqlens_on(call.query.device()), call.heads,
              call.segments.longest(), call.causal, call.dropout, streams_on(call), static_cast<int>(call.correction),
              in_rows(call.key_variance), call.max_penalty, in_rows(gradient), attended.lse, attended.plain_lse,
              d_query, d_key, d_value);
  return {d_query, d_key, d_value};
}

}  // namespace phantomgrad
