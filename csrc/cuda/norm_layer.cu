// phantomgrad_cuda::norm_backward_: LayerNorm's and RMSNorm's backward pass with per-sample gradients of scale and
// shift.
#include "cuda/arguments.h"
#include "cuda/norm_layer.h"

namespace phantomgrad::cuda {
namespace {

// mean null: RMSNorm. dx null: not wanted. d_beta null: there is no shift.
void norm_backward(const Tensor& g, const Tensor& x, const Tensor& gamma, const Optional& mean, const Tensor& rstd,
                   const Tensor& offsets, const Optional& dx, const Tensor& d_gamma, const Optional& d_beta) {
  const Call call("norm_backward_", g);
  call.holds(g.dim() == 2, "gradients [N, d].");
  with_floating("norm_backward_", g, [&](auto zero) {
    using T = decltype(zero);
    const int64_t N = g.size(0), d = g.size(1), B = offsets.numel() - 1;
    launch<NormBackward<T>>(
        call.place(), B, NormBackward<T>::kShared,
        {call.data<T>("gradients", g, N * d), call.data<T>("x", x, N * d), call.data<T>("gamma", gamma, d),
         call.data<T>("mean", mean, N), call.data<T>("rstd", rstd, N), call.data<int64_t>("cu_seqlens", offsets, B + 1),
         d, call.data<T>("dx", dx, N * d), call.data<T>("d_gamma", d_gamma, B * d),
         call.data<T>("d_beta", d_beta, B * d)});
  });
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(PG_NAMESPACE, m) {
  m.def(
      "norm_backward_(Tensor gradients, Tensor x, Tensor gamma, Tensor? mean, Tensor rstd, Tensor cu_seqlens, "
      "Tensor(a!)? dx, Tensor(b!) d_gamma, Tensor(c!)? d_beta) -> ()");
}

STABLE_TORCH_LIBRARY_IMPL(PG_NAMESPACE, PG_DISPATCH_KEY, m) { m.impl("norm_backward_", TORCH_BOX(&norm_backward)); }

}  // namespace phantomgrad::cuda
