// Attention over packed rows on any device: samples side by side, each filled up to the longest of its block.
#include <ATen/ops/amax.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/clamp_max.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <ATen/TensorOperators.h>

#include <cmath>
#include <limits>

#include "ops/any.h"
#include "ops/device.h"
#include "ops/plugin_covers.h"
#include "ops/plugin_kernels.h"

namespace phantomgrad {
namespace {

// One block of samples: everything is [samples, heads, longest, ...].
class AttentionBlock {
 public:
  AttentionBlock(const AnyAttention& call, const SampleBlock& block)
      : call_(call),
        block_(block),
        rows_(call.segments, block, call.query.device()),
        query(split(call.query)),
        key(split(call.key)),
        value(split(call.value)) {
    const int64_t T = block.longest;
    scale = 1 / std::sqrt(static_cast<double>(query.size(3)));
    const at::Tensor place = at::arange(T, at::TensorOptions().dtype(at::kLong).device(call.query.device()));
    visible_ = rows_.present().view({block.count(), 1, 1, T});
    if (call.causal) visible_ = visible_.logical_and(place.unsqueeze(0).le(place.unsqueeze(1)));
    if (call.dropout > 0) drop_ = dropped(place);
    at::Tensor logits = at::mul(at::matmul(query, key.transpose(2, 3)), scale);
    if (call.correction != Correction::off) correct(logits);
    softmax = softmax_of(logits);
    weights = through(softmax);
  }

  /// [rows, heads * dim] to [samples, heads, longest, dim], and back.
  at::Tensor split(const at::Tensor& packed) const {
    const at::Tensor padded = rows_.pad(packed);
    return padded.view({padded.size(0), padded.size(1), call_.heads, padded.size(2) / call_.heads})
        .transpose(1, 2)
        .contiguous();
  }
  void join(const at::Tensor& parts, const at::Tensor& packed) const {
    const at::Tensor flat =
        parts.transpose(1, 2).reshape({parts.size(0), parts.size(2), parts.size(1) * parts.size(3)});
    packed.narrow(0, rows_.first(), rows_.rows()).copy_(rows_.unpad(flat));
  }

  /// What happens to softmax weights, or to their gradient, behind the softmax: damping and dropout.
  at::Tensor through(at::Tensor t) const {
    if (damp_.defined()) t = at::mul(t, damp_);
    if (drop_.defined()) t = at::mul(t, drop_);
    return at::where(visible_, t, 0.0);
  }

  const AnyAttention& call_;
  const SampleBlock block_;
  BlockRows rows_;
  at::Tensor query, key, value, softmax, weights;
  double scale = 1;

 private:
  at::Tensor softmax_of(const at::Tensor& logits) const {
    const at::Tensor seen = at::where(visible_, logits, -std::numeric_limits<double>::infinity());
    const at::Tensor best = at::amax(seen, {3}, true), most = at::where(at::isfinite(best), best, 0.0);
    const at::Tensor e = at::exp(seen - most);
    // Rows behind the end of a sample see nothing, and their sum is 0.
    const at::Tensor inverse = at::sum(e, {3}, true, at::kDouble).reciprocal().to(e.scalar_type());
    return at::where(visible_, e * inverse, 0.0);
  }

  // Penalties are half the variance of every logit, and constants to the gradient.
  void correct(at::Tensor& logits) {
    const at::Tensor squares = at::mul(query, query), noise = split(call_.key_variance);
    at::Tensor penalty = noise.size(3) > 1 ? at::matmul(squares, noise.transpose(2, 3))
                                           : at::sum(squares, {3}, true) * noise.transpose(2, 3);
    penalty = at::mul(penalty, scale * scale / 2);
    if (call_.correction == Correction::second_order) penalty = at::mul(penalty, 1 - at::mul(softmax_of(logits), 2.0));
    penalty = at::clamp_max(penalty, call_.max_penalty);
    if (call_.correction == Correction::paper)
      damp_ = at::exp(-penalty);
    else
      logits = logits - penalty;
  }

  at::Tensor dropped(const at::Tensor& place) const {
    std::vector<int64_t> streams;
    for (int64_t i = block_.first * call_.heads; i < block_.last * call_.heads; ++i)
      streams.push_back(static_cast<int64_t>(call_.streams[static_cast<size_t>(i)]));
    const at::Tensor stream = integers_on(place.device(), streams).view({block_.count(), call_.heads, 1, 1});
    const at::Tensor element = at::mul(place, int64_t{1} << 32).unsqueeze(1) + place;
    const at::Tensor kept = any_dropout_kept(stream, element, call_.dropout);
    return at::mul(kept.to(call_.query.scalar_type()), 1 / (1 - call_.dropout));
  }

  at::Tensor visible_, drop_, damp_;
};

// Calls body(block) for blocks of samples that fit the budget.
template <class Body>
void each_block(const AnyAttention& call, Body body) {
  const int64_t width = call.query.size(1);
  const auto cost = [&](int64_t samples, int64_t longest) {
    return samples * longest * (longest * call.heads * 4 + width * 4);
  };
  for (const SampleBlock& block : sample_blocks(lengths_of(call.segments), cost))
    if (block.longest > 0) body(AttentionBlock(call, block));
}

}  // namespace

AnyAttended any_attention(const AnyAttention& call) {
  if (covers_attention(call)) return plugin_attention(call);
  AnyAttended result{at::empty(call.query.sizes(), call.query.options()), {}, {}, {}};
  if (call.value_variance.defined())
    result.variance = at::empty({call.query.size(0), call.heads}, call.query.options());
  each_block(call, [&](const AttentionBlock& block) {
    block.join(at::matmul(block.weights, block.value), result.output);
    if (result.variance.defined())
      block.join(at::matmul(at::mul(block.weights, block.weights), block.split(call.value_variance)), result.variance);
  });
  return result;
}

std::vector<at::Tensor> any_attention_backward(const AnyAttention& call, const at::Tensor& gradient,
                                               const AnyAttended& attended) {
  if (attended.lse.defined() && covers_attention_backward(call))
    return plugin_attention_backward(call, gradient, attended);
  std::vector<at::Tensor> result;
  for (int i = 0; i < 3; ++i) result.push_back(at::empty(call.query.sizes(), call.query.options()));
  each_block(call, [&](const AttentionBlock& block) {
    const at::Tensor d_output = block.split(gradient);
    const at::Tensor d_softmax = block.through(at::matmul(d_output, block.value.transpose(2, 3)));
    const at::Tensor along = at::sum(block.softmax * d_softmax, {3}, true);
    const at::Tensor d_logits = at::mul(block.softmax * (d_softmax - along), block.scale);
    block.join(at::matmul(d_logits, block.key), result[0]);
    block.join(at::matmul(d_logits.transpose(2, 3), block.query), result[1]);
    block.join(at::matmul(block.weights.transpose(2, 3), d_output), result[2]);
  });
  return result;
}

}  // namespace phantomgrad
