// What the operators of the low-level door share: checked rows and factors in, certified norms out.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "ops/record.h"
#include "ops/use.h"

namespace phantomgrad {

using Uses = std::vector<UsePtr>;

/// Float64 zeros.
at::Tensor new_doubles(at::IntArrayRef shape, const at::Device& device = at::kCPU);
/// Float64 [n] on the CPU.
at::Tensor values(const std::vector<double>& numbers);
at::Tensor roots(const std::vector<double>& squares);

/// Norms of one parameter's uses; samples whose certificate would add too much are formed in float64, as in the book.
SampleNorms certified(int64_t left, int64_t right, const Uses& uses);

/// Rows [N, width] of a tensor [..., width]; bfloat16 and float16 become float32, which holds them exactly. Refuses
/// (ERR_BATCH_DIMENSION) unless the segments describe them.
at::Tensor rows_of(const char* operation, const char* name, const at::Tensor& t, const Segments& segments);
/// [samples] factors; one that is not finite is 0.
std::vector<double> factors_of(const char* operation, const at::Tensor& factors, int64_t samples);
/// An embedding's use, ids checked against the vocabulary.
UsePtr input_use(const char* operation, const at::Tensor& ids, const at::Tensor& gradients, const SegmentsPtr& segments,
                 int64_t vocabulary, double scale, int64_t padding_id);

}  // namespace phantomgrad
