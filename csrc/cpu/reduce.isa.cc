// Blocked sums: a lane adds at most 64 terms before its partial sum moves to float64.
#include "cpu/reduce.h"

#include <limits>
#include <vector>

#include "cpu/vec.h"

namespace phantomgrad::cpu::PG_ISA {
namespace {

constexpr int kRun = 64;  // vectors in one run

template <class T>
double dot_of(const T* x, const T* y, int64_t n) {
  constexpr int L = kLanes<T>;
  double total = 0;
  int64_t i = 0;
  while (i + L <= n) {
    Vec<T> even = {}, odd = {};
    int run = 0;
    for (; run + 2 <= kRun && i + 2 * L <= n; run += 2, i += 2 * L) {
      even = fma(load(x + i), load(y + i), even);
      odd = fma(load(x + i + L), load(y + i + L), odd);
    }
    if (run < kRun && i + L <= n) {
      even = fma(load(x + i), load(y + i), even);
      i += L;
    }
    const Vec<T> both = even + odd;
    double lanes = 0;
    for (int lane = 0; lane < L; ++lane) lanes += static_cast<double>(both[lane]);
    total += lanes;
  }
  for (; i < n; ++i) total += static_cast<double>(x[i]) * static_cast<double>(y[i]);
  return total;
}

}  // namespace

template <class T>
double sum_of_squares(const T* x, int64_t n) {
  return dot_of(x, x, n);
}

template <class T>
double dot(const T* x, const T* y, int64_t n) {
  return dot_of(x, y, n);
}

template <class T>
double wide_dot(const T* x, const T* y, int64_t n) {
  constexpr int kPartial = 16;  // independent sums, so that the loop becomes vectors without reordering a sum
  double sums[kPartial] = {};
  int64_t i = 0;
  for (; i + kPartial <= n; i += kPartial)
    for (int j = 0; j < kPartial; ++j) sums[j] += static_cast<double>(x[i + j]) * static_cast<double>(y[i + j]);
  double total = 0;
  for (; i < n; ++i) total += static_cast<double>(x[i]) * static_cast<double>(y[i]);
  for (const double sum : sums) total += sum;
  return total;
}

template <class T>
double total(const T* x, int64_t n) {
  constexpr int L = kLanes<T>;
  double sum = 0;
  int64_t i = 0;
  while (i + L <= n) {
    Vec<T> lanes = {};
    for (int run = 0; run < kRun && i + L <= n; ++run, i += L) lanes += load(x + i);
    for (int lane = 0; lane < L; ++lane) sum += static_cast<double>(lanes[lane]);
  }
  for (; i < n; ++i) sum += static_cast<double>(x[i]);
  return sum;
}

template <class T>
T maximum(const T* x, int64_t n) {
  constexpr int L = kLanes<T>;
  T best = -std::numeric_limits<T>::infinity();
  int64_t i = 0;
  if (n >= L) {
    Vec<T> most = splat(best);
    for (; i + L <= n; i += L) most = larger<T>(load(x + i), most);
    best = horizontal_max<T>(most);
  }
  for (; i < n; ++i) best = x[i] > best ? x[i] : best;
  return best;
}

template <class T>
void add_scaled(double* sum, double factor, const T* x, int64_t n) {
  for (int64_t i = 0; i < n; ++i) sum[i] += factor * static_cast<double>(x[i]);
}

template <class T>
void column_sums(const T* x, int64_t rows, int64_t columns, int64_t ld, T* out) {
  std::vector<double> total(static_cast<size_t>(columns), 0.0);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t j = 0; j < columns; ++j) total[static_cast<size_t>(j)] += static_cast<double>(x[r * ld + j]);
  for (int64_t j = 0; j < columns; ++j) out[j] = static_cast<T>(total[static_cast<size_t>(j)]);
}

#define PG_INSTANCES(T)                                            \
  template double sum_of_squares<T>(const T*, int64_t);            \
  template double dot<T>(const T*, const T*, int64_t);             \
  template double wide_dot<T>(const T*, const T*, int64_t);        \
  template double total<T>(const T*, int64_t);                     \
  template T maximum<T>(const T*, int64_t);                        \
  template void add_scaled<T>(double*, double, const T*, int64_t); \
  template void column_sums<T>(const T*, int64_t, int64_t, int64_t, T*);
PG_INSTANCES(float)
PG_INSTANCES(double)

}  // namespace phantomgrad::cpu::PG_ISA
