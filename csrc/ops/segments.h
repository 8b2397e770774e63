// Which rows belong to which sample: the scope that the caller opened, or equal shares of the first dimension.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>

namespace phantomgrad {

/// Sample b owns the rows offsets[b] .. offsets[b + 1]. Immutable once made.
class Segments {
 public:
  /// `cu_seqlens`: int64 [B + 1], of which a copy is kept on the CPU: work is cut up by it. Starting at 0, never
  /// falling. Refuses with ERR_BATCH_DIMENSION.
  explicit Segments(const at::Tensor& cu_seqlens, int64_t token = 0);
  /// `samples` samples of `rows_each` rows.
  Segments(int64_t samples, int64_t rows_each, int64_t token = 0);

  int64_t count() const { return count_; }
  int64_t rows() const { return offsets_[count_]; }
  int64_t first(int64_t sample) const { return offsets_[sample]; }
  int64_t length(int64_t sample) const { return offsets_[sample + 1] - offsets_[sample]; }
  /// Rounded up.
  int64_t mean_length() const { return count_ == 0 ? 0 : (rows() + count_ - 1) / count_; }
  const int64_t* offsets() const { return offsets_; }
  /// Which batch the caller opened the scope for; 0: none in particular.
  int64_t token() const { return token_; }
  const at::Tensor& cu_seqlens() const { return cu_seqlens_; }
  /// The same on `device`: itself, or a copy.
  at::Tensor cu_seqlens_on(const at::Device& device) const;
  /// Rows of the longest sample.
  int64_t longest() const;

 private:
  at::Tensor cu_seqlens_;
  const int64_t* offsets_;
  int64_t count_, token_;
};

using SegmentsPtr = std::shared_ptr<const Segments>;

/// Opens (or with std::nullopt closes) the surrounding scope of this thread.
void set_segments(const std::optional<at::Tensor>& cu_seqlens, int64_t token);

/// Rows of the surrounding scope, -1 without one.
int64_t scope_rows();

/// The same samples where each row has become `each` rows (a convolution's places, a row's candidates).
SegmentsPtr widen(const Segments& segments, int64_t each);

/// From now on, rows on this thread whose segments name no batch of their own come from batch `token`; 0: from none in
/// particular.
void set_batch(int64_t token);
int64_t batch_token();
/// The batch of the surrounding scope, or that of set_batch: for operators that see no rows.
int64_t scope_token();

/// The segmentation of `rows` rows of an operator's input whose first dimension is `first_dimension`: the surrounding
/// scope, or without one `first_dimension` samples of equal share. Refuses with ERR_BATCH_DIMENSION, naming
/// `operation`, when the scope has another number of rows.
SegmentsPtr segments_of(const char* operation, int64_t rows, int64_t first_dimension);

}  // namespace phantomgrad
