// Re-Attention for one sample and one head (paper, Eq. 20 and Algorithm 2, lines 6-7), the whole matrix in memory.
#pragma once

#include "reference/attention.h"
#include "shared/correction.h"

namespace phantomgrad::reference {

struct ReAttention {
  Attention attention;
  const double* key_variance;  // [rows], or with `diagonal` [rows, dim]
  bool diagonal;
  const double* value_variance;  // [rows], or null: zero
  Correction correction;
  double max_penalty;  // infinity: none
};

/// output [rows, dim]; output_variance [rows] = sum_s P_ts^2 v_s with P the weights that made the output.
void re_attention_forward(const ReAttention& call, double* output, double* output_variance);

/// From the gradient [rows, dim] of the output, the penalties held constant.
void re_attention_backward(const ReAttention& call, const double* gradient, double* d_query, double* d_key,
                           double* d_value);

}  // namespace phantomgrad::reference
