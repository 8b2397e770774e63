// Two standard normals from 96 random bits: Box-Muller with a 64-bit radius, in double, the same bits on every machine.
//
//   u = (64-bit integer + 1) 2^-64 in (0, 1],   r = sqrt(-2 ln u),   n0 = r cos(theta),   n1 = r sin(theta)
//
// Why 64 bits: the largest normal is sqrt(-2 ln 2^-64) = 9.42; a 32-bit u would stop at 6.66, with 65 distinct values
// beyond 6. Why double: the smallest distance between neighbouring values is far below the grid on which noise is
// released. Every step is an integer operation, a correctly rounded operation or an fma, so that instruction sets and
// devices agree. Polynomials are Taylor series whose first missing term is below 2^-53; their coefficients are plain
// fractions.
#pragma once

#include "shared/host_device.h"

namespace phantomgrad {

/// The double 2^52 and, in the low mantissa bits, an integer below 2^52: 2^52 + x without a conversion.
PG_HD double above_two52(uint64_t x) { return ieee::double_of(x | 0x4330000000000000); }

/// -2 ln(u) for u in [2^-1022, 1]; within 2 units in the last place, also next to 1.
PG_HD double minus_two_log(double u) {
  // u = 2^e m with m in [sqrt(1/2), sqrt(2)): next to 1 the exponent is 0 and nothing cancels.
  constexpr uint64_t kSqrtHalf = 0x3FE6A09E667F3BCD, kMantissa = 0x000FFFFFFFFFFFFF;
  const uint64_t shifted = ieee::bits_of(u) - kSqrtHalf + (uint64_t{1023} << 52);
  const double e = above_two52(shifted >> 52) - (0x1p52 + 1023.0);
  const double m = ieee::double_of((shifted & kMantissa) + kSqrtHalf);
  // ln m = 2 atanh(s), s = (m - 1) / (m + 1), |s| <= 0.1716. The factor -2 costs no rounding.
  const double f = m - 1.0;
  const double s = ieee::div(f, f + 2.0);
  const double z = ieee::mul(s, s);
  double p = 1.0 / 19;
  p = ieee::fma(p, z, 1.0 / 17);
  p = ieee::fma(p, z, 1.0 / 15);
  p = ieee::fma(p, z, 1.0 / 13);
  p = ieee::fma(p, z, 1.0 / 11);
  p = ieee::fma(p, z, 1.0 / 9);
  p = ieee::fma(p, z, 1.0 / 7);
  p = ieee::fma(p, z, 1.0 / 5);
  p = ieee::fma(p, z, 1.0 / 3);
  const double s4 = ieee::mul(-4.0, s);
  const double ln_m = ieee::fma(ieee::mul(s4, z), p, s4);
  return ieee::fma(e, -0x1.62e42fefa39efp+0, ln_m);  // -2 e ln 2
}

/// sin(y) and cos(y) for y in [0, pi/4].
PG_HD void sin_cos_of_octant(double y, double& sine, double& cosine) {
  const double z = ieee::mul(y, y);
  double p = -1.0 / 1307674368000;  // -1 / 15!
  p = ieee::fma(p, z, 1.0 / 6227020800);
  p = ieee::fma(p, z, -1.0 / 39916800);
  p = ieee::fma(p, z, 1.0 / 362880);
  p = ieee::fma(p, z, -1.0 / 5040);
  p = ieee::fma(p, z, 1.0 / 120);
  p = ieee::fma(p, z, -1.0 / 6);
  sine = ieee::fma(ieee::mul(y, z), p, y);
  double q = 1.0 / 20922789888000;  // 1 / 16!
  q = ieee::fma(q, z, -1.0 / 87178291200);
  q = ieee::fma(q, z, 1.0 / 479001600);
  q = ieee::fma(q, z, -1.0 / 3628800);
  q = ieee::fma(q, z, 1.0 / 40320);
  q = ieee::fma(q, z, -1.0 / 720);
  q = ieee::fma(q, z, 1.0 / 24);
  q = ieee::fma(q, z, -1.0 / 2);
  cosine = ieee::fma(q, z, 1.0);
}

/// The radius sqrt(-2 ln u), from the 64 bits (high, low) of u.
PG_HD double normal_radius(uint32_t high, uint32_t low) {
  // Whole numbers come out of the mantissa by a subtraction, exact here as the conversion would be.
  constexpr uint64_t kTwo20 = 0x4130000000000000;
  const double upper = ieee::double_of(high | kTwo20) - 0x1p20;  // high 2^-32
  return ieee::sqrt(minus_two_log(ieee::fma(above_two52(low) - (0x1p52 - 1.0), 0x1p-64, upper)));
}

/// The two normals at a radius. Of the angle's 32 bits, 29 place it inside an octant, at the middle of its cell so
/// that no axis is hit and all reflections are exact; 3 choose the octant by swapping and by two signs.
PG_HD void normals_at(double radius, uint32_t angle, double& n0, double& n1) {
  constexpr uint64_t kSign = uint64_t{1} << 63;
  constexpr double kCell = 0x1.921fb54442d18p-1 * 0x1p-29;  // pi/4 / 2^29
  const uint64_t a = angle;
  double sine, cosine;
  sin_cos_of_octant(ieee::mul(above_two52(a & 0x1FFFFFFF) - (0x1p52 - 0.5), kCell), sine, cosine);
  const bool swap = (a & (uint64_t{1} << 29)) != 0;
  const double x = ieee::mul(radius, swap ? sine : cosine), y = ieee::mul(radius, swap ? cosine : sine);
  n0 = ieee::double_of(ieee::bits_of(x) ^ ((a << 32) & kSign));
  n1 = ieee::double_of(ieee::bits_of(y) ^ ((a << 33) & kSign));
}

}  // namespace phantomgrad
