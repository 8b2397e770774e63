// Per-sample gradients that are small enough to keep: norm layers, biases, perSample.
#include <algorithm>
#include <cmath>

#include "cpu/reduce.h"
#include "ops/any.h"
#include "ops/dispatch.h"
#include "ops/record.h"

namespace phantomgrad {
namespace {

class StoredUse final : public Use {
 public:
  StoredUse(at::Tensor per_sample, int64_t token)
      : Use(std::make_shared<const Segments>(per_sample.size(0), 1, token)), rows_(std::move(per_sample)) {}

  UseKind kind() const override { return UseKind::stored; }
  int64_t width() const { return samples() == 0 ? 0 : rows_.numel() / samples(); }

  double square(int64_t sample) const {
    return with_floating("perSample", rows_, [&](auto zero) {
      using T = decltype(zero);
      // Float64 throughout: a stored gradient is short, and its norm then needs no certificate.
      const T* row = host_data<T>(rows_) + sample * width();
      double sum = 0;
      for (int64_t i = 0; i < width(); ++i) sum += static_cast<double>(row[i]) * static_cast<double>(row[i]);
      return sum;
    });
  }

  void add_row_products(double* out) const override {
    for (int64_t b = 0; b < samples(); ++b) out[b] += std::sqrt(square(b));
  }

  void materialise(int64_t sample, const at::Tensor& gradient) const override {
    add(sample, 1, host_writable<double>(gradient));
  }

  void accumulate(const double* factors, const at::Tensor& sum) const override {
    for (int64_t b = 0; b < samples(); ++b)
      if (factors[b] != 0) add(b, factors[b], host_writable<double>(sum));
  }

 private:
  void add(int64_t sample, double factor, double* sum) const {
    with_floating("perSample", rows_, [&](auto zero) {
      using T = decltype(zero);
      PG_CALL((add_scaled<T>), sum, factor, host_data<T>(rows_) + sample * width(), width());
    });
  }

  at::Tensor rows_;
};

// The rows are the gradients: norm and bound are those of what will be added. A recurrent bias has one use a time step.
class StoredRecord final : public Record {
 public:
  explicit StoredRecord(const std::vector<UsePtr>& uses) : uses_(uses) {
    for (const UsePtr& use : uses) width_ = std::max(width_, static_cast<const StoredUse&>(*use).width());
  }

  SampleNorms norms() override {
    const int64_t samples = uses_.front()->samples();
    SampleNorms result{std::vector<double>(static_cast<size_t>(samples)),
                       std::vector<double>(static_cast<size_t>(samples))};
    if (uses_.size() == 1) {
      const auto& use = static_cast<const StoredUse&>(*uses_.front());
      for (int64_t b = 0; b < samples; ++b) set(result, b, use.square(b), 0);
      return result;
    }
    std::vector<double> products(static_cast<size_t>(samples), 0.0);
    const at::Tensor gradient = gradient_room(uses_, width_);
    const double* values = host_data<double>(gradient);
    for (const UsePtr& use : uses_) use->add_row_products(products.data());
    for (int64_t b = 0; b < samples; ++b) {
      gradient.zero_();
      for (const UsePtr& use : uses_) use->materialise(b, gradient);
      double square = 0;
      for (int64_t i = 0; i < width_; ++i) square += values[i] * values[i];
      set(result, b, square, products[static_cast<size_t>(b)]);
    }
    return result;
  }

  void accumulate(const double* factors, const at::Tensor& sum) override {
    for (const UsePtr& use : uses_) use->accumulate(factors, sum);
  }

 private:
  // `products`: the size of the terms that may have cancelled, each rounded in float64.
  void set(SampleNorms& norms, int64_t b, double square, double products) const {
    norms.norm2[static_cast<size_t>(b)] = square;
    norms.bound[static_cast<size_t>(b)] = std::sqrt(square) * (1 + rounding<double>(static_cast<double>(width_) + 8)) +
                                          rounding<double>(static_cast<double>(uses_.size()) + 4) * products;
  }

  const std::vector<UsePtr>& uses_;
  int64_t width_ = 0;
};

}  // namespace

UsePtr stored_use(at::Tensor per_sample, int64_t token) {
  if (!has_kernels(per_sample)) return any_stored_use(std::move(per_sample), token);
  return std::make_unique<StoredUse>(per_sample.contiguous(), token);
}

std::unique_ptr<Record> stored_record(const std::vector<UsePtr>& uses) { return std::make_unique<StoredRecord>(uses); }

}  // namespace phantomgrad
