// The rule for every combination of uses without a faster one: form each sample's gradient in float64.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/sum.h>

#include <algorithm>
#include <cmath>

#include "cpu/parallel.h"
#include "ops/device.h"
#include "ops/record.h"

namespace phantomgrad {
namespace {

class MixedRecord final : public Record {
 public:
  MixedRecord(int64_t left, int64_t right, const std::vector<UsePtr>& uses) : size_(left * right), uses_(uses) {}

  SampleNorms norms() override {
    const int64_t samples = uses_.front()->samples();
    std::vector<double> products(static_cast<size_t>(samples), 0.0);
    for (const UsePtr& use : uses_) use->add_row_products(products.data());
    SampleNorms result{std::vector<double>(static_cast<size_t>(samples)),
                       std::vector<double>(static_cast<size_t>(samples))};
    const auto several = [&](int64_t first, int64_t last) {
      const at::NoGradGuard no_grad;  // a thread of the pool has a mode of its own
      const at::Tensor gradient = gradient_room(uses_, size_);
      for (int64_t b = first; b < last; ++b) {
        const auto i = static_cast<size_t>(b);
        if (products[i] == 0) continue;
        const ExactNorm exact = exact_norm(uses_, b, products[i], gradient);
        result.norm2[i] = exact.norm2;
        result.bound[i] = exact.bound;
      }
    };
    if (uses_.front()->any_device())
      several(0, samples);
    else
      cpu::parallel_for(0, samples, cpu::grain_for(4 * size_), several);
    return result;
  }

  void accumulate(const double* factors, const at::Tensor& sum) override {
    const int64_t samples = uses_.front()->samples();
    const at::Tensor gradient = gradient_room(uses_, size_);
    for (int64_t b = 0; b < samples; ++b) {
      if (factors[b] == 0) continue;
      gradient.zero_();
      for (const UsePtr& use : uses_) use->materialise(b, gradient);
      add_gradient(factors[b], gradient, sum);
    }
  }

 private:
  int64_t size_;
  const std::vector<UsePtr>& uses_;
};

double squares_of(const at::Tensor& gradient) {
  if (!has_kernels(gradient)) return at::sum(at::mul(gradient, gradient)).item<double>();
  const double* x = host_data<double>(gradient);
  double square = 0;
  for (int64_t first = 0; first < gradient.numel(); first += 4096) {
    double part = 0;
    for (int64_t i = first; i < std::min(gradient.numel(), first + 4096); ++i) part += x[i] * x[i];
    square += part;
  }
  return square;
}

}  // namespace

at::Tensor gradient_room(const std::vector<UsePtr>& uses, int64_t size) {
  return at::empty({size}, at::TensorOptions().dtype(at::kDouble).device(uses.front()->device()));
}

void add_gradient(double factor, const at::Tensor& gradient, const at::Tensor& sum) {
  if (!has_kernels(gradient)) {
    sum.add_(gradient, factor);
    return;
  }
  const double* from = host_data<double>(gradient);
  double* to = host_writable<double>(sum);
  for (int64_t i = 0; i < gradient.numel(); ++i) to[i] += factor * from[i];
}

ExactNorm exact_norm(const std::vector<UsePtr>& uses, int64_t sample, double products, const at::Tensor& gradient) {
  gradient.zero_();
  double rows = 0;
  for (const UsePtr& use : uses) {
    use->materialise(sample, gradient);
    rows += static_cast<double>(use->segments().length(sample));
  }
  const double square = squares_of(gradient);
  return {square, std::sqrt(square) * (1 + 0x1p-30) + rounding<double>(rows + 4) * products};
}

std::unique_ptr<Record> mixed_record(int64_t left, int64_t right, const std::vector<UsePtr>& uses) {
  return std::make_unique<MixedRecord>(left, right, uses);
}

std::unique_ptr<Record> make_record(int64_t left, int64_t right, const std::vector<UsePtr>& uses) {
  const auto any = [](const UsePtr& use) { return use->any_device(); };
  if (std::any_of(uses.begin(), uses.end(), any)) {
    PG_CHECK(std::all_of(uses.begin(), uses.end(), any), "ERR_ENGINE_STATE",
             "step: kernels were switched on or off between the loss and its step. Compute the loss again.");
    return any_record(left, right, uses);
  }
  bool dense = true, table = true, stored = true;
  for (const UsePtr& use : uses) {
    dense = dense && use->kind() == UseKind::dense;
    table = table && (use->kind() == UseKind::index || use->kind() == UseKind::residual);
    stored = stored && use->kind() == UseKind::stored;
  }
  if (dense) return dense_record(left, right, uses);
  if (table) return table_record(left, right, uses);
  if (stored) return stored_record(uses);
  return mixed_record(left, right, uses);
}

}  // namespace phantomgrad
