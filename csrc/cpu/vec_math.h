// Exponential and logarithm-free helpers for whole vectors; float64 goes through libm because only tests use it.
#pragma once

#include <cmath>
#include <limits>

#include "cpu/vec.h"

namespace phantomgrad::cpu::PG_ISA {

/// e^x for x <= 0 or so: relative error below 2^-22, exactly 0 below -87.3, NaN stays NaN.
inline Vec<float> exp(Vec<float> x) {
  typedef int32_t Ints __attribute__((vector_size(kVectorBytes)));
  const Vec<float> low = splat(-87.3365448f), high = splat(88.3762626f);
  // The comparisons are written so that a NaN fails them and passes through.
  Vec<float> clamped = x < low ? low : x;
  clamped = clamped > high ? high : clamped;
  // Adding 1.5 * 2^23 rounds to the nearest integer, which then stands in the low bits.
  const Vec<float> magic = splat(12582912.0f);
  const Vec<float> shifted = fma(clamped, splat(1.44269504f), magic);
  const Vec<float> n = shifted - magic;
  Vec<float> r = fma(n, splat(-0.693145752f), clamped);
  r = fma(n, splat(-1.42860677e-6f), r);
  Vec<float> p = splat(1.98756916e-4f);
  p = fma(p, r, splat(1.39819994e-3f));
  p = fma(p, r, splat(8.33345205e-3f));
  p = fma(p, r, splat(4.16657962e-2f));
  p = fma(p, r, splat(1.66666657e-1f));
  p = fma(p, r, splat(5.0e-1f));
  p = fma(p * r, r, r + 1.0f);
  Ints bits;
  std::memcpy(&bits, &shifted, sizeof bits);
  bits = (bits << 23) + (127 << 23);  // 2^n: the magic constant's own low bits are zero
  Vec<float> scale;
  std::memcpy(&scale, &bits, sizeof scale);
  const Vec<float> y = p * scale;
  return x < low ? Vec<float>{} : y;
}

inline Vec<double> exp(Vec<double> x) {
  for (int i = 0; i < kLanes<double>; ++i) x[i] = std::exp(x[i]);
  return x;
}

}  // namespace phantomgrad::cpu::PG_ISA
