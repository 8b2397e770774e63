// The door to the plugin's kernels (libphantomgrad_cuda.so): whether a family of them serves a device, and calls by
// name.
//
// A kernel is believed only after it has been tried: the first call for a device runs the family on small shapes and
// compares with LibTorch's operators (plugin_trials.cc). What does not agree is switched off for the process, with a
// warning; LibTorch's operators then do its work.
#pragma once

#include <ATen/core/ivalue.h>
#include <ATen/core/Tensor.h>

#include <string>
#include <type_traits>
#include <vector>

namespace phantomgrad {

/// What is tried, believed and switched off together.
enum class KernelFamily { private_update, stored, index, norm_layer, dense, head, attention };
inline constexpr int kKernelFamilies = 7;

/// Whether the plugin's kernels of this family compute on `device`. Which calls they cover: plugin_covers.h.
/// @throws ERR_NATIVE_LOAD for a plugin that speaks another version of the interface than this core.
bool plugin_serves(KernelFamily family, const at::Device& device);

/// While it lives, plugin_serves says `served` to this thread wherever there are kernels: for trials.
class PluginTrial {
 public:
  explicit PluginTrial(bool served);
  ~PluginTrial();
  PluginTrial(const PluginTrial&) = delete;
  PluginTrial& operator=(const PluginTrial&) = delete;
};

/// Compares a family with LibTorch's operators on `device`: empty when they agree, else what differed.
std::string try_family(KernelFamily family, const at::Device& device);

/// What a kernel is to write. In a trial it starts as NaN (integers: 77), so that what a kernel leaves out is seen.
at::Tensor plugin_output(at::IntArrayRef shape, const at::TensorOptions& options);

/// Calls an operator of the plugin for `device` below autograd. `stack` holds its arguments, then its results.
void run_plugin(const at::Device& device, const char* name, std::vector<c10::IValue>& stack);

template <class T>
c10::IValue plugin_argument(const T& value) {
  if constexpr (std::is_same_v<T, at::Tensor>)
    return value.defined() ? c10::IValue(value) : c10::IValue();
  else if constexpr (std::is_same_v<T, bool>)
    return value;
  else if constexpr (std::is_integral_v<T>)
    return static_cast<int64_t>(value);
  else
    return static_cast<double>(value);
}

/// Undefined tensors are absent arguments.
template <class... Arguments>
void plugin_call(const at::Device& device, const char* name, const Arguments&... arguments) {
  std::vector<c10::IValue> stack{plugin_argument(arguments)...};
  run_plugin(device, name, stack);
}

/// The same for operators that tell the size of a workspace.
template <class... Arguments>
int64_t plugin_number(const at::Device& device, const char* name, const Arguments&... arguments) {
  std::vector<c10::IValue> stack{plugin_argument(arguments)...};
  run_plugin(device, name, stack);
  return stack.back().toInt();
}

}  // namespace phantomgrad
