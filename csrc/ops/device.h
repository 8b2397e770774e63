// Where a tensor lives decides who computes: our kernels on the CPU, LibTorch's own operators on every other device.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

#include "error.h"

namespace phantomgrad {

/// Whether our CPU kernels take a tensor of this device. Everywhere else, and on the CPU too while
/// prefer_any_device(true) holds, the any_*.cc twins compute with LibTorch's operators: slower, and right on any
/// device. A plugin with kernels of its own for a device is asked in those twins first (ops/plugin.h).
bool has_kernels(const at::Device& device);
inline bool has_kernels(const at::Tensor& t) { return has_kernels(t.device()); }

/// Switches our CPU kernels off (and on again) for what is computed from now on, in this process. Starts as the
/// environment variable PHANTOMGRAD_KERNELS says: `generic` is off. For debugging, and for tests of the twins.
void prefer_any_device(bool wanted);

/// For tests: true sends tensors on the CPU the way of a device whose plugin is there. The any_*.cc twins compute, and
/// ask phantomgrad_host first: the plugin's kernels on the tests' host executor.
void ask_host_plugin(bool wanted);

/// Where a plugin's operators for this device are registered; null where none is to be asked.
const char* plugin_namespace(const at::Device& device);

/// The only doors from a tensor to a pointer: memory of another device is refused (ERR_DEVICE), never read.
template <class T>
const T* host_data(const at::Tensor& t) {
  PG_CHECK(t.device().is_cpu(), "ERR_DEVICE", "a CPU kernel was given a tensor on ", t.device().str(), ".");
  return t.const_data_ptr<T>();
}

template <class T>
T* host_writable(const at::Tensor& t) {
  PG_CHECK(t.device().is_cpu(), "ERR_DEVICE", "a CPU kernel was given a tensor on ", t.device().str(), ".");
  return t.mutable_data_ptr<T>();
}

/// Where a tensor begins, for comparing: never to be read.
inline const char* address_of(const at::Tensor& t) { return static_cast<const char*>(t.const_data_ptr()); }

/// Refuses (ERR_DEVICE) tensors that are not all on the device of the first one; undefined ones do not count.
void check_device(const char* operation, const std::vector<at::Tensor>& tensors);

/// The tensor's values on the CPU: itself, or a copy. Refuses (ERR_DEVICE) a device without values («meta»).
at::Tensor on_host(const at::Tensor& t);
/// The same as numbers.
std::vector<double> host_doubles(const at::Tensor& t);
/// Float64 [n] on `device`.
at::Tensor doubles_on(const at::Device& device, const std::vector<double>& values);
/// Int64 [n] on `device`.
at::Tensor integers_on(const at::Device& device, const std::vector<int64_t>& values);

/// An id that is no row of a table, and where it stands.
struct Outside {
  int64_t position, id;
};
/// The first of the int64 `ids` that is not in 0 .. rows - 1.
std::optional<Outside> first_outside(const at::Tensor& ids, int64_t rows);

/// A tensor that a CPU kernel writes: itself where kernels may, else a copy that write_back() brings home.
class HostCopy {
 public:
  explicit HostCopy(at::Tensor home);
  const at::Tensor& get() const { return copy_; }
  void write_back() const;

 private:
  at::Tensor home_, copy_;
};

}  // namespace phantomgrad
