// LayerNorm for one sample: y = gamma xhat + beta with xhat = (x - mean) / sqrt(var + eps), and its gradients.
#pragma once

#include <cstdint>

namespace phantomgrad::reference {

struct LayerNorm {
  int64_t rows, dim;
  const double *gamma, *beta;  // [dim]; beta may be null
  double eps;
};

/// output [rows, dim].
void layer_norm_forward(const LayerNorm& layer, const double* input, double* output);

/// From the gradient g [rows, dim]: d_input by the chain rule through mean and variance, d_gamma [dim] = sum_t g_t
/// xhat_t (elementwise) and d_beta [dim] = sum_t g_t. The last two are the per-sample gradient: short enough to form.
void layer_norm_backward(const LayerNorm& layer, const double* input, const double* gradient, double* d_input,
                         double* d_gamma, double* d_beta);

}  // namespace phantomgrad::reference
