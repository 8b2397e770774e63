// phantomgrad_cuda::head_forward_, head_bias_, head_norm_, head_sum_: the softmax head's sweeps over the vocabulary.
#include "cuda/arguments.h"
#include "cuda/head.h"
#include "cuda/table.h"

namespace phantomgrad::cuda {
namespace {

template <class T>
HeadRows<T> head_rows(const Call& call, const Tensor& hidden, const Tensor& table, const Optional& bias,
                      const Optional& live, const Tensor& targets, const Tensor& weights, const Tensor& offsets,
                      int64_t live_count, double smoothing) {
  call.holds(hidden.dim() == 2 && table.dim() == 2 && hidden.size(1) == table.size(1), "hidden [N, d], table [M, d].");
  const int64_t N = hidden.size(0), M = table.size(0), d = table.size(1), B = offsets.numel() - 1;
  call.holds(live_count >= 1 && live_count <= M, "live_count from 1 to M.");
  return {call.data<T>("hidden", hidden, N * d),
          call.data<T>("table", table, M * d),
          call.data<T>("bias", bias, M),
          call.data<uint8_t>("live", live, M),
          call.data<int64_t>("targets", targets, N),
          call.data<T>("weights", weights, N),
          call.data<int64_t>("cu_seqlens", offsets, B + 1),
          N,
          M,
          d,
          B,
          live_count,
          smoothing};
}

int64_t head_forward_workspace(int64_t rows, int64_t d, int64_t parts) { return parts * rows * (d > 3 ? d + 1 : 5); }

// `hidden` is times the scale already; d_hidden is of the rows before that. `parts` stretches of the vocabulary run
// beside each other.
void head_forward(const Tensor& hidden, const Tensor& table, const Optional& bias, const Optional& live,
                  const Tensor& targets, const Tensor& weights, const Tensor& offsets, int64_t live_count,
                  double smoothing, double scale, int64_t parts, const Tensor& workspace, const Tensor& lse,
                  const Tensor& loss, const Tensor& d_hidden, const Tensor& squares) {
  const Call call("head_forward_", hidden);
  with_floating("head_forward_", hidden, [&](auto zero) {
    using T = decltype(zero);
    const HeadRows<T> h =
        head_rows<T>(call, hidden, table, bias, live, targets, weights, offsets, live_count, smoothing);
    call.holds(parts >= 1, "at least one part.");
    auto* work = call.data<double>("workspace", workspace, head_forward_workspace(h.rows, h.d, parts));
    auto* own_lse = call.data<T>("lse", lse, h.rows);
    auto* sizes = work + parts * h.rows * h.d;
    launch<HeadStatistics<T>>(call.place(), ceil_div(h.rows, kSide) * parts, HeadStatistics<T>::kShared,
                              {h, parts, work});
    launch<HeadLoss<T>>(call.place(), HeadLoss<T>::blocks(h.rows), 0,
                        {h, parts, work, own_lse, call.data<double>("loss", loss, h.rows)});
    launch<HeadHidden<T>>(call.place(), HeadHidden<T>::blocks(h.rows, h.d, parts), HeadHidden<T>::kShared,
                          {h, own_lse, parts, work, sizes});
    launch<SumParts<T>>(call.place(), SumParts<T>::blocks(h.rows * h.d), 0,
                        {work, parts, h.rows * h.d, scale, call.data<T>("d_hidden", d_hidden, h.rows * h.d)});
    launch<SumParts<double>>(call.place(), SumParts<double>::blocks(h.rows), 0,
                             {sizes, parts, h.rows, 1.0, call.data<double>("squares", squares, h.rows)});
  });
}

// The output bias's gradient of each sample, [B, M].
void head_bias(const Tensor& hidden, const Tensor& table, const Optional& bias, const Optional& live,
               const Tensor& targets, const Tensor& weights, const Tensor& offsets, int64_t live_count,
               double smoothing, const Tensor& lse, const Tensor& d_bias) {
  const Call call("head_bias_", hidden);
  with_floating("head_bias_", hidden, [&](auto zero) {
    using T = decltype(zero);
    const HeadRows<T> h =
        head_rows<T>(call, hidden, table, bias, live, targets, weights, offsets, live_count, smoothing);
    launch<HeadBias<T>>(
        call.place(), HeadBias<T>::blocks(h.samples, h.vocabulary), HeadBias<T>::kShared,
        {h, call.data<T>("lse", lse, h.rows), call.data<double>("d_bias", d_bias, h.samples * h.vocabulary)});
  });
}

int64_t head_norm_workspace(int64_t samples, int64_t vocabulary, int64_t d, int64_t longest) {
  return samples * (HeadNorm<float>::tiles(vocabulary, d) + 2 + ceil_div(longest, kSide));
}

// ids, input_gradients, in_cu_seqlens, in_norm2: the embedding that shares the table, or null. in_norm2 is
// index_norm_'s.
void head_norm(const Tensor& hidden, const Tensor& table, const Optional& bias, const Optional& live,
               const Tensor& targets, const Tensor& weights, const Tensor& offsets, int64_t live_count,
               double smoothing, const Tensor& lse, const Tensor& squares, const Optional& ids,
               const Optional& input_gradients, const Optional& in_offsets, const Optional& in_norm2,
               double input_scale, int64_t padding, int64_t longest, double slack, const Tensor& workspace,
               const Tensor& norm2, const Tensor& bound, const Tensor& failed) {
  const Call call("head_norm_", hidden);
  with_floating("head_norm_", hidden, [&](auto zero) {
    using T = decltype(zero);
    const HeadRows<T> h =
        head_rows<T>(call, hidden, table, bias, live, targets, weights, offsets, live_count, smoothing);
    const int64_t B = h.samples, tiles = HeadNorm<T>::tiles(h.vocabulary, h.d), across = ceil_div(longest, kSide);
    auto* partial = call.data<double>("workspace", workspace, head_norm_workspace(B, h.vocabulary, h.d, longest));
    auto *products = partial + B * tiles, *in_products = products + B, *cross = in_products + B;
    const auto* own_lse = call.data<T>("lse", lse, h.rows);
    launch<HeadNorm<T>>(call.place(), B * tiles, HeadNorm<T>::kShared, {h, own_lse, partial});
    launch<RowNormSum<T>>(call.place(), B, RowNormSum<T>::kShared,
                          {h.hidden, call.data<double>("squares", squares, h.rows), h.offsets, h.d, 1.0, products});
    const double* in2 = call.data<double>("in_norm2", in_norm2, B);
    int64_t entries = h.rows;
    if (in2 != nullptr) {
      call.holds(ids.has_value() && input_gradients.has_value() && in_offsets.has_value() && longest >= 1,
                 "in_norm2 needs ids, input_gradients, in_cu_seqlens and the longest sample.");
      const int64_t n = ids->numel();
      entries += n;
      const auto* u = call.data<T>("input_gradients", *input_gradients, n * h.d);
      const auto* starts = call.data<int64_t>("in_cu_seqlens", *in_offsets, B + 1);
      launch<RowNormSum<T>>(call.place(), B, RowNormSum<T>::kShared,
                            {u, nullptr, starts, h.d, input_scale, in_products});
      launch<PhantomCross<T>>(
          call.place(), B * across, PhantomCross<T>::kShared,
          {h, own_lse, call.data<int64_t>("ids", *ids, n), u, starts, input_scale, padding, across, cross});
    }
    launch<TableNorm<T>>(call.place(), TableNorm<T>::blocks(B), 0,
                         {partial, products, tiles, in2, in_products, cross, across, B, h.d, entries, slack,
                          call.data<double>("norm2", norm2, B), call.data<double>("bound", bound, B),
                          call.data<uint8_t>("failed", failed, B)});
  });
}

// sum [M, d] += sum_b factors[b] times the sample's table gradient. workspace [splits, M, d].
void head_sum(const Tensor& hidden, const Tensor& table, const Optional& bias, const Optional& live,
              const Tensor& targets, const Tensor& weights, const Tensor& offsets, int64_t live_count, double smoothing,
              const Tensor& lse, const Tensor& factors, int64_t splits, const Tensor& workspace, const Tensor& sum) {
  const Call call("head_sum_", hidden);
  with_floating("head_sum_", hidden, [&](auto zero) {
    using T = decltype(zero);
    const HeadRows<T> h =
        head_rows<T>(call, hidden, table, bias, live, targets, weights, offsets, live_count, smoothing);
    call.holds(splits >= 1, "at least one split.");
    const int64_t size = h.vocabulary * h.d;
    auto* partial = call.data<double>("workspace", workspace, splits * size);
    launch<HeadTable<T>>(
        call.place(), HeadNorm<T>::tiles(h.vocabulary, h.d) * splits, HeadTable<T>::kShared,
        {h, call.data<T>("lse", lse, h.rows), call.data<double>("factors", factors, h.samples), splits, partial});
    launch<AddSplits>(call.place(), AddSplits::blocks(size), 0,
                      {partial, splits, size, call.data<double>("sum", sum, size)});
  });
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(PG_NAMESPACE, m) {
  m.def("head_forward_workspace(int rows, int d, int parts) -> int");
  m.def("head_norm_workspace(int samples, int vocabulary, int d, int longest) -> int");
  m.def(
      "head_forward_(Tensor hidden, Tensor table, Tensor? bias, Tensor? live, Tensor targets, Tensor weights, "
      "Tensor cu_seqlens, int live_count, float smoothing, float scale, int parts, Tensor(a!) workspace, "
      "Tensor(b!) lse, Tensor(c!) loss, Tensor(d!) d_hidden, Tensor(e!) squares) -> ()");
  m.def(
      "head_bias_(Tensor hidden, Tensor table, Tensor? bias, Tensor? live, Tensor targets, Tensor weights, "
      "Tensor cu_seqlens, int live_count, float smoothing, Tensor lse, Tensor(a!) d_bias) -> ()");
  m.def(
      "head_norm_(Tensor hidden, Tensor table, Tensor? bias, Tensor? live, Tensor targets, Tensor weights, "
      "Tensor cu_seqlens, int live_count, float smoothing, Tensor lse, Tensor squares, Tensor? ids, "
      "Tensor? input_gradients, Tensor? in_cu_seqlens, Tensor? in_norm2, float input_scale, int padding_id, "
      "int longest, float slack, Tensor(a!) workspace, Tensor(b!) norm2, Tensor(c!) bound, Tensor(d!) failed) -> ()");
  m.def(
      "head_sum_(Tensor hidden, Tensor table, Tensor? bias, Tensor? live, Tensor targets, Tensor weights, "
      "Tensor cu_seqlens, int live_count, float smoothing, Tensor lse, Tensor factors, int splits, "
      "Tensor(a!) workspace, Tensor(b!) sum) -> ()");
}

STABLE_TORCH_LIBRARY_IMPL(PG_NAMESPACE, PG_DISPATCH_KEY, m) {
  m.impl("head_forward_", TORCH_BOX(&head_forward));
  m.impl("head_bias_", TORCH_BOX(&head_bias));
  m.impl("head_norm_", TORCH_BOX(&head_norm));
  m.impl("head_sum_", TORCH_BOX(&head_sum));
}

STABLE_TORCH_LIBRARY_IMPL(PG_NAMESPACE, CompositeExplicitAutograd, m) {
  m.impl("head_forward_workspace", TORCH_BOX(&head_forward_workspace));
  m.impl("head_norm_workspace", TORCH_BOX(&head_norm_workspace));
}

}  // namespace phantomgrad::cuda
