// LayerNorm over the last dimension. In the book: the per-sample gradients of scale and shift, made with dx in one
// pass.
#include "cpu/layer_norm.h"

#include <ATen/ops/empty.h>

#include "cpu/parallel.h"
#include "ops/any.h"
#include "ops/dispatch.h"
#include "ops/operators.h"
#include "ops/tap.h"

namespace phantomgrad {
namespace {

class LayerNorm final : public Operation {
 public:
  explicit LayerNorm(double eps) : eps_(eps) {}

  at::Tensor forward(const std::vector<at::Tensor>& inputs, const std::vector<BookEntry>&,
                     const std::vector<bool>&) override {
    const at::Tensor x = inputs[0].contiguous();
    const int64_t d = x.size(-1), rows = row_count(x);
    segments_ = segments_of("layerNorm", rows, x.size(0));
    generic_ = !has_kernels(x);
    if (generic_) {
      check_floating("layerNorm", x);
      const AnyNormalised result = any_layer_norm(x.view({rows, d}), inputs[1], inputs[2], eps_);
      mean_ = result.mean;
      rstd_ = result.rstd;
      return result.y.view(x.sizes());
    }
    at::Tensor y = at::empty(x.sizes(), x.options());
    mean_ = at::empty({rows}, x.options());
    rstd_ = at::empty({rows}, x.options());
    with_floating("layerNorm", x, [&](auto zero) {
      using T = decltype(zero);
      cpu::parallel_for(0, rows, cpu::grain_for(8 * d), [&](int64_t first, int64_t last) {
        PG_CALL((layer_norm_forward<T>), host_data<T>(x) + first * d, host_data<T>(inputs[1]),
                inputs[2].defined() ? host_data<T>(inputs[2]) : nullptr, eps_, last - first, d,
                host_writable<T>(y) + first * d, host_writable<T>(mean_) + first, host_writable<T>(rstd_) + first);
      });
    });
    return y;
  }

  void backward(const std::vector<at::Tensor>& inputs, const at::Tensor& gradient, Sink& sink) override {
    const at::Tensor x = inputs[0].contiguous();
    const int64_t d = x.size(-1), samples = segments_->count();
    if (generic_) return any_backward(inputs, x, gradient, sink);
    at::Tensor dx = sink.needs(0) ? at::empty(x.sizes(), x.options()) : at::Tensor();
    at::Tensor d_gamma = at::empty({samples, d}, x.options()), d_beta = at::empty({samples, d}, x.options());
    with_floating("layerNorm", x, [&](auto zero) {
      using T = decltype(zero);
      cpu::parallel_for(
          0, samples, cpu::grain_for(16 * d * segments_->mean_length()), [&](int64_t first, int64_t last) {
            for (int64_t b = first; b < last; ++b) {
              const int64_t row = segments_->first(b);
              PG_CALL((layer_norm_backward<T>), host_data<T>(gradient) + row * d, host_data<T>(x) + row * d,
                      host_data<T>(inputs[1]), host_data<T>(mean_) + row, host_data<T>(rstd_) + row,
                      segments_->length(b), d, dx.defined() ? host_writable<T>(dx) + row * d : nullptr,
                      host_writable<T>(d_gamma) + b * d, host_writable<T>(d_beta) + b * d);
            }
          });
    });
    if (sink.needs(0)) sink.gradient(0, dx);
    if (sink.needs(1)) sink.use(1, inputs[1], stored_use(d_gamma, segments_->token()));
    if (sink.needs(2)) sink.use(2, inputs[2], stored_use(d_beta, segments_->token()));
  }

 private:
  void any_backward(const std::vector<at::Tensor>& inputs, const at::Tensor& x, const at::Tensor& gradient,
                    Sink& sink) const {
    const std::vector<int64_t> shape{row_count(x), x.size(-1)};
    const AnyLayerNormGradients result =
        any_layer_norm_backward(gradient.view(shape), x.view(shape), inputs[1], mean_, rstd_, *segments_);
    if (sink.needs(0)) sink.gradient(0, result.dx.view(x.sizes()));
    if (sink.needs(1)) sink.use(1, inputs[1], stored_use(result.d_gamma, segments_->token()));
    if (sink.needs(2)) sink.use(2, inputs[2], stored_use(result.d_beta, segments_->token()));
  }

  double eps_;
  bool generic_ = false;
  SegmentsPtr segments_;
  at::Tensor mean_, rstd_;
};

}  // namespace

at::Tensor layer_norm(const at::Tensor& input, const at::Tensor& weight, const std::optional<at::Tensor>& bias,
                      double eps) {
  const auto fits = [&](const at::Tensor& p) {
    return p.dim() == 1 && p.size(0) == input.size(-1) && p.scalar_type() == input.scalar_type() && p.is_contiguous();
  };
  PG_CHECK(input.dim() >= 1 && fits(weight) && (!bias.has_value() || fits(*bias)), "ERR_INVALID_ARGUMENT",
           "layerNorm: weight and bias must be [d] of the input's dtype for an input [..., d], got ", weight.sizes(),
           " for ", input.sizes(), ".");
  return tap("layerNorm", std::make_shared<LayerNorm>(eps), {input, weight, bias.value_or(at::Tensor())});
}

}  // namespace phantomgrad
