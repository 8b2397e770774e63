// The limits of the plugin's kernels, family by family.
#include "ops/plugin_covers.h"

#include "ops/plugin.h"

namespace phantomgrad {
namespace {

bool single_or_double(const at::Tensor& t) { return t.scalar_type() == at::kFloat || t.scalar_type() == at::kDouble; }

// Rows of logits lie in shared memory as a whole, so it is the device that says how long a sample may be.
bool attention_fits(const AnyAttention& call, bool backward) {
  const at::Device device = call.query.device();
  const bool one_variance_a_head = !call.key_variance.defined() || call.key_variance.size(1) == call.heads;
  return single_or_double(call.query) && call.query.numel() > 0 && one_variance_a_head &&
         plugin_serves(KernelFamily::attention, device) &&
         call.segments.longest() <= plugin_number(device, "re_attention_longest", call.query, backward);
}

}  // namespace

bool covers_private_update(const at::Tensor& parameters) {
  return single_or_double(parameters) && parameters.numel() > 0 &&
         plugin_serves(KernelFamily::private_update, parameters.device());
}

bool covers_stored(const AnyStored& use) {
  return single_or_double(use.rows()) && use.rows().numel() > 0 && plugin_serves(KernelFamily::stored, use.device());
}

bool covers_index(const AnyIndex& use) {
  const int64_t entries = use.ids().numel();
  return single_or_double(use.values()) && use.values().numel() > 0 && entries > 0 && entries < int64_t{1} << 32 &&
         plugin_serves(KernelFamily::index, use.device());
}

bool covers_norm_layer(const at::Tensor& x) {
  return single_or_double(x) && x.numel() > 0 && plugin_serves(KernelFamily::norm_layer, x.device());
}

bool covers_dense(const AnyDense& use) {
  // Upstream factors are those of a head, whose residual rows are LibTorch's already.
  return single_or_double(use.left()) && use.left().numel() > 0 && use.right().numel() > 0 && !use.scaled() &&
         plugin_serves(KernelFamily::dense, use.device());
}

bool covers_head(const Head& head, const HeadWants& wants) {
  // Wider rows would have every logit computed again for each 64 of their columns.
  constexpr int64_t widest = 256;
  return wants.residual && !wants.rows && single_or_double(head.hidden) && head.hidden.numel() > 0 &&
         head.table.numel() > 0 && head.dim() <= widest && head.live_count >= 1 &&
         plugin_serves(KernelFamily::head, head.hidden.device());
}

bool covers_tied(const AnyIndex& use) { return use.fan() == 1 && !use.coefficients().defined() && covers_index(use); }

bool covers_attention(const AnyAttention& call) { return attention_fits(call, false); }

bool covers_attention_backward(const AnyAttention& call) { return attention_fits(call, true); }

}  // namespace phantomgrad
