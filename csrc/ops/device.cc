// The switch between kernels and LibTorch's operators, and the ways between a device and the host.
#include "ops/device.h"

#include <ATen/core/grad_mode.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>

namespace phantomgrad {
namespace {

enum class Kernels { native, generic, host_plugin };

Kernels asked_for() {
  const char* kernels = std::getenv("PHANTOMGRAD_KERNELS");
  if (kernels == nullptr || *kernels == '\0') return Kernels::native;
  PG_CHECK(std::strcmp(kernels, "generic") == 0 || std::strcmp(kernels, "native") == 0, "ERR_INVALID_ARGUMENT",
           "PHANTOMGRAD_KERNELS must be native or generic, got ", kernels, ".");
  return std::strcmp(kernels, "generic") == 0 ? Kernels::generic : Kernels::native;
}

std::atomic<Kernels>& kernels() {
  static std::atomic<Kernels> wanted{asked_for()};
  return wanted;
}

template <class T>
at::Tensor numbers_on(const at::Device& device, const std::vector<T>& values, at::ScalarType type) {
  const at::Tensor t = at::empty({static_cast<int64_t>(values.size())}, at::TensorOptions().dtype(type));
  std::copy(values.begin(), values.end(), host_writable<T>(t));
  return t.to(device);
}

}  // namespace

bool has_kernels(const at::Device& device) {
  return device.is_cpu() && kernels().load(std::memory_order_relaxed) == Kernels::native;
}

void prefer_any_device(bool wanted) { kernels() = wanted ? Kernels::generic : Kernels::native; }

void ask_host_plugin(bool wanted) { kernels() = wanted ? Kernels::host_plugin : Kernels::native; }

const char* plugin_namespace(const at::Device& device) {
  const Kernels wanted = kernels().load(std::memory_order_relaxed);
  if (device.is_cuda() && wanted != Kernels::generic) return "phantomgrad_cuda";
  return device.is_cpu() && wanted == Kernels::host_plugin ? "phantomgrad_host" : nullptr;
}

void check_device(const char* operation, const std::vector<at::Tensor>& tensors) {
  const at::Tensor* first = nullptr;
  for (const at::Tensor& t : tensors) {
    if (!t.defined()) continue;
    if (first == nullptr) first = &t;
    PG_CHECK(t.device() == first->device(), "ERR_DEVICE", operation, ": tensors must be on one device, got ",
             first->device().str(), " and ", t.device().str(), ". Move the model or the inputs with to(device).");
  }
}

at::Tensor on_host(const at::Tensor& t) {
  if (t.device().is_cpu()) return t;
  PG_CHECK(!t.device().is_meta(), "ERR_DEVICE", "tensors on meta have shapes but no values, which are needed here.");
  const at::NoGradGuard no_grad;
  return t.detach().to(at::kCPU);
}

std::vector<double> host_doubles(const at::Tensor& t) {
  const at::NoGradGuard no_grad;
  const at::Tensor values = on_host(t.detach()).to(at::kDouble).contiguous();
  return {host_data<double>(values), host_data<double>(values) + values.numel()};
}

at::Tensor doubles_on(const at::Device& device, const std::vector<double>& values) {
  return numbers_on(device, values, at::kDouble);
}

at::Tensor integers_on(const at::Device& device, const std::vector<int64_t>& values) {
  return numbers_on(device, values, at::kLong);
}

std::optional<Outside> first_outside(const at::Tensor& ids, int64_t rows) {
  const at::Tensor own = on_host(ids).contiguous();
  const int64_t* id = host_data<int64_t>(own);
  for (int64_t i = 0; i < own.numel(); ++i)
    if (id[i] < 0 || id[i] >= rows) return Outside{i, id[i]};
  return std::nullopt;
}

HostCopy::HostCopy(at::Tensor home) : home_(std::move(home)) {
  // A copy on the CPU too while kernels are switched off: what is proven there is what another device needs.
  copy_ = has_kernels(home_) ? home_ : on_host(home_).detach().clone();
}

void HostCopy::write_back() const {
  const at::NoGradGuard no_grad;
  if (!copy_.is_same(home_)) home_.copy_(copy_);
}

namespace {

int64_t cuda_device_count() {
  const at::CUDAHooksInterface& cuda = at::detail::getCUDAHooks();
  return cuda.hasCUDA() ? cuda.getNumGPUs() : 0;
}

TORCH_LIBRARY_FRAGMENT(phantomgrad, m) {
  // For tests and debugging: true computes everything with LibTorch's operators, as on a device without kernels of
  // ours.
  m.def("prefer_any_device(bool wanted) -> ()", &prefer_any_device);
  // For tests: the same, and the plugin's kernels are asked first, on the host executor that the test has opened.
  m.def("ask_host_plugin(bool wanted) -> ()", &ask_host_plugin);
  // GPUs that LibTorch can use: 0 where its CUDA libraries are not open, or the driver shows none.
  m.def("cuda_device_count() -> int", &cuda_device_count);
}

}  // namespace

}  // namespace phantomgrad
