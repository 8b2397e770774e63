// Trial of the plugin's private update: beside the CPU's kernel, bit by bit.
#include <ATen/ops/equal.h>
#include <ATen/ops/isfinite.h>

#include "cpu/private_adam.h"
#include "ops/device.h"
#include "ops/plugin_kernels.h"
#include "ops/plugin_trial_kit.h"

namespace phantomgrad {
namespace {

template <class T>
bool cpu_update(const std::vector<at::Tensor>& arena, const Release& release, const ArenaRuns& runs,
                const ChaChaStream& stream, const AdamConstants& constants) {
  const ArenaProfile profile{host_data<int64_t>(runs.ends), host_data<double>(runs.scales),
                             host_data<double>(runs.steps), runs.ends.numel()};
  return cpu::private_adam<T>({host_writable<T>(arena[0]), host_writable<T>(arena[1]), host_writable<T>(arena[2]),
                               host_writable<double>(arena[3]), arena[3].numel()},
                              release, profile, stream, constants) == 0;
}

}  // namespace

std::string try_private_update(const at::TensorOptions& options) {
  constexpr int64_t count = 1003;
  // No key of anybody's: nothing is released with it.
  const ChaChaStream stream{{1, 2, 3, 4, 5, 6, 7, 8}, {9, 10, 11}};
  const Release release{0.5, 0x1p-12, 3};
  const AdamConstants constants{0.9, 0.99, 1e-8, 1 - 0.9, 1 - 0.99, 1e-2, 0.3, 0.09, 1e-3, 1e-4, 1e-6};
  const ArenaRuns runs{integers_on(at::kCPU, {400, count}), doubles_on(at::kCPU, {1, 2}),
                       doubles_on(at::kCPU, {1, 0.5})};
  const at::TensorOptions host = options.device(at::kCPU);
  const std::vector<at::Tensor> cpu{trial_numbers({count}, 1, host), trial_numbers({count}, 2, host),
                                    trial_numbers({count}, 3, host).abs(),
                                    trial_numbers({count}, 4, host.dtype(at::kDouble))};
  std::vector<at::Tensor> device;
  for (const at::Tensor& t : cpu) device.push_back(t.clone().to(options.device()));
  const at::Tensor sum = device[3].clone();
  return with_trial(true, [&]() -> std::string {
    if (plugin_private_adam(device[0], device[1], device[2], device[3], release, runs, stream, constants) != 0)
      return "finite parameters are counted as not finite";
    const at::Tensor released = plugin_privatise(sum, release, runs, stream);
    if (at::isfinite(on_host(released)).logical_not().any().item<bool>() || sum.abs().max().item<double>() != 0)
      return "privatise_ leaves numbers that are not finite, or a sum";
    const at::Tensor expected = cpu[3].clone();
    const ArenaProfile profile{host_data<int64_t>(runs.ends), host_data<double>(runs.scales),
                               host_data<double>(runs.scales), runs.ends.numel()};
    cpu::privatise(host_data<double>(cpu[3]), host_writable<double>(expected), count, release, profile, stream);
    if (!at::equal(on_host(released), expected)) return "what is released has other bits than on the CPU";
    const auto update = options.dtype() == at::kFloat ? cpu_update<float> : cpu_update<double>;
    if (!update(cpu, release, runs, stream, constants)) return "the CPU's own numbers are not finite";
    for (size_t i = 0; i < cpu.size(); ++i)
      if (!at::equal(on_host(device[i]), cpu[i])) return "parameters or moments have other bits than on the CPU";
    return "";
  });
}

}  // namespace phantomgrad
