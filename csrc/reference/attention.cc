// The definition of attention (Vaswani et al. 2017, equation 1), the whole matrix of weights in memory.
#include "reference/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace phantomgrad::reference {
namespace {

std::vector<double> weights(const Attention& call) {
  const int64_t n = call.rows, d = call.dim;
  std::vector<double> p(static_cast<size_t>(n * n), 0.0);
  for (int64_t t = 0; t < n; ++t) {
    const int64_t keys = call.causal ? t + 1 : n;
    double* row = p.data() + t * n;
    double most = -std::numeric_limits<double>::infinity(), sum = 0;
    for (int64_t s = 0; s < keys; ++s) {
      for (int64_t i = 0; i < d; ++i) row[s] += call.scale * call.query[t * d + i] * call.key[s * d + i];
      most = std::max(most, row[s]);
    }
    for (int64_t s = 0; s < keys; ++s) sum += row[s] = std::exp(row[s] - most);
    for (int64_t s = 0; s < keys; ++s) row[s] /= sum;
  }
  return p;
}

double kept(const Attention& call, int64_t t, int64_t s) {
  return call.keep == nullptr ? 1 : call.keep[t * call.rows + s];
}

}  // namespace

void attention_forward(const Attention& call, double* output) {
  const int64_t n = call.rows, d = call.dim;
  const std::vector<double> p = weights(call);
  std::fill_n(output, n * d, 0.0);
  for (int64_t t = 0; t < n; ++t)
    for (int64_t s = 0; s < n; ++s)
      for (int64_t i = 0; i < d; ++i)
        output[t * d + i] += p[static_cast<size_t>(t * n + s)] * kept(call, t, s) * call.value[s * d + i];
}

void attention_backward(const Attention& call, const double* gradient, double* d_query, double* d_key,
                        double* d_value) {
  const int64_t n = call.rows, d = call.dim;
  const std::vector<double> p = weights(call);
  std::fill_n(d_query, n * d, 0.0);
  std::fill_n(d_key, n * d, 0.0);
  std::fill_n(d_value, n * d, 0.0);
  std::vector<double> d_weight(static_cast<size_t>(n));
  for (int64_t t = 0; t < n; ++t) {
    double along = 0;
    for (int64_t s = 0; s < n; ++s) {
      const double weight = p[static_cast<size_t>(t * n + s)];
      double product = 0;
      for (int64_t i = 0; i < d; ++i) {
        product += gradient[t * d + i] * call.value[s * d + i];
        d_value[s * d + i] += weight * kept(call, t, s) * gradient[t * d + i];
      }
      d_weight[static_cast<size_t>(s)] = product * kept(call, t, s);
      along += weight * d_weight[static_cast<size_t>(s)];
    }
    for (int64_t s = 0; s < n; ++s) {
      // d softmax: P (dP - P . dP)
      const double d_logit =
          p[static_cast<size_t>(t * n + s)] * (d_weight[static_cast<size_t>(s)] - along) * call.scale;
      for (int64_t i = 0; i < d; ++i) {
        d_query[t * d + i] += d_logit * call.key[s * d + i];
        d_key[s * d + i] += d_logit * call.query[t * d + i];
      }
    }
  }
}

}  // namespace phantomgrad::reference
