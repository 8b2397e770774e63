// Convolution in one and two dimensions. In the book: a linear layer over unfolded patches, or, with groups, stored.
//   Lee and Kifer 2021 (arXiv 2009.03106) for the unfolded view.
#include <ATen/ops/bmm.h>
#include <ATen/ops/convolution.h>
#include <ATen/ops/convolution_backward.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/im2col.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/zeros.h>

#include "ops/dispatch.h"
#include "ops/operators.h"
#include "ops/tap.h"

namespace phantomgrad {
namespace {

struct Geometry {
  std::vector<int64_t> stride, padding, dilation;
  int64_t groups = 1;
};

// [a] or [a, b] as two dimensions; the new first one is neutral.
std::vector<int64_t> two(const std::vector<int64_t>& values, int64_t neutral) {
  return values.size() == 2 ? values : std::vector<int64_t>{neutral, values[0]};
}

class Convolution final : public Operation {
 public:
  explicit Convolution(Geometry geometry) : geometry_(std::move(geometry)) {}

  at::Tensor forward(const std::vector<at::Tensor>& inputs, const std::vector<BookEntry>&,
                     const std::vector<bool>& needed) override {
    const at::Tensor &x = inputs[0], &weight = inputs[1];
    if (needed[1] || needed[2]) segments_ = segments_of("convolution", x.size(0), x.size(0));
    const at::Tensor& bias = inputs[2];
    return at::convolution(x, weight, bias.defined() ? std::optional<at::Tensor>(bias) : std::nullopt, geometry_.stride,
                           geometry_.padding, geometry_.dilation, /*transposed=*/false,
                           std::vector<int64_t>(geometry_.stride.size(), 0), geometry_.groups)
        .contiguous();
  }

  void backward(const std::vector<at::Tensor>& inputs, const at::Tensor& gradient, Sink& sink) override {
    const at::Tensor &x = inputs[0], &weight = inputs[1];
    if (sink.needs(0))
      sink.gradient(
          0, std::get<0>(at::convolution_backward(
                 gradient, x, weight, std::nullopt, geometry_.stride, geometry_.padding, geometry_.dilation, false,
                 std::vector<int64_t>(geometry_.stride.size(), 0), geometry_.groups, {true, false, false})));
    if (!sink.needs(1) && !sink.needs(2)) return;
    const int64_t images = x.size(0), channels = weight.size(0),
                  places = images == 0 ? 0 : gradient.numel() / (images * channels);
    const at::Tensor g = gradient.view({images, channels, places});
    if (sink.needs(2))
      sink.use(2, inputs[2], stored_use(by_sample(at::sum(g, {2}, false, at::kDouble)), segments_->token()));
    if (!sink.needs(1)) return;
    const at::Tensor patches = unfold(x, weight);  // [images, in * kernel, places]
    if (geometry_.groups == 1) {
      return sink.use(1, weight,
                      dense_use(widen(*segments_, places), g.transpose(1, 2).reshape({-1, channels}),
                                patches.transpose(1, 2).reshape({-1, patches.size(1)})));
    }
    // A depthwise kernel is far smaller than its patches: the gradient of each image is formed.
    const int64_t groups = geometry_.groups, per_group = channels / groups, width = patches.size(1) / groups;
    const at::Tensor each = at::bmm(g.reshape({images * groups, per_group, places}).to(at::kDouble),
                                    patches.reshape({images * groups, width, places}).transpose(1, 2).to(at::kDouble));
    sink.use(1, weight, stored_use(by_sample(each.view({images, channels * width})), segments_->token()));
  }

 private:
  at::Tensor unfold(const at::Tensor& x, const at::Tensor& weight) const {
    const at::Tensor image = x.dim() == 4 ? x : x.unsqueeze(2);
    const std::vector<int64_t> kernel = two(weight.sizes().slice(2).vec(), 1);
    return at::im2col(image.contiguous(), kernel, two(geometry_.dilation, 1), two(geometry_.padding, 0),
                      two(geometry_.stride, 1));
  }

  // Float64 sums over the images of each sample: [images, width] to [samples, width].
  at::Tensor by_sample(const at::Tensor& images) const {
    if (segments_->count() == images.size(0)) {
      bool single = true;
      for (int64_t b = 0; b < segments_->count(); ++b) single = single && segments_->length(b) == 1;
      if (single) return images;
    }
    at::Tensor sums = at::zeros({segments_->count(), images.size(1)}, images.options());
    for (int64_t b = 0; b < segments_->count(); ++b)
      sums[b].copy_(at::sum(images.narrow(0, segments_->first(b), segments_->length(b)), {0}));
    return sums;
  }

  Geometry geometry_;
  SegmentsPtr segments_;
};

}  // namespace

at::Tensor convolution(const at::Tensor& input, const at::Tensor& weight, const std::optional<at::Tensor>& bias,
                       at::IntArrayRef stride, at::IntArrayRef padding, at::IntArrayRef dilation, int64_t groups) {
  const auto spatial = static_cast<size_t>(std::max<int64_t>(0, weight.dim() - 2));
  PG_CHECK(
      (spatial == 1 || spatial == 2) && input.dim() == weight.dim(), "ERR_INVALID_ARGUMENT",
      "convolution: expected input [B, in, length] and weight [out, in / groups, kernel], or one more dimension in "
      "both, got ",
      input.sizes(), " and ", weight.sizes(), ".");
  PG_CHECK(stride.size() == spatial && padding.size() == spatial && dilation.size() == spatial, "ERR_INVALID_ARGUMENT",
           "convolution: stride, padding and dilation must have ", spatial, " entries.");
  PG_CHECK(groups >= 1 && weight.size(0) % groups == 0 && input.size(1) == weight.size(1) * groups,
           "ERR_INVALID_ARGUMENT", "convolution: ", groups, " groups do not fit ", input.size(1), " and ",
           weight.size(0), " channels with a weight of shape ", weight.sizes(), ".");
  for (const at::Tensor& t : {input, weight}) check_floating("convolution", t);
  PG_CHECK(!bias.has_value() || (bias->dim() == 1 && bias->size(0) == weight.size(0)), "ERR_INVALID_ARGUMENT",
           "convolution: bias must be [", weight.size(0), "].");
  return tap("convolution",
             std::make_shared<Convolution>(Geometry{stride.vec(), padding.vec(), dilation.vec(), groups}),
             {input, weight, bias.value_or(at::Tensor())});
}

}  // namespace phantomgrad
