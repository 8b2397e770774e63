// The definition of a smoothed, weighted, scaled cross entropy over live columns (Szegedy et al. 2016, section 7).
#include "reference/softmax_head.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace phantomgrad::reference {

SoftmaxHeadOutput softmax_head_forward(const SoftmaxHead& head, const double* hidden, const int64_t* targets,
                                       const double* weights) {
  const int64_t M = head.vocabulary, d = head.dim;
  SoftmaxHeadOutput result;
  result.lse.resize(static_cast<size_t>(head.rows));
  result.residual.assign(static_cast<size_t>(head.rows * M), 0.0);
  double live = 0;
  for (int64_t j = 0; j < M; ++j) live += head.is_live(j) ? 1 : 0;
  std::vector<double> z(static_cast<size_t>(M));
  for (int64_t t = 0; t < head.rows; ++t) {
    double most = -std::numeric_limits<double>::infinity(), sum = 0;
    for (int64_t j = 0; j < M; ++j) {
      double logit = 0;
      for (int64_t i = 0; i < d; ++i) logit += head.scale * head.table[j * d + i] * hidden[t * d + i];
      z[static_cast<size_t>(j)] = logit + (head.bias == nullptr ? 0 : head.bias[j]);
      if (head.is_live(j)) most = std::max(most, z[static_cast<size_t>(j)]);
    }
    for (int64_t j = 0; j < M; ++j)
      if (head.is_live(j)) sum += std::exp(z[static_cast<size_t>(j)] - most);
    const double lse = most + std::log(sum);
    result.lse[static_cast<size_t>(t)] = lse;
    if (weights[t] == 0) continue;
    for (int64_t j = 0; j < M; ++j) {
      if (!head.is_live(j)) continue;
      const double logit = z[static_cast<size_t>(j)];
      const double mass = (j == targets[t] ? 1 - head.smoothing : 0) + head.smoothing / live;
      result.loss += weights[t] * mass * (lse - logit);
      result.residual[static_cast<size_t>(t * M + j)] = weights[t] * (std::exp(logit - lse) - mass);
    }
  }
  return result;
}

void softmax_head_backward(const SoftmaxHead& head, const double* hidden, const double* residual, double* d_hidden,
                           double* d_table, double* d_bias) {
  const int64_t M = head.vocabulary, d = head.dim;
  std::fill_n(d_hidden, head.rows * d, 0.0);
  std::fill_n(d_table, M * d, 0.0);
  std::fill_n(d_bias, M, 0.0);
  for (int64_t t = 0; t < head.rows; ++t)
    for (int64_t j = 0; j < M; ++j) {
      const double delta = residual[t * M + j];
      d_bias[j] += delta;
      for (int64_t i = 0; i < d; ++i) {
        d_hidden[t * d + i] += head.scale * delta * head.table[j * d + i];
        d_table[j * d + i] += head.scale * delta * hidden[t * d + i];
      }
    }
}

}  // namespace phantomgrad::reference
