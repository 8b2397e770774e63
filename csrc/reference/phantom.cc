// The three double sums of phantom clipping, as they are written.
#include "reference/phantom.h"

namespace phantomgrad::reference {
namespace {

double dot(const double* x, const double* y, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += x[i] * y[i];
  return sum;
}

}  // namespace

PhantomNorm phantom_norm(const PhantomInputs& in, const PhantomHead& out, int64_t dim) {
  const int64_t M = out.vocabulary;
  PhantomNorm norm{0, 0, 0};
  for (int64_t t = 0; t < in.rows; ++t)
    for (int64_t s = 0; s < in.rows; ++s)
      if (in.ids[t] >= 0 && in.ids[t] == in.ids[s]) norm.in += dot(in.gradient + t * dim, in.gradient + s * dim, dim);
  for (int64_t t = 0; t < out.rows; ++t)
    for (int64_t s = 0; s < out.rows; ++s)
      norm.out +=
          dot(out.residual + t * M, out.residual + s * M, M) * dot(out.hidden + t * dim, out.hidden + s * dim, dim);
  for (int64_t t = 0; t < in.rows; ++t)
    for (int64_t s = 0; s < out.rows; ++s)
      if (in.ids[t] >= 0)
        norm.cross += out.residual[s * M + in.ids[t]] * dot(in.gradient + t * dim, out.hidden + s * dim, dim);
  return norm;
}

}  // namespace phantomgrad::reference
