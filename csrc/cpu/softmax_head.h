// Softmax head with cross entropy over a large vocabulary, a block of rows at a time: logits, loss, residual, dH.
#pragma once

#include <cstdint>

#include "cpu/isa.h"

namespace phantomgrad::cpu {

/// Columns of one packed panel of the table.
inline constexpr int64_t kPanel = 64;
/// Rows that one call of head_block should get: their logits are reused from the cache.
inline constexpr int64_t kHeadRows = 64;

/// z_t = E h_t + bias on live columns; delta_t = w_t (softmax(z_t) - (1 - smoothing) e_y - smoothing / live).
template <class T>
struct HeadParams {
  const T* hidden;      // [rows, d] already multiplied by the head's scale
  const T* table;       // [M, d]
  const T* packed;      // [ceil(M / kPanel), d, kPanel] the table transposed, panel by panel; null: packed on the way
  const T* bias;        // [M] or null
  const uint8_t* live;  // [M] or null: every column is live
  const int64_t* targets;  // [rows]
  const T* weights;        // [rows]
  int64_t vocabulary, dim, live_count;
  double smoothing;
  T scale;  // d z / d h = scale * E
};

/// pack_table: fills `packed` for the columns [first, last) of panels.
/// head_block: z [rows, M] is workspace; on return it holds delta when `residual` is set, else e^(z - max).
///             panel [d, kPanel] is workspace where params.packed is null.
///             lse [rows], loss [rows] (w_t times the cross entropy), d_hidden [rows, d] (null without residual).
PG_EVERY_ISA(template <class T> void pack_table(const T* table, int64_t vocabulary, int64_t dim, int64_t first_panel,
                                                int64_t last_panel, T* packed);
             template <class T> void head_block(const HeadParams<T>& params, int64_t rows, bool residual, T* z,
                                                T* panel, T* lse, double* loss, T* d_hidden);)

}  // namespace phantomgrad::cpu
