// LayerNorm over rows, with the per-sample sums of its scale and shift gradients made in the same backward pass.
#pragma once

#include <cstdint>

#include "cpu/isa.h"

namespace phantomgrad::cpu {

/// layer_norm_forward:  y = gamma (x - mean) rstd + beta, rstd = 1 / sqrt(var + eps), biased variance. Rows [first,
/// last). layer_norm_backward: rows of one sample: dx [rows, d] (null: not wanted), d_gamma [d] = sum g xhat and
///                      d_beta [d] = sum g over the rows, accumulated in float64 (null: not wanted).
PG_EVERY_ISA(template <class T> void layer_norm_forward(const T* x, const T* gamma, const T* beta, double eps,
                                                        int64_t rows, int64_t d, T* y, T* mean, T* rstd);
             template <class T>
             void layer_norm_backward(const T* g, const T* x, const T* gamma, const T* mean, const T* rstd,
                                      int64_t rows, int64_t d, T* dx, T* d_gamma, T* d_beta);)

}  // namespace phantomgrad::cpu
