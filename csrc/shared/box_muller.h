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

/// ln(u) for u in [2^-1022, 1]; within 2 units in the last place, also next to 1.
PG_HD double log_of_uniform(double u) {
  // u = 2^e m with m in [sqrt(1/2), sqrt(2)): next to 1 the exponent is 0 and nothing cancels.
  constexpr uint64_t kSqrtHalf = 0x3FE6A09E667F3BCD, kMantissa = 0x000FFFFFFFFFFFFF;
  constexpr uint64_t kTwo52 = 0x4330000000000000;  // the double 2^52: puts an integer into the low mantissa bits
  const uint64_t shifted = ieee::bits_of(u) - kSqrtHalf + (uint64_t{1023} << 52);
  const double e = ieee::double_of((shifted >> 52) | kTwo52) - (0x1p52 + 1023.0);
  const double m = ieee::double_of((shifted & kMantissa) + kSqrtHalf);
  // ln m = 2 atanh(s), s = (m - 1) / (m + 1), |s| <= 0.1716.
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
  const double twice = ieee::add(s, s);
  const double ln_m = ieee::fma(ieee::mul(twice, z), p, twice);
  return ieee::fma(e, 0x1.62e42fefa39efp-1, ln_m);  // e ln 2
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

/// The 64 bits of u are (high, low). Of the angle's 32 bits, 29 place it inside an octant, at the middle of its cell so
/// that no axis is hit and all reflections are exact; 3 choose the octant by swapping and by two signs.
PG_HD void box_muller(uint32_t high, uint32_t low, uint32_t angle, double& n0, double& n1) {
  const double u = ieee::fma(static_cast<double>(low) + 1.0, 0x1p-64, ieee::mul(static_cast<double>(high), 0x1p-32));
  const double r = ieee::sqrt(ieee::mul(-2.0, log_of_uniform(u)));
  constexpr double kCell = 0x1.921fb54442d18p-1 * 0x1p-29;  // pi/4 / 2^29
  double sine, cosine;
  sin_cos_of_octant(ieee::mul(static_cast<double>(angle & 0x1FFFFFFF) + 0.5, kCell), sine, cosine);
  const bool swap = (angle >> 29) & 1;
  const uint64_t a = ieee::bits_of(ieee::mul(r, swap ? sine : cosine)),
                 b = ieee::bits_of(ieee::mul(r, swap ? cosine : sine));
  n0 = ieee::double_of(a ^ (static_cast<uint64_t>(angle >> 31) << 63));
  n1 = ieee::double_of(b ^ (static_cast<uint64_t>((angle >> 30) & 1) << 63));
}

}  // namespace phantomgrad
