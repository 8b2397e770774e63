// The rule for every other parameter: one copy a sample, whose gradients are the per-sample gradients.
#include "ops/dispatch.h"
#include "ops/operators.h"
#include "ops/tap.h"

namespace phantomgrad {
namespace {

class PerSample final : public Operation {
 public:
  explicit PerSample(int64_t samples) : samples_(samples), token_(scope_token()) {}

  at::Tensor forward(const std::vector<at::Tensor>& inputs, const std::vector<BookEntry>&,
                     const std::vector<bool>&) override {
    std::vector<int64_t> shape = inputs[0].sizes().vec();
    shape.insert(shape.begin(), samples_);
    // A copy, not a view: an in-place edit of one sample's parameter must not reach the others.
    return inputs[0].unsqueeze(0).expand(shape).contiguous();
  }

  void backward(const std::vector<at::Tensor>& inputs, const at::Tensor& gradient, Sink& sink) override {
    if (sink.needs(0)) sink.use(0, inputs[0], stored_use(gradient, token_));
  }

 private:
  int64_t samples_, token_;
};

}  // namespace

at::Tensor per_sample(const at::Tensor& parameter, int64_t samples) {
  PG_CHECK(samples >= 0, "ERR_INVALID_ARGUMENT", "perSample: samples must be at least 0, got ", samples, ".");
  return tap("perSample", std::make_shared<PerSample>(samples), {parameter});
}

}  // namespace phantomgrad
