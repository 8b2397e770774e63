// phantomgrad_cuda::stored_norm_ and stored_sum_: gradients kept a sample at a time.
#include "cuda/arguments.h"
#include "cuda/stored.h"

namespace phantomgrad::cuda {
namespace {

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
  m.def("stored_norm_(Tensor rows, Tensor(a!) norm2, Tensor(b!) bound) -> ()");
  m.def("stored_sum_(Tensor rows, Tensor factors, Tensor(a!) sum) -> ()");
}

STABLE_TORCH_LIBRARY_IMPL(PG_NAMESPACE, PG_DISPATCH_KEY, m) {
  m.impl("stored_norm_", TORCH_BOX(&stored_norm));
  m.impl("stored_sum_", TORCH_BOX(&stored_sum));
}

}  // namespace phantomgrad::cuda
