// The private update as operators: checks, one step of the noise source, one pass over the arena. An arena on a device
// without kernels of ours is copied to the host and back. The bits are the same everywhere.
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty_like.h>
#include <torch/library.h>

#include <cmath>

#include "cpu/private_adam.h"
#include "error.h"
#include "ops/device.h"
#include "ops/noise_source.h"
#include "ops/plugin_covers.h"
#include "ops/plugin_kernels.h"
#include "reference/private_adam.h"

namespace phantomgrad {
namespace {

void check_flat(const char* operation, const char* name, const at::Tensor& t, int64_t count, at::ScalarType type) {
  PG_CHECK(t.dim() == 1 && t.is_contiguous() && t.numel() == count && t.scalar_type() == type, "ERR_INVALID_ARGUMENT",
           operation, ": ", name, " must be a contiguous flat ", at::toString(type), " tensor of ", count,
           " elements, got ", t.toString(), " of shape ", t.sizes(), ".");
  PG_CHECK(!t.device().is_meta(), "ERR_DEVICE", operation, ": ", name, " is on meta and has no values.");
}

Release checked_release(const char* operation, const at::Tensor& sum, int64_t noise_source, double noise_std,
                        double grid, double divisor) {
  check_flat(operation, "sum", sum, sum.numel(), at::kDouble);
  PG_CHECK(std::isfinite(divisor) && divisor > 0, "ERR_INVALID_ARGUMENT", operation,
           ": divisor must be a finite number above 0, got ", divisor, ". It is the expected batch size.");
  PG_CHECK(std::isfinite(noise_std) && noise_std >= 0, "ERR_INVALID_ARGUMENT", operation,
           ": noise_std must be a finite number of at least 0, got ", noise_std, ".");
  // Without noise there is no grid either, and no source is taken: a run without privacy, and tests.
  if (noise_std == 0) return {0, 0, divisor};
  PG_CHECK(noise_source != 0, "ERR_INVALID_ARGUMENT", operation, ": noise_source must be given where noise_std is ",
           noise_std, ".");
  PG_CHECK(sum.numel() <= kLongestNoise, "ERR_INVALID_ARGUMENT", operation, ": sum may have at most ", kLongestNoise,
           " elements, got ", sum.numel(), ". Beyond that the 32-bit block counter would repeat.");
  // A finer grid protects less: the normals themselves are about 2^-26 apart. The outer bounds keep the grid and its
  // inverse normal numbers.
  const double coarsest = coarsest_grid(noise_std);
  int exponent;
  PG_CHECK(noise_std >= 0x1p-900 && noise_std <= 0x1p900, "ERR_INVALID_ARGUMENT", operation,
           ": noise_std must be 0 or from 2^-900 to 2^900, got ", noise_std, ".");
  PG_CHECK(std::frexp(grid, &exponent) == 0.5 && grid <= coarsest && grid >= coarsest * 0x1p-12, "ERR_INVALID_ARGUMENT",
           operation, ": grid must be a power of two from ", coarsest * 0x1p-12, " to ", coarsest,
           " (2^-8 noise_std, rounded down), got ", grid, ".");
  return {noise_std, grid, divisor};
}

// Raw pointers do not tell autograd; a backward that still wants the old values must fail instead of using new ones.
void written(const at::Tensor& t) {
  if (!t.is_inference()) t.unsafeGetTensorImpl()->bump_version();
}

// Scales beyond these bounds would leave the range in which products of factors and squares of scales keep their
// digits.
constexpr double kSmallestScale = 0x1p-40, kLargestScale = 0x1p40;

ArenaProfile checked_profile(const char* operation, int64_t count, const std::optional<at::Tensor>& run_ends,
                             const std::optional<at::Tensor>& scales, const std::optional<at::Tensor>& steps) {
  if (!run_ends.has_value()) {
    PG_CHECK(!scales.has_value() && !steps.has_value(), "ERR_INVALID_ARGUMENT", operation,
             ": scales and steps belong to runs; give run_ends, too.");
    return {};
  }
  for (const auto& t : {run_ends, scales, steps})
    PG_CHECK(!t.has_value() || t->device().is_cpu(), "ERR_DEVICE", operation,
             ": run_ends, scales and steps are public numbers and stay on the CPU, got ", t->device().str(), ".");
  const int64_t runs = run_ends->numel();
  check_flat(operation, "run_ends", *run_ends, runs, at::kLong);
  PG_CHECK(scales.has_value() && steps.has_value(), "ERR_INVALID_ARGUMENT", operation,
           ": run_ends need scales and steps.");
  check_flat(operation, "scales", *scales, runs, at::kDouble);
  check_flat(operation, "steps", *steps, runs, at::kDouble);
  const ArenaProfile profile{host_data<int64_t>(*run_ends), host_data<double>(*scales), host_data<double>(*steps),
                             runs};
  int64_t before = 0;
  for (int64_t k = 0; k < runs; ++k) {
    PG_CHECK(profile.ends[k] > before, "ERR_INVALID_ARGUMENT", operation, ": run_ends must rise from above 0, got ",
             profile.ends[k], " behind ", before, ".");
    before = profile.ends[k];
    PG_CHECK(profile.scale[k] >= kSmallestScale && profile.scale[k] <= kLargestScale, "ERR_INVALID_ARGUMENT", operation,
             ": scales must be from 2^-40 to 2^40, got ", profile.scale[k], ".");
    PG_CHECK(std::isfinite(profile.step[k]) && profile.step[k] >= 0, "ERR_INVALID_ARGUMENT", operation,
             ": steps must be finite numbers of at least 0, got ", profile.step[k], ".");
  }
  PG_CHECK(before == count, "ERR_INVALID_ARGUMENT", operation, ": run_ends must reach to ", count, ", got ", before,
           ".");
  return profile;
}

struct AdamArguments {
  double lr, beta1, beta2, eps, weight_decay;
  bool decoupled;
  int64_t step;
  double moment_floor;
};

void check_adam(const char* operation, const at::Tensor& parameters, const at::Tensor& exp_avg,
                const at::Tensor& exp_avg_sq, const at::Tensor& sum, const AdamArguments& a) {
  const at::ScalarType type = parameters.scalar_type();
  PG_CHECK(type == at::kFloat || type == at::kDouble, "ERR_INVALID_ARGUMENT", operation,
           ": parameters must be float32 or float64, got ", parameters.toString(), ".");
  check_flat(operation, "parameters", parameters, sum.numel(), type);
  check_flat(operation, "exp_avg", exp_avg, sum.numel(), type);
  check_flat(operation, "exp_avg_sq", exp_avg_sq, sum.numel(), type);
  check_device(operation, {parameters, exp_avg, exp_avg_sq, sum});
  const void *p = address_of(parameters), *m = address_of(exp_avg), *v = address_of(exp_avg_sq);
  PG_CHECK(sum.numel() == 0 || (p != m && p != v && m != v), "ERR_INVALID_ARGUMENT", operation,
           ": parameters, exp_avg and exp_avg_sq must be three different tensors.");
  PG_CHECK(std::isfinite(a.lr) && a.lr >= 0, "ERR_INVALID_ARGUMENT", operation,
           ": lr must be a finite number of at least 0, got ", a.lr, ".");
  PG_CHECK(a.beta1 >= 0 && a.beta1 < 1 && a.beta2 >= 0 && a.beta2 < 1, "ERR_INVALID_ARGUMENT", operation,
           ": beta1 and beta2 must be in [0, 1), got ", a.beta1, " and ", a.beta2, ".");
  PG_CHECK(std::isfinite(a.eps) && a.eps >= 0 && std::isfinite(a.weight_decay) && a.weight_decay >= 0,
           "ERR_INVALID_ARGUMENT", operation, ": eps and weight_decay must be finite numbers of at least 0, got ",
           a.eps, " and ", a.weight_decay, ".");
  PG_CHECK(std::isfinite(a.moment_floor) && a.moment_floor >= 0, "ERR_INVALID_ARGUMENT", operation,
           ": moment_floor must be a finite number of at least 0, got ", a.moment_floor, ".");
  PG_CHECK(a.step >= 1, "ERR_INVALID_ARGUMENT", operation, ": adam_step must be at least 1, got ", a.step, ".");
}

AdamConstants constants(const AdamArguments& a) {
  return {a.beta1,
          a.beta2,
          a.eps,
          1 - a.beta1,
          1 - a.beta2,
          a.lr / (1 - std::pow(a.beta1, static_cast<double>(a.step))),
          std::sqrt(1 - std::pow(a.beta2, static_cast<double>(a.step))),
          1 - std::pow(a.beta2, static_cast<double>(a.step)),
          a.decoupled ? 0 : a.weight_decay,
          a.decoupled ? a.lr * a.weight_decay : 0,
          a.moment_floor};
}

template <class T>
int64_t update(const at::Tensor& parameters, const at::Tensor& exp_avg, const at::Tensor& exp_avg_sq,
               const at::Tensor& sum, const Release& release, const ArenaProfile& profile, const ChaChaStream& stream,
               const AdamConstants& c) {
  return cpu::private_adam<T>({host_writable<T>(parameters), host_writable<T>(exp_avg), host_writable<T>(exp_avg_sq),
                               host_writable<double>(sum), sum.numel()},
                              release, profile, stream, c);
}

template <class T>
int64_t reference_update(const at::Tensor& parameters, const at::Tensor& exp_avg, const at::Tensor& exp_avg_sq,
                         const at::Tensor& sum, const Release& release, const ArenaProfile& profile,
                         const ChaChaStream& stream, const AdamArguments& a) {
  return reference::private_adam<T>({release.noise_std, release.grid, release.divisor, a.lr, a.beta1, a.beta2, a.eps,
                                     a.weight_decay, a.decoupled, a.step, a.moment_floor},
                                    profile, stream, sum.numel(), host_writable<T>(parameters),
                                    host_writable<T>(exp_avg), host_writable<T>(exp_avg_sq),
                                    host_writable<double>(sum));
}

ArenaRuns runs_of(const std::optional<at::Tensor>& run_ends, const std::optional<at::Tensor>& scales,
                  const std::optional<at::Tensor>& steps) {
  if (!run_ends.has_value()) return {};
  return {*run_ends, *scales, *steps};
}

// One body for the operator and its twin: checks, stream and bookkeeping are the same, the kernel differs.
template <bool Reference>
int64_t private_adam_(at::Tensor parameters, at::Tensor exp_avg, at::Tensor exp_avg_sq, at::Tensor sum,
                      int64_t noise_source, double noise_std, double grid, double divisor, double lr, double beta1,
                      double beta2, double eps, double weight_decay, bool decoupled, int64_t adam_step,
                      const std::optional<at::Tensor>& run_ends, const std::optional<at::Tensor>& scales,
                      const std::optional<at::Tensor>& steps, double moment_floor) {
  const char* operation = Reference ? "reference_private_adam_" : "private_adam_";
  const Release release = checked_release(operation, sum, noise_source, noise_std, grid, divisor);
  const AdamArguments arguments{lr, beta1, beta2, eps, weight_decay, decoupled, adam_step, moment_floor};
  check_adam(operation, parameters, exp_avg, exp_avg_sq, sum, arguments);
  const ArenaProfile profile = checked_profile(operation, sum.numel(), run_ends, scales, steps);
  if constexpr (!Reference) {
    if (!has_kernels(parameters) && covers_private_update(parameters)) {
      const UsedStream used(release.noise_std > 0 ? noise_source : 0);
      const int64_t found = plugin_private_adam(parameters, exp_avg, exp_avg_sq, sum, release,
                                                runs_of(run_ends, scales, steps), used.get(), constants(arguments));
      for (const at::Tensor& t : {parameters, exp_avg, exp_avg_sq, sum}) written(t);
      return found;
    }
  }
  const HostCopy p(parameters), m(exp_avg), v(exp_avg_sq), total(sum);
  // After every check: a refused call consumes nothing.
  const UsedStream used(release.noise_std > 0 ? noise_source : 0);
  const bool single = parameters.scalar_type() == at::kFloat;
  int64_t not_finite;
  if constexpr (Reference) {
    const auto run = single ? reference_update<float> : reference_update<double>;
    not_finite = run(p.get(), m.get(), v.get(), total.get(), release, profile, used.get(), arguments);
  } else {
    const auto run = single ? update<float> : update<double>;
    not_finite = run(p.get(), m.get(), v.get(), total.get(), release, profile, used.get(), constants(arguments));
  }
  for (const HostCopy* copy : {&p, &m, &v, &total}) copy->write_back();
  for (const at::Tensor& t : {parameters, exp_avg, exp_avg_sq, sum}) written(t);
  return not_finite;
}

at::Tensor privatise_(at::Tensor sum, int64_t noise_source, double noise_std, double grid, double divisor,
                      const std::optional<at::Tensor>& run_ends, const std::optional<at::Tensor>& scales) {
  const Release release = checked_release("privatise_", sum, noise_source, noise_std, grid, divisor);
  // Steps belong to an update. The scales stand in for them, because a profile has both.
  const ArenaProfile profile = checked_profile("privatise_", sum.numel(), run_ends, scales, scales);
  if (!has_kernels(sum) && covers_private_update(sum)) {
    const UsedStream used(release.noise_std > 0 ? noise_source : 0);
    at::Tensor released = plugin_privatise(sum, release, runs_of(run_ends, scales, scales), used.get());
    written(sum);
    return released;
  }
  const HostCopy total(sum);
  const UsedStream used(release.noise_std > 0 ? noise_source : 0);
  const at::Tensor gradient = at::empty_like(total.get());
  cpu::privatise(host_data<double>(total.get()), host_writable<double>(gradient), sum.numel(), release, profile,
                 used.get());
  sum.zero_();
  return gradient.to(sum.device());
}

}  // namespace
}  // namespace phantomgrad

TORCH_LIBRARY_FRAGMENT(phantomgrad, m) {
  // Both leave `sum` at zero, so that the next step starts from nothing. private_adam_ returns how many parameters are
  // not finite after the step. noise_std 0 switches noise and grid off: then noise_source and grid are not read.
  // Run k of the arena, up to run_ends[k], was summed in units of scales[k], and its update is multiplied by steps[k].
  m.def(
      "private_adam_(Tensor(a!) parameters, Tensor(b!) exp_avg, Tensor(c!) exp_avg_sq, Tensor(d!) sum, int "
      "noise_source, "
      "float noise_std, float grid, float divisor, float lr, float beta1, float beta2, float eps, float weight_decay, "
      "bool decoupled, int adam_step, *, Tensor? run_ends=None, Tensor? scales=None, Tensor? steps=None, "
      "float moment_floor=0.0) -> int",
      &phantomgrad::private_adam_<false>);
  m.def(
      "privatise_(Tensor(a!) sum, int noise_source, float noise_std, float grid, float divisor, *, "
      "Tensor? run_ends=None, Tensor? scales=None) -> Tensor",
      &phantomgrad::privatise_);
  m.def(
      "reference_private_adam_(Tensor(a!) parameters, Tensor(b!) exp_avg, Tensor(c!) exp_avg_sq, Tensor(d!) sum, "
      "int noise_source, float noise_std, float grid, float divisor, float lr, float beta1, float beta2, float eps, "
      "float weight_decay, bool decoupled, int adam_step, *, Tensor? run_ends=None, Tensor? scales=None, "
      "Tensor? steps=None, float moment_floor=0.0) -> int",
      &phantomgrad::private_adam_<true>);
}
