// phantomgrad_cuda::index_norm_ and index_sum_: embeddings' norms and clipped sums over plans of their ids.
#include "cuda/arguments.h"
#include "cuda/index.h"

namespace phantomgrad::cuda {
namespace {

template <class T>
IndexRows<T> index_rows(const Call& call, const Tensor& rows, const Optional& coefficients, int64_t entries,
                        double scale) {
  call.holds(rows.dim() == 2, "rows [n, d].");
  const int64_t n = rows.size(0), fan = n == 0 ? 1 : entries / n;
  call.holds(entries < int64_t{1} << 32, "fewer than 2^32 entries.");
  call.holds(n == 0 ? entries == 0 : entries == n * fan, "equally many entries for every row.");
  return {call.data<T>("rows", rows, n * rows.size(1)), call.data<T>("coefficients", coefficients, entries),
          rows.size(1), fan, scale};
}

int64_t index_norm_workspace(int64_t samples, int64_t d) { return 2 * samples * IndexNorm<float>::parts(d); }

// plan, opens, begin as csrc/cuda/index.h says; entries that add nothing are not in the plan.
void index_norm(const Tensor& rows, const Optional& coefficients, int64_t entries, double scale, const Tensor& plan,
                const Tensor& opens, const Tensor& begin, const Tensor& workspace, const Tensor& norm2,
                const Tensor& bound) {
  const Call call("index_norm_", rows);
  with_floating("index_norm_", rows, [&](auto zero) {
    using T = decltype(zero);
    const IndexRows<T> own = index_rows<T>(call, rows, coefficients, entries, scale);
    const int64_t B = begin.numel() - 1, parts = IndexNorm<T>::parts(own.d), listed = plan.numel();
    auto* partial = call.data<double>("workspace", workspace, 2 * B * parts);
    const auto* first = call.data<int64_t>("begin", begin, B + 1);
    launch<IndexNorm<T>>(call.place(), B * parts, IndexNorm<T>::kShared,
                         {own, call.data<int64_t>("plan", plan, listed), call.data<uint8_t>("opens", opens, listed),
                          first, partial, partial + B * parts});
    launch<IndexBound>(call.place(), IndexBound::blocks(B), 0,
                       {partial, partial + B * parts, first, B, parts, listed, call.data<double>("norm2", norm2, B),
                        call.data<double>("bound", bound, B)});
  });
}

void index_sum(const Tensor& rows, const Optional& coefficients, double scale, const Tensor& plan, const Tensor& runs,
               const Tensor& ids, const Tensor& sample_of, const Tensor& factors, const Tensor& sum) {
  const Call call("index_sum_", rows);
  call.holds(sum.dim() == 2 && sum.size(1) == rows.size(1), "sum [M, d].");
  with_floating("index_sum_", rows, [&](auto zero) {
    using T = decltype(zero);
    const IndexRows<T> own = index_rows<T>(call, rows, coefficients, sample_of.numel(), scale);
    const int64_t distinct = ids.numel();
    launch<IndexSum<T>>(
        call.place(), distinct * IndexNorm<T>::parts(own.d), 0,
        {own, call.data<int64_t>("plan", plan, plan.numel()), call.data<int64_t>("runs", runs, distinct + 1),
         call.data<int64_t>("ids", ids, distinct), call.data<int64_t>("sample_of", sample_of, sample_of.numel()),
         call.data<double>("factors", factors, factors.numel()), call.data<double>("sum", sum, sum.numel())});
  });
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(PG_NAMESPACE, m) {
  m.def("index_norm_workspace(int samples, int d) -> int");
  m.def(
      "index_norm_(Tensor rows, Tensor? coefficients, int entries, float scale, Tensor plan, Tensor opens, "
      "Tensor begin, Tensor(a!) workspace, Tensor(b!) norm2, Tensor(c!) bound) -> ()");
  m.def(
      "index_sum_(Tensor rows, Tensor? coefficients, float scale, Tensor plan, Tensor runs, Tensor ids, "
      "Tensor sample_of, Tensor factors, Tensor(a!) sum) -> ()");
}

STABLE_TORCH_LIBRARY_IMPL(PG_NAMESPACE, PG_DISPATCH_KEY, m) {
  m.impl("index_norm_", TORCH_BOX(&index_norm));
  m.impl("index_sum_", TORCH_BOX(&index_sum));
}

STABLE_TORCH_LIBRARY_IMPL(PG_NAMESPACE, CompositeExplicitAutograd, m) {
  m.impl("index_norm_workspace", TORCH_BOX(&index_norm_workspace));
}

}  // namespace phantomgrad::cuda
