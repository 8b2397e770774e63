// y = x * w + b, w and b repeated over the other dimensions: scales of normalisations, learned scalars, lone biases.
#include "cpu/affine.h"

#include <ATen/ops/add.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/sum.h>

#include "cpu/parallel.h"
#include "ops/any.h"
#include "ops/dispatch.h"
#include "ops/operators.h"
#include "ops/tap.h"

namespace phantomgrad {
namespace {

// x seen as [rows * each, channels, inner]: w and b run over the channels, the segments over the rows.
struct Shape {
  int64_t rows = 1, each = 1, channels = 1, inner = 1;
};

// How many leading dimensions, of at least `least` and at most `most`, are rows of the surrounding scope.
int64_t row_dimensions(at::IntArrayRef sizes, int64_t least, int64_t most) {
  int64_t product = 1;
  for (int64_t k = 0; k <= most; ++k) {
    if (k >= least && product == scope_rows()) return k;
    if (k < most) product *= sizes[static_cast<size_t>(k)];
  }
  return scope_rows() < 0 ? std::min<int64_t>(1, most) : most;
}

class Affine final : public Operation {
 public:
  Affine(Shape shape, int64_t first_dimension) : shape_(shape), first_dimension_(first_dimension) {}

  at::Tensor forward(const std::vector<at::Tensor>& inputs, const std::vector<BookEntry>&,
                     const std::vector<bool>& needed) override {
    const at::Tensor x = inputs[0].contiguous();
    if (needed[1] || needed[2]) segments_ = widen(*segments_of("affine", shape_.rows, first_dimension_), shape_.each);
    if (!has_kernels(x)) return any_forward(x, inputs);
    at::Tensor y = at::empty(x.sizes(), x.options());
    with_floating("affine", x, [&](auto zero) {
      using T = decltype(zero);
      const int64_t size = shape_.channels * shape_.inner;
      cpu::parallel_for(0, shape_.rows * shape_.each, cpu::grain_for(size), [&](int64_t first, int64_t last) {
        PG_CALL((affine_forward<T>), host_data<T>(x) + first * size, data<T>(inputs[1]), data<T>(inputs[2]),
                last - first, shape_.channels, shape_.inner, host_writable<T>(y) + first * size);
      });
    });
    return y;
  }

  void backward(const std::vector<at::Tensor>& inputs, const at::Tensor& gradient, Sink& sink) override {
    const at::Tensor& weight = inputs[1];
    if (sink.needs(0)) {
      const std::vector<int64_t> parts{shape_.rows * shape_.each, shape_.channels, shape_.inner};
      sink.gradient(0, weight.defined()
                           ? at::mul(gradient.view(parts), weight.view({shape_.channels, 1})).view(gradient.sizes())
                           : gradient);
    }
    if (!sink.needs(1) && !sink.needs(2)) return;
    const at::Tensor x = inputs[0].contiguous();
    const int64_t samples = segments_->count(), size = shape_.channels * shape_.inner;
    if (!has_kernels(x)) return any_backward(inputs, x, gradient, sink);
    at::Tensor d_weight = sink.needs(1) ? at::empty({samples, shape_.channels}, x.options()) : at::Tensor();
    at::Tensor d_bias = sink.needs(2) ? at::empty({samples, shape_.channels}, x.options()) : at::Tensor();
    with_floating("affine", x, [&](auto zero) {
      using T = decltype(zero);
      cpu::parallel_for(
          0, samples, cpu::grain_for(2 * size * segments_->mean_length()), [&](int64_t first, int64_t last) {
            for (int64_t b = first; b < last; ++b) {
              const int64_t at = segments_->first(b) * size, to = b * shape_.channels;
              PG_CALL((affine_sums<T>), host_data<T>(gradient) + at, host_data<T>(x) + at, segments_->length(b),
                      shape_.channels, shape_.inner, d_weight.defined() ? host_writable<T>(d_weight) + to : nullptr,
                      d_bias.defined() ? host_writable<T>(d_bias) + to : nullptr);
            }
          });
    });
    if (sink.needs(1)) sink.use(1, weight, stored_use(d_weight, segments_->token()));
    if (sink.needs(2)) sink.use(2, inputs[2], stored_use(d_bias, segments_->token()));
  }

 private:
  at::Tensor any_forward(const at::Tensor& x, const std::vector<at::Tensor>& inputs) const {
    check_floating("affine", x);
    at::Tensor y = x.view({shape_.rows * shape_.each, shape_.channels, shape_.inner});
    if (inputs[1].defined()) y = at::mul(y, inputs[1].view({shape_.channels, 1}));
    if (inputs[2].defined()) y = at::add(y, inputs[2].view({shape_.channels, 1}));
    return y.view(x.sizes());
  }

  void any_backward(const std::vector<at::Tensor>& inputs, const at::Tensor& x, const at::Tensor& gradient,
                    Sink& sink) const {
    const std::vector<int64_t> parts{shape_.rows * shape_.each, shape_.channels, shape_.inner};
    const at::Tensor g = gradient.view(parts).to(at::kDouble);
    const auto stored = [&](const at::Tensor& products) {
      return stored_use(any_sample_sums(at::sum(products, {2}), *segments_), segments_->token());
    };
    if (sink.needs(1)) sink.use(1, inputs[1], stored(at::mul(g, x.view(parts).to(at::kDouble))));
    if (sink.needs(2)) sink.use(2, inputs[2], stored(g));
  }

  template <class T>
  static const T* data(const at::Tensor& t) {
    return t.defined() ? host_data<T>(t) : nullptr;
  }

  Shape shape_;
  int64_t first_dimension_;
  SegmentsPtr segments_;
};

}  // namespace

at::Tensor affine(const at::Tensor& input, const std::optional<at::Tensor>& weight,
                  const std::optional<at::Tensor>& bias, int64_t axis) {
  PG_CHECK(weight.has_value() || bias.has_value(), "ERR_INVALID_ARGUMENT", "affine: give a weight, a bias or both.");
  const at::Tensor& like = weight.has_value() ? *weight : *bias;
  const int64_t dims = input.dim(), own = like.dim();
  const bool scalar = own == 0;
  const int64_t rows = row_dimensions(input.sizes(), std::min<int64_t>(1, dims), scalar ? dims : dims - own);
  const int64_t start = scalar ? rows : axis < 0 ? axis + dims : axis;
  const bool fits = start >= 0 && start + own <= dims &&
                    input.sizes().slice(static_cast<size_t>(start), static_cast<size_t>(own)) == like.sizes();
  PG_CHECK(fits, "ERR_INVALID_ARGUMENT",
           "affine: weight and bias must have the shape of the input's dimensions from axis ", axis, ", got ",
           like.sizes(), " for ", input.sizes(), ".");
  for (const auto& t : {weight, bias})
    PG_CHECK(
        !t.has_value() || (t->sizes() == like.sizes() && t->scalar_type() == input.scalar_type() && t->is_contiguous()),
        "ERR_INVALID_ARGUMENT", "affine: weight and bias must be contiguous, of one shape and of the input's dtype.");
  Shape shape;
  for (int64_t i = 0; i < dims; ++i) {
    int64_t& part = i < std::min(rows, start) ? shape.rows
                    : i < start               ? shape.each
                    : i < start + own         ? shape.channels
                                              : shape.inner;
    part *= input.size(i);
  }
  return tap("affine", std::make_shared<Affine>(shape, dims == 0 || start == 0 ? 1 : input.size(0)),
             {input, weight.value_or(at::Tensor()), bias.value_or(at::Tensor())});
}

}  // namespace phantomgrad
