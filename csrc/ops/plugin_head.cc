// Sweeps of the softmax head over its vocabulary, by the plugin.
#include "ops/plugin_head.h"

#include <ATen/ops/index_select.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/sqrt.h>

#include <algorithm>
#include <cmath>

#include "ops/any.h"
#include "ops/device.h"
#include "ops/plugin.h"
#include "ops/plugin_kernels.h"

namespace phantomgrad {
namespace {

// Where a certificate counts as failed. The book decides by the bounds themselves; this one only fills the flags.
constexpr double kHeadSlack = 0.008;

at::Tensor head_room(const Head& head, int64_t numbers) {
  return plugin_output({numbers}, head.hidden.options().dtype(at::kDouble));
}

int64_t tiles_of(int64_t n) { return (n + 63) / 64; }

// What every sweep begins with.
template <class... Rest>
void sweep(const char* name, const Head& head, const at::Tensor& weights, const Rest&... rest) {
  const at::Device device = head.hidden.device();
  plugin_call(device, name, head.hidden, head.table, head.bias, head.live, head.targets, weights,
              head.segments->cu_seqlens_on(device), head.live_count, head.smoothing, rest...);
}

}  // namespace

void plugin_run_head(Head& head, const HeadWants& wants) {
  const int64_t rows = head.segments->rows(), M = head.vocabulary(), d = head.dim();
  const at::TensorOptions options = head.hidden.options(), wide = options.dtype(at::kDouble);
  head.swept = true;
  head.lse = plugin_output({rows}, options);
  head.d_hidden = plugin_output({rows, d}, options);
  head.squares = plugin_output({rows}, wide);
  const at::Tensor row_loss = plugin_output({rows, 1}, wide);
  const int64_t parts = plugin_splits(tiles_of(rows), tiles_of(M), rows * (d + 1));
  const at::Tensor workspace =
      head_room(head, plugin_number(head.hidden.device(), "head_forward_workspace", rows, d, parts));
  sweep("head_forward_", head, head.weights, head.scale, parts, workspace, head.lse, row_loss, head.d_hidden,
        head.squares);
  head.loss = any_sample_sums(row_loss, *head.segments).squeeze(1).to(head.hidden.scalar_type());
  if (!wants.bias) return;
  head.d_bias = plugin_output({head.segments->count(), M}, wide);
  sweep("head_bias_", head, head.weights, head.lse, head.d_bias);
}

SweptHead::SweptHead(HeadPtr head, const at::Tensor& upstream)
    : Use(head->segments),
      head_(std::move(head)),
      upstream_(upstream.detach().to(head_->hidden.device(), head_->hidden.scalar_type())) {
  const at::Tensor scale = at::index_select(upstream_, 0, samples_of_rows(segments(), device()));
  weights_ = at::mul(head_->weights, scale);
  const at::Tensor wide = scale.to(at::kDouble);
  squares_ = at::mul(head_->squares, at::mul(wide, wide));
}

const AnyDense& SweptHead::rows() const {
  if (rows_ == nullptr) {
    Head kept = *head_;
    HeadWants wants;
    wants.residual = wants.table = wants.rows = true;
    any_run_head(kept, wants);
    rows_ = any_dense_use(segments_, kept.residual, kept.hidden, host_doubles(upstream_));
  }
  return static_cast<const AnyDense&>(*rows_);
}

void SweptHead::add_row_products(double* out) const {
  if (rows_ != nullptr) return rows_->add_row_products(out);
  const std::vector<double> residual = host_doubles(at::sqrt(squares_)), hidden = any_row_norms(head_->hidden);
  for (int64_t b = 0; b < samples(); ++b)
    for (int64_t t = segments().first(b); t < segments().first(b + 1); ++t)
      // Squares of float64 residuals may have underflowed; a factor upward covers the roundings of the kernel's sums.
      out[b] += residual[static_cast<size_t>(t)] * hidden[static_cast<size_t>(t)] * (1 + 0x1p-30);
}

void SweptHead::materialise(int64_t sample, const at::Tensor& gradient) const {
  if (rows_ != nullptr) return rows_->materialise(sample, gradient);
  const int64_t first = segments().first(sample), length = segments().length(sample);
  const auto wide = [](const at::Tensor& t) { return t.defined() ? t.to(at::kDouble) : t; };
  Head part = *head_;
  part.table = wide(head_->table);
  part.bias = wide(head_->bias);
  const int64_t step = std::max<int64_t>(1, kAnyNumbers / std::max<int64_t>(1, vocabulary()));
  HeadWants wants;
  wants.residual = wants.table = wants.rows = true;
  for (int64_t row = first; row < first + length; row += step) {
    const int64_t count = std::min(step, first + length - row);
    part.segments = std::make_shared<const Segments>(1, count);
    part.hidden = wide(head_->hidden.narrow(0, row, count));
    part.targets = head_->targets.narrow(0, row, count);
    part.weights = wide(weights_.narrow(0, row, count));
    any_run_head(part, wants);
    gradient.view({vocabulary(), head_->dim()}).addmm_(part.residual.t(), part.hidden);
  }
}

void SweptHead::accumulate(const double* factors, const at::Tensor& sum) const {
  if (rows_ != nullptr) return rows_->accumulate(factors, sum);
  const int64_t size = vocabulary() * head_->dim();
  const int64_t splits = plugin_splits(tiles_of(vocabulary()) * tiles_of(head_->dim()), samples(), size);
  sweep("head_sum_", *head_, weights_, head_->lse, doubles_on(device(), {factors, factors + samples()}), splits,
        head_room(*head_, splits * size), sum);
}

void SweptHead::norms(const AnyIndex* input, const at::Tensor& in_norm2, const at::Tensor& norm2,
                      const at::Tensor& bound) const {
  const int64_t longest = input == nullptr ? 1 : input->segments().longest();
  const at::Tensor workspace = head_room(*head_, plugin_number(device(), "head_norm_workspace", samples(), vocabulary(),
                                                               head_->dim(), longest)),
                   failed = plugin_output({samples()}, at::TensorOptions().dtype(at::kByte).device(device()));
  const at::Tensor none;
  sweep("head_norm_", *head_, weights_, head_->lse, squares_, input == nullptr ? none : input->ids(),
        input == nullptr ? none : input->values(), input == nullptr ? none : input->segments().cu_seqlens_on(device()),
        in_norm2, input == nullptr ? 1.0 : input->scale(), input == nullptr ? int64_t{-1} : input->padding_id(),
        longest, kHeadSlack, workspace, norm2, bound, failed);
}

}  // namespace phantomgrad
