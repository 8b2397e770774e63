// Variance of what noise in weights and inputs does to one row of a layer: the passes over activations that it needs.
#pragma once

#include <cstdint>

#include "cpu/isa.h"

namespace phantomgrad::cpu {

/// centred_squares: sum of (x[i] - mean)^2 with mean that of x, in float64.
/// relu_variance:   mean over i of Var[max(0, X_i)] for X_i ~ N(x[i], variance), without cancellation (paper, Eq. 31).
/// gelu_variance:   the same for X Phi(X): two terms of its Taylor series where the noise is small, else quadrature.
PG_EVERY_ISA(template <class T> double centred_squares(const T* x, int64_t n);
             template <class T> T relu_variance(const T* x, T variance, int64_t n);
             template <class T> T gelu_variance(const T* x, T variance, int64_t n);)

}  // namespace phantomgrad::cpu
