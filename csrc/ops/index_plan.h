// The order in which kernels walk the entries of an embedding: equal ids together. Made of the ids alone, on the host.
#pragma once

#include <ATen/core/Tensor.h>

#include "ops/segments.h"

namespace phantomgrad {

/// Lists of entry numbers as csrc/cuda/index.h reads them, on the device of the rows. Entries whose id is the padding
/// are in neither list.
struct IndexPlan {
  // For norms: the samples one after the other, each in the order of its ids.
  at::Tensor by_sample;  // int64 [listed]
  at::Tensor opens;      // uint8 [listed]: the first of its id in its sample
  at::Tensor begin;      // int64 [samples + 1]
  // For sums: the whole batch in the order of its ids.
  at::Tensor by_id;      // int64 [listed]
  at::Tensor runs;       // int64 [distinct + 1]: where each id begins
  at::Tensor ids;        // int64 [distinct]
  at::Tensor sample_of;  // int64 [entries]
};

/// `entries`: which entries belong to which sample. `ids`: int64 [entries] on the CPU.
IndexPlan make_index_plan(const Segments& entries, const at::Tensor& ids, int64_t padding_id, const at::Device& device);

}  // namespace phantomgrad
