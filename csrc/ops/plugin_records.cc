// Records by the plugin: norms with their certificates in one call, clipped sums in another. Two numbers a sample come
// back to the host.

#include <algorithm>
#include <cmath>

#include "ops/device.h"
#include "ops/plugin.h"
#include "ops/plugin_covers.h"
#include "ops/plugin_head.h"
#include "ops/plugin_kernels.h"

namespace phantomgrad {
namespace {

// Where the book forms a sample in float64 instead (book.cc): twice what it allows a parameter, as in
// kernel_support.cc.
constexpr double kDenseSlack = 0.008;
// Below this a float64 sum of squares may have lost all its digits.
constexpr double kVanishing = 0x1p-900;
// A GPU has some 130 multiprocessors with room for two blocks of a clipped sum each.
constexpr int64_t kBlocksWanted = 264;
// Of float64: 256 MiB.
constexpr int64_t kWorkspaceNumbers = int64_t{1} << 25;

/// Squared norms and bounds of all samples, written by one kernel: float64 [2, samples].
class KernelNorms {
 public:
  explicit KernelNorms(const std::vector<UsePtr>& uses)
      : uses_(uses),
        both_(plugin_output({2, uses.front()->samples()},
                            at::TensorOptions().dtype(at::kDouble).device(uses.front()->device()))) {}

  at::Tensor norm2() const { return both_.select(0, 0); }
  at::Tensor bound() const { return both_.select(0, 1); }

  SampleNorms on_host() const {
    const std::vector<double> all = host_doubles(both_);
    const auto half = static_cast<std::ptrdiff_t>(all.size() / 2);
    SampleNorms result{{all.begin(), all.begin() + half}, {all.begin() + half, all.end()}};
    if (std::none_of(result.norm2.begin(), result.norm2.end(), [](double n) { return n < kVanishing; })) return result;
    std::vector<double> products(result.norm2.size(), 0.0);
    for (const UsePtr& use : uses_) use->add_row_products(products.data());
    for (size_t b = 0; b < products.size(); ++b)
      if (result.norm2[b] < kVanishing) result.bound[b] = std::max(result.bound[b], products[b]);
    return result;
  }

 private:
  const std::vector<UsePtr>& uses_;
  at::Tensor both_;
};

at::Tensor factors_on(const Use& use, const double* factors) {
  return doubles_on(use.device(), {factors, factors + use.samples()});
}

at::Tensor room_on(const Use& use, int64_t numbers) {
  return plugin_output({numbers}, at::TensorOptions().dtype(at::kDouble).device(use.device()));
}

class PluginStored final : public Record {
 public:
  explicit PluginStored(const std::vector<UsePtr>& uses)
      : uses_(uses), use_(static_cast<const AnyStored&>(*uses.front())) {}

  SampleNorms norms() override {
    const KernelNorms norms(uses_);
    plugin_call(use_.device(), "stored_norm_", use_.rows(), norms.norm2(), norms.bound());
    return norms.on_host();
  }

  void accumulate(const double* factors, const at::Tensor& sum) override {
    plugin_call(use_.device(), "stored_sum_", use_.rows(), factors_on(use_, factors), sum);
  }

 private:
  const std::vector<UsePtr>& uses_;
  const AnyStored& use_;
};

void index_norm(const AnyIndex& use, const at::Tensor& norm2, const at::Tensor& bound) {
  const IndexPlan& plan = use.plan();
  const at::Tensor workspace =
      room_on(use, plugin_number(use.device(), "index_norm_workspace", use.samples(), use.dim()));
  plugin_call(use.device(), "index_norm_", use.values(), use.coefficients(), use.ids().numel(), use.scale(),
              plan.by_sample, plan.opens, plan.begin, workspace, norm2, bound);
}

void index_sum(const AnyIndex& use, const double* factors, const at::Tensor& sum) {
  const IndexPlan& plan = use.plan();
  plugin_call(use.device(), "index_sum_", use.values(), use.coefficients(), use.scale(), plan.by_id, plan.runs,
              plan.ids, plan.sample_of, factors_on(use, factors), sum.view({-1, use.dim()}));
}

class PluginIndex final : public Record {
 public:
  explicit PluginIndex(const std::vector<UsePtr>& uses)
      : uses_(uses), use_(static_cast<const AnyIndex&>(*uses.front())) {}

  SampleNorms norms() override {
    const KernelNorms norms(uses_);
    index_norm(use_, norms.norm2(), norms.bound());
    return norms.on_host();
  }

  void accumulate(const double* factors, const at::Tensor& sum) override { index_sum(use_, factors, sum); }

 private:
  const std::vector<UsePtr>& uses_;
  const AnyIndex& use_;
};

class PluginDense final : public Record {
 public:
  explicit PluginDense(const std::vector<UsePtr>& uses)
      : uses_(uses), use_(static_cast<const AnyDense&>(*uses.front())) {}

  SampleNorms norms() override {
    const KernelNorms norms(uses_);
    const int64_t B = use_.samples(), p = use_.left().size(1), d = use_.right().size(1),
                  longest = use_.segments().longest();
    // T (p + d) products for the Gram matrices against 2 p d for the gradient itself.
    const bool gram = static_cast<double>(use_.mean_rows()) * static_cast<double>(p + d) <
                      2.0 * static_cast<double>(p) * static_cast<double>(d);
    exact_ = plugin_output({B}, at::TensorOptions().dtype(at::kByte).device(use_.device()));
    const at::Tensor workspace = room_on(use_, plugin_number(use_.device(), "ghost_norm_workspace", B, longest, d, p));
    plugin_call(use_.device(), "ghost_norm_", use_.right(), use_.left(), offsets(), gram, /*bias=*/false, longest,
                kDenseSlack, workspace, norms.norm2(), norms.bound(), exact_);
    return norms.on_host();
  }

  void accumulate(const double* factors, const at::Tensor& sum) override {
    const int64_t p = use_.left().size(1), d = use_.right().size(1);
    const int64_t splits = plugin_splits(((p + 63) / 64) * ((d + 63) / 64), use_.samples(), p * d);
    plugin_call(use_.device(), "clipped_sum_", use_.right(), use_.left(), factors_on(use_, factors), offsets(), exact_,
                splits, room_on(use_, splits * p * d), sum);
  }

 private:
  at::Tensor offsets() const { return use_.segments().cu_seqlens_on(use_.device()); }

  const std::vector<UsePtr>& uses_;
  const AnyDense& use_;
  at::Tensor exact_;  // uint8 [samples]: whose certificate failed, and who was formed in float64
};

// A head's table, alone or tied with one embedding.
class PluginTable final : public Record {
 public:
  PluginTable(const std::vector<UsePtr>& uses, const SweptHead& head, const AnyIndex* input)
      : uses_(uses), head_(head), input_(input) {}

  SampleNorms norms() override {
    const KernelNorms norms(uses_), in(uses_);
    if (input_ != nullptr) index_norm(*input_, in.norm2(), in.bound());
    head_.norms(input_, input_ == nullptr ? at::Tensor() : in.norm2(), norms.norm2(), norms.bound());
    SampleNorms result = norms.on_host();
    // What clips a vanishing gradient may multiply it by more than the book trusts these factors with (kLargestFactor):
    // then the book forms it in float64, and the norm has to come from there as well.
    for (size_t b = 0; b < result.norm2.size(); ++b)
      if (result.norm2[b] < kFaint) result.bound[b] *= 2;
    return result;
  }

  void accumulate(const double* factors, const at::Tensor& sum) override {
    head_.accumulate(factors, sum);
    if (input_ != nullptr) index_sum(*input_, factors, sum);
  }

 private:
  static constexpr double kFaint = 0x1p-40;

  const std::vector<UsePtr>& uses_;
  const SweptHead& head_;
  const AnyIndex* input_;
};

std::unique_ptr<Record> table_by_plugin(const std::vector<UsePtr>& uses) {
  const SweptHead* head = nullptr;
  const AnyIndex* input = nullptr;
  for (const UsePtr& use : uses) {
    if (use->kind() == UseKind::residual && head == nullptr)
      head = static_cast<const SweptHead*>(use.get());
    else if (use->kind() == UseKind::index && input == nullptr)
      input = static_cast<const AnyIndex*>(use.get());
    else
      return nullptr;
  }
  if (head == nullptr || (input != nullptr && !covers_tied(*input))) return nullptr;
  return std::make_unique<PluginTable>(uses, *head, input);
}

}  // namespace

int64_t plugin_splits(int64_t tiles, int64_t most, int64_t size) {
  const int64_t wanted = (kBlocksWanted + tiles - 1) / std::max<int64_t>(1, tiles);
  const int64_t room = kWorkspaceNumbers / std::max<int64_t>(1, size);
  return std::max<int64_t>(1, std::min({wanted, most, room}));
}

std::unique_ptr<Record> plugin_record(const std::vector<UsePtr>& uses) {
  if (std::unique_ptr<Record> table = table_by_plugin(uses)) return table;
  if (uses.size() != 1) return nullptr;
  const Use& use = *uses.front();
  if (use.kind() == UseKind::stored && covers_stored(static_cast<const AnyStored&>(use)))
    return std::make_unique<PluginStored>(uses);
  if (use.kind() == UseKind::index && covers_index(static_cast<const AnyIndex&>(use)))
    return std::make_unique<PluginIndex>(uses);
  if (use.kind() == UseKind::dense && covers_dense(static_cast<const AnyDense&>(use)))
    return std::make_unique<PluginDense>(uses);
  return nullptr;
}

}  // namespace phantomgrad
