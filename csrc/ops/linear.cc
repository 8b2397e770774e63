// y = x W^T + b. In the book: W has the dense rows (g, x), b the per-sample column sums of g.
#include <ATen/ops/empty.h>

#include "cpu/gemm.h"
#include "cpu/parallel.h"
#include "cpu/reduce.h"
#include "ops/buffer.h"
#include "ops/dispatch.h"
#include "ops/operators.h"
#include "ops/tap.h"

namespace phantomgrad {
namespace {

constexpr int64_t kTaskRows = 96;

// out [rows, n] = in [rows, k] matrix [k, n] (+ bias), a block of rows at a time.
template <class T>
void product(const T* in, int64_t rows, int64_t k, const T* matrix, int64_t n, const T* bias, T* out) {
  cpu::parallel_for(0, (rows + kTaskRows - 1) / kTaskRows, 1, [&](int64_t first, int64_t last) {
    for (int64_t row = first * kTaskRows; row < std::min(rows, last * kTaskRows); row += kTaskRows) {
      const int64_t count = std::min(kTaskRows, rows - row);
      PG_CALL((gemm<T>), count, n, k, {in + row * k, k, 1}, matrix, n, out + row * n, n, false);
      if (bias == nullptr) continue;
      for (int64_t r = row; r < row + count; ++r)
        for (int64_t j = 0; j < n; ++j) out[r * n + j] += bias[j];
    }
  });
}

class Linear final : public Operation {
 public:
  at::Tensor forward(const std::vector<at::Tensor>& inputs, const std::vector<BookEntry>&,
                     const std::vector<bool>& needed) override {
    const at::Tensor x = inputs[0].contiguous(), weight = inputs[1].contiguous();
    const int64_t p = weight.size(0), d = weight.size(1), rows = row_count(x);
    if (needed[1] || needed[2]) segments_ = segments_of("linear", rows, x.size(0));
    std::vector<int64_t> shape = x.sizes().vec();
    shape.back() = p;
    at::Tensor y = at::empty(shape, x.options());
    with_floating("linear", x, [&](auto zero) {
      using T = decltype(zero);
      Buffer<T> transposed(p * d);
      PG_CALL((transpose<T>), p, d, weight.const_data_ptr<T>(), d, transposed.data(), p);
      product<T>(x.const_data_ptr<T>(), rows, d, transposed.data(), p,
                 inputs[2].defined() ? inputs[2].const_data_ptr<T>() : nullptr, y.mutable_data_ptr<T>());
    });
    return y;
  }

  void backward(const std::vector<at::Tensor>& inputs, const at::Tensor& gradient, Sink& sink) override {
    const at::Tensor x = inputs[0].contiguous(), weight = inputs[1].contiguous();
    const int64_t p = weight.size(0), d = weight.size(1), rows = row_count(x);
    if (sink.needs(0)) {
      at::Tensor dx = at::empty(x.sizes(), x.options());
      with_floating("linear", x, [&](auto zero) {
        using T = decltype(zero);
        product<T>(gradient.const_data_ptr<T>(), rows, p, weight.const_data_ptr<T>(), d, nullptr,
                   dx.mutable_data_ptr<T>());
      });
      sink.gradient(0, dx);
    }
    if (sink.needs(2)) sink.use(2, inputs[2], stored_use(column_sums(gradient, p)));
    if (sink.needs(1)) sink.use(1, weight, dense_use(segments_, gradient.view({rows, p}), x.view({rows, d})));
  }

 private:
  at::Tensor column_sums(const at::Tensor& gradient, int64_t p) const {
    at::Tensor sums = at::empty({segments_->count(), p}, gradient.options());
    with_floating("linear", gradient, [&](auto zero) {
      using T = decltype(zero);
      cpu::parallel_for(0, segments_->count(), 4, [&](int64_t first, int64_t last) {
        for (int64_t b = first; b < last; ++b)
          PG_CALL((column_sums<T>), gradient.const_data_ptr<T>() + segments_->first(b) * p, segments_->length(b), p, p,
                  sums.mutable_data_ptr<T>() + b * p);
      });
    });
    return sums;
  }

  SegmentsPtr segments_;
};

}  // namespace

at::Tensor linear(const at::Tensor& input, const at::Tensor& weight, const std::optional<at::Tensor>& bias) {
  PG_CHECK(weight.dim() == 2 && input.dim() >= 1 && input.size(-1) == weight.size(1), "ERR_INVALID_ARGUMENT",
           "linear: expected input [..., in] and weight [out, in], got ", input.sizes(), " and ", weight.sizes(), ".");
  PG_CHECK(input.scalar_type() == weight.scalar_type(), "ERR_INVALID_ARGUMENT",
           "linear: input and weight must have one dtype, got ", input.scalar_type(), " and ", weight.scalar_type(),
           ".");
  PG_CHECK(!bias.has_value() || (bias->dim() == 1 && bias->size(0) == weight.size(0) &&
                                 bias->scalar_type() == weight.scalar_type() && bias->is_contiguous()),
           "ERR_INVALID_ARGUMENT", "linear: bias must be [", weight.size(0), "] of the weight's dtype.");
  return tap(std::make_shared<Linear>(), {input, weight, bias.value_or(at::Tensor())});
}

}  // namespace phantomgrad
