// Sums over the rows of each sample, and LayerNorm, on any device. Twin: cpu/layer_norm.isa.cc.
#include <ATen/ops/mean.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/sqrt.h>
#include <ATen/ops/zeros.h>
#include <ATen/TensorOperators.h>

#include "ops/any.h"
#include "ops/device.h"
#include "ops/plugin_covers.h"
#include "ops/plugin_kernels.h"

namespace phantomgrad {

at::Tensor any_sample_sums(const at::Tensor& rows, const Segments& segments) {
  const at::Tensor wide = rows.to(at::kDouble);
  at::Tensor sums = at::zeros({segments.count(), rows.size(1)}, wide.options());
  add_rows(sums, samples_of_rows(segments, rows.device()), wide);
  return sums;
}

AnyNormalised any_layer_norm(const at::Tensor& x, const at::Tensor& gamma, const at::Tensor& beta, double eps) {
  const at::Tensor wide = x.to(at::kDouble), centre = at::mean(wide, {1}, /*keepdim=*/true);
  const at::Tensor spread = at::mean((wide - centre).square(), {1}, /*keepdim=*/true);
  const at::Tensor mean = centre.to(x.scalar_type()), rstd = at::sqrt(spread + eps).reciprocal().to(x.scalar_type());
  at::Tensor y = (x - mean) * rstd * gamma;
  if (beta.defined()) y = y + beta;
  return {y, mean, rstd};
}

AnyLayerNormGradients any_layer_norm_backward(const at::Tensor& gradient, const at::Tensor& x, const at::Tensor& gamma,
                                              const at::Tensor& mean, const at::Tensor& rstd,
                                              const Segments& segments) {
  if (covers_norm_layer(x)) return plugin_layer_norm_backward(gradient, x, gamma, mean, rstd, segments);
  const at::Tensor hat = (x - mean) * rstd, scaled = gamma * gradient;
  const auto row_mean = [&](const at::Tensor& t) {
    return at::mean(t.to(at::kDouble), {1}, /*keepdim=*/true).to(x.scalar_type());
  };
  // dx = rstd (gamma g - mean(gamma g) - xhat mean(gamma g xhat))
  const at::Tensor dx = rstd * (scaled - row_mean(scaled) - hat * row_mean(scaled * hat));
  return {dx, any_sample_sums(gradient.to(at::kDouble) * hat.to(at::kDouble), segments),
          any_sample_sums(gradient, segments)};
}

}  // namespace phantomgrad
