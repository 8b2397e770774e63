// The definition of LayerNorm (Ba, Kiros, Hinton 2016, arXiv 1607.06450), row by row.
#include "reference/layer_norm.h"

#include <algorithm>
#include <cmath>

namespace phantomgrad::reference {
namespace {

struct Moments {
  double mean, rstd;
};

Moments moments(const double* x, int64_t n, double eps) {
  double mean = 0, variance = 0;
  for (int64_t i = 0; i < n; ++i) mean += x[i] / static_cast<double>(n);
  for (int64_t i = 0; i < n; ++i) variance += (x[i] - mean) * (x[i] - mean) / static_cast<double>(n);
  return {mean, 1 / std::sqrt(variance + eps)};
}

}  // namespace

void layer_norm_forward(const LayerNorm& layer, const double* input, double* output) {
  for (int64_t t = 0; t < layer.rows; ++t) {
    const double* x = input + t * layer.dim;
    const Moments m = moments(x, layer.dim, layer.eps);
    for (int64_t i = 0; i < layer.dim; ++i)
      output[t * layer.dim + i] =
          layer.gamma[i] * (x[i] - m.mean) * m.rstd + (layer.beta == nullptr ? 0 : layer.beta[i]);
  }
}

void layer_norm_backward(const LayerNorm& layer, const double* input, const double* gradient, double* d_input,
                         double* d_gamma, double* d_beta) {
  const int64_t d = layer.dim;
  std::fill_n(d_gamma, d, 0.0);
  std::fill_n(d_beta, d, 0.0);
  for (int64_t t = 0; t < layer.rows; ++t) {
    const double *x = input + t * d, *g = gradient + t * d;
    const Moments m = moments(x, d, layer.eps);
    // dxhat_i = gamma_i g_i; mean and rstd depend on every x_i.
    double sum = 0, along = 0;
    for (int64_t i = 0; i < d; ++i) {
      const double xhat = (x[i] - m.mean) * m.rstd;
      d_gamma[i] += g[i] * xhat;
      d_beta[i] += g[i];
      sum += layer.gamma[i] * g[i];
      along += layer.gamma[i] * g[i] * xhat;
    }
    for (int64_t i = 0; i < d; ++i) {
      const double xhat = (x[i] - m.mean) * m.rstd;
      d_input[t * d + i] = m.rstd * (layer.gamma[i] * g[i] - (sum + xhat * along) / static_cast<double>(d));
    }
  }
}

}  // namespace phantomgrad::reference
