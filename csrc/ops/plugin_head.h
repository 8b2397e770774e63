// The softmax head by the plugin: nothing is kept of the logits but two numbers a row; sweeps make them again.
#pragma once

#include "ops/any_uses.h"
#include "ops/head.h"

namespace phantomgrad {

/// Fills in loss, lse, d_hidden, squares and d_bias.
void plugin_run_head(Head& head, const HeadWants& wants);

/// A swept head's use of its table.
class SweptHead final : public Use {
 public:
  SweptHead(HeadPtr head, const at::Tensor& upstream);

  UseKind kind() const override { return UseKind::residual; }
  bool any_device() const override { return true; }
  at::Device device() const override { return head_->hidden.device(); }
  void add_row_products(double* out) const override;
  /// By LibTorch's operators, in float64 from the stored hidden rows on: where the certificate of the kernels fails.
  void materialise(int64_t sample, const at::Tensor& gradient) const override;
  void accumulate(const double* factors, const at::Tensor& sum) const override;

  /// The use as residual rows that LibTorch's operators make, for records that no kernel covers. From then on they are
  /// what is measured and what is summed.
  const AnyDense& rows() const;

  /// norm2 and bound [samples] of this use alone, or with the embedding that shares the table and whose squared norms
  /// are `in_norm2` [samples].
  void norms(const AnyIndex* input, const at::Tensor& in_norm2, const at::Tensor& norm2, const at::Tensor& bound) const;

 private:
  int64_t vocabulary() const { return head_->vocabulary(); }

  HeadPtr head_;
  at::Tensor upstream_;  // [samples]
  at::Tensor weights_;   // [N] times the upstream gradient: the rows' weights from here on
  at::Tensor squares_;   // [N] times its square
  mutable UsePtr rows_;
};

}  // namespace phantomgrad
