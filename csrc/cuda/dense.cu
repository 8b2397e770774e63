// phantomgrad_cuda::ghost_norm and clipped_sum: norms and clipped sums of linear layers' factors.
#include "cuda/arguments.h"
#include "cuda/dense.h"
#include "cuda/dense_norm.h"

namespace phantomgrad::cuda {
namespace {

template <class T>
DenseRows<T> dense_rows(const Call& call, const Tensor& a, const Tensor& g, const Tensor& offsets, bool bias) {
  call.holds(a.dim() == 2 && g.dim() == 2 && a.size(0) == g.size(0), "activations [N, d] and gradients [N, p].");
  const int64_t samples = offsets.numel() - 1;
  return {call.data<T>("activations", a, a.numel()),
          call.data<T>("gradients", g, g.numel()),
          call.data<int64_t>("cu_seqlens", offsets, samples + 1),
          samples,
          a.size(1),
          g.size(1),
          bias ? 1 : 0};
}

// Numbers of float64 that ghost_norm wants as workspace: partial sums and the products.
int64_t ghost_norm_workspace(int64_t samples, int64_t longest, int64_t d, int64_t p) {
  const int64_t direct = GhostDirect<float, float>::tiles(d + 1, p), pairs = pair_count(longest);
  return samples * (1 + (direct > pairs ? direct : pairs));
}

// kind "gram" or "direct"; samples whose bound then exceeds the norm by too much are formed in float64, in the same
// call and without asking the host which ones they are. `exact` says which.
void ghost_norm(const Tensor& activations, const Tensor& gradients, const Tensor& offsets, bool gram, bool bias,
                int64_t longest, double slack, const Tensor& workspace, const Tensor& norm2, const Tensor& bound,
                const Tensor& exact) {
  const Call call("ghost_norm", activations);
  with_floating("ghost_norm", activations, [&](auto zero) {
    using T = decltype(zero);
    const DenseRows<T> rows = dense_rows<T>(call, activations, gradients, offsets, bias);
    const int64_t B = rows.samples, pairs = pair_count(longest);
    const int64_t tiles = GhostDirect<T, T>::tiles(rows.d + rows.bias, rows.p);
    double* products = call.data<double>("workspace", workspace, ghost_norm_workspace(B, longest, rows.d, rows.p));
    double* partial = products + B;
    auto* failed = call.data<uint8_t>("exact", exact, B);
    typename DenseNorm<T>::Params norm{gram ? NormKind::gram : NormKind::direct,
                                       partial,
                                       products,
                                       rows.offsets,
                                       nullptr,
                                       B,
                                       gram ? pairs : tiles,
                                       rows.d + rows.bias,
                                       rows.p,
                                       slack,
                                       call.data<double>("norm2", norm2, B),
                                       call.data<double>("bound", bound, B),
                                       failed};
    launch<RowProducts<T>>(call.place(), B, RowProducts<T>::kShared, {rows, products});
    if (gram)
      launch<GhostGram<T>>(call.place(), B * pairs, GhostGram<T>::kShared, {rows, pairs, partial});
    else
      launch<GhostDirect<T, T>>(call.place(), B * tiles, GhostDirect<T, T>::kShared, {rows, nullptr, partial});
    launch<DenseNorm<T>>(call.place(), DenseNorm<T>::blocks(B), 0, norm);
    using Exact = GhostDirect<T, double>;
    launch<Exact>(call.place(), B * tiles, Exact::kShared, {rows, failed, partial});
    norm.kind = NormKind::exact;
    norm.tiles = tiles;
    norm.wanted = failed;
    norm.failed = nullptr;
    launch<DenseNorm<T>>(call.place(), DenseNorm<T>::blocks(B), 0, norm);
  });
}

// sum [p, d] += sum_b factors[b] G_b. workspace [splits, p, d]: samples are shared out to `splits` blocks a tile.
void clipped_sum(const Tensor& activations, const Tensor& gradients, const Tensor& factors, const Tensor& offsets,
                 const Tensor& exact, int64_t splits, const Tensor& workspace, const Tensor& sum) {
  const Call call("clipped_sum", activations);
  with_floating("clipped_sum", activations, [&](auto zero) {
    using T = decltype(zero);
    const DenseRows<T> rows = dense_rows<T>(call, activations, gradients, offsets, false);
    const int64_t size = rows.p * rows.d, blocks = GhostDirect<T, T>::tiles(rows.d, rows.p) * splits;
    call.holds(splits >= 1, "at least one split.");
    const auto* c = call.data<double>("factors", factors, rows.samples);
    const auto* flags = call.data<uint8_t>("exact", exact, rows.samples);
    auto* partial = call.data<double>("workspace", workspace, splits * size);
    auto* total = call.data<double>("sum", sum, size);
    launch<ClippedSum<T, T>>(call.place(), blocks, ClippedSum<T, T>::kShared, {rows, c, flags, 0, splits, partial});
    launch<AddSplits>(call.place(), AddSplits::blocks(size), 0, {partial, splits, size, total});
    using Exact = ClippedSum<T, double>;
    launch<Exact>(call.place(), blocks, Exact::kShared, {rows, c, flags, 1, splits, partial});
    launch<AddSplits>(call.place(), AddSplits::blocks(size), 0, {partial, splits, size, total});
  });
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(PG_NAMESPACE, m) {
  m.def("ghost_norm_workspace(int samples, int longest, int d, int p) -> int");
  m.def(
      "ghost_norm_(Tensor activations, Tensor gradients, Tensor cu_seqlens, bool gram, bool bias, int longest, "
      "float slack, Tensor(a!) workspace, Tensor(b!) norm2, Tensor(c!) bound, Tensor(d!) exact) -> ()");
  m.def(
      "clipped_sum_(Tensor activations, Tensor gradients, Tensor factors, Tensor cu_seqlens, Tensor exact, int splits, "
      "Tensor(a!) workspace, Tensor(b!) sum) -> ()");
}

STABLE_TORCH_LIBRARY_IMPL(PG_NAMESPACE, PG_DISPATCH_KEY, m) {
  m.impl("ghost_norm_", TORCH_BOX(&ghost_norm));
  m.impl("clipped_sum_", TORCH_BOX(&clipped_sum));
}

STABLE_TORCH_LIBRARY_IMPL(PG_NAMESPACE, CompositeExplicitAutograd, m) {
  m.impl("ghost_norm_workspace", TORCH_BOX(&ghost_norm_workspace));
}

}  // namespace phantomgrad::cuda
