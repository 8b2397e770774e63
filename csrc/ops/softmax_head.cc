// Cross entropy of a softmax head over a large vocabulary: the logits never exist as a whole.
#include <ATen/ops/empty.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/mul.h>

#include "cpu/parallel.h"
#include "ops/any.h"
#include "ops/dispatch.h"
#include "ops/head.h"
#include "ops/operators.h"
#include "ops/tap.h"

namespace phantomgrad {
namespace {

class SoftmaxHead final : public Operation {
 public:
  SoftmaxHead(at::Tensor targets, at::Tensor weights, HeadOptions options)
      : targets_(std::move(targets)), weights_(std::move(weights)), options_(std::move(options)) {}

  at::Tensor forward(const std::vector<at::Tensor>& inputs, const std::vector<BookEntry>& entries,
                     const std::vector<bool>& needed) override {
    HeadWants wants;
    wants.residual = needed[0] || needed[1] || needed[2];
    wants.table = needed[1];
    wants.bias = needed[2];
    wants.norms = entries[1].book != nullptr && entries[1].book->norms_wanted();
    head_ = run_head(inputs[0], inputs[1], targets_, weights_, inputs[2], options_, wants);
    // A copy: the node keeps the head, and must not keep its own output alive through it.
    return head_->loss.clone();
  }

  void backward(const std::vector<at::Tensor>& inputs, const at::Tensor& gradient, Sink& sink) override {
    if (sink.needs(0)) sink.gradient(0, scaled_rows(gradient, inputs[0].sizes()));
    if (sink.needs(2))
      sink.use(2, inputs[2], stored_use(at::mul(head_->d_bias, gradient.unsqueeze(1)), head_->segments->token()));
    if (sink.needs(1)) sink.use(1, inputs[1], residual_use(head_, gradient));
  }

 private:
  at::Tensor scaled_rows(const at::Tensor& upstream, at::IntArrayRef shape) const {
    if (head_->any_device) {
      const at::Tensor scale = at::index_select(upstream, 0, samples_of_rows(*head_->segments, upstream.device()));
      return at::mul(head_->d_hidden, scale.unsqueeze(1)).view(shape);
    }
    at::Tensor result = at::empty(shape, head_->d_hidden.options());
    with_floating("softmaxCrossEntropyHead", result, [&](auto zero) {
      using T = decltype(zero);
      const Segments& segments = *head_->segments;
      const int64_t d = head_->dim();
      const T *scale = host_data<T>(upstream), *from = host_data<T>(head_->d_hidden);
      T* to = host_writable<T>(result);
      cpu::parallel_for(0, segments.count(), cpu::grain_for(segments.mean_length() * d),
                        [&](int64_t first, int64_t last) {
                          for (int64_t b = first; b < last; ++b)
                            for (int64_t i = segments.first(b) * d; i < segments.first(b + 1) * d; ++i)
                              to[i] = scale[b] * from[i];
                        });
    });
    return result;
  }

  at::Tensor targets_, weights_;
  HeadOptions options_;
  HeadPtr head_;
};

}  // namespace

at::Tensor softmax_cross_entropy_head(const at::Tensor& hidden, const at::Tensor& table, const at::Tensor& targets,
                                      const std::optional<at::Tensor>& weights, const std::optional<at::Tensor>& bias,
                                      double scale, double label_smoothing, int64_t padding_id,
                                      const std::optional<at::Tensor>& candidates, bool mean) {
  PG_CHECK(!weights.has_value() || !weights->requires_grad(), "ERR_NO_GRADIENT_RULE",
           "softmaxCrossEntropyHead: weights have no gradient rule. Detach them, or multiply the loss instead.");
  // Copies: what the caller writes into its buffers later must not change the gradient.
  auto operation = std::make_shared<SoftmaxHead>(own_integers("softmaxCrossEntropyHead", "targets", targets),
                                                 weights.has_value() ? weights->clone() : at::Tensor(),
                                                 HeadOptions{scale, label_smoothing, padding_id, candidates, mean});
  return tap("softmaxCrossEntropyHead", std::move(operation), {hidden, table, bias.value_or(at::Tensor())});
}

}  // namespace phantomgrad
