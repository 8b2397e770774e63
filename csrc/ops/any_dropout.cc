// Dropout on any device: the hash of shared/dropout_mask.h in int64 tensors, whose products wrap as uint64 ones do.
#include <ATen/ops/arange.h>
#include <ATen/ops/bitwise_and.h>
#include <ATen/ops/bitwise_right_shift.h>
#include <ATen/ops/bitwise_xor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ge.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/where.h>
#include <ATen/TensorOperators.h>

#include "ops/any.h"
#include "ops/device.h"
#include "shared/dropout_mask.h"

namespace phantomgrad {
namespace {

at::Scalar word(uint64_t bits) { return static_cast<int64_t>(bits); }

// A shift that brings in zeros: int64 has the sign's.
at::Tensor shifted(const at::Tensor& x, int bits) {
  return at::bitwise_and(at::bitwise_right_shift(x, at::Scalar(bits)), word(~uint64_t{0} >> bits));
}

at::Tensor mixed(at::Tensor x) {
  x = at::bitwise_xor(x, shifted(x, 30));
  x = at::mul(x, word(0xbf58476d1ce4e5b9u));
  x = at::bitwise_xor(x, shifted(x, 27));
  x = at::mul(x, word(0x94d049bb133111ebu));
  return at::bitwise_xor(x, shifted(x, 31));
}

}  // namespace

at::Tensor any_dropout_kept(const at::Tensor& streams, const at::Tensor& elements, double rate) {
  const at::Tensor hash = mixed(streams + at::mul(elements, word(0x9e3779b97f4a7c15u)));
  return at::ge(shifted(hash, 32), static_cast<int64_t>(dropout_threshold(rate)));
}

at::Tensor any_dropout(const at::Tensor& x, const Segments& segments, double rate,
                       const std::vector<uint64_t>& streams) {
  const int64_t rows = segments.rows(), width = rows == 0 ? 0 : x.numel() / rows;
  if (x.numel() == 0) return x.clone();
  std::vector<int64_t> stream, row;
  for (int64_t b = 0; b < segments.count(); ++b)
    for (int64_t t = 0; t < segments.length(b); ++t) {
      stream.push_back(static_cast<int64_t>(streams[static_cast<size_t>(b)]));
      row.push_back(t * width);  // its first element, counted within the sample
    }
  const at::Tensor columns = at::arange(width, at::TensorOptions().dtype(at::kLong).device(x.device()));
  const at::Tensor kept = any_dropout_kept(integers_on(x.device(), stream).unsqueeze(1),
                                           integers_on(x.device(), row).unsqueeze(1) + columns, rate);
  // The factor in the type of x, as the kernel has it.
  const at::Tensor scale = at::empty({}, x.options()).fill_(1 / (1 - rate));
  return at::where(kept.view(x.sizes()), at::mul(x, scale), 0.0);
}

}  // namespace phantomgrad
