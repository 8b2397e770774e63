// The softmax head's use of its table: residual rows on the left, hidden rows on the right.
#pragma once

#include "ops/head.h"

namespace phantomgrad {

class ResidualUse final : public Use {
 public:
  ResidualUse(HeadPtr head, at::Tensor upstream);

  UseKind kind() const override { return UseKind::residual; }
  void add_row_products(double* out) const override;
  void materialise(int64_t sample, const at::Tensor& gradient) const override;
  void accumulate(const double* factors, const at::Tensor& sum) const override;

  const Head& head() const { return *head_; }
  double upstream(int64_t sample) const { return upstream_[static_cast<size_t>(sample)]; }

 private:
  // Adds factor G_b, every product and sum in float64.
  void add_sample(int64_t sample, double factor, double* sum) const;

  HeadPtr head_;
  std::vector<double> upstream_;
};

}  // namespace phantomgrad
