// The gradient book: the one road on which gradients of attached parameters arrive, as uses instead of tensors.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "ops/record.h"
#include "ops/use.h"

namespace phantomgrad {

class Book : public std::enable_shared_from_this<Book> {
 public:
  enum class Phase {
    closed,     // any backward pass through an attached parameter is refused
    recording,  // inside step
    checking,   // inside the attribution check
  };

  /// Parameters become views of one flat arena. Refuses what cannot be attached; then nothing has changed.
  static std::shared_ptr<Book> attach(std::vector<at::Tensor> parameters, std::vector<std::string> names);
  /// Gives the parameters memory of their own again and forgets them.
  void detach();

  const at::Tensor& arena() const { return arena_; }
  /// Float64 [arena]: the sum of clipped gradients since it was last zeroed.
  const at::Tensor& sum() const { return sum_; }

  /// Whether per-sample norms will be asked for. Operators keep other factors without them.
  bool norms_wanted() const { return norms_wanted_; }
  void want_norms(bool wanted) { norms_wanted_ = wanted; }
  /// Group of each parameter, 0 .. G - 1, every one used: norms, bounds and factors are per group. At first one group.
  void set_groups(std::vector<int64_t> groups);
  int64_t groups() const { return group_count_; }
  /// What each parameter's gradients are multiplied by before anything is measured or summed; at first 1. Norms, bounds
  /// and sums are then those of the scaled gradients.
  void set_scales(std::vector<double> scales);
  /// Forms every per-sample gradient in float64 instead of working with factors: slow, for verification.
  void materialise(bool wanted) { materialise_ = wanted; }

  Phase phase() const { return phase_; }
  /// Whether this thread runs the backward pass of a book.
  static bool in_step();
  const std::string& name(int64_t slot) const { return names_[static_cast<size_t>(slot)]; }
  int64_t size() const { return static_cast<int64_t>(parameters_.size()); }

  /// « (MulBackward0)»: the operator that sent a gradient to the leaf itself in the backward pass at hand.
  std::string operator_of(const std::string& name) const;
  /// Refuses (ERR_ENGINE_STATE) a parameter that was given other memory than its part of the arena.
  void check_bound(int64_t slot) const;

  /// Called by the nodes of tapped operators during a backward pass.
  void record(int64_t slot, UsePtr use);

  /// One backward pass with ones over the 1-D `loss`, recording uses. With a `token`, a use that was made in the scope
  /// of another batch is refused (ERR_BATCH_NOT_SAMPLED).
  void backward(const at::Tensor& loss, int64_t token);
  /// A backward pass for the samples with chosen[b] != 0 alone: empty when every use belongs to their rows, else the
  /// complaint. Keeps the graph.
  std::string check_attribution(const at::Tensor& loss, const std::vector<int64_t>& chosen);

  struct Norms {
    std::vector<double> norm, bound;      // [groups, B]
    std::vector<double> parameter_norm2;  // [parameters, B]
  };
  Norms norms();
  /// Adds sum_b factors[g, b] G_b of the parameters of each group g to sum() and drops the uses. A factor that is not
  /// finite counts as 0.
  void accumulate(std::vector<double> factors);
  void discard();
  /// Slots without a use in the last backward pass.
  std::vector<int64_t> unused() const;
  /// The arena was updated: graphs made before are stale.
  void parameters_changed();

 private:
  struct Slot {
    std::vector<UsePtr> uses;
    std::unique_ptr<Record> record;
    std::vector<char> exact;  // samples whose norm needed float64; empty: none
  };

  void run_backward(const at::Tensor& loss, const at::Tensor& seed, Phase phase, bool keep_graph);
  void refine(Norms& norms, std::vector<std::vector<double>>& bounds);
  // The parameter seen as a matrix [left, columns].
  int64_t left(int64_t slot) const;
  int64_t columns(size_t slot) const;

  std::vector<at::Tensor> parameters_;
  std::vector<std::string> names_;
  std::vector<int64_t> offsets_;  // [parameters + 1] into the arena
  std::vector<unsigned> hooks_;
  at::Tensor arena_, sum_;
  bool norms_wanted_ = true;
  Phase phase_ = Phase::closed;
  at::Tensor loss_;  // of the backward pass at hand
  int64_t samples_ = 0, token_ = 0;
  std::vector<int64_t> groups_;  // [parameters]
  int64_t group_count_ = 1;
  std::vector<double> scales_;  // [parameters]
  bool materialise_ = false;
  std::vector<Slot> slots_;
};

struct BookEntry {
  std::shared_ptr<Book> book;  // null: the tensor is not attached
  int64_t slot = -1;
};

/// Where `parameter` is attached, if anywhere. Safe from any thread.
BookEntry find_book(const at::Tensor& parameter);

}  // namespace phantomgrad
