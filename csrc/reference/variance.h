// Variance of noisy rows behind a layer, by the definitions: one row of float64 at a time (paper, Eq. 30, 31, 34).
#pragma once

#include <cstdint>

namespace phantomgrad::reference {

/// Mean over the `out` channels of Var[W x + b]: x has mean `x` and variance `v` in every one of `dim` channels, every
/// entry of W variance s around `weight` [out, dim], every entry of b variance s_b; all independent (Eq. 30).
double linear_variance(const double* x, int64_t dim, double v, const double* weight, int64_t out, double s, double s_b);

/// Mean over channels of gamma^2 min(v / (var + eps), 1) + s xhat^2 + s_b, with var that of the row `x` itself; without
/// `saturate` the minimum is not taken.
double layer_norm_variance(const double* x, int64_t dim, double v, const double* gamma, double s, double s_b,
                           double eps, bool saturate);

/// Mean over channels of Var[relu(X)], X ~ N(x, v): Eq. 31 as it stands.
double relu_variance(const double* x, int64_t dim, double v);

/// Mean over channels of Var[X Phi(X)]: the integral itself, by the trapezoidal rule.
double gelu_variance(const double* x, int64_t dim, double v);

}  // namespace phantomgrad::reference
