// Softmax head with cross entropy for one sample: loss, residual rows and every gradient, all logits in memory.
#pragma once

#include <cstdint>
#include <vector>

namespace phantomgrad::reference {

struct SoftmaxHead {
  int64_t rows, vocabulary, dim;
  const double *table, *bias;  // [vocabulary, dim]; [vocabulary] or null
  const uint8_t* live;         // [vocabulary] columns inside the softmax, or null: all
  double scale, smoothing;     // tau and epsilon

  bool is_live(int64_t column) const { return live == nullptr || live[column] != 0; }
};

struct SoftmaxHeadOutput {
  double loss = 0;          // sum_t w_t ((1 - eps) (lse_t - z_t[y]) + eps mean over live columns of (lse_t - z_t))
  std::vector<double> lse;  // [rows]
  std::vector<double>
      residual;  // [rows, vocabulary] delta_t = w_t (softmax(z_t) - (1 - eps) e_y - eps / live), 0 elsewhere
};

/// z_t = scale E h_t + bias on live columns. hidden [rows, dim], targets [rows], weights [rows]; 0 ignores a row.
SoftmaxHeadOutput softmax_head_forward(const SoftmaxHead& head, const double* hidden, const int64_t* targets,
                                       const double* weights);

/// d_hidden [rows, dim] = scale delta_t^T E, d_table [vocabulary, dim] = scale sum_t delta_t h_t^T, d_bias = sum_t
/// delta_t.
void softmax_head_backward(const SoftmaxHead& head, const double* hidden, const double* residual, double* d_hidden,
                           double* d_table, double* d_bias);

}  // namespace phantomgrad::reference
