// Softmax attention for one sample and one head: output = P V with P = softmax(scale Q K^T), and its gradients.
#pragma once

#include <cstdint>
#include <vector>

namespace phantomgrad::reference {

struct Attention {
  int64_t rows, dim;
  const double *query, *key, *value;  // [rows, dim] each
  bool causal;                        // row t sees the keys 0 .. t, else all
  double scale;                       // 1 / sqrt(dim)
  const double* keep;                 // [rows, rows] what dropout multiplies P with (0 or 1 / (1 - rate)), or null: 1
};

/// output [rows, dim].
void attention_forward(const Attention& call, double* output);

/// From the gradient g [rows, dim] of the output.
void attention_backward(const Attention& call, const double* gradient, double* d_query, double* d_key, double* d_value);

}  // namespace phantomgrad::reference
