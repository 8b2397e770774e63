// One row at a time; every channel of a row has the same variance, so its square roots and constants are taken once.
#include "cpu/variance.h"

#include <algorithm>
#include <cmath>

#include "cpu/normal_tail.h"
#include "cpu/reduce.h"
#include "cpu/vec.h"
#include "cpu/vec_math.h"

namespace phantomgrad::cpu::PG_ISA {
namespace {

template <class T>
Vec<T> absolute(Vec<T> x) {
  return x < Vec<T>{} ? -x : x;
}

// Sum of f(x) over a row, whose tail is filled up with lanes that do not count.
template <class T, class F>
T sum_over(const T* x, int64_t n, F f) {
  constexpr int L = kLanes<T>;
  Vec<T> sum{};
  int64_t i = 0;
  for (; i + L <= n; i += L) sum += f(load(x + i));
  if (i < n) {
    const int tail = static_cast<int>(n - i);
    T lanes[L] = {};
    store_part(lanes, f(load_part(x + i, tail)), tail);
    sum += load(lanes);
  }
  return horizontal_sum<T>(sum);
}

// Var[max(0, a + Z)]. With t = E max(0, Z - |a|) and f its variance, the relus of X and -X are never both positive, so
// that 1 = Var[a + Z] = Var[relu(X)] + Var[relu(-X)] + 2 E relu(X) E relu(-X): the upper half needs no other formula.
template <class T>
Vec<T> relu_of_unit(Vec<T> a) {
  const Vec<T> x = absolute<T>(a);
  const NormalTail<T> tail = normal_tail(x);
  const Vec<T> t = tail.density * tail.excess;
  const Vec<T> below = tail.density * (tail.squares - tail.density * tail.excess * tail.excess);
  const Vec<T> above = T(1) - below - T(2) * t * (x + t);
  return a < Vec<T>{} ? below : above;
}

template <class T>
Vec<T> distribution(Vec<T> x, const NormalTail<T>& tail) {
  const Vec<T> below = tail.density * tail.ratio;
  return x < Vec<T>{} ? below : T(1) - below;
}

template <class T>
Vec<T> gelu(Vec<T> x) {
  return x * distribution<T>(x, normal_tail(absolute<T>(x)));
}

// How far the nodes of the quadrature lie apart (in standard deviations, for a flat function), how far out they go, and
// below which standard deviation the series is better: for 1e-5 in float32, 1e-10 in float64. Above `corner`, GELU and
// ReLU differ by 2e-4 of the variance.
template <class T>
struct GeluAccuracy {
  static constexpr double step = sizeof(T) == 4 ? 0.8 : 0.5, reach = sizeof(T) == 4 ? 8.5 : 10,
                          series = sizeof(T) == 4 ? 0.03 : 1e-4, corner = 16;
};

// s^2 g'^2 + s^4 (g''^2 / 2 + g' g''') at x, with g = gelu.
template <class T>
Vec<T> gelu_series(Vec<T> x, T variance) {
  const NormalTail<T> tail = normal_tail(absolute<T>(x));
  const Vec<T> square = x * x;
  const Vec<T> first = distribution<T>(x, tail) + x * tail.density, second = tail.density * (T(2) - square),
               third = tail.density * x * (square - T(4));
  return variance * (first * first + variance * (T(0.5) * second * second + first * third));
}

// E gelu(X), in closed form: the quadrature is taken around it, and so does not cancel.
template <class T>
Vec<T> gelu_mean(Vec<T> x, T variance) {
  const T scale = 1 / std::sqrt(1 + variance);
  const Vec<T> h = x * scale;
  const NormalTail<T> tail = normal_tail(absolute<T>(h));
  return x * distribution<T>(h, tail) + variance * scale * tail.density;
}

}  // namespace

template <class T>
double centred_squares(const T* x, int64_t n) {
  const double mean = total<T>(x, n) / static_cast<double>(n);
  double lanes[8] = {};
  int64_t i = 0;
  const auto square = [&](int64_t k) {
    const double c = static_cast<double>(x[k]) - mean;
    return c * c;
  };
  for (; i + 8 <= n; i += 8)
    for (int lane = 0; lane < 8; ++lane) lanes[lane] += square(i + lane);
  for (; i < n; ++i) lanes[0] += square(i);
  return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}

template <class T>
T relu_variance(const T* x, T variance, int64_t n) {
  if (variance == 0) return 0;
  const T inverse = 1 / std::sqrt(variance);
  return variance * sum_over<T>(x, n, [&](Vec<T> m) { return relu_of_unit<T>(m * inverse); }) / static_cast<T>(n);
}

template <class T>
T gelu_variance(const T* x, T variance, int64_t n) {
  using Accuracy = GeluAccuracy<T>;
  if (variance == 0) return 0;
  const double s = std::sqrt(static_cast<double>(variance));
  if (s <= Accuracy::series)
    return std::max(T(0), sum_over<T>(x, n, [&](Vec<T> m) { return gelu_series<T>(m, variance); }) / static_cast<T>(n));
  // So wide that the bend is a corner.
  if (s > Accuracy::corner) return relu_variance<T>(x, variance, n);
  // The trapezoidal rule converges like e^(-2 (pi / step)^2) for a Gaussian; gelu(x + s z) is narrower by 1 + 2 s^2.
  const double step = Accuracy::step / std::sqrt(1 + 2 * s * s);
  const int nodes = static_cast<int>(std::ceil(Accuracy::reach / step));
  constexpr int kMost = static_cast<int>(Accuracy::reach / Accuracy::step * (1.5 * Accuracy::corner + 1)) + 1;
  T shift[2 * kMost + 1], weight[2 * kMost + 1];
  for (int k = 0; k <= 2 * nodes; ++k) {
    const double z = (k - nodes) * step;
    shift[k] = static_cast<T>(s * z);
    weight[k] = static_cast<T>(step * 0.39894228040143268 * std::exp(-0.5 * z * z));
  }
  const T sum = sum_over<T>(x, n, [&](Vec<T> m) {
    const Vec<T> mean = gelu_mean<T>(m, variance);
    Vec<T> squares{};
    for (int k = 0; k <= 2 * nodes; ++k) {
      const Vec<T> c = gelu<T>(m + shift[k]) - mean;
      squares += weight[k] * c * c;
    }
    return squares;
  });
  return sum / static_cast<T>(n);
}

#define PG_INSTANCES(T)                                  \
  template double centred_squares<T>(const T*, int64_t); \
  template T relu_variance<T>(const T*, T, int64_t);     \
  template T gelu_variance<T>(const T*, T, int64_t);
PG_INSTANCES(float)
PG_INSTANCES(double)

}  // namespace phantomgrad::cpu::PG_ISA
