// Uses on any device: every product and sum in float64, in blocks that fit a fixed budget.
#include "ops/any_uses.h"

#include <ATen/ops/amax.h>
#include <ATen/ops/div.h>
#include <ATen/ops/eq.h>
#include <ATen/ops/floor_divide.h>
#include <ATen/ops/full.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/ne.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/sqrt.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/where.h>
#include <ATen/TensorOperators.h>

#include <algorithm>

#include "ops/any.h"
#include "ops/device.h"

namespace phantomgrad {
namespace {

// Rows of a block of [rows, width] float64 numbers.
int64_t rows_at_a_time(int64_t width) { return std::max<int64_t>(1, kAnyNumbers / std::max<int64_t>(1, width)); }

// rows times `scale` [rows, 1]; where that is 0 the row does not count, whatever it holds: 0 * NaN would be NaN.
at::Tensor counting(const at::Tensor& rows, const at::Tensor& scale) {
  return at::where(at::ne(scale, 0), at::mul(rows, scale), 0.0);
}

// A constant for autograd: uses are read outside of it.
at::Tensor constant(const at::Tensor& t) { return t.detach().contiguous(); }

}  // namespace

std::vector<double> any_row_norms(const at::Tensor& rows) {
  std::vector<double> norms;
  const int64_t width = rows.size(1), step = rows_at_a_time(width);
  if (width == 0) return std::vector<double>(static_cast<size_t>(rows.size(0)), 0.0);
  for (int64_t first = 0; first < rows.size(0); first += step) {
    const at::Tensor x = rows.narrow(0, first, std::min(step, rows.size(0) - first)).to(at::kDouble);
    const at::Tensor most = at::amax(x.abs(), {1}, /*keepdim=*/true);
    const at::Tensor unit = at::div(x, at::where(at::eq(most, 0), at::ones_like(most), most));
    const std::vector<double> part =
        host_doubles(at::mul(at::sqrt(at::sum(at::mul(unit, unit), {1})), most.squeeze(1)));
    norms.insert(norms.end(), part.begin(), part.end());
  }
  return norms;
}

AnyDense::AnyDense(SegmentsPtr segments, at::Tensor left, at::Tensor right, std::vector<double> upstream)
    : Use(std::move(segments)), left_(constant(left)), right_(constant(right)), upstream_(std::move(upstream)) {}

void AnyDense::add_row_products(double* out) const {
  const std::vector<double> l = any_row_norms(left_), r = any_row_norms(right_);
  for (int64_t b = 0; b < samples(); ++b)
    for (int64_t t = segments().first(b); t < segments().first(b + 1); ++t)
      out[b] += std::abs(upstream(b)) * l[static_cast<size_t>(t)] * r[static_cast<size_t>(t)];
}

void AnyDense::materialise(int64_t sample, const at::Tensor& gradient) const {
  const int64_t first = segments().first(sample), rows = segments().length(sample);
  if (rows == 0) return;
  const at::Tensor l = left_.narrow(0, first, rows).to(at::kDouble).mul(upstream(sample));
  gradient.view({left_.size(1), right_.size(1)}).addmm_(l.t(), right_.narrow(0, first, rows).to(at::kDouble));
}

void AnyDense::accumulate(const double* factors, const at::Tensor& sum) const {
  std::vector<double> weights;
  for (int64_t b = 0; b < samples(); ++b) weights.push_back(factors[b] == 0 ? 0 : factors[b] * upstream(b));
  if (std::all_of(weights.begin(), weights.end(), [](double w) { return w == 0; })) return;
  const at::Tensor scale = doubles_on(device(), by_row(segments(), weights)).unsqueeze(1),
                   matrix = sum.view({left_.size(1), right_.size(1)});
  const int64_t step = rows_at_a_time(left_.size(1) + right_.size(1));
  for (int64_t first = 0; first < left_.size(0); first += step) {
    const int64_t rows = std::min(step, left_.size(0) - first);
    const at::Tensor own = scale.narrow(0, first, rows);
    const at::Tensor l = counting(left_.narrow(0, first, rows).to(at::kDouble), own),
                     r = at::where(at::ne(own, 0), right_.narrow(0, first, rows).to(at::kDouble), 0.0);
    matrix.addmm_(l.t(), r);
  }
}

AnyIndex::AnyIndex(SegmentsPtr entries, at::Tensor ids, at::Tensor rows, at::Tensor coefficients, double scale,
                   int64_t padding_id)
    : Use(std::move(entries)),
      host_ids_(on_host(ids.detach()).reshape({-1}).contiguous()),
      ids_(host_ids_.to(rows.device())),
      rows_(constant(rows)),
      coefficients_(coefficients.defined() ? constant(coefficients.reshape({-1})) : at::Tensor()),
      scale_(scale),
      padding_id_(padding_id),
      fan_(rows_.size(0) == 0 ? 1 : ids_.numel() / rows_.size(0)) {}

const IndexPlan& AnyIndex::plan() const {
  if (!plan_.has_value()) plan_ = make_index_plan(segments(), host_ids_, padding_id_, device());
  return *plan_;
}

at::Tensor AnyIndex::entries(int64_t first, int64_t count) const {
  at::Tensor rows;
  if (fan_ == 1) {
    rows = rows_.narrow(0, first, count).to(at::kDouble);
  } else {
    std::vector<int64_t> from;
    for (int64_t e = first; e < first + count; ++e) from.push_back(e / fan_);
    rows = at::index_select(rows_, 0, integers_on(device(), from)).to(at::kDouble);
  }
  if (coefficients_.defined()) rows = at::mul(rows, coefficients_.narrow(0, first, count).to(at::kDouble).unsqueeze(1));
  if (scale_ != 1) rows = at::mul(rows, scale_);
  if (padding_id_ < 0) return rows;
  return at::where(at::ne(ids_.narrow(0, first, count), padding_id_).unsqueeze(1), rows, 0.0);
}

void AnyIndex::add_row_products(double* out) const {
  const int64_t step = rows_at_a_time(dim());
  std::vector<double> norms;
  for (int64_t first = 0; first < ids_.numel(); first += step) {
    const std::vector<double> part = any_row_norms(entries(first, std::min(step, ids_.numel() - first)));
    norms.insert(norms.end(), part.begin(), part.end());
  }
  for (int64_t b = 0; b < samples(); ++b)
    for (int64_t e = segments().first(b); e < segments().first(b + 1); ++e) out[b] += norms[static_cast<size_t>(e)];
}

void AnyIndex::materialise(int64_t sample, const at::Tensor& gradient) const {
  const int64_t first = segments().first(sample), count = segments().length(sample);
  add_rows(gradient.view({-1, dim()}), ids_.narrow(0, first, count), entries(first, count));
}

void AnyIndex::accumulate(const double* factors, const at::Tensor& sum) const {
  const std::vector<double> own(factors, factors + samples());
  if (std::all_of(own.begin(), own.end(), [](double factor) { return factor == 0; })) return;
  const at::Tensor scale = doubles_on(device(), by_row(segments(), own)).unsqueeze(1);
  const int64_t step = rows_at_a_time(dim());
  for (int64_t first = 0; first < ids_.numel(); first += step) {
    const int64_t count = std::min(step, ids_.numel() - first);
    add_rows(sum.view({-1, dim()}), ids_.narrow(0, first, count),
             counting(entries(first, count), scale.narrow(0, first, count)));
  }
}

AnyStored::AnyStored(at::Tensor per_sample, int64_t token)
    : Use(std::make_shared<const Segments>(per_sample.size(0), 1, token)),
      rows_(constant(per_sample.reshape(
          {per_sample.size(0), per_sample.size(0) == 0 ? 0 : per_sample.numel() / per_sample.size(0)}))) {}

void AnyStored::add_row_products(double* out) const {
  const std::vector<double> norms = any_row_norms(rows_);
  for (int64_t b = 0; b < samples(); ++b) out[b] += norms[static_cast<size_t>(b)];
}

void AnyStored::materialise(int64_t sample, const at::Tensor& gradient) const {
  gradient.add_(rows_.select(0, sample).to(at::kDouble));
}

void AnyStored::accumulate(const double* factors, const at::Tensor& sum) const {
  const at::Tensor scale = doubles_on(device(), {factors, factors + samples()}).unsqueeze(1);
  const int64_t step = rows_at_a_time(rows_.size(1));
  for (int64_t first = 0; first < samples(); first += step) {
    const int64_t count = std::min(step, samples() - first);
    sum.add_(at::sum(counting(rows_.narrow(0, first, count).to(at::kDouble), scale.narrow(0, first, count)), {0}));
  }
}

UsePtr any_dense_use(SegmentsPtr segments, at::Tensor left, at::Tensor right, std::vector<double> upstream) {
  return std::make_unique<AnyDense>(std::move(segments), std::move(left), std::move(right), std::move(upstream));
}

UsePtr any_index_use(SegmentsPtr entries, at::Tensor ids, at::Tensor rows, at::Tensor coefficients, double scale,
                     int64_t padding_id) {
  return std::make_unique<AnyIndex>(std::move(entries), std::move(ids), std::move(rows), std::move(coefficients), scale,
                                    padding_id);
}

UsePtr any_stored_use(at::Tensor per_sample, int64_t token) {
  return std::make_unique<AnyStored>(std::move(per_sample), token);
}

}  // namespace phantomgrad
