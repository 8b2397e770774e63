// y = x * w + b over channels, and the per-sample sums that are the gradients of w and b.
#pragma once

#include <cstdint>

#include "cpu/isa.h"

namespace phantomgrad::cpu {

/// Tensors are [rows, channels, inner]; w, b, d_weight and d_bias are [channels], null where absent or not wanted.
/// affine_sums: d_weight = sum of g x, d_bias = sum of g over rows and inner, accumulated in float64, rounded once.
PG_EVERY_ISA(template <class T> void affine_forward(const T* x, const T* w, const T* b, int64_t rows, int64_t channels,
                                                    int64_t inner, T* y);
             template <class T> void affine_sums(const T* g, const T* x, int64_t rows, int64_t channels, int64_t inner,
                                                 T* d_weight, T* d_bias);)

}  // namespace phantomgrad::cpu
