// Per-sample gradients that are small enough to keep: norm layers, biases, perSample.
#include <cmath>

#include "cpu/reduce.h"
#include "ops/dispatch.h"
#include "ops/record.h"

namespace phantomgrad {
namespace {

class StoredUse final : public Use {
 public:
  explicit StoredUse(at::Tensor per_sample)
      : Use(std::make_shared<const Segments>(per_sample.size(0), 1)), rows_(std::move(per_sample)) {}

  UseKind kind() const override { return UseKind::stored; }
  int64_t width() const { return samples() == 0 ? 0 : rows_.numel() / samples(); }

  double square(int64_t sample) const {
    return with_floating("perSample", rows_, [&](auto zero) {
      using T = decltype(zero);
      // Float64 throughout: a stored gradient is short, and its norm then needs no certificate.
      const T* row = rows_.const_data_ptr<T>() + sample * width();
      double sum = 0;
      for (int64_t i = 0; i < width(); ++i) sum += static_cast<double>(row[i]) * static_cast<double>(row[i]);
      return sum;
    });
  }

  void add_row_products(double* out) const override {
    for (int64_t b = 0; b < samples(); ++b) out[b] += std::sqrt(square(b));
  }

  void materialise(int64_t sample, double* gradient) const override { add(sample, 1, gradient); }

  void accumulate(const double* factors, double* sum) const override {
    for (int64_t b = 0; b < samples(); ++b)
      if (factors[b] != 0) add(b, factors[b], sum);
  }

 private:
  void add(int64_t sample, double factor, double* sum) const {
    with_floating("perSample", rows_, [&](auto zero) {
      using T = decltype(zero);
      PG_CALL((add_scaled<T>), sum, factor, rows_.const_data_ptr<T>() + sample * width(), width());
    });
  }

  at::Tensor rows_;
};

// One use: its rows are the gradients, so norm and bound are those of what will be added.
class StoredRecord final : public Record {
 public:
  explicit StoredRecord(const StoredUse& use) : use_(use) {}

  SampleNorms norms() override {
    SampleNorms result;
    for (int64_t b = 0; b < use_.samples(); ++b) {
      const double square = use_.square(b);
      result.norm2.push_back(square);
      result.bound.push_back(std::sqrt(square) * (1 + 0x1p-40));
    }
    return result;
  }

  void accumulate(const double* factors, double* sum) override { use_.accumulate(factors, sum); }

 private:
  const StoredUse& use_;
};

}  // namespace

UsePtr stored_use(at::Tensor per_sample) { return std::make_unique<StoredUse>(per_sample.contiguous()); }

std::unique_ptr<Record> stored_record(int64_t left, int64_t right, const std::vector<UsePtr>& uses) {
  if (uses.size() != 1) return mixed_record(left, right, uses);
  return std::make_unique<StoredRecord>(static_cast<const StoredUse&>(*uses[0]));
}

}  // namespace phantomgrad
