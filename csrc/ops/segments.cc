// The segmentation scope of a thread, and the rule for operators called without one.
#include "ops/segments.h"

#include <ATen/ops/arange.h>
#include <ATen/ops/mul.h>

#include <algorithm>

#include "error.h"
#include "ops/device.h"

namespace phantomgrad {
namespace {

SegmentsPtr& current() {
  thread_local SegmentsPtr segments;
  return segments;
}

int64_t& current_batch() {
  thread_local int64_t token = 0;
  return token;
}

at::Tensor equal_shares(int64_t samples, int64_t rows_each) {
  return at::arange(samples + 1, at::TensorOptions().dtype(at::kLong)).mul_(rows_each);
}

}  // namespace

Segments::Segments(const at::Tensor& cu_seqlens, int64_t token) : token_(token) {
  PG_CHECK(
      cu_seqlens.defined() && cu_seqlens.dim() == 1 && cu_seqlens.numel() >= 1 && cu_seqlens.scalar_type() == at::kLong,
      "ERR_BATCH_DIMENSION", "segments: cuSeqlens must be int64 [samples + 1].");
  cu_seqlens_ = on_host(cu_seqlens).contiguous().clone();
  offsets_ = host_data<int64_t>(cu_seqlens_);
  count_ = cu_seqlens_.numel() - 1;
  PG_CHECK(offsets_[0] == 0, "ERR_BATCH_DIMENSION", "segments: cuSeqlens must start at 0, got ", offsets_[0], ".");
  for (int64_t b = 0; b < count_; ++b)
    PG_CHECK(offsets_[b + 1] >= offsets_[b], "ERR_BATCH_DIMENSION", "segments: cuSeqlens must never fall, got ",
             offsets_[b], " then ", offsets_[b + 1], ".");
}

Segments::Segments(int64_t samples, int64_t rows_each, int64_t token)
    : Segments(equal_shares(samples, rows_each), token) {}

at::Tensor Segments::cu_seqlens_on(const at::Device& device) const { return cu_seqlens_.to(device); }

int64_t Segments::longest() const {
  int64_t most = 0;
  for (int64_t b = 0; b < count_; ++b) most = std::max(most, length(b));
  return most;
}

int64_t scope_rows() { return current() == nullptr ? -1 : current()->rows(); }

SegmentsPtr widen(const Segments& segments, int64_t each) {
  return std::make_shared<const Segments>(at::mul(segments.cu_seqlens(), each), segments.token());
}

void set_batch(int64_t token) { current_batch() = token; }

int64_t batch_token() { return current_batch(); }

int64_t scope_token() {
  const SegmentsPtr& scope = current();
  return scope != nullptr && scope->token() != 0 ? scope->token() : batch_token();
}

void set_segments(const std::optional<at::Tensor>& cu_seqlens, int64_t token) {
  current() = cu_seqlens.has_value() ? std::make_shared<const Segments>(*cu_seqlens, token) : nullptr;
}

SegmentsPtr segments_of(const char* operation, int64_t rows, int64_t first_dimension) {
  if (const SegmentsPtr& scope = current()) {
    PG_CHECK(scope->rows() == rows, "ERR_BATCH_DIMENSION", operation, ": the surrounding segments have ", scope->rows(),
             " rows, the input has ", rows,
             ". Open the segments that belong to this input with nn.withSegments, or expand the input to one row for "
             "each row of the batch.");
    if (scope->token() != 0 || batch_token() == 0) return scope;
    return std::make_shared<const Segments>(scope->cu_seqlens(), batch_token());
  }
  const int64_t samples = first_dimension;
  PG_CHECK(samples == 0 ? rows == 0 : rows % samples == 0, "ERR_BATCH_DIMENSION", operation, ": ", rows,
           " rows cannot be shared equally by ", samples, " samples.");
  return std::make_shared<const Segments>(samples, samples == 0 ? 0 : rows / samples, batch_token());
}

}  // namespace phantomgrad
