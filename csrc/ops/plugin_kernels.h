// What the plugin's kernels do in place of LibTorch's operators, where plugin_covers.h says that they may.
#pragma once

#include "ops/any.h"
#include "ops/any_uses.h"
#include "ops/record.h"
#include "shared/adam.h"
#include "shared/grid.h"
#include "shared/noise_layout.h"

namespace phantomgrad {

/// How many blocks share the rows (or columns) that each of `tiles` tiles adds up: enough for a GPU, at most `most`,
/// and no more than fit a workspace of `size` numbers a share.
int64_t plugin_splits(int64_t tiles, int64_t most, int64_t size);

// The private update (plugin_update.cc), with the bits of the CPU's kernels.

/// Runs of the arena as private_update.cc has checked them, on the CPU; undefined: none.
struct ArenaRuns {
  at::Tensor ends, scales, steps;
};
/// Returns how many parameters are not finite afterwards. `sum` is zero then.
int64_t plugin_private_adam(const at::Tensor& parameters, const at::Tensor& exp_avg, const at::Tensor& exp_avg_sq,
                            const at::Tensor& sum, const Release& release, const ArenaRuns& runs,
                            const ChaChaStream& stream, const AdamConstants& constants);
/// What is released of `sum`, which is zero then.
at::Tensor plugin_privatise(const at::Tensor& sum, const Release& release, const ArenaRuns& runs,
                            const ChaChaStream& stream);

/// Norms and sums (plugin_records.cc): the record of these uses, or null where no kernel covers them.
std::unique_ptr<Record> plugin_record(const std::vector<UsePtr>& uses);

/// LayerNorm (plugin_layers.cc); d_gamma and d_beta have the dtype of x.
AnyLayerNormGradients plugin_layer_norm_backward(const at::Tensor& gradient, const at::Tensor& x,
                                                 const at::Tensor& gamma, const at::Tensor& mean,
                                                 const at::Tensor& rstd, const Segments& segments);
/// Attention (plugin_layers.cc).
AnyAttended plugin_attention(const AnyAttention& call);
std::vector<at::Tensor> plugin_attention_backward(const AnyAttention& call, const at::Tensor& gradient,
                                                  const AnyAttended& attended);

}  // namespace phantomgrad
