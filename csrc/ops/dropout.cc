// Dropout keyed by (seed, step, site, sample): micro-batching, packing and threads do not change what is dropped.
#include "cpu/dropout.h"

#include <ATen/ops/empty.h>

#include "cpu/parallel.h"
#include "ops/any.h"
#include "ops/dispatch.h"
#include "ops/operators.h"
#include "ops/tap.h"
#include "shared/dropout_mask.h"

namespace phantomgrad {
namespace {

class Dropout final : public Operation {
 public:
  Dropout(double rate, int64_t seed, int64_t step, int64_t site, Segments segments, at::Tensor keys)
      : rate_(rate), seed_(seed), step_(step), site_(site), segments_(std::move(segments)), keys_(std::move(keys)) {}

  at::Tensor forward(const std::vector<at::Tensor>& inputs, const std::vector<BookEntry>&,
                     const std::vector<bool>&) override {
    return apply(inputs[0].contiguous());
  }

  void backward(const std::vector<at::Tensor>&, const at::Tensor& gradient, Sink& sink) override {
    if (sink.needs(0)) sink.gradient(0, apply(gradient));
  }

 private:
  at::Tensor apply(const at::Tensor& x) const {
    if (!has_kernels(x)) {
      check_floating("dropout", x);
      std::vector<uint64_t> streams;
      for (int64_t b = 0; b < segments_.count(); ++b)
        streams.push_back(dropout_stream(seed_, step_, site_, host_data<int64_t>(keys_)[b]));
      return any_dropout(x, segments_, rate_, streams);
    }
    at::Tensor y = at::empty(x.sizes(), x.options());
    const int64_t width = segments_.rows() == 0 ? 0 : x.numel() / segments_.rows();
    with_floating("dropout", x, [&](auto zero) {
      using T = decltype(zero);
      cpu::parallel_for(
          0, segments_.count(), cpu::grain_for(4 * segments_.mean_length() * width), [&](int64_t first, int64_t last) {
            for (int64_t b = first; b < last; ++b)
              PG_CALL((dropout<T>), host_data<T>(x) + segments_.first(b) * width, segments_.length(b) * width,
                      dropout_stream(seed_, step_, site_, host_data<int64_t>(keys_)[b]), uint64_t{0}, rate_,
                      host_writable<T>(y) + segments_.first(b) * width);
          });
    });
    return y;
  }

  double rate_;
  int64_t seed_, step_, site_;
  Segments segments_;
  at::Tensor keys_;
};

}  // namespace

at::Tensor dropout(const at::Tensor& input, double p, int64_t seed, int64_t step, int64_t site,
                   const at::Tensor& cu_seqlens, const at::Tensor& sample_keys) {
  PG_CHECK(p >= 0 && p < 1, "ERR_INVALID_ARGUMENT", "dropout: p must lie in [0, 1), got ", p, ".");
  if (p == 0) return input;
  Segments segments(cu_seqlens);
  PG_CHECK(segments.rows() == 0 ? input.numel() == 0
                                : input.numel() % segments.rows() == 0 &&
                                      (row_count(input) == segments.rows() || input.size(0) == segments.rows()),
           "ERR_BATCH_DIMENSION", "dropout: the segments have ", segments.rows(), " rows, the input has shape ",
           input.sizes(), ".");
  PG_CHECK(sample_keys.numel() == segments.count(), "ERR_INVALID_ARGUMENT", "dropout: expected ", segments.count(),
           " sample keys, got ", sample_keys.numel(), ".");
  return tap("dropout",
             std::make_shared<Dropout>(p, seed, step, site, std::move(segments),
                                       own_integers("dropout", "sampleKeys", sample_keys)),
             {input});
}

}  // namespace phantomgrad
