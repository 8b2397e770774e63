// The private update by the plugin: the arena stays on its device, eleven words of key and nonce go there and are
// wiped.
#include <ATen/ops/empty.h>
#include <ATen/ops/sum.h>
#include <string.h>

#include <algorithm>

#include "ops/device.h"
#include "ops/plugin.h"
#include "ops/plugin_kernels.h"

namespace phantomgrad {
namespace {

constexpr int64_t kStreamWords = 11;

// Key and nonce as a kernel reads them: a captured graph must not hold them. Undefined without noise.
class DeviceStream {
 public:
  DeviceStream(const at::Device& device, const Release& release, const ChaChaStream& stream) {
    if (!(release.noise_std > 0)) return;
    host_ = at::empty({kStreamWords}, at::TensorOptions().dtype(at::kInt));
    auto* word = reinterpret_cast<uint32_t*>(host_writable<int32_t>(host_));
    std::copy_n(stream.key, 8, word);
    std::copy_n(stream.nonce, 3, word + 8);
    words_ = host_.to(device);
  }
  ~DeviceStream() {
    if (!host_.defined()) return;
    // Behind the kernel in its stream. A device that no longer answers keeps them, and nothing else of it is read
    // either.
    try {
      if (!words_.is_same(host_)) words_.zero_();
    } catch (...) {
    }
    explicit_bzero(host_writable<int32_t>(host_), kStreamWords * sizeof(int32_t));
  }
  DeviceStream(const DeviceStream&) = delete;
  DeviceStream& operator=(const DeviceStream&) = delete;

  const at::Tensor& words() const { return words_; }

 private:
  at::Tensor host_, words_;
};

at::Tensor run_numbers_on(const at::Device& device, const at::Tensor& numbers) {
  return numbers.defined() ? numbers.to(device) : at::Tensor();
}

}  // namespace

int64_t plugin_private_adam(const at::Tensor& parameters, const at::Tensor& exp_avg, const at::Tensor& exp_avg_sq,
                            const at::Tensor& sum, const Release& release, const ArenaRuns& runs,
                            const ChaChaStream& stream, const AdamConstants& c) {
  const at::Device device = parameters.device();
  const DeviceStream words(device, release, stream);
  const int64_t blocks = plugin_number(device, "private_adam_blocks", parameters.numel());
  const at::Tensor not_finite = plugin_output({blocks}, at::TensorOptions().dtype(at::kLong).device(device));
  plugin_call(device, "private_adam_", parameters, exp_avg, exp_avg_sq, sum, words.words(), release.noise_std,
              release.grid, release.divisor, c.beta1, c.beta2, c.eps, c.step_size, c.root_correction, c.correction2,
              c.decay_gradient, c.shrink, c.moment_floor, run_numbers_on(device, runs.ends),
              run_numbers_on(device, runs.scales), run_numbers_on(device, runs.steps), not_finite);
  return at::sum(not_finite).item<int64_t>();
}

at::Tensor plugin_privatise(const at::Tensor& sum, const Release& release, const ArenaRuns& runs,
                            const ChaChaStream& stream) {
  const DeviceStream words(sum.device(), release, stream);
  at::Tensor out = plugin_output({sum.numel()}, sum.options());
  plugin_call(sum.device(), "privatise_", sum, out, words.words(), release.noise_std, release.grid, release.divisor,
              run_numbers_on(sum.device(), runs.ends), run_numbers_on(sum.device(), runs.scales));
  return out;
}

}  // namespace phantomgrad
