// LayerNorm: two passes a row forward, two backward; sums over a row in float64 lanes.
#include "cpu/layer_norm.h"

#include <cmath>
#include <vector>

#include "cpu/vec.h"

namespace phantomgrad::cpu::PG_ISA {
namespace {

// Eight independent partial sums let the compiler use vectors without reordering anything it may not.
template <class F>
double sum_of(int64_t n, F term) {
  double lanes[8] = {};
  int64_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (int lane = 0; lane < 8; ++lane) lanes[lane] += term(i + lane);
  for (; i < n; ++i) lanes[0] += term(i);
  return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}

}  // namespace

template <class T>
void layer_norm_forward(const T* x, const T* gamma, const T* beta, double eps, int64_t rows, int64_t d, T* y, T* mean,
                        T* rstd) {
  for (int64_t r = 0; r < rows; ++r, x += d, y += d) {
    const double m = sum_of(d, [&](int64_t i) { return static_cast<double>(x[i]); }) / static_cast<double>(d);
    const double v = sum_of(d,
                            [&](int64_t i) {
                              const double c = static_cast<double>(x[i]) - m;
                              return c * c;
                            }) /
                     static_cast<double>(d);
    const T centre = static_cast<T>(m), scale = static_cast<T>(1 / std::sqrt(v + eps));
    mean[r] = centre;
    rstd[r] = scale;
    if (beta != nullptr)
      for (int64_t i = 0; i < d; ++i) y[i] = (x[i] - centre) * scale * gamma[i] + beta[i];
    else
      for (int64_t i = 0; i < d; ++i) y[i] = (x[i] - centre) * scale * gamma[i];
  }
}

template <class T>
void layer_norm_backward(const T* g, const T* x, const T* gamma, const T* mean, const T* rstd, int64_t rows, int64_t d,
                         T* dx, T* d_gamma, T* d_beta) {
  std::vector<double> scale_sum(static_cast<size_t>(d), 0.0), shift_sum(static_cast<size_t>(d), 0.0);
  for (int64_t r = 0; r < rows; ++r, g += d, x += d) {
    const T centre = mean[r], scale = rstd[r];
    for (int64_t i = 0; i < d; ++i) {
      const double gi = static_cast<double>(g[i]);
      scale_sum[static_cast<size_t>(i)] += gi * static_cast<double>((x[i] - centre) * scale);
      shift_sum[static_cast<size_t>(i)] += gi;
    }
    if (dx == nullptr) continue;
    // dx = rstd (gamma g - mean(gamma g) - xhat mean(gamma g xhat))
    const double along_one = sum_of(d, [&](int64_t i) { return static_cast<double>(gamma[i] * g[i]); });
    const double along_x =
        sum_of(d, [&](int64_t i) { return static_cast<double>(gamma[i] * g[i] * ((x[i] - centre) * scale)); });
    const T one = static_cast<T>(along_one / static_cast<double>(d)),
            hat = static_cast<T>(along_x / static_cast<double>(d));
    for (int64_t i = 0; i < d; ++i) dx[i] = scale * (gamma[i] * g[i] - one - (x[i] - centre) * scale * hat);
    dx += d;
  }
  if (d_gamma != nullptr)
    for (int64_t i = 0; i < d; ++i) d_gamma[i] = static_cast<T>(scale_sum[static_cast<size_t>(i)]);
  if (d_beta != nullptr)
    for (int64_t i = 0; i < d; ++i) d_beta[i] = static_cast<T>(shift_sum[static_cast<size_t>(i)]);
}

#define PG_INSTANCES(T)                                                                                    \
  template void layer_norm_forward<T>(const T*, const T*, const T*, double, int64_t, int64_t, T*, T*, T*); \
  template void layer_norm_backward<T>(const T*, const T*, const T*, const T*, const T*, int64_t, int64_t, T*, T*, T*);
PG_INSTANCES(float)
PG_INSTANCES(double)

}  // namespace phantomgrad::cpu::PG_ISA
