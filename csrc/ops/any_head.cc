// The softmax head on any device: chunks of rows, whose logits become the residual rows that the book keeps.
#include <ATen/ops/amax.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/eq.h>
#include <ATen/ops/exp.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/log.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <ATen/TensorOperators.h>

#include <limits>

#include "ops/any.h"
#include "ops/device.h"
#include "ops/plugin_covers.h"
#include "ops/plugin_head.h"

namespace phantomgrad {

void any_sample_means(at::Tensor& weights, const Segments& segments) {
  const at::Tensor sums = any_sample_sums(weights.unsqueeze(1), segments).squeeze(1);
  const at::Tensor of_row = at::index_select(sums, 0, samples_of_rows(segments, weights.device()));
  weights = at::where(at::eq(of_row, 0), 0.0, weights.to(at::kDouble) / of_row).to(weights.scalar_type());
}

void any_run_head(Head& head, const HeadWants& wants) {
  if (covers_head(head, wants)) return plugin_run_head(head, wants);
  const int64_t rows = head.segments->rows(), M = head.vocabulary(), samples = head.segments->count();
  const at::TensorOptions options = head.hidden.options(), wide = options.dtype(at::kDouble);
  const at::ScalarType type = head.hidden.scalar_type();
  const at::Tensor live = head.live.defined() ? head.live.to(at::kBool) : at::Tensor(), table = head.table.t();
  const double hit = 1 - head.smoothing, live_count = static_cast<double>(head.live_count);
  const at::Tensor row_loss = at::zeros({rows, 1}, wide),
                   sample = samples_of_rows(*head.segments, head.hidden.device());
  const at::Tensor d_bias = wants.bias ? at::zeros({samples, M}, wide) : at::Tensor();
  head.lse = at::empty({rows}, options);
  if (wants.residual) head.d_hidden = at::empty({rows, head.dim()}, options);
  if (wants.table) head.residual = at::empty({rows, M}, options);

  const int64_t step = std::max<int64_t>(1, kAnyNumbers / std::max<int64_t>(1, M));
  for (int64_t first = 0; first < rows; first += step) {
    const int64_t count = std::min(step, rows - first);
    const at::Tensor w = head.weights.narrow(0, first, count).unsqueeze(1), w64 = w.to(at::kDouble),
                     y = head.targets.narrow(0, first, count).unsqueeze(1);
    at::Tensor z = at::matmul(head.hidden.narrow(0, first, count), table);
    if (head.bias.defined()) z = z + head.bias;
    const at::Tensor mean_logit =
        head.smoothing > 0 ? at::sum(live.defined() ? at::where(live, z, 0.0) : z, {1}, true, at::kDouble) / live_count
                           : at::Tensor();
    if (live.defined()) z = at::where(live, z, -std::numeric_limits<double>::infinity());
    // A row without a finite maximum (NaN, or no live column) has to poison its own loss and nothing else.
    const at::Tensor best = at::amax(z, {1}, true), most = at::where(at::isfinite(best), best, 0.0);
    const at::Tensor target = at::gather(z, 1, y).to(at::kDouble), e = at::exp(z - most);
    const at::Tensor sum = at::sum(e, {1}, true, at::kDouble), log_sum = most.to(at::kDouble) + at::log(sum);
    head.lse.narrow(0, first, count).copy_(log_sum.squeeze(1));
    at::Tensor loss = at::mul(log_sum - target, hit);
    if (head.smoothing > 0) loss = loss + at::mul(log_sum - mean_logit, head.smoothing);
    row_loss.narrow(0, first, count).copy_(at::where(at::eq(w64, 0), 0.0, w64 * loss));
    if (!wants.residual) continue;

    // delta = w (softmax(z) - (1 - smoothing) e_y - smoothing / live)
    at::Tensor delta = e * (w64 / sum).to(type) - at::mul(w64, head.smoothing / live_count).to(type);
    if (live.defined()) delta = at::where(live, delta, 0.0);
    delta = at::where(at::eq(w, 0), 0.0, delta);
    delta.scatter_add_(1, y, at::mul(w64, -hit).to(type));
    const at::Tensor d_hidden = at::matmul(delta, head.table);
    head.d_hidden.narrow(0, first, count).copy_(head.scale == 1 ? d_hidden : at::mul(d_hidden, head.scale));
    if (wants.bias) add_rows(d_bias, sample.narrow(0, first, count), delta.to(at::kDouble));
    if (wants.table) head.residual.narrow(0, first, count).copy_(delta);
  }
  head.loss = any_sample_sums(row_loss, *head.segments).squeeze(1).to(type);
  if (wants.bias) head.d_bias = d_bias;
}

}  // namespace phantomgrad
