// From a clipped sum to what may be published: noise, the public grid, the public divisor.
#pragma once

#include "shared/host_device.h"

namespace phantomgrad {

/// One release: grid * rint((sum + noise_std n) / grid) / (divisor scale), where the sum is of gradients times `scale`.
/// noise_std 0 switches noise and grid off (no privacy): sum / (divisor scale).
struct Release {
  double noise_std;
  double grid;  // a power of two (or 0 where noise_std is 0): multiplying by its inverse is exact
  double divisor;
};

/// Largest power of two that is at most 2^-8 noise_std: the coarsest grid in use. Rounding to it adds a variance of at
/// most 2^-16 / 12 of the noise's.
PG_HD double coarsest_grid(double noise_std) {
  return ieee::mul(ieee::double_of(ieee::bits_of(noise_std) & 0x7FF0000000000000), 0x1p-8);
}

/// Rounding after the noise makes the low-order bits, which floating-point attacks read (Mironov 2012), a function of
/// the noisy sum alone. The noise is added in one rounding; ties go to even.
PG_HD double released(const Release& r, double scale, double sum, double normal) {
  const double noisy = ieee::fma(r.noise_std, normal, sum);
  return ieee::div(ieee::mul(r.grid, ieee::rint(ieee::mul(noisy, 1.0 / r.grid))), ieee::mul(r.divisor, scale));
}

PG_HD double released_without_noise(const Release& r, double scale, double sum) {
  return ieee::div(sum, ieee::mul(r.divisor, scale));
}

/// Variance of the noise in a released value, (noise_std / (divisor scale))^2.
PG_HD double released_variance(const Release& r, double scale) {
  const double std = ieee::div(r.noise_std, ieee::mul(r.divisor, scale));
  return ieee::mul(std, std);
}

}  // namespace phantomgrad
