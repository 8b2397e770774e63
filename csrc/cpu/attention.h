// Softmax attention of one head over one packed sample, forward and backward, without keeping the T x T weights.
#pragma once

#include <cstdint>

#include "cpu/isa.h"

namespace phantomgrad::cpu {

/// Rows of one sample and one head; `row` is the distance between consecutive rows of each array.
template <class T>
struct AttentionParams {
  const T *query, *key, *value;  // [rows, dim]
  int64_t query_row, key_row, value_row;
  int64_t rows, dim;
  T scale;          // logits = scale q k^T
  bool causal;      // key index <= query index
  double dropout;   // on the weights; 0: none
  uint64_t stream;  // of this sample and head, see shared/dropout_mask.h
};

/// attention_forward:  output [rows, dim] (row distance output_row), lse [rows] (row distance lse_row).
/// attention_backward: d_query, d_key, d_value are overwritten (row distances as in params).
/// Both need `workspace`: attention_workspace(rows, dim) elements.
PG_EVERY_ISA(template <class T> void attention_forward(const AttentionParams<T>& params, T* output, int64_t output_row,
                                                       T* lse, int64_t lse_row, T* workspace);
             template <class T>
             void attention_backward(const AttentionParams<T>& params, const T* d_output, int64_t output_row,
                                     const T* lse, int64_t lse_row, T* d_query, int64_t d_query_row, T* d_key,
                                     int64_t d_key_row, T* d_value, int64_t d_value_row, T* workspace);)

/// Query rows handled at a time.
inline constexpr int64_t kAttentionRows = 48;

inline int64_t attention_workspace(int64_t rows, int64_t dim) { return 2 * rows * dim + 2 * kAttentionRows * rows; }

}  // namespace phantomgrad::cpu
