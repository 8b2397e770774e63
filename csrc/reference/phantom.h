// Phantom clipping for one sample: the squared gradient norm of a table that is embedding and softmax head at once.
//   |G|^2 = in + out + 2 cross,   G = sum_t e_{id_t} u_t^T + sum_s delta_s h_s^T
#pragma once

#include <cstdint>

namespace phantomgrad::reference {

struct PhantomInputs {
  int64_t rows;
  const int64_t* ids;      // [rows]; a negative id gives no gradient
  const double* gradient;  // [rows, dim] u_t, already times the embedding's scale
};

struct PhantomHead {
  int64_t rows, vocabulary;
  const double* residual;  // [rows, vocabulary] delta_s
  const double* hidden;    // [rows, dim] h_s, already times the head's scale
};

struct PhantomNorm {
  double in, out, cross;
  double norm2() const { return in + out + 2 * cross; }
};

/// in    = sum_{t,s} [id_t = id_s] (u_t . u_s)
/// out   = sum_{t,s} (delta_t . delta_s) (h_t . h_s)
/// cross = sum_{t,s} delta_s[id_t] (u_t . h_s)      the inner product of the two uses; Ding et al. 2024, Claim B.1
PhantomNorm phantom_norm(const PhantomInputs& in, const PhantomHead& out, int64_t dim);

}  // namespace phantomgrad::reference
