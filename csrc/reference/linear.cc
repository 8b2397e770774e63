// The definition of a linear layer's gradients, one multiplication at a time.
#include "reference/linear.h"

#include <algorithm>

namespace phantomgrad::reference {
namespace {

double dot(const double* x, const double* y, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += x[i] * y[i];
  return sum;
}

}  // namespace

void linear_forward(const Linear& layer, const double* input, double* output) {
  for (int64_t t = 0; t < layer.rows; ++t)
    for (int64_t i = 0; i < layer.out; ++i)
      output[t * layer.out + i] = dot(layer.weight + i * layer.in, input + t * layer.in, layer.in) +
                                  (layer.bias == nullptr ? 0 : layer.bias[i]);
}

void linear_backward(const Linear& layer, const double* input, const double* gradient, double* d_input,
                     double* d_weight, double* d_bias) {
  std::fill_n(d_input, layer.rows * layer.in, 0.0);
  std::fill_n(d_weight, layer.out * layer.in, 0.0);
  std::fill_n(d_bias, layer.out, 0.0);
  for (int64_t t = 0; t < layer.rows; ++t)
    for (int64_t i = 0; i < layer.out; ++i) {
      const double g = gradient[t * layer.out + i];
      d_bias[i] += g;
      for (int64_t j = 0; j < layer.in; ++j) {
        d_input[t * layer.in + j] += g * layer.weight[i * layer.in + j];
        d_weight[i * layer.in + j] += g * input[t * layer.in + j];
      }
    }
}

double linear_norm2(const Linear& layer, const double* input, const double* gradient) {
  double sum = 0;
  for (int64_t t = 0; t < layer.rows; ++t)
    for (int64_t s = 0; s < layer.rows; ++s)
      sum += (dot(input + t * layer.in, input + s * layer.in, layer.in) + (layer.bias == nullptr ? 0 : 1)) *
             dot(gradient + t * layer.out, gradient + s * layer.out, layer.out);
  return sum;
}

}  // namespace phantomgrad::reference
