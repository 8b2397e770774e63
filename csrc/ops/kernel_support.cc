// Shared by the operators of the low-level door.
#include "ops/kernel_support.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>

#include <cmath>

#include "error.h"
#include "ops/dispatch.h"

namespace phantomgrad {
namespace {

// As the book's: where the certificate adds more than this share to a squared norm, the sample is formed in float64.
constexpr double kLargestExcess = 0.008;

}  // namespace

at::Tensor new_doubles(at::IntArrayRef shape, const at::Device& device) {
  return at::zeros(shape, at::TensorOptions().dtype(at::kDouble).device(device));
}

SampleNorms certified(int64_t left, int64_t right, const Uses& uses) {
  const at::NoGradGuard no_grad;
  SampleNorms norms = make_record(left, right, uses)->norms();
  std::vector<double> products;
  at::Tensor gradient;
  for (size_t b = 0; b < norms.norm2.size(); ++b) {
    const double excess = norms.bound[b] * norms.bound[b] - norms.norm2[b];
    if (!(excess > kLargestExcess * norms.norm2[b]) || !std::isfinite(excess)) continue;
    if (products.empty()) {
      products.assign(norms.norm2.size(), 0.0);
      for (const UsePtr& use : uses) use->add_row_products(products.data());
      gradient = gradient_room(uses, left * right);
    }
    const ExactNorm exact = exact_norm(uses, static_cast<int64_t>(b), products[b], gradient);
    norms.norm2[b] = exact.norm2;
    norms.bound[b] = exact.bound;
  }
  return norms;
}

at::Tensor roots(const std::vector<double>& squares) {
  at::Tensor t = new_doubles({static_cast<int64_t>(squares.size())});
  for (size_t b = 0; b < squares.size(); ++b) host_writable<double>(t)[b] = std::sqrt(squares[b]);
  return t;
}

at::Tensor values(const std::vector<double>& numbers) { return doubles_on(at::kCPU, numbers); }

at::Tensor rows_of(const char* operation, const char* name, const at::Tensor& t, const Segments& segments) {
  PG_CHECK(t.dim() >= 2 && t.size(-1) > 0, "ERR_INVALID_ARGUMENT", operation, ": ", name,
           " must be rows [..., width], got ", t.sizes(), ".");
  PG_CHECK(row_count(t) == segments.rows(), "ERR_BATCH_DIMENSION", operation, ": ", name, " has ", row_count(t),
           " rows, the segments have ", segments.rows(), ".");
  const bool half = t.scalar_type() == at::kBFloat16 || t.scalar_type() == at::kHalf;
  const at::Tensor wide = half ? t.to(at::kFloat) : t;
  check_floating(operation, wide);
  return wide.detach().reshape({row_count(t), t.size(-1)}).contiguous();
}

std::vector<double> factors_of(const char* operation, const at::Tensor& factors, int64_t samples) {
  PG_CHECK(factors.dim() == 1 && factors.size(0) == samples, "ERR_INVALID_ARGUMENT", operation, ": expected ", samples,
           " factors, got ", factors.sizes(), ".");
  std::vector<double> result = host_doubles(factors);
  for (double& factor : result)
    if (!std::isfinite(factor)) factor = 0;
  return result;
}

UsePtr input_use(const char* operation, const at::Tensor& ids, const at::Tensor& gradients, const SegmentsPtr& segments,
                 int64_t vocabulary, double scale, int64_t padding_id) {
  const at::Tensor rows = rows_of(operation, "gradients", gradients, *segments);
  const at::Tensor own = own_integers(operation, "ids", ids).reshape({-1});
  PG_CHECK(own.numel() == rows.size(0), "ERR_INVALID_ARGUMENT", operation, ": expected ", rows.size(0), " ids, got ",
           own.numel(), ".");
  if (const auto outside = first_outside(own, vocabulary))
    refuse("ERR_INVALID_ARGUMENT", operation, ": ids[", outside->position, "] is ", outside->id,
           ", the table has rows 0 to ", vocabulary - 1, ".");
  return index_use(segments, own, rows, scale, padding_id);
}

}  // namespace phantomgrad
