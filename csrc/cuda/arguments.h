// Checks of tensors at the plugin's edge, and their raw pointers. LibTorch's stable interface only.
#pragma once

#include <torch/csrc/stable/accelerator.h>
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>

#include <optional>
#include <sstream>
#include <stdexcept>

#include "cuda/launch.h"

// Where operators are registered. The tests' build for the host says otherwise, so that one process can open both.
#if !defined(PG_NAMESPACE)
#define PG_NAMESPACE phantomgrad_cuda
#define PG_DISPATCH_KEY CUDA
#endif

namespace phantomgrad::cuda {

using torch::headeronly::ScalarType;
using Optional = std::optional<torch::stable::Tensor>;
using torch::stable::Tensor;

/// Throws with the message "[code] text", which the door of the core turns into an error's code.
template <class... Parts>
void require(bool holds, const Parts&... parts) {
  if (holds) return;
  std::ostringstream text;
  text << "[ERR_INVALID_ARGUMENT] ";
  (text << ... << parts);
  throw std::runtime_error(text.str());
}

template <class T>
constexpr ScalarType kType = ScalarType::Undefined;
template <>
inline constexpr ScalarType kType<float> = ScalarType::Float;
template <>
inline constexpr ScalarType kType<double> = ScalarType::Double;
template <>
inline constexpr ScalarType kType<int64_t> = ScalarType::Long;
template <>
inline constexpr ScalarType kType<int32_t> = ScalarType::Int;
template <>
inline constexpr ScalarType kType<uint8_t> = ScalarType::Byte;

/// What the arguments of one call have in common: the operator's name for messages, and where they live.
class Call {
 public:
  Call(const char* name, const Tensor& first)
      : name_(name), device_(first.get_device_index()), cuda_(first.is_cuda()), place_(device_) {}

  const Place& place() const { return place_; }

  /// The memory of a contiguous tensor of `count` elements on this call's device.
  template <class T>
  T* data(const char* argument, const Tensor& t, int64_t count) const {
    require(t.scalar_type() == kType<T>, name_, ": ", argument, " has the wrong dtype, number ",
            static_cast<int>(t.scalar_type()), " instead of ", static_cast<int>(kType<T>), ".");
    require(t.numel() == count && t.is_contiguous(), name_, ": ", argument, " must be contiguous with ", count,
            " elements, got ", t.numel(), t.is_contiguous() ? "." : ", not contiguous.");
    require(t.is_cuda() == cuda_ && t.get_device_index() == device_, name_, ": ", argument,
            " is on another device than the first argument.");
    return static_cast<T*>(t.data_ptr());
  }

  template <class T>
  T* data(const char* argument, const Optional& t, int64_t count) const {
    return t.has_value() ? data<T>(argument, *t, count) : nullptr;
  }

  void holds(bool condition, const char* expected) const { require(condition, name_, ": ", expected); }

 private:
  const char* name_;
  int32_t device_;
  bool cuda_;
  Place place_;
};

/// Calls body(T{}) with T the type of `t`, float or double.
template <class Body>
void with_floating(const char* name, const Tensor& t, Body body) {
  if (t.scalar_type() == ScalarType::Float) return body(float{});
  require(t.scalar_type() == ScalarType::Double, name, ": expected float32 or float64, got dtype number ",
          static_cast<int>(t.scalar_type()), ".");
  body(double{});
}

}  // namespace phantomgrad::cuda
