// Exponential and logarithm with the same bits on host and device: integer operations, correctly rounded ones and fma.
#pragma once

#include "shared/box_muller.h"

namespace phantomgrad {

/// e^x for x <= 709: within 2 units in the last place, exactly 0 below -708, NaN stays NaN.
PG_HD double exponential(double x) {
  if (!(x > -708)) return x != x ? x : 0;
  // x = n ln 2 + r, |r| <= ln 2 / 2; ln 2 in two parts, so that n times the first is exact.
  const double n = ieee::rint(ieee::mul(x, 0x1.71547652b82fep+0));
  double r = ieee::fma(n, -0x1.62e42fefa0000p-1, x);
  r = ieee::fma(n, -0x1.cf79abc9e3b3ap-40, r);
  double p = 1.0 / 6227020800;  // 1 / 13!
  p = ieee::fma(p, r, 1.0 / 479001600);
  p = ieee::fma(p, r, 1.0 / 39916800);
  p = ieee::fma(p, r, 1.0 / 3628800);
  p = ieee::fma(p, r, 1.0 / 362880);
  p = ieee::fma(p, r, 1.0 / 40320);
  p = ieee::fma(p, r, 1.0 / 5040);
  p = ieee::fma(p, r, 1.0 / 720);
  p = ieee::fma(p, r, 1.0 / 120);
  p = ieee::fma(p, r, 1.0 / 24);
  p = ieee::fma(p, r, 1.0 / 6);
  p = ieee::fma(p, r, 1.0 / 2);
  p = ieee::fma(ieee::mul(p, r), r, ieee::add(r, 1.0));
  // p 2^n by adding to the exponent: n is from -1022 to 1023, p from 0.7 to 1.5.
  const int64_t exponent = static_cast<int64_t>(n);
  if (exponent > 1022) return ieee::mul(ieee::mul(p, 0x1p1022), ieee::double_of((exponent - 1022 + 1023) << 52));
  return ieee::mul(p, ieee::double_of(static_cast<uint64_t>(exponent + 1023) << 52));
}

/// ln x for normal x > 0, within 2 units in the last place.
PG_HD double logarithm(double x) { return ieee::mul(-0.5, minus_two_log(x)); }

}  // namespace phantomgrad
