// Operators of the tests' library alone: the order of threads, kernels out of order, smaller devices, the CPU kernels
// that bits are compared with.
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/tensor.h>

#include "cpu/private_adam.h"
#include "shared/plugin_interface.h"
#include "tile_executor.h"

namespace phantomgrad::cuda {

Order& thread_order() {
  static Order order = Order::forward;
  return order;
}

std::string& broken_kernel() {
  static std::string name;
  return name;
}

int64_t& spoken_interface() {
  static int64_t spoken = kPluginInterface;
  return spoken;
}

int64_t& shared_memory() {
  static int64_t bytes = 163 * 1024;
  return bytes;
}

namespace {

using torch::stable::Tensor;

int64_t set_shared_memory(int64_t bytes) {
  const int64_t before = shared_memory();
  shared_memory() = bytes;
  return before;
}

int64_t speak(int64_t interface) {
  const int64_t before = spoken_interface();
  spoken_interface() = interface;
  return before;
}

void break_kernel(std::string name) { broken_kernel() = std::move(name); }

int64_t set_order(int64_t order) {
  const auto before = static_cast<int64_t>(thread_order());
  thread_order() = static_cast<Order>(order);
  return before;
}

template <class T>
int64_t update(const Tensor& p, const Tensor& m, const Tensor& v, const Tensor& sum, const Release& release,
               const ArenaProfile& profile, const ChaChaStream& stream, const AdamConstants& constants) {
  const cpu::AdamArena<T> arena{static_cast<T*>(p.data_ptr()), static_cast<T*>(m.data_ptr()),
                                static_cast<T*>(v.data_ptr()), static_cast<double*>(sum.data_ptr()), p.numel()};
  return cpu::PG_ISA::private_adam<T>(arena, release, profile, stream, constants, 0, (p.numel() + kTile - 1) / kTile);
}

// The CPU's private_adam with a stream that is given word by word: only a test may know a key.
int64_t cpu_private_adam(const Tensor& p, const Tensor& m, const Tensor& v, const Tensor& sum, const Tensor& stream,
                         double noise_std, double grid, double divisor, double beta1, double beta2, double eps,
                         double step_size, double root_correction, double correction2, double decay_gradient,
                         double shrink, double moment_floor, const Tensor& run_ends, const Tensor& scales,
                         const Tensor& steps) {
  const auto* word = static_cast<const uint32_t*>(stream.data_ptr());
  ChaChaStream own;
  for (int i = 0; i < 8; ++i) own.key[i] = word[i];
  for (int i = 0; i < 3; ++i) own.nonce[i] = word[8 + i];
  const ArenaProfile profile{static_cast<const int64_t*>(run_ends.data_ptr()),
                             static_cast<const double*>(scales.data_ptr()),
                             static_cast<const double*>(steps.data_ptr()), run_ends.numel()};
  const AdamConstants constants{beta1,       beta2,          eps,    1 - beta1,   1 - beta2, step_size, root_correction,
                                correction2, decay_gradient, shrink, moment_floor};
  const auto run = p.scalar_type() == torch::headeronly::ScalarType::Float ? update<float> : update<double>;
  return run(p, m, v, sum, {noise_std, grid, divisor}, profile, own, constants);
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(PG_NAMESPACE, m) {
  m.def("thread_order(int order) -> int");
  m.def("break_kernel(str name) -> ()");
  m.def("speak(int interface) -> int");
  m.def("shared_memory(int bytes) -> int");
  m.def(
      "cpu_private_adam_(Tensor(a!) parameters, Tensor(b!) exp_avg, Tensor(c!) exp_avg_sq, Tensor(d!) sum, Tensor "
      "stream, "
      "float noise_std, float grid, float divisor, float beta1, float beta2, float eps, float step_size, "
      "float root_correction, float correction2, float decay_gradient, float shrink, float moment_floor, "
      "Tensor run_ends, Tensor scales, Tensor steps) -> int");
}

STABLE_TORCH_LIBRARY_IMPL(PG_NAMESPACE, CompositeExplicitAutograd, m) {
  m.impl("thread_order", TORCH_BOX(&set_order));
  m.impl("break_kernel", TORCH_BOX(&break_kernel));
  m.impl("speak", TORCH_BOX(&speak));
  m.impl("shared_memory", TORCH_BOX(&set_shared_memory));
  m.impl("cpu_private_adam_", TORCH_BOX(&cpu_private_adam));
}

}  // namespace phantomgrad::cuda
