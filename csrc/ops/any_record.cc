// Norms and certificates on any device: Gram matrices or gradients of many samples at once, all in float64.
//   |G_b|^2 = sum over pairs of uses of sum_{t,s} <l_t, l_s> <r_t, r_s>, docs/how-it-works.md
#include <ATen/ops/bmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cumsum.h>
#include <ATen/ops/floor_divide.h>
#include <ATen/ops/gather.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/ne.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/sum.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <ATen/TensorOperators.h>

#include <algorithm>
#include <cmath>

#include "ops/any.h"
#include "ops/any_uses.h"
#include "ops/device.h"
#include "ops/plugin_head.h"
#include "ops/plugin_kernels.h"
#include "ops/record.h"

namespace phantomgrad {
namespace {

// Below this a float64 sum of squares may have lost all its digits.
constexpr double kSafeSquare = 0x1p-900;

at::Tensor squares(const at::Tensor& rows) { return at::sum(at::mul(rows, rows), {1}); }

// Uses of linear layers, heads and tables.
class AnyMatrixRecord final : public Record {
 public:
  AnyMatrixRecord(int64_t left, int64_t right, const std::vector<UsePtr>& uses)
      : left_(left), right_(right), samples_(uses.front()->samples()), uses_(uses) {
    for (const UsePtr& use : uses) {
      if (use->kind() == UseKind::dense)
        dense_.push_back(static_cast<const AnyDense*>(use.get()));
      else if (use->kind() == UseKind::residual)
        dense_.push_back(&static_cast<const SweptHead*>(use.get())->rows());
      else
        index_.push_back(static_cast<const AnyIndex*>(use.get()));
      rows_ += static_cast<double>(use->segments().rows());
    }
    rows_of_ = totals(dense_);
    entries_of_ = totals(index_);
  }

  SampleNorms norms() override {
    const auto size = static_cast<size_t>(samples_);
    std::vector<double> products(size, 0.0);
    for (const UsePtr& use : uses_) use->add_row_products(products.data());
    SampleNorms result{{}, std::vector<double>(size)};
    // T (p + d) products for the Gram matrices against 2 p d for the gradient itself.
    const double mean = samples_ == 0 ? 0 : rows_ / static_cast<double>(samples_);
    const bool direct = !dense_.empty() && mean * static_cast<double>(left_ + right_) >=
                                               2.0 * static_cast<double>(left_) * static_cast<double>(right_);
    std::vector<int64_t> lengths = rows_of_;
    for (size_t b = 0; b < size; ++b) lengths[b] += entries_of_[b];
    const auto cost = [&](int64_t samples, int64_t longest) {
      const int64_t rows = samples * longest * (left_for_rows() + right_);
      return rows + (direct ? samples * left_ * right_ : 2 * samples * longest * longest);
    };
    for (const SampleBlock& block : sample_blocks(lengths, cost)) {
      const std::vector<double> part = host_doubles(direct ? direct_norm2(block) : gram_norm2(block));
      result.norm2.insert(result.norm2.end(), part.begin(), part.end());
    }
    for (size_t b = 0; b < size; ++b)
      bound(static_cast<double>(lengths[b]), direct, products[b], result.norm2[b], result.bound[b]);
    return result;
  }

  void accumulate(const double* factors, const at::Tensor& sum) override {
    for (const UsePtr& use : uses_) use->accumulate(factors, sum);
  }

 private:
  template <class U>
  std::vector<int64_t> totals(const std::vector<const U*>& uses) const {
    std::vector<int64_t> lengths(static_cast<size_t>(samples_), 0);
    for (const U* use : uses)
      for (int64_t b = 0; b < samples_; ++b) lengths[static_cast<size_t>(b)] += use->segments().length(b);
    return lengths;
  }

  int64_t left_for_rows() const { return dense_.empty() ? 1 : left_; }

  // A float64 sum of n products is off by at most gamma_n of the sum of their sizes, in whatever order it was made.
  void bound(double rows, bool direct, double products, double& norm2, double& bound) const {
    if (norm2 < 0) norm2 = 0;
    const auto p = static_cast<double>(left_for_rows()), d = static_cast<double>(right_);
    const double summed = rounding<double>(std::max(rows, rows_) + 8) * products;
    if (direct)
      bound = std::sqrt(norm2 * (1 + rounding<double>(static_cast<double>(left_) * d + 4))) + summed;
    else
      bound = std::sqrt(norm2 + rounding<double>(p + d + rows * rows + 16) * products * products) + summed;
    if (norm2 < kSafeSquare) bound = std::max(bound, products);  // squares may have underflowed
  }

  // The rows of all dense uses of a block as one list: [samples, rows, left or right].
  at::Tensor joined(const SampleBlock& block, bool left) const {
    std::vector<at::Tensor> parts;
    for (const AnyDense* use : dense_) {
      const SampleBlock own = own_block(use->segments(), block);
      at::Tensor rows = BlockRows(use->segments(), own, use->device()).pad(left ? use->left() : use->right());
      rows = rows.to(at::kDouble);
      if (left) {
        std::vector<double> scale;
        for (int64_t b = block.first; b < block.last; ++b) scale.push_back(use->upstream(b));
        if (std::any_of(scale.begin(), scale.end(), [](double s) { return s != 1; }))
          rows = at::mul(rows, doubles_on(use->device(), scale).view({block.count(), 1, 1}));
      }
      parts.push_back(rows);
    }
    return parts.size() == 1 ? parts.front() : at::cat(parts, 1);
  }

  static SampleBlock own_block(const Segments& segments, const SampleBlock& block) {
    int64_t longest = 0;
    for (int64_t b = block.first; b < block.last; ++b) longest = std::max(longest, segments.length(b));
    return {block.first, block.last, longest};
  }

  at::Tensor direct_norm2(const SampleBlock& block) const {
    at::Tensor gradients = at::bmm(joined(block, true).transpose(1, 2), joined(block, false)).contiguous();
    for (const AnyIndex* use : index_) {
      const int64_t first = use->segments().first(block.first), count = use->segments().first(block.last) - first;
      if (count > 0) add_rows(gradients.view({-1, right_}), keys(*use, block), use->entries(first, count));
    }
    return squares(gradients.view({block.count(), left_ * right_}));
  }

  at::Tensor gram_norm2(const SampleBlock& block) const {
    at::Tensor total =
        at::zeros({block.count()}, at::TensorOptions().dtype(at::kDouble).device(uses_.front()->device()));
    if (!index_.empty()) total = input_norm2(block);
    if (dense_.empty()) return total;
    const at::Tensor l = joined(block, true), r = joined(block, false);
    const auto sum = [](const at::Tensor& products) { return at::sum(products, {1, 2}); };
    total = total + sum(at::mul(at::bmm(l, l.transpose(1, 2)), at::bmm(r, r.transpose(1, 2))));
    // 2 sum_{s, e} l_s[id_e] <r_s, u_e>: independent of the number of ids.
    for (const AnyIndex* use : index_) {
      const SampleBlock own = own_block(use->segments(), block);
      if (own.longest == 0) continue;
      const BlockRows rows(use->segments(), own, use->device());
      const at::Tensor u = rows.pad_own(use->entries(rows.first(), rows.rows()));
      const at::Tensor ids = rows.pad(use->ids().unsqueeze(1)).squeeze(2);  // zeros meet rows of zeros
      const at::Tensor at_ids = at::gather(l, 2, ids.unsqueeze(1).expand({block.count(), l.size(1), own.longest}));
      total = total + at::mul(sum(at::mul(at_ids, at::bmm(r, u.transpose(1, 2)))), 2.0);
    }
    return total;
  }

  // (sample of the block, id) of every entry as one number.
  at::Tensor keys(const AnyIndex& use, const SampleBlock& block) const {
    const int64_t first = use.segments().first(block.first), count = use.segments().first(block.last) - first;
    std::vector<int64_t> samples;
    for (int64_t b = block.first; b < block.last; ++b)
      samples.insert(samples.end(), use.segments().length(b), (b - block.first) * left_);
    return integers_on(use.device(), samples) + use.ids().narrow(0, first, count);
  }

  // Rows with equal id are summed first: sorted by (sample, id), they are neighbours.
  at::Tensor input_norm2(const SampleBlock& block) const {
    std::vector<at::Tensor> all_keys, all_rows;
    for (const AnyIndex* use : index_) {
      const int64_t first = use->segments().first(block.first);
      all_keys.push_back(keys(*use, block));
      all_rows.push_back(use->entries(first, use->segments().first(block.last) - first));
    }
    at::Tensor total =
        at::zeros({block.count()}, at::TensorOptions().dtype(at::kDouble).device(index_.front()->device()));
    const at::Tensor unsorted = at::cat(all_keys), rows = at::cat(all_rows);
    if (unsorted.numel() == 0) return total;
    const auto [sorted, order] = at::sort(unsorted, /*stable=*/true, /*dim=*/0, /*descending=*/false);
    const at::Tensor starts = at::zeros_like(sorted);
    starts.narrow(0, 1, sorted.numel() - 1)
        .copy_(at::ne(sorted.narrow(0, 1, sorted.numel() - 1), sorted.narrow(0, 0, sorted.numel() - 1)));
    const at::Tensor group = at::cumsum(starts, 0);
    const at::Tensor sums = at::zeros_like(rows);
    add_rows(sums, group, at::index_select(rows, 0, order));
    // The sample of each group; those behind the last group have no rows and no norm, and stay with sample 0.
    at::Tensor sample = at::zeros_like(sorted);
    sample.index_copy_(0, group, at::floor_divide(sorted, left_));
    add_rows(total, sample, squares(sums));
    return total;
  }

  int64_t left_, right_, samples_;
  double rows_ = 0;
  const std::vector<UsePtr>& uses_;
  std::vector<const AnyDense*> dense_;
  std::vector<const AnyIndex*> index_;
  std::vector<int64_t> rows_of_, entries_of_;
};

// Per-sample gradients that are stored: their sum over the uses is what counts.
class AnyStoredRecord final : public Record {
 public:
  explicit AnyStoredRecord(const std::vector<UsePtr>& uses) : uses_(uses) {}

  SampleNorms norms() override {
    const int64_t samples = uses_.front()->samples();
    std::vector<double> products(static_cast<size_t>(samples), 0.0);
    for (const UsePtr& use : uses_) use->add_row_products(products.data());
    at::Tensor total;
    for (const UsePtr& use : uses_) {
      const at::Tensor rows = static_cast<const AnyStored&>(*use).rows().to(at::kDouble);
      total = total.defined() ? total + rows : rows;
    }
    SampleNorms result{host_doubles(squares(total)), {}};
    const auto width = static_cast<double>(total.size(1)),
               added = static_cast<double>(uses_.size()) + static_cast<double>(samples) + 4;
    for (size_t b = 0; b < result.norm2.size(); ++b) {
      double bound =
          std::sqrt(result.norm2[b]) * (1 + rounding<double>(width + 8)) + rounding<double>(added) * products[b];
      if (result.norm2[b] < kSafeSquare) bound = std::max(bound, products[b]);
      result.bound.push_back(bound);
    }
    return result;
  }

  void accumulate(const double* factors, const at::Tensor& sum) override {
    for (const UsePtr& use : uses_) use->accumulate(factors, sum);
  }

 private:
  const std::vector<UsePtr>& uses_;
};

}  // namespace

std::unique_ptr<Record> any_record(int64_t left, int64_t right, const std::vector<UsePtr>& uses) {
  if (std::unique_ptr<Record> ours = plugin_record(uses)) return ours;
  const auto stored = [](const UsePtr& use) { return use->kind() == UseKind::stored; };
  if (std::all_of(uses.begin(), uses.end(), stored)) return std::make_unique<AnyStoredRecord>(uses);
  if (std::any_of(uses.begin(), uses.end(), stored)) return mixed_record(left, right, uses);
  return std::make_unique<AnyMatrixRecord>(left, right, uses);
}

}  // namespace phantomgrad
