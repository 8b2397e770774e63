// The plain twins as operators, for tests: float64, one sample at a time, per-sample gradients formed.
#include <torch/library.h>

#include "ops/reference_values.h"
#include "reference/embedding.h"
#include "reference/layer_norm.h"
#include "reference/linear.h"
#include "reference/phantom.h"
#include "reference/softmax_head.h"

namespace phantomgrad {
namespace {

std::vector<at::Tensor> reference_linear(const at::Tensor& input, const at::Tensor& weight, const Optional& bias,
                                         const at::Tensor& gradient, const at::Tensor& cu_seqlens) {
  const Segments segments = checked_segments(cu_seqlens, input);
  const int64_t B = segments.count(), p = weight.size(0), d = weight.size(1);
  const Doubles x(input), w(weight), beta(bias), g(gradient);
  const Result output(segments.rows(), p), d_input(segments.rows(), d), d_weight(B, p, d), d_bias(B, p), norm2(B);
  for (int64_t b = 0; b < B; ++b) {
    const int64_t row = segments.first(b);
    const reference::Linear layer{segments.length(b), d, p, w.data(), beta.data()};
    reference::linear_forward(layer, x.row(row), output[row]);
    reference::linear_backward(layer, x.row(row), g.row(row), d_input[row], d_weight[b], d_bias[b]);
    *norm2[b] = reference::linear_norm2(layer, x.row(row), g.row(row));
  }
  return {output.values, d_input.values, d_weight.values, d_bias.values, norm2.values};
}

std::vector<at::Tensor> reference_embedding(const at::Tensor& ids, const at::Tensor& table, const at::Tensor& gradient,
                                            const at::Tensor& cu_seqlens, int64_t padding_id, double scale) {
  const Segments segments = checked_segments(cu_seqlens, gradient);
  const int64_t B = segments.count(), M = table.size(0), d = table.size(1);
  const at::Tensor id = ids.to(at::kLong).contiguous();
  const Doubles e(table), u(gradient);
  const Result output(segments.rows(), d), d_table(B, M, d), norm2(B);
  for (int64_t b = 0; b < B; ++b) {
    const int64_t row = segments.first(b);
    const reference::Embedding layer{segments.length(b), M, d, host_data<int64_t>(id) + row, scale, padding_id};
    reference::embedding_forward(layer, e.data(), output[row]);
    reference::embedding_backward(layer, u.row(row), d_table[b]);
    *norm2[b] = reference::embedding_norm2(layer, u.row(row));
  }
  return {output.values, d_table.values, norm2.values};
}

std::vector<at::Tensor> reference_layer_norm(const at::Tensor& input, const at::Tensor& weight, const Optional& bias,
                                             const at::Tensor& gradient, const at::Tensor& cu_seqlens, double eps) {
  const Segments segments = checked_segments(cu_seqlens, input);
  const int64_t B = segments.count(), d = input.size(1);
  const Doubles x(input), gamma(weight), beta(bias), g(gradient);
  const Result output(segments.rows(), d), d_input(segments.rows(), d), d_gamma(B, d), d_beta(B, d);
  for (int64_t b = 0; b < B; ++b) {
    const int64_t row = segments.first(b);
    const reference::LayerNorm layer{segments.length(b), d, gamma.data(), beta.data(), eps};
    reference::layer_norm_forward(layer, x.row(row), output[row]);
    reference::layer_norm_backward(layer, x.row(row), g.row(row), d_input[row], d_gamma[b], d_beta[b]);
  }
  return {output.values, d_input.values, d_gamma.values, d_beta.values};
}

std::vector<at::Tensor> reference_softmax_head(const at::Tensor& hidden, const at::Tensor& table,
                                               const at::Tensor& targets, const at::Tensor& weights,
                                               const Optional& bias, const at::Tensor& cu_seqlens, double scale,
                                               double label_smoothing, const Optional& live) {
  const Segments segments = checked_segments(cu_seqlens, hidden);
  const int64_t B = segments.count(), N = segments.rows(), M = table.size(0), d = table.size(1);
  const at::Tensor y = targets.to(at::kLong).contiguous(),
                   flags = live.has_value() ? live->to(at::kByte).contiguous() : at::Tensor();
  const Doubles h(hidden), e(table), w(weights), beta(bias);
  const Result loss(B), lse(N), residual(N, M), d_hidden(N, d), d_table(B, M, d), d_bias(B, M);
  for (int64_t b = 0; b < B; ++b) {
    const int64_t row = segments.first(b);
    const reference::SoftmaxHead head{
        segments.length(b), M, d, e.data(), beta.data(), flags.defined() ? host_data<uint8_t>(flags) : nullptr, scale,
        label_smoothing};
    const auto out = reference::softmax_head_forward(head, h.row(row), host_data<int64_t>(y) + row, w.data() + row);
    reference::softmax_head_backward(head, h.row(row), out.residual.data(), d_hidden[row], d_table[b], d_bias[b]);
    *loss[b] = out.loss;
    std::copy(out.lse.begin(), out.lse.end(), lse[row]);
    std::copy(out.residual.begin(), out.residual.end(), residual[row]);
  }
  return {loss.values, lse.values, residual.values, d_hidden.values, d_table.values, d_bias.values};
}

std::vector<at::Tensor> reference_phantom(const at::Tensor& ids, const at::Tensor& gradient,
                                          const at::Tensor& in_cu_seqlens, const at::Tensor& residual,
                                          const at::Tensor& hidden, const at::Tensor& out_cu_seqlens) {
  const Segments in = checked_segments(in_cu_seqlens, gradient), out = checked_segments(out_cu_seqlens, hidden);
  PG_CHECK(in.count() == out.count(), "ERR_BATCH_DIMENSION", "reference: ", in.count(), " samples in, ", out.count(),
           " out.");
  const at::Tensor id = ids.to(at::kLong).contiguous();
  const Doubles u(gradient), delta(residual), h(hidden);
  const Result norms(3, in.count());
  for (int64_t b = 0; b < in.count(); ++b) {
    const reference::PhantomNorm norm = reference::phantom_norm(
        {in.length(b), host_data<int64_t>(id) + in.first(b), u.row(in.first(b))},
        {out.length(b), delta.width(), delta.row(out.first(b)), h.row(out.first(b))}, h.width());
    norms[0][b] = norm.in;
    norms[1][b] = norm.out;
    norms[2][b] = norm.cross;
  }
  return {norms.values[0], norms.values[1], norms.values[2]};
}

TORCH_LIBRARY_FRAGMENT(phantomgrad, m) {
  // Each returns the forward result, the gradient of every input, then the per-sample gradients of the parameters, and
  // where there is one the ghost form of the squared norm.
  m.def("reference_linear(Tensor input, Tensor weight, Tensor? bias, Tensor gradient, Tensor cu_seqlens) -> Tensor[]",
        &reference_linear);
  m.def(
      "reference_embedding(Tensor ids, Tensor table, Tensor gradient, Tensor cu_seqlens, int padding_id=-1, "
      "float scale=1.0) -> Tensor[]",
      &reference_embedding);
  m.def(
      "reference_layer_norm(Tensor input, Tensor weight, Tensor? bias, Tensor gradient, Tensor cu_seqlens, "
      "float eps=1e-05) -> Tensor[]",
      &reference_layer_norm);
  m.def(
      "reference_softmax_head(Tensor hidden, Tensor table, Tensor targets, Tensor weights, Tensor? bias, "
      "Tensor cu_seqlens, *, float scale=1.0, float label_smoothing=0.0, Tensor? live=None) -> Tensor[]",
      &reference_softmax_head);
  m.def(
      "reference_phantom(Tensor ids, Tensor gradient, Tensor in_cu_seqlens, Tensor residual, Tensor hidden, "
      "Tensor out_cu_seqlens) -> Tensor[]",
      &reference_phantom);
}

}  // namespace
}  // namespace phantomgrad
