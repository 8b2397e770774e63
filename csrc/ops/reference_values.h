// Tensors as the plain twins take them: float64, one sample at a time, pointers to rows.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/zeros.h>

#include <optional>

#include "error.h"
#include "ops/device.h"
#include "ops/segments.h"

namespace phantomgrad {

using Optional = std::optional<at::Tensor>;

/// A float64 copy of any tensor, as a pointer.
class Doubles {
 public:
  explicit Doubles(const at::Tensor& t) : values_(t.to(at::kDouble).contiguous()) {}
  explicit Doubles(const Optional& t) : values_(t.has_value() ? t->to(at::kDouble).contiguous() : at::Tensor()) {}

  const double* data() const { return values_.defined() ? host_data<double>(values_) : nullptr; }
  const double* row(int64_t i) const { return data() + i * values_.size(-1); }
  int64_t width() const { return values_.size(-1); }

 private:
  at::Tensor values_;
};

/// A float64 result.
struct Result {
  template <class... Sizes>
  explicit Result(Sizes... sizes)
      : values(at::zeros({static_cast<int64_t>(sizes)...}, at::TensorOptions().dtype(at::kDouble))) {}

  double* data() const { return host_writable<double>(values); }
  /// Entry i of the first dimension.
  double* operator[](int64_t i) const {
    return data() + (values.size(0) == 0 ? 0 : i * (values.numel() / values.size(0)));
  }

  at::Tensor values;
};

inline Segments checked_segments(const at::Tensor& cu_seqlens, const at::Tensor& rows) {
  Segments segments(cu_seqlens);
  PG_CHECK(rows.dim() == 2 && rows.size(0) == segments.rows(), "ERR_BATCH_DIMENSION", "reference: the segments have ",
           segments.rows(), " rows, the input has shape ", rows.sizes(), ".");
  return segments;
}

}  // namespace phantomgrad
