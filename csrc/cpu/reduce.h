// Sums whose rounding is bounded by a small constant: short runs in the data's type, the rest in float64.
#pragma once

#include <cstdint>

#include "cpu/isa.h"

namespace phantomgrad::cpu {

/// Every sum below has a relative error of at most this many units in the last place of T.
inline constexpr int kSquareUlps = 72;

/// sum_of_squares: sum of x[i]^2.            dot: sum of x[i] y[i].
/// wide_dot: dot with every product and sum in float64.
/// total: sum of x[i].                       maximum: the largest x[i] that is not NaN, -inf for none.
/// add_scaled:  sum[i] += factor x[i], each product and sum in float64.
/// column_sums: out[j] = sum over rows of x[r, j], accumulated in float64, rounded once.
PG_EVERY_ISA(template <class T> double sum_of_squares(const T* x, int64_t n);
             template <class T> double dot(const T* x, const T* y, int64_t n);
             template <class T> double wide_dot(const T* x, const T* y, int64_t n);
             template <class T> double total(const T* x, int64_t n);
             template <class T> T maximum(const T* x, int64_t n);
             template <class T> void add_scaled(double* sum, double factor, const T* x, int64_t n);
             template <class T> void column_sums(const T* x, int64_t rows, int64_t columns, int64_t ld, T* out);)

}  // namespace phantomgrad::cpu
