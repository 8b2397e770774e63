// Packed rows side by side, filled up to the longest sample: the shape in which LibTorch multiplies many samples at
// once.
#include <ATen/ops/index_put.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/zeros.h>

#include "ops/any.h"
#include "ops/device.h"

namespace phantomgrad {

std::vector<int64_t> lengths_of(const Segments& segments) {
  std::vector<int64_t> lengths;
  for (int64_t b = 0; b < segments.count(); ++b) lengths.push_back(segments.length(b));
  return lengths;
}

BlockRows::BlockRows(const Segments& segments, const SampleBlock& block, const at::Device& device)
    : block_(block), first_(segments.first(block.first)), rows_(segments.first(block.last) - first_), device_(device) {
  full_ = rows_ == block.count() * block.longest;
  if (full_) return;
  std::vector<int64_t> places;
  for (int64_t b = block.first; b < block.last; ++b)
    for (int64_t t = 0; t < segments.length(b); ++t) places.push_back((b - block.first) * block.longest + t);
  places_ = integers_on(device, places);
}

at::Tensor BlockRows::pad(const at::Tensor& packed) const { return pad_own(packed.narrow(0, first_, rows_)); }

at::Tensor BlockRows::pad_own(const at::Tensor& rows) const {
  const int64_t width = rows.size(1);
  if (full_) return rows.reshape({block_.count(), block_.longest, width});
  // Zeros, not rows of somebody else times 0: a NaN must stay with its sample.
  at::Tensor padded = at::zeros({block_.count() * block_.longest, width}, rows.options());
  padded.index_copy_(0, places_, rows);
  return padded.view({block_.count(), block_.longest, width});
}

at::Tensor BlockRows::unpad(const at::Tensor& padded) const {
  const at::Tensor flat = padded.reshape({block_.count() * block_.longest, padded.size(2)});
  return full_ ? flat : at::index_select(flat, 0, places_);
}

at::Tensor BlockRows::present() const {
  at::Tensor flags = at::zeros({block_.count() * block_.longest}, at::TensorOptions().dtype(at::kBool).device(device_));
  if (full_)
    flags.fill_(true);
  else
    flags.index_fill_(0, places_, true);
  return flags.view({block_.count(), block_.longest});
}

at::Tensor samples_of_rows(const Segments& segments, const at::Device& device) {
  std::vector<int64_t> samples;
  for (int64_t b = 0; b < segments.count(); ++b) samples.insert(samples.end(), segments.length(b), b);
  return integers_on(device, samples);
}

std::vector<double> by_row(const Segments& segments, const std::vector<double>& values) {
  std::vector<double> rows;
  for (int64_t b = 0; b < segments.count(); ++b)
    rows.insert(rows.end(), segments.length(b), values[static_cast<size_t>(b)]);
  return rows;
}

void add_rows(const at::Tensor& target, const at::Tensor& places, const at::Tensor& values) {
  // index_add_ would be the obvious call: on CUDA it adds in whatever order its threads arrive. This one sorts first.
  at::Tensor into = target;
  into.index_put_({places}, values, /*accumulate=*/true);
}

}  // namespace phantomgrad
