// The gradient book: recording uses, norms with their certificate, clipped sums.
#include "ops/book.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/ones_like.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <algorithm>
#include <cmath>

#include "error.h"
#include "ops/device.h"
#include "ops/tap.h"

namespace phantomgrad {
namespace {

// The share of the total norm that certificates may add before parameters are computed again in float64.
constexpr double kSlack = 0.004;

// Larger factors (of vanishing gradients) would overflow the float32 products of the fast paths: inf * 0 is NaN.
constexpr double kLargestFactor = 0x1p60;

// Below this, squares of float64 norms and of their certificates lose digits, or all. Float32 gradients, whose products
// are at least 2^-298, do not come here.
constexpr double kLeastBound = 0x1p-400;

// Marks a step. LibTorch carries this to the threads that run the backward pass of other devices; a thread_local of
// ours would be false there.
constexpr c10::DebugInfoKind kStep = c10::DebugInfoKind::TEST_INFO_2;

struct Stepping : c10::DebugInfoBase {};

}  // namespace

bool Book::in_step() { return dynamic_cast<Stepping*>(c10::ThreadLocalDebugInfo::get(kStep)) != nullptr; }

void Book::record(int64_t slot, UsePtr use) {
  PG_CHECK(phase_ != Phase::closed, "ERR_BACKWARD_OUTSIDE_STEP", "backward() reached parameter ", name(slot),
           " while an engine is attached. Give the loss to optimizer.step({ loss }), or detach the engine first.");
  PG_CHECK(!at::GradMode::is_enabled(), "ERR_BACKWARD_OUTSIDE_STEP",
           "step: second derivatives (createGraph) of parameter ", name(slot), " have no per-sample rule.");
  PG_CHECK(use->samples() == samples_, "ERR_BATCH_DIMENSION", "step: parameter ", name(slot), " was used for ",
           use->samples(), " samples, the loss has ", samples_,
           ". The first dimension of an input must be the batch, or nn.withSegments must say which rows belong to "
           "which sample; expand inputs of shape [1, T] to the batch.");
  const int64_t token = use->segments().token();
  PG_CHECK(phase_ == Phase::checking || token_ == 0 || token == token_, "ERR_BATCH_NOT_SAMPLED", "step: parameter ",
           name(slot),
           " was used for another batch than the one that the sampler drew last. Compute the loss after the batch was "
           "handed out, in the segments of that batch (nn.withSegments(nn.Segments.of(batch), ...)).");
  slots_[static_cast<size_t>(slot)].uses.push_back(std::move(use));
}

void Book::run_backward(const at::Tensor& loss, const at::Tensor& seed, Phase phase, bool keep_graph) {
  discard();
  for (int64_t slot = 0; slot < size(); ++slot) check_bound(slot);
  samples_ = loss.size(0);
  loss_ = loss;
  phase_ = phase;
  try {
    const c10::DebugInfoGuard step(kStep, std::make_shared<Stepping>());
    loss.backward(seed, keep_graph, /*create_graph=*/false);
  } catch (const std::exception& error) {
    phase_ = Phase::closed;
    loss_.reset();
    discard();
    PG_CHECK(!is_second_backward(error), "ERR_BACKWARD_OUTSIDE_STEP",
             "step: the loss has already been used. Compute it again for another step.");
    throw;
  }
  phase_ = Phase::closed;
  loss_.reset();
}

void Book::backward(const at::Tensor& loss, int64_t token) {
  token_ = token;
  PG_CHECK(loss.dim() == 1, "ERR_LOSS_SHAPE", "step: the loss must have one entry a sample, got shape ", loss.sizes(),
           ". Do not average it over the batch.");
  PG_CHECK(loss.requires_grad(), "ERR_NO_GRADIENT_RULE", "step: the loss does not depend on any trainable parameter.");
  run_backward(loss, at::ones_like(loss), Phase::recording, false);
}

std::string Book::check_attribution(const at::Tensor& loss, const std::vector<int64_t>& chosen) {
  PG_CHECK(loss.dim() == 1 && loss.size(0) == static_cast<int64_t>(chosen.size()), "ERR_LOSS_SHAPE",
           "step: the loss must have one entry a sample, got shape ", loss.sizes(), ".");
  std::vector<double> seed;
  for (const int64_t one : chosen) seed.push_back(one != 0);
  run_backward(loss, doubles_on(loss.device(), seed).to(loss.scalar_type()), Phase::checking, true);
  const std::vector<double> losses = host_doubles(loss);
  std::string complaint;
  for (size_t slot = 0; slot < slots_.size() && complaint.empty(); ++slot) {
    std::vector<double> products(static_cast<size_t>(samples_), 0.0);
    for (const UsePtr& use : slots_[slot].uses) use->add_row_products(products.data());
    for (size_t b = 0; b < products.size() && complaint.empty(); ++b) {
      // 0 * NaN is NaN: a sample that is not finite by itself is no witness.
      const bool finite = std::isfinite(losses[b]) && std::isfinite(products[b]);
      if (chosen[b] == 0 && finite && products[b] != 0)
        complaint =
            c10::str("the losses of other samples reached parameter ", names_[slot], " through the rows of sample ", b);
    }
  }
  discard();
  return complaint;
}

void Book::set_groups(std::vector<int64_t> groups) {
  PG_CHECK(static_cast<int64_t>(groups.size()) == size(), "ERR_INVALID_ARGUMENT", "groups: expected one for each of ",
           size(), " parameters, got ", groups.size(), ".");
  const int64_t count = 1 + *std::max_element(groups.begin(), groups.end());
  for (int64_t g = 0; g < count; ++g)
    PG_CHECK(std::find(groups.begin(), groups.end(), g) != groups.end(), "ERR_INVALID_ARGUMENT", "groups: none of the ",
             size(), " parameters is in group ", g, " of ", count, ".");
  PG_CHECK(*std::min_element(groups.begin(), groups.end()) == 0, "ERR_INVALID_ARGUMENT", "groups: numbers start at 0.");
  discard();
  groups_ = std::move(groups);
  group_count_ = count;
}

void Book::set_scales(std::vector<double> scales) {
  PG_CHECK(static_cast<int64_t>(scales.size()) == size(), "ERR_INVALID_ARGUMENT", "scales: expected one for each of ",
           size(), " parameters, got ", scales.size(), ".");
  for (const double scale : scales)
    PG_CHECK(scale >= 0x1p-40 && scale <= 0x1p40, "ERR_INVALID_ARGUMENT",
             "scales: each must be from 2^-40 to 2^40, got ", scale, ".");
  discard();
  scales_ = std::move(scales);
}

int64_t Book::left(int64_t slot) const {
  const at::Tensor& p = parameters_[static_cast<size_t>(slot)];
  return p.dim() == 0 ? 1 : p.size(0);
}

int64_t Book::columns(size_t slot) const {
  const int64_t rows = left(static_cast<int64_t>(slot));
  return rows == 0 ? 0 : parameters_[slot].numel() / rows;
}

Book::Norms Book::norms() {
  const at::NoGradGuard no_grad;
  const auto samples = static_cast<size_t>(samples_), groups = static_cast<size_t>(group_count_);
  Norms result{std::vector<double>(groups * samples, 0.0), std::vector<double>(groups * samples, 0.0),
               std::vector<double>(slots_.size() * samples, 0.0)};
  std::vector<std::vector<double>> bounds(slots_.size());
  for (size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    if (slot.uses.empty()) continue;
    const int64_t rows = left(static_cast<int64_t>(i));
    slot.record = materialise_ ? mixed_record(rows, columns(i), slot.uses) : make_record(rows, columns(i), slot.uses);
    SampleNorms norms = slot.record->norms();
    // Rounds by 2^-53 a product; the last line of this function widens bounds by far more.
    for (double& norm2 : norms.norm2) norm2 *= scales_[i] * scales_[i];
    for (double& bound : norms.bound) bound *= scales_[i];
    std::copy(norms.norm2.begin(), norms.norm2.end(),
              result.parameter_norm2.begin() + static_cast<int64_t>(i * samples));
    bounds[i] = std::move(norms.bound);
  }
  refine(result, bounds);
  for (size_t i = 0; i < slots_.size(); ++i) {
    if (bounds[i].empty()) continue;
    const auto at = static_cast<size_t>(groups_[i]) * samples;
    for (size_t b = 0; b < samples; ++b) {
      result.norm[at + b] += result.parameter_norm2[i * samples + b];
      result.bound[at + b] += bounds[i][b] * bounds[i][b];
    }
  }
  for (double& norm : result.norm) norm = std::sqrt(norm);
  for (double& bound : result.bound) {
    bound = std::sqrt(bound) * (1 + 0x1p-45);
    if (bound > 0 && bound < kLeastBound) bound = kLeastBound;
  }
  return result;
}

// Where certificates add too much to a group's norm, the parameters at fault are formed in float64.
void Book::refine(Norms& norms, std::vector<std::vector<double>>& bounds) {
  const auto samples = static_cast<size_t>(samples_);
  const auto excess = [&](size_t i, size_t b) {
    return bounds[i][b] * bounds[i][b] - norms.parameter_norm2[i * samples + b];
  };
  const at::NoGradGuard no_grad;
  std::vector<std::vector<double>> products(slots_.size());
  for (int64_t group = 0; group < group_count_; ++group) {
    std::vector<size_t> members;
    for (size_t i = 0; i < slots_.size(); ++i)
      if (groups_[i] == group && !bounds[i].empty()) members.push_back(i);
    for (size_t b = 0; b < samples; ++b) {
      double square = 0, added = 0;
      for (const size_t i : members) {
        square += norms.parameter_norm2[i * samples + b];
        added += excess(i, b);
      }
      if (!(added > 2 * kSlack * square) || !std::isfinite(added)) continue;
      for (const size_t i : members) {
        if (excess(i, b) <= kSlack * square / static_cast<double>(members.size())) continue;
        Slot& slot = slots_[i];
        if (products[i].empty()) {
          products[i].assign(samples, 0.0);
          for (const UsePtr& use : slot.uses) use->add_row_products(products[i].data());
        }
        const at::Tensor gradient = gradient_room(slot.uses, parameters_[i].numel());
        const ExactNorm exact = exact_norm(slot.uses, static_cast<int64_t>(b), products[i][b], gradient);
        norms.parameter_norm2[i * samples + b] = exact.norm2 * (scales_[i] * scales_[i]);
        bounds[i][b] = exact.bound * scales_[i];
        if (slot.exact.empty()) slot.exact.assign(samples, 0);
        slot.exact[b] = 1;
      }
    }
  }
}

void Book::accumulate(std::vector<double> factors) {
  PG_CHECK(static_cast<int64_t>(factors.size()) == group_count_ * samples_, "ERR_INVALID_ARGUMENT",
           "accumulate: expected ", group_count_, " x ", samples_, " factors, got ", factors.size(), ".");
  for (double& factor : factors)
    if (!std::isfinite(factor)) factor = 0;
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[i];
    if (slot.uses.empty()) continue;
    const at::Tensor part = sum_.narrow(0, offsets_[i], offsets_[i + 1] - offsets_[i]);
    const auto first = factors.begin() + groups_[i] * samples_;
    std::vector<double> rest(first, first + samples_);
    // A product below the normal numbers has lost digits and may have been rounded up by more than the bounds allow
    // for.
    if (scales_[i] != 1)
      for (double& factor : rest) factor = std::abs(factor * scales_[i]) < 0x1p-1022 ? 0 : factor * scales_[i];
    if (slot.record == nullptr && materialise_)
      slot.record = mixed_record(left(static_cast<int64_t>(i)), columns(i), slot.uses);
    if (slot.record == nullptr) {
      for (const UsePtr& use : slot.uses) use->accumulate(rest.data(), part);
      continue;
    }
    at::Tensor gradient;
    for (size_t b = 0; b < rest.size(); ++b) {
      const bool exact = !slot.exact.empty() && slot.exact[b];
      if ((!exact && std::abs(rest[b]) <= kLargestFactor) || rest[b] == 0) continue;
      if (!gradient.defined()) gradient = gradient_room(slot.uses, parameters_[i].numel());
      gradient.zero_();
      for (const UsePtr& use : slot.uses) use->materialise(static_cast<int64_t>(b), gradient);
      add_gradient(rest[b], gradient, part);
      rest[b] = 0;
    }
    slot.record->accumulate(rest.data(), part);
  }
  discard();
}

void Book::discard() {
  for (Slot& slot : slots_) slot = Slot{};
}

std::vector<int64_t> Book::unused() const {
  std::vector<int64_t> result;
  for (size_t i = 0; i < slots_.size(); ++i)
    if (slots_[i].uses.empty()) result.push_back(static_cast<int64_t>(i));
  return result;
}

void Book::parameters_changed() {
  // Views made by set_data have version counters of their own: without the bump a stale graph would go unnoticed.
  for (const at::Tensor& p : parameters_) p.unsafeGetTensorImpl()->bump_version();
}

}  // namespace phantomgrad
