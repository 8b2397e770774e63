// The discrete Gaussian, exact: integers x with probability proportional to exp(-x^2 / (2 s^2)), in integer arithmetic
// alone.
#pragma once

#include <cstdint>

#include "shared/chacha20.h"

namespace phantomgrad::cpu {

/// The largest s: with it every comparison stays within 128 bits.
inline constexpr int64_t kLargestScale = int64_t{1} << 40;

/// Adds one independent draw to each of values[0 .. count), saturating at the ends of int64. `scale` is s, from 1 to
/// kLargestScale. Rejection sampling (Canonne, Kamath & Steinke 2020, Algorithms 1 to 3): how much of the key stream a
/// value takes depends on chance, hence every chunk of values has a stream of its own, numbered from 1 in the last word
/// of the nonce.
void add_discrete_gaussian(const ChaChaStream& stream, int64_t scale, int64_t count, int64_t* values);

}  // namespace phantomgrad::cpu
