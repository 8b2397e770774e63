// phantomgrad_cuda::private_adam_ and privatise_: what they take, and their launches.
#include "cuda/arguments.h"
#include "cuda/private_adam.h"

namespace phantomgrad::cuda {
namespace {

constexpr int64_t kStreamWords = 11;

ArenaProfile profile_of(const Call& call, const Optional& ends, const Optional& scales, const Optional& steps) {
  if (!ends.has_value()) return {};
  call.holds(scales.has_value() && steps.has_value(), "run_ends need scales and steps.");
  const int64_t runs = ends->numel();
  return {call.data<int64_t>("run_ends", *ends, runs), call.data<double>("scales", *scales, runs),
          call.data<double>("steps", *steps, runs), runs};
}

// A null stream is never read: no noise, no key.
const uint32_t* stream_of(const Call& call, const Optional& stream, double noise_std, int64_t count) {
  if (!(noise_std > 0)) return nullptr;
  call.holds(stream.has_value(), "noise needs a stream.");
  call.holds(count <= kLongestNoise, "the arena is longer than one key stream.");
  return reinterpret_cast<const uint32_t*>(call.data<int32_t>("stream", *stream, kStreamWords));
}

// step_size, root_correction, ... are AdamConstants as shared/adam.h names them; the core computes them.
void private_adam(const Tensor& parameters, const Tensor& exp_avg, const Tensor& exp_avg_sq, const Tensor& sum,
                  const Optional& stream, double noise_std, double grid, double divisor, double beta1, double beta2,
                  double eps, double step_size, double root_correction, double correction2, double decay_gradient,
                  double shrink, double moment_floor, const Optional& run_ends, const Optional& scales,
                  const Optional& steps, const Tensor& not_finite) {
  const Call call("private_adam_", parameters);
  with_floating("private_adam_", parameters, [&](auto zero) {
    using T = decltype(zero);
    using Kernel = PrivateAdam<T>;
    const int64_t count = parameters.numel(), blocks = Kernel::blocks(count);
    launch<Kernel>(call.place(), blocks, Kernel::kShared,
                   {call.data<T>("parameters", parameters, count),
                    call.data<T>("exp_avg", exp_avg, count),
                    call.data<T>("exp_avg_sq", exp_avg_sq, count),
                    call.data<double>("sum", sum, count),
                    count,
                    {noise_std, grid, divisor},
                    profile_of(call, run_ends, scales, steps),
                    stream_of(call, stream, noise_std, count),
                    {beta1, beta2, eps, 1 - beta1, 1 - beta2, step_size, root_correction, correction2, decay_gradient,
                     shrink, moment_floor},
                    call.data<int64_t>("not_finite", not_finite, blocks)});
  });
}

void privatise(const Tensor& sum, const Tensor& out, const Optional& stream, double noise_std, double grid,
               double divisor, const Optional& run_ends, const Optional& scales) {
  const Call call("privatise_", sum);
  const int64_t count = sum.numel();
  launch<Privatise>(call.place(), Privatise::blocks(count), 0,
                    {call.data<double>("sum", sum, count),
                     call.data<double>("out", out, count),
                     count,
                     {noise_std, grid, divisor},
                     profile_of(call, run_ends, scales, scales),
                     stream_of(call, stream, noise_std, count)});
}

int64_t private_adam_blocks(int64_t count) { return PrivateAdam<float>::blocks(count); }

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(PG_NAMESPACE, m) {
  m.def(
      "private_adam_(Tensor(a!) parameters, Tensor(b!) exp_avg, Tensor(c!) exp_avg_sq, Tensor(d!) sum, Tensor? stream, "
      "float noise_std, float grid, float divisor, float beta1, float beta2, float eps, float step_size, "
      "float root_correction, float correction2, float decay_gradient, float shrink, float moment_floor, "
      "Tensor? run_ends, Tensor? scales, Tensor? steps, Tensor(e!) not_finite) -> ()");
  m.def(
      "privatise_(Tensor(a!) sum, Tensor(b!) out, Tensor? stream, float noise_std, float grid, float divisor, "
      "Tensor? run_ends, Tensor? scales) -> ()");
  m.def("private_adam_blocks(int count) -> int");
}

STABLE_TORCH_LIBRARY_IMPL(PG_NAMESPACE, PG_DISPATCH_KEY, m) {
  m.impl("private_adam_", TORCH_BOX(&private_adam));
  m.impl("privatise_", TORCH_BOX(&privatise));
}

STABLE_TORCH_LIBRARY_IMPL(PG_NAMESPACE, CompositeExplicitAutograd, m) {
  m.impl("private_adam_blocks", TORCH_BOX(&private_adam_blocks));
}

}  // namespace phantomgrad::cuda
