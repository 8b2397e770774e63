// The softmax head's forward pass, and what it keeps of it for the backward pass and the gradient book.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>

#include "ops/segments.h"
#include "ops/use.h"

namespace phantomgrad {

struct HeadOptions {
  double scale = 1;                      // tau: logits = tau E h + bias
  double label_smoothing = 0;            // spread over the live columns
  int64_t padding_id = -1;               // a column outside the softmax, -1: none
  std::optional<at::Tensor> candidates;  // int64 ids of the live columns; all without
  bool mean = false;                     // divide the weights of each sample by their sum
};

/// What the backward pass will ask for.
struct HeadWants {
  bool residual = false;  // dH, or anything below
  bool table = false;     // the table's gradient
  bool bias = false;      // the bias's gradient
  bool norms = false;     // per-sample norms of the table's gradient
  bool rows = false;      // the residual rows themselves, which the plugin's kernels never keep
};

/// Everything below belongs to the unweighted sum of the losses; a sample's upstream gradient multiplies it later.
struct Head {
  SegmentsPtr segments;
  at::Tensor hidden;   // [N, d] times the scale
  at::Tensor table;    // [M, d]
  at::Tensor bias;     // [M] or undefined
  at::Tensor live;     // uint8 [M] or undefined: all columns
  at::Tensor targets;  // int64 [N]
  at::Tensor weights;  // [N]
  double smoothing = 0, scale = 1;
  int64_t live_count = 0;
  bool any_device = false;  // LibTorch's operators made what follows: all rows of the residual, nothing by sample
  bool swept = false;       // the plugin made it: no residual rows, but `squares`, and sweeps that make them again

  at::Tensor loss;      // [B]
  at::Tensor lse;       // [N]
  at::Tensor d_hidden;  // [N, d]
  at::Tensor d_bias;    // [B, M]
  at::Tensor squares;   // [N] float64 squares of the residual rows' norms; where `swept`
  // Short samples keep their residual rows, long ones their gradient: whichever is smaller.
  at::Tensor residual;                             // [rows of short samples, M]
  at::Tensor gradients;                            // [long samples, M, d]
  std::vector<int64_t> residual_row, gradient_at;  // per sample; -1: not there
  std::vector<double> norm2, row_products;         // per sample; filled when norms are wanted

  int64_t vocabulary() const { return table.size(0); }
  int64_t dim() const { return table.size(1); }
};

using HeadPtr = std::shared_ptr<const Head>;

/// Runs the head. Checks every argument (ERR_INVALID_ARGUMENT, ERR_BATCH_DIMENSION). `segments` of the rows of
/// `hidden`; null: those of the surrounding scope.
HeadPtr run_head(const at::Tensor& hidden, const at::Tensor& table, const at::Tensor& targets,
                 const at::Tensor& weights, const at::Tensor& bias, const HeadOptions& options, const HeadWants& wants,
                 SegmentsPtr segments = nullptr);

/// The residual rows [T, M] of one sample, computed again with the same bits.
at::Tensor residual_of(const Head& head, int64_t sample);

/// The head's use of its table; `upstream` [B] is the gradient of each sample's loss.
UsePtr residual_use(HeadPtr head, at::Tensor upstream);

}  // namespace phantomgrad
