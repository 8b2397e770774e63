// An embedding's use of its table: rows of the output gradient, added to the table's rows by id.
#pragma once

#include "ops/use.h"

namespace phantomgrad {

class IndexUse final : public Use {
 public:
  IndexUse(SegmentsPtr segments, at::Tensor ids, at::Tensor gradient, double scale, int64_t padding_id);

  UseKind kind() const override { return UseKind::index; }
  void add_row_products(double* out) const override;
  void materialise(int64_t sample, double* gradient) const override;
  void accumulate(const double* factors, double* sum) const override;

  const at::Tensor& gradient() const { return gradient_; }
  const int64_t* ids() const { return first_id_; }
  int64_t dim() const { return gradient_.size(-1); }
  double scale() const { return scale_; }
  /// Whether row t receives a gradient.
  bool counts(int64_t t) const { return ids()[t] != padding_id_; }

 private:
  at::Tensor ids_, gradient_;
  const int64_t* first_id_;
  double scale_;
  int64_t padding_id_;
};

}  // namespace phantomgrad
