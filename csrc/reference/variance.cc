// The rules as they are written on paper: every sum in full, every integral by brute force.
#include "reference/variance.h"

#include <algorithm>
#include <cmath>

namespace phantomgrad::reference {
namespace {

double density(double x) { return std::exp(-x * x / 2) / std::sqrt(2 * std::acos(-1.0)); }
double distribution(double x) { return std::erfc(-x / std::sqrt(2.0)) / 2; }
double gelu(double x) { return x * distribution(x); }

}  // namespace

double linear_variance(const double* x, int64_t dim, double v, const double* weight, int64_t out, double s,
                       double s_b) {
  double sum = 0;
  for (int64_t o = 0; o < out; ++o) {
    for (int64_t i = 0; i < dim; ++i) {
      const double w = weight[o * dim + i];
      sum += v * s + v * w * w + s * x[i] * x[i];
    }
    sum += s_b;
  }
  return sum / static_cast<double>(out);
}

double layer_norm_variance(const double* x, int64_t dim, double v, const double* gamma, double s, double s_b,
                           double eps, bool saturate) {
  const auto d = static_cast<double>(dim);
  double mean = 0, var = 0, sum = 0;
  for (int64_t i = 0; i < dim; ++i) mean += x[i] / d;
  for (int64_t i = 0; i < dim; ++i) var += (x[i] - mean) * (x[i] - mean) / d;
  const double share = v / (var + eps);
  for (int64_t i = 0; i < dim; ++i) {
    const double hat = (x[i] - mean) / std::sqrt(var + eps);
    sum += gamma[i] * gamma[i] * (saturate ? std::min(share, 1.0) : share) + s * hat * hat + s_b;
  }
  return sum / d;
}

double relu_variance(const double* x, int64_t dim, double v) {
  if (v == 0) return 0;
  double sum = 0;
  for (int64_t i = 0; i < dim; ++i) {
    const double c = x[i], root = std::sqrt(v), a = c / root;
    const double mean = c * distribution(a) + root * density(a);
    sum += (c * c + v) * distribution(a) + c * root * density(a) - mean * mean;
  }
  return sum / static_cast<double>(dim);
}

double gelu_variance(const double* x, int64_t dim, double v) {
  const double root = std::sqrt(v), step = 0.25 / std::sqrt(1 + 2 * v);
  const int nodes = static_cast<int>(12 / step);
  double sum = 0;
  for (int64_t i = 0; i < dim; ++i) {
    double mean = 0, var = 0;
    for (int k = -nodes; k <= nodes; ++k) mean += step * density(k * step) * gelu(x[i] + root * k * step);
    for (int k = -nodes; k <= nodes; ++k) {
      const double c = gelu(x[i] + root * k * step) - mean;
      var += step * density(k * step) * c * c;
    }
    sum += var;
  }
  return sum / static_cast<double>(dim);
}

}  // namespace phantomgrad::reference
