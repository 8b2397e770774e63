// The two floating types that the operators know, and the integers that they take over.
#pragma once

#include <ATen/core/Tensor.h>

#include "error.h"
#include "ops/device.h"

namespace phantomgrad {

/// Calls `body(T{})` with T = float or double by the dtype of `tensor`; refuses everything else.
template <class Body>
auto with_floating(const char* operation, const at::Tensor& tensor, Body&& body) {
  PG_CHECK(tensor.device().is_cpu(), "ERR_DEVICE", operation, ": expected tensors on the CPU, got ",
           tensor.device().str(), ".");
  switch (tensor.scalar_type()) {
    case at::kFloat:
      return body(float{});
    case at::kDouble:
      return body(double{});
    default:
      refuse("ERR_INVALID_ARGUMENT", operation, ": expected float32 or float64, got ",
             c10::toString(tensor.scalar_type()), ".");
  }
}

/// Refuses every dtype but float32 and float64, on any device.
inline void check_floating(const char* operation, const at::Tensor& tensor) {
  PG_CHECK(tensor.scalar_type() == at::kFloat || tensor.scalar_type() == at::kDouble, "ERR_INVALID_ARGUMENT", operation,
           ": expected float32 or float64, got ", c10::toString(tensor.scalar_type()), ".");
}

/// A contiguous int64 copy on `device`: what the caller writes into its own tensor between forward and backward changes
/// nothing, and cannot undo the range check of the forward pass.
inline at::Tensor own_integers(const char* operation, const char* name, const at::Tensor& t,
                               const at::Device& device = at::kCPU) {
  PG_CHECK(at::isIntegralType(t.scalar_type(), /*includeBool=*/false), "ERR_INVALID_ARGUMENT", operation, ": ", name,
           " must be integers, got ", c10::toString(t.scalar_type()), ".");
  return t.to(device, at::kLong, /*non_blocking=*/false, /*copy=*/true).contiguous();
}

/// Rows of a tensor whose last dimension is the feature dimension.
inline int64_t row_count(const at::Tensor& t) { return t.dim() == 0 || t.size(-1) == 0 ? 0 : t.numel() / t.size(-1); }

}  // namespace phantomgrad
