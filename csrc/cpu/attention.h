// Softmax attention of one head over one packed sample, forward and backward, without keeping the T x T weights.
#pragma once

#include <cstdint>
#include <limits>

#include "cpu/isa.h"
#include "shared/correction.h"

namespace phantomgrad::cpu {

/// Noise of the keys and values of the rows, for Re-Attention. Rows are `key_row` and `value_row` apart.
template <class T>
struct AttentionNoise {
  Correction correction = Correction::off;
  const T* key = nullptr;  // variance of the keys: one number a row, or with `diagonal` one a channel
  int64_t key_row = 0;
  bool diagonal = false;
  const T* value = nullptr;  // variance of the values, one number a row; null: none
  int64_t value_row = 0;
  T most = std::numeric_limits<T>::infinity();  // no penalty is larger
};

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
  AttentionNoise<T> noise = {};
};

/// One number a row: row r's is at r * row.
template <class T>
struct AttentionRows {
  T* lse;                  // of the logits that the softmax saw
  T* plain_lse = nullptr;  // of the uncorrected logits; used by Correction::second_order only
  T* variance = nullptr;   // of the output; null: not wanted
  int64_t row;
};

/// attention_forward:  output [rows, dim] (row distance output_row), and `rows`.
/// attention_backward: d_query, d_key, d_value are overwritten (row distances as in params).
/// Both need `workspace`: attention_workspace(rows, dim, noisy) elements, `noisy` for any noise.
PG_EVERY_ISA(template <class T> void attention_forward(const AttentionParams<T>& params, T* output, int64_t output_row,
                                                       const AttentionRows<T>& rows, T* workspace);
             template <class T>
             void attention_backward(const AttentionParams<T>& params, const T* d_output, int64_t output_row,
                                     const AttentionRows<const T>& rows, T* d_query, int64_t d_query_row, T* d_key,
                                     int64_t d_key_row, T* d_value, int64_t d_value_row, T* workspace);)

/// Query rows handled at a time.
inline constexpr int64_t kAttentionRows = 48;

inline int64_t attention_workspace(int64_t rows, int64_t dim, bool noisy) {
  const int64_t plain = 2 * rows * dim + 2 * kAttentionRows * rows;
  return noisy ? plain + rows * (dim + 2) + kAttentionRows * (rows + dim) : plain;
}

}  // namespace phantomgrad::cpu
