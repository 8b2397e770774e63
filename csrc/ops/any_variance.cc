// How noise spreads through a layer, on any device (paper, Eq. 30-34). Twin: cpu/variance.isa.cc, which has the
// formulas.
#include <ATen/ops/erfc.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/mean.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/sqrt.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>
#include <ATen/TensorOperators.h>

#include <cmath>

#include "ops/any.h"
#include "ops/device.h"

namespace phantomgrad {
namespace {

constexpr double kRootHalf = 0.70710678118654752, kDensityAtZero = 0.39894228040143268;
// Nodes of GELU's quadrature: their distance in standard deviations, how far out they go, and the standard deviations
// between which it is taken: below, the series is as good; above, GELU's bend is a corner.
constexpr double kStep = 0.5, kReach = 10, kSeries = 1e-4, kCorner = 16;

at::Tensor density(const at::Tensor& x) { return at::mul(at::exp(at::mul(at::mul(x, x), -0.5)), kDensityAtZero); }
// P(Z <= x), whose lower end keeps its digits.
at::Tensor distribution(const at::Tensor& x) { return at::mul(at::erfc(at::mul(x, -kRootHalf)), 0.5); }
at::Tensor gelu_of(const at::Tensor& x) { return x * distribution(x); }

// Var[max(0, a + Z)], see relu_of_unit in the twin.
at::Tensor relu_of_unit(const at::Tensor& a) {
  const at::Tensor x = a.abs(), phi = density(x), upper = at::mul(at::erfc(at::mul(x, kRootHalf)), 0.5);
  const at::Tensor t = phi - x * upper, below = (x * x + 1) * upper - x * phi - t * t;
  return at::where(a.lt(0), below, 1 - below - at::mul(t * (x + t), 2.0));
}

}  // namespace

at::Tensor any_squares(const at::Tensor& t, int64_t groups) {
  const at::Tensor own = t.detach().to(at::kDouble).reshape({groups, -1});
  return at::sum(own * own, {1});
}

at::Tensor any_linear_variance(const at::Tensor& x, const at::Tensor& v, const at::Tensor& gain, double weight_variance,
                               double bias_variance) {
  const at::Tensor wide = x.to(at::kDouble);
  const at::Tensor own = at::mul(at::sum(wide * wide, {1}, true), weight_variance) + bias_variance;
  return (v.to(at::kDouble).unsqueeze(1) * gain + own).to(x.scalar_type());
}

at::Tensor any_layer_norm_variance(const at::Tensor& x, const at::Tensor& v, const at::Tensor& gain,
                                   double weight_variance, double bias_variance, double eps, bool saturate) {
  const at::Tensor wide = x.to(at::kDouble);
  const at::Tensor spread = at::mean((wide - at::mean(wide, {1}, true)).square(), {1});
  at::Tensor share = v.to(at::kDouble) / (spread + eps);
  if (saturate) share = at::where(share.gt(1), 1.0, share);
  const at::Tensor result = share * gain + at::mul(spread / (spread + eps), weight_variance) + bias_variance;
  return result.to(x.scalar_type());
}

at::Tensor any_relu_variance(const at::Tensor& x, const at::Tensor& v) {
  const at::Tensor variance = v.to(at::kDouble);
  const at::Tensor unit = x.to(at::kDouble) / at::sqrt(variance).unsqueeze(1);
  const at::Tensor result = variance * at::mean(relu_of_unit(unit), {1});
  return at::where(variance.eq(0), 0.0, result).to(x.scalar_type());
}

at::Tensor any_gelu_variance(const at::Tensor& x, const at::Tensor& v) {
  const at::Tensor m = x.to(at::kDouble), variance = v.to(at::kDouble).unsqueeze(1), s = at::sqrt(variance);
  const at::Tensor small = s.le(kSeries), wide = s.gt(kCorner);
  // s^2 g'^2 + s^4 (g''^2 / 2 + g' g'''), g = gelu.
  const at::Tensor phi = density(m), one = distribution(m) + m * phi, two = phi * (2 - m * m),
                   three = phi * m * (m * m - 4);
  const at::Tensor series = variance * (one * one + variance * (at::mul(two * two, 0.5) + one * three));
  // The trapezoidal rule around the mean, which is known in closed form, so that it does not cancel.
  const at::Tensor width = at::where(small.logical_or(wide), 0.0, s);
  const at::Tensor step = at::sqrt(1 + at::mul(width * width, 2.0)).reciprocal().mul(kStep);
  const at::Tensor scale = at::sqrt(1 + width * width).reciprocal(), h = m * scale;
  const at::Tensor mean = m * distribution(h) + width * width * scale * density(h);
  at::Tensor sum = at::zeros_like(m);
  const double finest = x.numel() == 0 ? kStep : host_doubles(step.min()).front();
  const auto nodes = static_cast<int64_t>(std::isfinite(finest) ? std::ceil(kReach / finest) : 0);
  for (int64_t k = -nodes; k <= nodes; ++k) {
    const at::Tensor z = at::mul(step, static_cast<double>(k)), c = gelu_of(m + width * z) - mean;
    sum = sum + step * density(z) * c * c;
  }
  const at::Tensor middle = at::mean(sum, {1}), low = at::mean(series, {1}).clamp_min(0.0);
  const at::Tensor result =
      at::where(small.squeeze(1), low, at::where(wide.squeeze(1), any_relu_variance(m, v.to(at::kDouble)), middle));
  return at::where(v.eq(0), 0.0, result).to(x.scalar_type());
}

}  // namespace phantomgrad
