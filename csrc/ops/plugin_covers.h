// Which calls the plugin's kernels cover: the one place that knows their limits. Everything else is LibTorch's.
#pragma once

#include "ops/any.h"
#include "ops/any_uses.h"

namespace phantomgrad {

bool covers_private_update(const at::Tensor& parameters);
bool covers_stored(const AnyStored& use);
bool covers_index(const AnyIndex& use);
bool covers_norm_layer(const at::Tensor& x);
/// One use of a linear layer's weight. Shared weights are LibTorch's.
bool covers_dense(const AnyDense& use);
bool covers_head(const Head& head, const HeadWants& wants);
/// Whether an embedding's use may share a record with a head that was swept: the tied table's cross term.
bool covers_tied(const AnyIndex& use);
bool covers_attention(const AnyAttention& call);
/// Of a call whose forward pass the kernels did.
bool covers_attention_backward(const AnyAttention& call);

}  // namespace phantomgrad
