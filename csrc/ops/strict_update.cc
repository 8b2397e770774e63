// The strict level of the noise as operators: integers all the way from one sample's contribution to what is released.
#include <ATen/core/Tensor.h>
#include <torch/library.h>

#include <cmath>

#include "cpu/discrete_gaussian.h"
#include "error.h"
#include "ops/device.h"
#include "ops/noise_source.h"
#include "shared/noise_layout.h"

namespace phantomgrad {
namespace {

constexpr double kExact = 0x1p52;  // integers up to here, and their sums with a half, are doubles

void check_pair(const char* operation, const at::Tensor& total, const at::Tensor& sum) {
  const bool fit = total.scalar_type() == at::kLong && sum.scalar_type() == at::kDouble && total.dim() == 1 &&
                   sum.dim() == 1 && total.is_contiguous() && sum.is_contiguous() && total.numel() == sum.numel();
  PG_CHECK(fit, "ERR_INVALID_ARGUMENT", operation,
           ": total and sum must be contiguous flat int64 and float64 tensors of one length, got ", total.toString(),
           " of shape ", total.sizes(), " and ", sum.toString(), " of shape ", sum.sizes(), ".");
}

void check_unit(const char* operation, double unit) {
  int exponent;
  PG_CHECK(unit >= 0x1p-900 && unit <= 0x1p900 && std::frexp(unit, &exponent) == 0.5, "ERR_INVALID_ARGUMENT", operation,
           ": unit must be a power of two from 2^-900 to 2^900, got ", unit, ".");
}

// Whether the contribution counts is a function of that one sample, so dropping it moves the total by no more than
// adding it.
bool strict_accumulate_(at::Tensor total, at::Tensor sum, double unit, int64_t limit) {
  check_pair("strict_accumulate_", total, sum);
  check_unit("strict_accumulate_", unit);
  PG_CHECK(limit >= 0 && static_cast<double>(limit) <= kExact, "ERR_INVALID_ARGUMENT",
           "strict_accumulate_: limit must be from 0 to 2^52, got ", limit, ".");
  const HostCopy added(sum), whole(total);
  double* in = host_writable<double>(added.get());
  int64_t* out = host_writable<int64_t>(whole.get());
  const int64_t count = sum.numel();
  const double inverse = 1 / unit;
  unsigned __int128 squares = 0;
  bool kept = true;
  for (int64_t i = 0; i < count && kept; ++i) {
    in[i] = std::nearbyint(in[i] * inverse);
    kept = std::abs(in[i]) <= static_cast<double>(limit);  // false for NaN
    if (!kept) break;
    const auto z = static_cast<unsigned __int128>(std::abs(in[i]));
    squares += z * z;
    kept = squares <= static_cast<unsigned __int128>(limit) * static_cast<unsigned __int128>(limit);
  }
  for (int64_t i = 0; i < count; ++i) {
    if (kept) {
      PG_CHECK(!__builtin_add_overflow(out[i], static_cast<int64_t>(in[i]), &out[i]), "ERR_INVALID_ARGUMENT",
               "strict_accumulate_: the total does not fit 64 bits.");
    }
    in[i] = 0;
  }
  added.write_back();
  whole.write_back();
  return kept;
}

void strict_privatise_(at::Tensor sum, at::Tensor total, int64_t noise_source, int64_t scale, double unit) {
  check_pair("strict_privatise_", total, sum);
  check_unit("strict_privatise_", unit);
  PG_CHECK(scale >= 1 && scale <= cpu::kLargestScale, "ERR_INVALID_ARGUMENT",
           "strict_privatise_: scale must be from 1 to 2^40, got ", scale, ".");
  PG_CHECK(noise_source != 0, "ERR_INVALID_ARGUMENT", "strict_privatise_: noise_source must be given.");
  const HostCopy released(sum), whole(total);
  const UsedStream used(noise_source);
  int64_t* values = host_writable<int64_t>(whole.get());
  double* out = host_writable<double>(released.get());
  cpu::add_discrete_gaussian(used.get(), scale, total.numel(), values);
  // Beyond 2^53 the product rounds: post-processing, which no guarantee depends on.
  for (int64_t i = 0; i < total.numel(); ++i) {
    out[i] = static_cast<double>(values[i]) * unit;
    values[i] = 0;
  }
  released.write_back();
  whole.write_back();
}

}  // namespace
}  // namespace phantomgrad

TORCH_LIBRARY_FRAGMENT(phantomgrad, m) {
  m.def("strict_accumulate_(Tensor(a!) total, Tensor(b!) sum, float unit, int limit) -> bool",
        &phantomgrad::strict_accumulate_);
  m.def("strict_privatise_(Tensor(a!) sum, Tensor(b!) total, int noise_source, int scale, float unit) -> ()",
        &phantomgrad::strict_privatise_);
}
