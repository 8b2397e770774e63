// The paper in code: logits, their variance, the softmax, and what each correction does to it.
#include "reference/re_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace phantomgrad::reference {
namespace {

// One row of the matrix: the softmax that was taken, and what it was multiplied with afterwards (1 but for `paper`).
struct Row {
  std::vector<double> softmax, factor;
};

int64_t visible(const Attention& a, int64_t t) { return a.causal ? t + 1 : a.rows; }

std::vector<double> softmax_of(std::vector<double> z) {
  const double most = *std::max_element(z.begin(), z.end());
  double sum = 0;
  for (double& x : z) sum += x = std::exp(x - most);
  for (double& x : z) x /= sum;
  return z;
}

// C sigma^2 / 2 of Eq. 20, where C = <q, q> scale^2 counts the division of the logits by sqrt(dim) that the paper
// omits.
double penalty(const ReAttention& call, int64_t t, int64_t s) {
  const Attention& a = call.attention;
  double variance = 0;
  for (int64_t i = 0; i < a.dim; ++i) {
    const double q = a.query[t * a.dim + i];
    variance += q * q * call.key_variance[call.diagonal ? s * a.dim + i : s];
  }
  return a.scale * a.scale * variance / 2;
}

Row row_of(const ReAttention& call, int64_t t) {
  const Attention& a = call.attention;
  const auto n = static_cast<size_t>(visible(a, t));
  std::vector<double> z(n, 0.0), factor(n, 1.0);
  for (size_t s = 0; s < n; ++s)
    for (int64_t i = 0; i < a.dim; ++i)
      z[s] += a.scale * a.query[t * a.dim + i] * a.key[static_cast<int64_t>(s) * a.dim + i];
  const std::vector<double> plain = softmax_of(z);
  for (size_t s = 0; s < n && call.correction != Correction::off; ++s) {
    const double p = penalty(call, t, static_cast<int64_t>(s));
    if (call.correction == Correction::logit) z[s] -= std::min(p, call.max_penalty);
    if (call.correction == Correction::second_order) z[s] -= std::min(p * (1 - 2 * plain[s]), call.max_penalty);
    if (call.correction == Correction::paper) factor[s] = std::exp(-std::min(p, call.max_penalty));
  }
  return {softmax_of(std::move(z)), std::move(factor)};
}

double kept(const Attention& a, int64_t t, size_t s) {
  return a.keep == nullptr ? 1 : a.keep[t * a.rows + static_cast<int64_t>(s)];
}

}  // namespace

void re_attention_forward(const ReAttention& call, double* output, double* output_variance) {
  const Attention& a = call.attention;
  std::fill_n(output, a.rows * a.dim, 0.0);
  std::fill_n(output_variance, a.rows, 0.0);
  for (int64_t t = 0; t < a.rows; ++t) {
    const Row row = row_of(call, t);
    for (size_t s = 0; s < row.softmax.size(); ++s) {
      const double weight = row.softmax[s] * row.factor[s] * kept(a, t, s);
      for (int64_t i = 0; i < a.dim; ++i)
        output[t * a.dim + i] += weight * a.value[static_cast<int64_t>(s) * a.dim + i];
      if (call.value_variance != nullptr) output_variance[t] += weight * weight * call.value_variance[s];
    }
  }
}

void re_attention_backward(const ReAttention& call, const double* gradient, double* d_query, double* d_key,
                           double* d_value) {
  const Attention& a = call.attention;
  const int64_t d = a.dim;
  for (double* result : {d_query, d_key, d_value}) std::fill_n(result, a.rows * d, 0.0);
  for (int64_t t = 0; t < a.rows; ++t) {
    const Row row = row_of(call, t);
    const size_t n = row.softmax.size();
    std::vector<double> d_softmax(n, 0.0);
    double along = 0;
    for (size_t s = 0; s < n; ++s) {
      const double factor = row.factor[s] * kept(a, t, s);
      const auto at = static_cast<int64_t>(s) * d;
      for (int64_t i = 0; i < d; ++i) {
        d_softmax[s] += factor * gradient[t * d + i] * a.value[at + i];
        d_value[at + i] += row.softmax[s] * factor * gradient[t * d + i];
      }
      along += row.softmax[s] * d_softmax[s];
    }
    for (size_t s = 0; s < n; ++s) {
      const double d_logit = row.softmax[s] * (d_softmax[s] - along) * a.scale;
      const auto at = static_cast<int64_t>(s) * d;
      for (int64_t i = 0; i < d; ++i) {
        d_query[t * d + i] += d_logit * a.key[at + i];
        d_key[at + i] += d_logit * a.query[t * d + i];
      }
    }
  }
}

}  // namespace phantomgrad::reference
