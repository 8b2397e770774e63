// The rule for every combination of uses without a faster one: form each sample's gradient in float64.
#include <algorithm>
#include <cmath>

#include "cpu/parallel.h"
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
    cpu::parallel_for(0, samples, cpu::grain_for(4 * size_), [&](int64_t first, int64_t last) {
      std::vector<double> gradient(static_cast<size_t>(size_));
      for (int64_t b = first; b < last; ++b) {
        const auto i = static_cast<size_t>(b);
        if (products[i] == 0) continue;
        const ExactNorm exact = exact_norm(uses_, b, products[i], gradient);
        result.norm2[i] = exact.norm2;
        result.bound[i] = exact.bound;
      }
    });
    return result;
  }

  void accumulate(const double* factors, double* sum) override {
    const int64_t samples = uses_.front()->samples();
    std::vector<double> gradient(static_cast<size_t>(size_));
    for (int64_t b = 0; b < samples; ++b) {
      if (factors[b] == 0) continue;
      std::fill(gradient.begin(), gradient.end(), 0.0);
      for (const UsePtr& use : uses_) use->materialise(b, gradient.data());
      for (int64_t i = 0; i < size_; ++i) sum[i] += factors[b] * gradient[static_cast<size_t>(i)];
    }
  }

 private:
  int64_t size_;
  const std::vector<UsePtr>& uses_;
};

}  // namespace

ExactNorm exact_norm(const std::vector<UsePtr>& uses, int64_t sample, double products, std::vector<double>& gradient) {
  std::fill(gradient.begin(), gradient.end(), 0.0);
  double rows = 0, square = 0;
  for (const UsePtr& use : uses) {
    use->materialise(sample, gradient.data());
    rows += static_cast<double>(use->segments().length(sample));
  }
  for (size_t first = 0; first < gradient.size(); first += 4096) {
    double part = 0;
    for (size_t i = first; i < std::min(gradient.size(), first + 4096); ++i) part += gradient[i] * gradient[i];
    square += part;
  }
  return {square, std::sqrt(square) * (1 + 0x1p-30) + rounding<double>(rows + 4) * products};
}

std::unique_ptr<Record> mixed_record(int64_t left, int64_t right, const std::vector<UsePtr>& uses) {
  return std::make_unique<MixedRecord>(left, right, uses);
}

std::unique_ptr<Record> make_record(int64_t left, int64_t right, const std::vector<UsePtr>& uses) {
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
