// A linear layer for one sample, y = x W^T + b: its gradients, and the squared norm of its gradient without forming it.
#pragma once

#include <cstdint>

namespace phantomgrad::reference {

struct Linear {
  int64_t rows, in, out;
  const double *weight, *bias;  // [out, in]; [out] or null
};

/// output [rows, out].
void linear_forward(const Linear& layer, const double* input, double* output);

/// From `gradient` g [rows, out] of the sample's loss: d_input [rows, in] = g W, d_weight [out, in] = sum_t g_t a_t^T,
/// d_bias [out] = sum_t g_t. The last two are the per-sample gradient.
void linear_backward(const Linear& layer, const double* input, const double* gradient, double* d_input,
                     double* d_weight, double* d_bias);

/// sum_{t,s} (a_t . a_s + [bias]) (g_t . g_s)        Li et al. 2022 (arXiv 2110.05679), section 4, with the bias.
double linear_norm2(const Linear& layer, const double* input, const double* gradient);

}  // namespace phantomgrad::reference
