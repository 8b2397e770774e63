// The normal distribution's tail for whole vectors, in three smooth functions of it that never cancel.
#pragma once

#include <cmath>

#include "cpu/vec.h"
#include "cpu/vec_math.h"

namespace phantomgrad::cpu::PG_ISA {

/// At x >= 0, with phi the density and Phi the distribution function:
///   ratio   = Phi(-x) / phi(x), Mills' ratio
///   excess  = 1 - x ratio            (E max(0, X - x) / phi(x))
///   squares = ratio - x excess       (E max(0, X - x)^2 / phi(x))
template <class T>
struct NormalTail {
  Vec<T> density, ratio, excess, squares;
};

// Polynomials in w = 1 / (1 + x / 4), after taking out the power of w with which each falls: Chebyshev interpolation on
// 0 <= x <= 9.6, relative errors 2e-7, 2e-7 and 4e-7. Further out the density is below 1e-20.
inline NormalTail<float> normal_tail(Vec<float> x) {
  const Vec<float> end = splat(9.6f), at = x > end ? end : x;
  const Vec<float> w = splat(1.0f) / fma(at, splat(0.25f), splat(1.0f));
  const auto polynomial = [&](const float (&c)[9]) {
    Vec<float> sum = splat(c[8]);
    for (int i = 7; i >= 0; --i) sum = fma(sum, w, splat(c[i]));
    return sum;
  };
  static constexpr float kRatio[9] = {0.250418519f,  0.242955612f, 0.285748158f,  -0.00937017496f, 0.705594308f,
                                      -0.786655286f, 0.965891794f, -0.486042425f, 0.0847736296f};
  static constexpr float kExcess[9] = {0.0631430655f, 0.113697045f, 0.262297213f, -0.17441872f, 1.22853135f,
                                       -1.63522216f,  2.05610513f,  -1.13664241f, 0.222509503f};
  static constexpr float kSquares[9] = {0.0315436885f, 0.0861801928f, 0.253480916f, -0.176362963f, 1.73119096f,
                                        -2.68315057f,  3.94323644f,   -2.47003277f, 0.53722833f};
  const Vec<float> density = splat(0.398942280f) * exp(-0.5f * at * at);
  return {density, w * polynomial(kRatio), w * w * polynomial(kExcess), w * w * w * polynomial(kSquares)};
}

// Through the C library, because float64 serves tests; the subtractions lose three digits of sixteen.
inline NormalTail<double> normal_tail(Vec<double> x) {
  NormalTail<double> tail;
  for (int i = 0; i < kLanes<double>; ++i) {
    const double at = x[i] > 25 ? 25 : x[i];
    tail.density[i] = 0.39894228040143268 * std::exp(-0.5 * at * at);
    tail.ratio[i] = 0.5 * std::erfc(at * 0.70710678118654752) / tail.density[i];
    tail.excess[i] = 1 - at * tail.ratio[i];
    tail.squares[i] = tail.ratio[i] - at * tail.excess[i];
  }
  return tail;
}

}  // namespace phantomgrad::cpu::PG_ISA
