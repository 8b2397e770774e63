// phantomgrad_cuda::re_attention_forward_, re_attention_backward_, re_attention_longest: packed attention with whole
// rows in shared memory.
#include "cuda/arguments.h"
#include "cuda/attention.h"

namespace phantomgrad::cuda {
namespace {

// Of shared memory: A100 and H100 both have it, so that the same samples take the same way on both.
constexpr int64_t kMostShared = 160 * 1024;

// Rows of the longest sample that the kernel takes on this device.
template <class Kernel>
int64_t longest_sample(const Place& place) {
  const int64_t room = smaller(kMostShared, place.most_shared());
  int64_t rows = 0;
  while (Kernel::shared(rows + kSide) <= room) rows += kSide;
  return rows;
}

// Of the dtype and the device of `query`.
int64_t re_attention_longest(const Tensor& query, bool backward) {
  const Call call("re_attention_longest", query);
  int64_t rows = 0;
  with_floating("re_attention_longest", query, [&](auto zero) {
    using T = decltype(zero);
    rows = backward ? longest_sample<AttentionBackward<T>>(call.place())
                    : longest_sample<AttentionForward<T>>(call.place());
  });
  return rows;
}

template <class T>
AttentionRows<T> attention_rows(const Call& call, const Tensor& query, const Tensor& key, const Tensor& value,
                                const Tensor& offsets, int64_t heads, int64_t longest, bool causal, double dropout,
                                const Optional& streams, int64_t correction, const Optional& key_variance,
                                const Optional& value_variance, double most) {
  call.holds(query.dim() == 2 && heads >= 1 && query.size(1) % heads == 0, "query [N, heads * dim].");
  call.holds(dropout >= 0 && dropout < 1 && (dropout == 0 || streams.has_value()),
             "a rate in [0, 1) with its streams.");
  call.holds(correction >= 0 && correction <= 3 && (correction == 0 || key_variance.has_value()),
             "a correction from 0 to 3 with the keys' variance.");
  const int64_t N = query.size(0), width = query.size(1), B = offsets.numel() - 1, dim = width / heads;
  return {call.data<T>("query", query, N * width),
          call.data<T>("key", key, N * width),
          call.data<T>("value", value, N * width),
          call.data<int64_t>("cu_seqlens", offsets, B + 1),
          B,
          heads,
          dim,
          longest,
          causal,
          static_cast<double>(static_cast<T>(ieee::div(1.0, ieee::sqrt(static_cast<double>(dim))))),
          call.data<int64_t>("streams", streams, B * heads),
          dropout == 0 ? 0 : dropout_threshold(dropout),
          1 / (1 - dropout),
          static_cast<Correction>(correction),
          call.data<T>("key_variance", key_variance, N * heads),
          call.data<T>("value_variance", value_variance, N * heads),
          most};
}

// correction: 0 off, 1 logit, 2 paper, 3 second_order. plain_lse is needed for 3, variance with value_variance.
void re_attention_forward(const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& offsets,
                          int64_t heads, int64_t longest, bool causal, double dropout, const Optional& streams,
                          int64_t correction, const Optional& key_variance, const Optional& value_variance, double most,
                          const Tensor& output, const Tensor& lse, const Optional& plain_lse,
                          const Optional& variance) {
  const Call call("re_attention_forward_", query);
  with_floating("re_attention_forward_", query, [&](auto zero) {
    using T = decltype(zero);
    using Kernel = AttentionForward<T>;
    const AttentionRows<T> rows = attention_rows<T>(call, query, key, value, offsets, heads, longest, causal, dropout,
                                                    streams, correction, key_variance, value_variance, most);
    const int64_t N = query.size(0), tiles = ceil_div(longest, kSide);
    call.holds(correction != 3 || plain_lse.has_value(), "plain_lse for the second order.");
    call.holds(value_variance.has_value() == variance.has_value(), "variance exactly where value_variance is given.");
    call.holds(longest <= longest_sample<Kernel>(call.place()),
               "samples that fit shared memory: at most re_attention_longest rows.");
    launch<Kernel>(call.place(), rows.samples * heads * tiles, Kernel::shared(longest),
                   {rows, tiles, call.data<T>("output", output, N * query.size(1)), call.data<T>("lse", lse, N * heads),
                    call.data<T>("plain_lse", plain_lse, N * heads), call.data<T>("variance", variance, N * heads)});
  });
}

void re_attention_backward(const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& offsets,
                           int64_t heads, int64_t longest, bool causal, double dropout, const Optional& streams,
                           int64_t correction, const Optional& key_variance, double most, const Tensor& d_output,
                           const Tensor& lse, const Optional& plain_lse, const Tensor& d_query, const Tensor& d_key,
                           const Tensor& d_value) {
  const Call call("re_attention_backward_", query);
  with_floating("re_attention_backward_", query, [&](auto zero) {
    using T = decltype(zero);
    using Kernel = AttentionBackward<T>;
    const AttentionRows<T> rows = attention_rows<T>(call, query, key, value, offsets, heads, longest, causal, dropout,
                                                    streams, correction, key_variance, Optional(), most);
    const int64_t N = query.size(0), size = N * query.size(1);
    call.holds(correction != 3 || plain_lse.has_value(), "plain_lse for the second order.");
    call.holds(longest <= longest_sample<Kernel>(call.place()),
               "samples that fit shared memory: at most re_attention_longest rows.");
    launch<Kernel>(call.place(), rows.samples * heads, Kernel::shared(longest),
                   {rows, call.data<T>("d_output", d_output, size), call.data<T>("lse", lse, N * heads),
                    call.data<T>("plain_lse", plain_lse, N * heads), call.data<T>("d_query", d_query, size),
                    call.data<T>("d_key", d_key, size), call.data<T>("d_value", d_value, size)});
  });
}

}  // namespace

STABLE_TORCH_LIBRARY_FRAGMENT(PG_NAMESPACE, m) {
  m.def("re_attention_longest(Tensor query, bool backward) -> int");
  m.def(
      "re_attention_forward_(Tensor query, Tensor key, Tensor value, Tensor cu_seqlens, int heads, int longest, "
      "bool causal, float dropout, Tensor? streams, int correction, Tensor? key_variance, Tensor? value_variance, "
      "float max_penalty, Tensor(a!) output, Tensor(b!) lse, Tensor(c!)? plain_lse, Tensor(d!)? variance) -> ()");
  m.def(
      "re_attention_backward_(Tensor query, Tensor key, Tensor value, Tensor cu_seqlens, int heads, int longest, "
      "bool causal, float dropout, Tensor? streams, int correction, Tensor? key_variance, float max_penalty, "
      "Tensor d_output, Tensor lse, Tensor? plain_lse, Tensor(a!) d_query, Tensor(b!) d_key, Tensor(c!) d_value) -> "
      "()");
}

STABLE_TORCH_LIBRARY_IMPL(PG_NAMESPACE, PG_DISPATCH_KEY, m) {
  m.impl("re_attention_longest", TORCH_BOX(&re_attention_longest));
  m.impl("re_attention_forward_", TORCH_BOX(&re_attention_forward));
  m.impl("re_attention_backward_", TORCH_BOX(&re_attention_backward));
}

}  // namespace phantomgrad::cuda
