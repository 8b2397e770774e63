// phantomgrad_cuda::clip_factors_, stored_norm_, stored_sum_: factors from bounds, and gradients kept a sample at a
// time.
#include "cuda/arguments.h"
#include "cuda/clip.h"
#include "cuda/stored.h"

namespace phantomgrad::cuda {
namespace {

// rule: 0 abadi, 1 automatic, 2 normalize, 3 psac, 4 global.
void clip_factors(const Tensor& bounds, const Tensor& group_of, const Tensor& shares, int64_t rule, double threshold,
                  double setting, double slack, const Tensor& factors, const Tensor& dropped) {
  const Call call("clip_factors_", bounds);
  call.holds(bounds.dim() == 2, "bounds [parameters, samples].");
  call.holds(rule >= 0 && rule <= 4, "a rule from 0 to 4.");
  call.holds(threshold > 0 && slack >= 0, "a threshold above 0 and a slack of at least 0.");
  const int64_t P = bounds.size(0), B = bounds.size(1), G = shares.numel(), blocks = ClipFactors::blocks(B);
  launch<ClipFactors>(
      call.place(), blocks, ClipFactors::kShared,
      {call.data<double>("bounds", bounds, P * B), call.data<int64_t>("group_of", group_of, P),
       call.data<double>("shares", shares, G), P, G, B, static_cast<ClipRule>(rule), threshold, setting, slack,
       call.data<double>("factors", factors, G * B), call.data<int64_t>("dropped", dropped, blocks)});
}

int64_t clip_factors_blocks(int64_t samples) { return ClipFactors::blocks(samples); }

void stored_norm(const Tensor& rows, const Tensor& norm2, const Tensor& bound) {
  const Call call("stored_norm_", rows);
  call.holds(rows.dim() == 2, "rows [B, width].");
  with_floating("stored_norm_", rows, [&](auto zero) {
    using T = decltype(zero);
    const int64_t B = rows.size(0), width = rows.size(1);
    launch<StoredNorm<T>>(call.place(), B, StoredNorm<T>::kShared,
                          {call.data<T>("rows", rows, B * width), B, width, call.data<double>("norm2", norm2, B),
                           call.data<double>("bound", bound, B)});
  });
}

void stored_sum(const Tensor& rows, const Tensor& factors, const Tensor& sum) {
  const Call call("stored_sum_", rows);
  call.holds(rows.dim() == 2, "rows [B, width].");
  with_floating("stored_sum_", rows, [&](auto zero) {
    using T = decltype(zero);
    const int64_t B = rows.size(0), width = rows.size(1);
    launch<StoredSum<T>>(call.place(), StoredSum<T>::blocks(width), 0,
                         {call.data<T>("rows", rows, B * width), call.data<double>("factors", factors, B), B, width,
                          call.data<double>("sum", sum, width)});
  });
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(PG_NAMESPACE, m) {
  m.def("clip_factors_blocks(int samples) -> int");
  m.def(
      "clip_factors_(Tensor bounds, Tensor group_of, Tensor shares, int rule, float threshold, float setting, "
      "float slack, Tensor(a!) factors, Tensor(b!) dropped) -> ()");
  m.def("stored_norm_(Tensor rows, Tensor(a!) norm2, Tensor(b!) bound) -> ()");
  m.def("stored_sum_(Tensor rows, Tensor factors, Tensor(a!) sum) -> ()");
}

STABLE_TORCH_LIBRARY_IMPL(PG_NAMESPACE, PG_DISPATCH_KEY, m) {
  m.impl("clip_factors_", TORCH_BOX(&clip_factors));
  m.impl("stored_norm_", TORCH_BOX(&stored_norm));
  m.impl("stored_sum_", TORCH_BOX(&stored_sum));
}

STABLE_TORCH_LIBRARY_IMPL(PG_NAMESPACE, CompositeExplicitAutograd, m) {
  m.impl("clip_factors_blocks", TORCH_BOX(&clip_factors_blocks));
}

}  // namespace phantomgrad::cuda
