// How noise in weights and inputs spreads through a layer (paper, Eq. 30-34), one number a row: its mean over channels.
// Rows never meet, and nothing here is on the tape: gradients through W^2 would have no per-sample rule.
#include "cpu/variance.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "cpu/parallel.h"
#include "cpu/reduce.h"
#include "ops/any.h"
#include "ops/dispatch.h"
#include "ops/operators.h"

namespace phantomgrad {
namespace {

/// Rows with their variance, checked and contiguous.
struct NoisyRows {
  NoisyRows(const char* operation, const at::Tensor& input, const at::Tensor& of_rows)
      : x(input.detach().contiguous()),
        variance(of_rows.detach().contiguous()),
        rows(row_count(x)),
        width(x.dim() == 0 ? 0 : x.size(-1)) {
    PG_CHECK(x.dim() >= 1 && width >= 1 && variance.numel() == rows && variance.scalar_type() == x.scalar_type(),
             "ERR_INVALID_ARGUMENT", operation, ": expected rows [..., d] and one variance a row, of one dtype, got ",
             input.toString(), " ", input.sizes(), " and ", of_rows.toString(), " ", of_rows.sizes(), ".");
    check_floating(operation, x);
    check_device(operation, {x, variance});
  }

  bool generic() const { return !has_kernels(x); }
  /// For the twins: [rows, d] and [rows].
  at::Tensor flat() const { return x.view({rows, width}); }
  at::Tensor flat_variance() const { return variance.view({rows}); }

  /// `[rows, groups]`, or `[rows]` for none: body(x, variance, out) fills the numbers of one row.
  template <class Body>
  at::Tensor map(const char* operation, int64_t groups, Body body) const {
    at::Tensor result = groups == 0 ? at::empty({rows}, x.options()) : at::empty({rows, groups}, x.options());
    const int64_t each = std::max<int64_t>(groups, 1);
    with_floating(operation, x, [&](auto zero) {
      using T = decltype(zero);
      const T *values = host_data<T>(x), *noise = host_data<T>(variance);
      T* out = host_writable<T>(result);
      cpu::parallel_for(0, rows, cpu::grain_for(16 * width), [&](int64_t first, int64_t last) {
        for (int64_t r = first; r < last; ++r) body(values + r * width, noise[r], out + r * each);
      });
    });
    return result;
  }

  at::Tensor x, variance;
  int64_t rows, width;
};

/// Sums of squares of `groups` equal parts of a contiguous tensor.
std::vector<double> squares_of(const char* operation, const at::Tensor& t, int64_t groups) {
  const at::Tensor own = t.detach().contiguous();
  const int64_t each = own.numel() / groups;
  std::vector<double> squares;
  with_floating(operation, own, [&](auto zero) {
    using T = decltype(zero);
    for (int64_t g = 0; g < groups; ++g)
      squares.push_back(PG_CALL((sum_of_squares<T>), host_data<T>(own) + g * each, each));
  });
  return squares;
}

void check_variance(const char* operation, const char* name, double variance) {
  PG_CHECK(variance >= 0, "ERR_INVALID_ARGUMENT", operation, ": ", name, " must be at least 0, got ", variance, ".");
}

}  // namespace

at::Tensor linear_variance(const at::Tensor& input, const at::Tensor& variance, const at::Tensor& weight,
                           double weight_variance, double bias_variance, int64_t groups) {
  const char* name = "linearVariance";
  const NoisyRows noisy(name, input, variance);
  PG_CHECK(weight.dim() == 2 && weight.size(1) == noisy.width && groups >= 1 && weight.size(0) % groups == 0,
           "ERR_INVALID_ARGUMENT", name, ": expected a weight [groups * out, ", noisy.width, "], got ", weight.sizes(),
           " for ", groups, " groups.");
  check_device(name, {noisy.x, weight});
  check_variance(name, "weightVariance", weight_variance);
  check_variance(name, "biasVariance", bias_variance);
  if (noisy.generic()) {
    const double width = static_cast<double>(noisy.width), outputs = static_cast<double>(weight.size(0) / groups);
    return any_linear_variance(noisy.flat(), noisy.flat_variance(),
                               any_squares(weight, groups).div(outputs).add(width * weight_variance), weight_variance,
                               bias_variance);
  }
  std::vector<double> gain = squares_of(name, weight, groups);
  for (double& squares : gain)
    squares =
        squares / static_cast<double>(weight.size(0) / groups) + static_cast<double>(noisy.width) * weight_variance;
  return noisy.map(name, groups, [&](const auto* x, auto v, auto* out) {
    using T = decltype(v);
    const double own = weight_variance * PG_CALL((sum_of_squares<T>), x, noisy.width) + bias_variance;
    for (int64_t g = 0; g < groups; ++g)
      out[g] = static_cast<T>(gain[static_cast<size_t>(g)] * static_cast<double>(v) + own);
  });
}

at::Tensor layer_norm_variance(const at::Tensor& input, const at::Tensor& variance, const at::Tensor& weight,
                               double weight_variance, double bias_variance, double eps, bool saturate) {
  const char* name = "layerNormVariance";
  const NoisyRows noisy(name, input, variance);
  PG_CHECK(weight.dim() == 1 && weight.size(0) == noisy.width, "ERR_INVALID_ARGUMENT", name, ": expected a weight [",
           noisy.width, "], got ", weight.sizes(), ".");
  check_device(name, {noisy.x, weight});
  check_variance(name, "weightVariance", weight_variance);
  check_variance(name, "biasVariance", bias_variance);
  const auto width = static_cast<double>(noisy.width);
  if (noisy.generic())
    return any_layer_norm_variance(noisy.flat(), noisy.flat_variance(), any_squares(weight, 1).div(width),
                                   weight_variance, bias_variance, eps, saturate);
  const double gain = squares_of(name, weight, 1)[0] / width;
  return noisy.map(name, 0, [&](const auto* x, auto v, auto* out) {
    using T = decltype(v);
    // The observed row is already noisy: its own scale is what normalised it, and noise cannot exceed the whole.
    const double spread = PG_CALL((centred_squares<T>), x, noisy.width) / width;
    const double share = static_cast<double>(v) / (spread + eps);
    *out = static_cast<T>(gain * (saturate && share > 1 ? 1 : share) + weight_variance * spread / (spread + eps) +
                          bias_variance);
  });
}

at::Tensor activation_variance(const at::Tensor& input, const at::Tensor& variance, std::string_view activation) {
  const char* name = "activationVariance";
  const NoisyRows noisy(name, input, variance);
  const bool relu = activation == "relu";
  PG_CHECK(relu || activation == "gelu", "ERR_INVALID_ARGUMENT", name, ": activation must be relu or gelu, got ",
           std::string(activation), ".");
  if (noisy.generic())
    return relu ? any_relu_variance(noisy.flat(), noisy.flat_variance())
                : any_gelu_variance(noisy.flat(), noisy.flat_variance());
  return noisy.map(name, 0, [&](const auto* x, auto v, auto* out) {
    using T = decltype(v);
    *out = relu ? PG_CALL((relu_variance<T>), x, v, noisy.width) : PG_CALL((gelu_variance<T>), x, v, noisy.width);
  });
}

}  // namespace phantomgrad
