// The private Adam step, one parameter at a time.
#pragma once

#include <cstdint>

#include "shared/arena_profile.h"
#include "shared/chacha20.h"

namespace phantomgrad::reference {

struct PrivateAdam {
  double noise_std, grid, divisor;
  double lr, beta1, beta2, eps, weight_decay;
  bool decoupled;
  int64_t step;         // 1 for the first
  double moment_floor;  // of DP-AdamBC; 0: plain Adam
};

/// Updates `count` parameters and moments and zeroes `sum`; gives how many parameters are not finite afterwards.
template <class T>
int64_t private_adam(const PrivateAdam& settings, const ArenaProfile& profile, const ChaChaStream& stream,
                     int64_t count, T* parameters, T* exp_avg, T* exp_avg_sq, double* sum);

}  // namespace phantomgrad::reference
