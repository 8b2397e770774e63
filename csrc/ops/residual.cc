// Norm products and clipped sums of residual rows; long samples come as gradients that the forward pass formed.
#include "ops/residual.h"

#include <cmath>

#include "cpu/gemm.h"
#include "cpu/parallel.h"
#include "cpu/reduce.h"
#include "ops/any.h"
#include "ops/buffer.h"
#include "ops/dispatch.h"
#include "ops/plugin_head.h"
#include "ops/runs.h"

namespace phantomgrad {
namespace {

// Table rows of one task of the clipped sum: a multiple of the register tile.
constexpr int64_t kTaskColumns = 96;

}  // namespace

ResidualUse::ResidualUse(HeadPtr head, at::Tensor upstream)
    : Use(head->segments), head_(std::move(head)), upstream_(host_doubles(upstream)) {}

void ResidualUse::add_row_products(double* out) const {
  for (int64_t b = 0; b < samples(); ++b) out[b] += std::abs(upstream(b)) * head_->row_products[static_cast<size_t>(b)];
}

void ResidualUse::materialise(int64_t sample, const at::Tensor& gradient) const {
  add_sample(sample, 1, host_writable<double>(gradient));
}

void ResidualUse::add_sample(int64_t sample, double factor, double* sum) const {
  const double weight = factor * upstream(sample);
  const at::Tensor residual = residual_of(*head_, sample);
  with_floating("softmaxCrossEntropyHead", residual, [&](auto zero) {
    using T = decltype(zero);
    const int64_t M = head_->vocabulary(), d = head_->dim();
    for (int64_t t = 0; t < residual.size(0); ++t) {
      const T *delta = host_data<T>(residual) + t * M,
              *hidden = host_data<T>(head_->hidden) + (segments().first(sample) + t) * d;
      for (int64_t j = 0; j < M; ++j)
        PG_CALL((add_scaled<T>), sum + j * d, weight * static_cast<double>(delta[j]), hidden, d);
    }
  });
}

void ResidualUse::accumulate(const double* factors, const at::Tensor& into) const {
  double* sum = host_writable<double>(into);
  with_floating("softmaxCrossEntropyHead", head_->hidden, [&](auto zero) {
    using T = decltype(zero);
    const int64_t M = head_->vocabulary(), d = head_->dim();
    const T *hidden = host_data<T>(head_->hidden),
            *residual = head_->residual.defined() ? host_data<T>(head_->residual) : nullptr,
            *gradients = head_->gradients.defined() ? host_data<T>(head_->gradients) : nullptr;
    const auto weight = [&](int64_t b) { return factors[b] == 0 ? 0 : factors[b] * upstream(b); };
    const auto kept = [&](int64_t b) {
      return weight(b) != 0 && head_->residual_row[static_cast<size_t>(b)] >= 0 && segments().length(b) > 0;
    };
    const std::vector<Run> runs =
        make_runs(segments(), [&](int64_t b) { return kept(b) && ordinary_factor<T>(weight(b)); });
    for (int64_t b = 0; b < samples(); ++b)
      if (kept(b) && !ordinary_factor<T>(weight(b))) add_sample(b, factors[b], sum);
    Buffer<T> scaled(runs.empty() ? 0 : segments().rows() * d);
    for (const Run& run : runs)
      for (int64_t b = run.first; b < run.last; ++b)
        for (int64_t i = segments().first(b) * d; i < segments().first(b + 1) * d; ++i)
          scaled.data()[i] = static_cast<T>(weight(b)) * hidden[i];
    std::vector<int64_t> stored;
    for (int64_t b = 0; b < samples(); ++b)
      if (weight(b) != 0 && head_->gradient_at[static_cast<size_t>(b)] >= 0) stored.push_back(b);

    const int64_t tasks = (M + kTaskColumns - 1) / kTaskColumns;
    cpu::parallel_for(0, tasks, 1, [&](int64_t first, int64_t last) {
      Buffer<T> partial(runs.empty() ? 0 : kTaskColumns * d);
      for (int64_t task = first; task < last; ++task) {
        const int64_t column = task * kTaskColumns, columns = std::min(kTaskColumns, M - column);
        for (const Run& run : runs) {
          const int64_t row = segments().first(run.first), rows = segments().first(run.last) - row;
          const T* delta = residual + head_->residual_row[static_cast<size_t>(run.first)] * M + column;
          PG_CALL((gemm<T>), columns, d, rows, {delta, 1, M}, scaled.data() + row * d, d, partial.data(), d, false);
          PG_CALL((add_scaled<T>), sum + column * d, 1.0, partial.data(), columns * d);
        }
        for (const int64_t b : stored)
          PG_CALL((add_scaled<T>), sum + column * d, weight(b),
                  gradients + (head_->gradient_at[static_cast<size_t>(b)] * M + column) * d, columns * d);
      }
    });
  });
}

UsePtr residual_use(HeadPtr head, at::Tensor upstream) {
  if (head->swept) return std::make_unique<SweptHead>(std::move(head), upstream);
  if (head->any_device) return any_dense_use(head->segments, head->residual, head->hidden, host_doubles(upstream));
  return std::make_unique<ResidualUse>(std::move(head), std::move(upstream));
}

}  // namespace phantomgrad
