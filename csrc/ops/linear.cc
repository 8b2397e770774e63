// y = x W^T + b, or x W + b. In the book: W has the dense rows (g, x) or (x, g), b the per-sample column sums of g.
#include <ATen/ops/add.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/matmul.h>

#include "cpu/gemm.h"
#include "cpu/parallel.h"
#include "cpu/reduce.h"
#include "ops/any.h"
#include "ops/buffer.h"
#include "ops/dispatch.h"
#include "ops/operators.h"
#include "ops/tap.h"

namespace phantomgrad {
namespace {

constexpr int64_t kTaskRows = 24;   // what threads share out: a multiple of the register tile
constexpr int64_t kBlockRows = 96;  // rows that pass over the matrix together
constexpr int64_t kBand = 16;       // rows that a transposition reads together

// out [rows, n] = in [rows, k] matrix [k, n] (+ bias), a block of rows at a time.
template <class T>
void product(const T* in, int64_t rows, int64_t k, const T* matrix, int64_t n, const T* bias, T* out) {
  cpu::parallel_for(0, (rows + kTaskRows - 1) / kTaskRows, cpu::grain_for(kTaskRows * k * n / 8),
                    [&](int64_t first, int64_t last) {
                      const int64_t end = std::min(rows, last * kTaskRows);
                      for (int64_t row = first * kTaskRows; row < end; row += kBlockRows) {
                        const int64_t count = std::min(kBlockRows, end - row);
                        PG_CALL((gemm<T>), count, n, k, {in + row * k, k, 1}, matrix, n, out + row * n, n, false);
                        if (bias == nullptr) continue;
                        for (int64_t r = row; r < row + count; ++r)
                          for (int64_t j = 0; j < n; ++j) out[r * n + j] += bias[j];
                      }
                    });
}

// W as the right factor of x W: [in, out]. Stored that way, or copied into `transposed`.
template <class T>
const T* right_factor(const at::Tensor& weight, bool as_is, Buffer<T>& transposed) {
  if (as_is) return host_data<T>(weight);
  const int64_t rows = weight.size(0), columns = weight.size(1);
  transposed = Buffer<T>(rows * columns);
  const T* in = host_data<T>(weight);
  const int64_t bands = (rows + kBand - 1) / kBand;
  cpu::parallel_for(0, bands, cpu::grain_for(kBand * columns), [&](int64_t first, int64_t last) {
    const int64_t row = first * kBand;
    PG_CALL((transpose<T>), std::min(rows, last * kBand) - row, columns, in + row * columns, columns,
            transposed.data() + row, rows);
  });
  return transposed.data();
}

class Linear final : public Operation {
 public:
  explicit Linear(bool transposed) : transposed_(transposed) {}

  at::Tensor forward(const std::vector<at::Tensor>& inputs, const std::vector<BookEntry>&,
                     const std::vector<bool>& needed) override {
    const at::Tensor x = inputs[0].contiguous(), weight = inputs[1].contiguous();
    const int64_t d = x.size(-1), p = weight.numel() / d, rows = row_count(x);
    if (needed[1] || needed[2]) segments_ = segments_of("linear", rows, x.size(0));
    std::vector<int64_t> shape = x.sizes().vec();
    shape.back() = p;
    if (!has_kernels(x)) {
      check_floating("linear", x);
      at::Tensor y = at::matmul(x.view({rows, d}), transposed_ ? weight : weight.t());
      return (inputs[2].defined() ? at::add(y, inputs[2]) : y).view(shape);
    }
    at::Tensor y = at::empty(shape, x.options());
    with_floating("linear", x, [&](auto zero) {
      using T = decltype(zero);
      Buffer<T> copy;
      product<T>(host_data<T>(x), rows, d, right_factor(weight, transposed_, copy), p,
                 inputs[2].defined() ? host_data<T>(inputs[2]) : nullptr, host_writable<T>(y));
    });
    return y;
  }

  void backward(const std::vector<at::Tensor>& inputs, const at::Tensor& gradient, Sink& sink) override {
    const at::Tensor x = inputs[0].contiguous(), weight = inputs[1].contiguous();
    const int64_t d = x.size(-1), p = weight.numel() / d, rows = row_count(x);
    if (sink.needs(0)) {
      sink.gradient(0, input_gradient(x, weight, gradient));
    }
    if (sink.needs(2)) sink.use(2, inputs[2], stored_use(column_sums(gradient, p), segments_->token()));
    if (!sink.needs(1)) return;
    const at::Tensor g = gradient.view({rows, p}), a = x.view({rows, d});
    sink.use(1, weight, transposed_ ? dense_use(segments_, a, g) : dense_use(segments_, g, a));
  }

 private:
  at::Tensor input_gradient(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& gradient) const {
    const int64_t d = x.size(-1), p = weight.numel() / d, rows = row_count(x);
    if (!has_kernels(x)) return at::matmul(gradient.view({rows, p}), transposed_ ? weight.t() : weight).view(x.sizes());
    at::Tensor dx = at::empty(x.sizes(), x.options());
    with_floating("linear", x, [&](auto zero) {
      using T = decltype(zero);
      Buffer<T> copy;
      product<T>(host_data<T>(gradient), rows, p, right_factor(weight, !transposed_, copy), d, nullptr,
                 host_writable<T>(dx));
    });
    return dx;
  }

  at::Tensor column_sums(const at::Tensor& gradient, int64_t p) const {
    if (!has_kernels(gradient)) return any_sample_sums(gradient.view({row_count(gradient), p}), *segments_);
    at::Tensor sums = at::empty({segments_->count(), p}, gradient.options());
    with_floating("linear", gradient, [&](auto zero) {
      using T = decltype(zero);
      cpu::parallel_for(0, segments_->count(), cpu::grain_for(segments_->mean_length() * p),
                        [&](int64_t first, int64_t last) {
                          for (int64_t b = first; b < last; ++b)
                            PG_CALL((column_sums<T>), host_data<T>(gradient) + segments_->first(b) * p,
                                    segments_->length(b), p, p, host_writable<T>(sums) + b * p);
                        });
    });
    return sums;
  }

  bool transposed_;
  SegmentsPtr segments_;
};

}  // namespace

at::Tensor linear(const at::Tensor& input, const at::Tensor& weight, const std::optional<at::Tensor>& bias,
                  bool transposed) {
  const char* layout = transposed ? "[in, out]" : "[out, in]";
  PG_CHECK(weight.dim() == 2 && input.dim() >= 1 && input.size(-1) == weight.size(transposed ? 0 : 1),
           "ERR_INVALID_ARGUMENT", "linear: expected input [..., in] and weight ", layout, ", got ", input.sizes(),
           " and ", weight.sizes(), ".");
  PG_CHECK(weight.numel() > 0, "ERR_INVALID_ARGUMENT", "linear: the weight must not be empty, got ", weight.sizes(),
           ".");
  PG_CHECK(input.scalar_type() == weight.scalar_type(), "ERR_INVALID_ARGUMENT",
           "linear: input and weight must have one dtype, got ", input.scalar_type(), " and ", weight.scalar_type(),
           ".");
  const int64_t out = weight.size(transposed ? 1 : 0);
  PG_CHECK(!bias.has_value() || (bias->dim() == 1 && bias->size(0) == out &&
                                 bias->scalar_type() == weight.scalar_type() && bias->is_contiguous()),
           "ERR_INVALID_ARGUMENT", "linear: bias must be [", out, "] of the weight's dtype.");
  return tap("linear", std::make_shared<Linear>(transposed), {input, weight, bias.value_or(at::Tensor())});
}

}  // namespace phantomgrad
