// A use: the factors through which one operator call contributes to one parameter's per-sample gradients.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <vector>

#include "ops/segments.h"

namespace phantomgrad {

enum class UseKind {
  dense,     // rows l_t of the output gradient and r_t of the input: linear layers
  index,     // one-hot left rows: embeddings
  residual,  // softmax residual left rows: the head over a vocabulary
  stored,    // the per-sample gradients themselves: norm layers, biases, perSample
};

/// G_b = sum over the rows t of sample b of l_t r_t^T, a [left, right] matrix.
class Use {
 public:
  explicit Use(SegmentsPtr segments) : segments_(std::move(segments)) {}
  virtual ~Use() = default;

  virtual UseKind kind() const = 0;
  int64_t samples() const { return segments_->count(); }
  const Segments& segments() const { return *segments_; }
  /// Rows of a sample on average, rounded up.
  int64_t mean_rows() const { return segments_->mean_length(); }

  /// Adds sum_t |l_t| |r_t| of each sample to `out` [B]: the size of the terms that may cancel in its gradient.
  /// Exactly 0 if and only if the sample contributes nothing.
  virtual void add_row_products(double* out) const = 0;
  /// Adds G_b to the float64 `gradient` [left * right] on this use's device, every product and sum in float64.
  virtual void materialise(int64_t sample, const at::Tensor& gradient) const = 0;
  /// Adds sum_b factors[b] G_b to the float64 `sum` [left * right] on this use's device. Rows of a sample whose factor
  /// is 0 are never multiplied: they may hold NaN.
  virtual void accumulate(const double* factors, const at::Tensor& sum) const = 0;
  /// Whether LibTorch's operators compute this use, on whatever device it is: an AnyUse. Not our CPU kernels.
  virtual bool any_device() const { return false; }
  virtual at::Device device() const { return at::kCPU; }

 protected:
  SegmentsPtr segments_;
};

using UsePtr = std::unique_ptr<Use>;

/// y = x W^T: left rows `gradient` [N, p], right rows `input` [N, d] (contiguous, same floating type).
UsePtr dense_use(SegmentsPtr segments, at::Tensor gradient, at::Tensor input);
/// Rows `gradient` [N, d] times `scale`, added to the table's rows ids[t]; ids equal to padding_id add nothing.
UsePtr index_use(SegmentsPtr segments, at::Tensor ids, at::Tensor gradient, double scale, int64_t padding_id);
/// Coefficients[n, k] times `rows` [N, d], added to the table's rows ids[n, k]: scores of K candidates a row.
UsePtr candidate_use(SegmentsPtr segments, at::Tensor ids, at::Tensor rows, at::Tensor coefficients, double scale);
/// Per-sample gradients [B, ...], one matrix row a sample; `token` of the batch that they were made from.
UsePtr stored_use(at::Tensor per_sample, int64_t token);

}  // namespace phantomgrad
