// What records need of the any-device uses.
#pragma once

#include <optional>

#include "ops/index_plan.h"
#include "ops/use.h"

namespace phantomgrad {

/// |x| of every row: float64 [rows] on the host. Squares of rows near the ends of the range neither vanish nor
/// overflow.
std::vector<double> any_row_norms(const at::Tensor& rows);

class AnyDense final : public Use {
 public:
  AnyDense(SegmentsPtr segments, at::Tensor left, at::Tensor right, std::vector<double> upstream);

  UseKind kind() const override { return UseKind::dense; }
  bool any_device() const override { return true; }
  at::Device device() const override { return left_.device(); }
  void add_row_products(double* out) const override;
  void materialise(int64_t sample, const at::Tensor& gradient) const override;
  void accumulate(const double* factors, const at::Tensor& sum) const override;

  const at::Tensor& left() const { return left_; }
  const at::Tensor& right() const { return right_; }
  double upstream(int64_t sample) const { return upstream_.empty() ? 1 : upstream_[static_cast<size_t>(sample)]; }
  /// Whether the left rows are to be multiplied by upstream().
  bool scaled() const { return !upstream_.empty(); }

 private:
  at::Tensor left_, right_;
  std::vector<double> upstream_;
};

class AnyIndex final : public Use {
 public:
  AnyIndex(SegmentsPtr entries, at::Tensor ids, at::Tensor rows, at::Tensor coefficients, double scale,
           int64_t padding_id);

  UseKind kind() const override { return UseKind::index; }
  bool any_device() const override { return true; }
  at::Device device() const override { return rows_.device(); }
  void add_row_products(double* out) const override;
  void materialise(int64_t sample, const at::Tensor& gradient) const override;
  void accumulate(const double* factors, const at::Tensor& sum) const override;

  int64_t dim() const { return rows_.size(-1); }
  /// Int64 [entries].
  const at::Tensor& ids() const { return ids_; }
  /// Entry e adds scale() * coefficients()[e] * values()[e / fan]; undefined coefficients: 1.
  const at::Tensor& values() const { return rows_; }
  const at::Tensor& coefficients() const { return coefficients_; }
  double scale() const { return scale_; }
  int64_t padding_id() const { return padding_id_; }
  int64_t fan() const { return fan_; }
  /// Which entries belong together, made once.
  const IndexPlan& plan() const;
  /// Float64 [count, d]: what the entries first .. first + count add to their rows of the table; zeros for padding.
  at::Tensor entries(int64_t first, int64_t count) const;

 private:
  at::Tensor host_ids_, ids_, rows_, coefficients_;
  double scale_;
  int64_t padding_id_, fan_;
  mutable std::optional<IndexPlan> plan_;
};

class AnyStored final : public Use {
 public:
  AnyStored(at::Tensor per_sample, int64_t token);

  UseKind kind() const override { return UseKind::stored; }
  bool any_device() const override { return true; }
  at::Device device() const override { return rows_.device(); }
  void add_row_products(double* out) const override;
  void materialise(int64_t sample, const at::Tensor& gradient) const override;
  void accumulate(const double* factors, const at::Tensor& sum) const override;

  /// [samples, width].
  const at::Tensor& rows() const { return rows_; }

 private:
  at::Tensor rows_;
};

}  // namespace phantomgrad
