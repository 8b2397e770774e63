// A use of a table by rows: an embedding's looked-up rows, or the scores of chosen candidates.
#pragma once

#include "ops/device.h"
#include "ops/use.h"

namespace phantomgrad {

/// Entry e adds scale * coefficient[e] * rows[e / fan] to the table's row ids[e]. The segments count entries.
class IndexUse final : public Use {
 public:
  IndexUse(SegmentsPtr entries, at::Tensor ids, at::Tensor rows, at::Tensor coefficients, double scale,
           int64_t padding_id);

  UseKind kind() const override { return UseKind::index; }
  void add_row_products(double* out) const override;
  void materialise(int64_t sample, const at::Tensor& gradient) const override;
  void accumulate(const double* factors, const at::Tensor& sum) const override;

  const at::Tensor& rows() const { return rows_; }
  int64_t dim() const { return rows_.size(-1); }
  const int64_t* ids() const { return first_id_; }
  /// Whether entry e adds anything.
  bool counts(int64_t e) const { return ids()[e] != padding_id_; }
  template <class T>
  const T* row(int64_t e) const {
    return host_data<T>(rows_) + e / fan_ * dim();
  }
  template <class T>
  double weight(int64_t e) const {
    return coefficients_.defined() ? scale_ * static_cast<double>(host_data<T>(coefficients_)[e]) : scale_;
  }

 private:
  at::Tensor ids_, rows_, coefficients_;
  const int64_t* first_id_;
  double scale_;
  int64_t padding_id_, fan_;
};

}  // namespace phantomgrad
