// Norm and clipped sum of any list of uses of one parameter: the pair rules of the gradient book, without a book.
#include <ATen/core/Tensor.h>
#include <torch/library.h>

#include "error.h"
#include "ops/kernel_support.h"

namespace phantomgrad {
namespace {

struct UseList {
  UseList(const char* operation, int64_t left, int64_t right, const std::vector<std::string>& kinds,
          const std::vector<at::Tensor>& first, const std::vector<at::Tensor>& second,
          const std::vector<at::Tensor>& offsets, at::ArrayRef<double> scales, at::IntArrayRef padding_ids) {
    const size_t count = kinds.size();
    PG_CHECK(count > 0 && first.size() == count && second.size() == count && offsets.size() == count &&
                 scales.size() == count && padding_ids.size() == count,
             "ERR_INVALID_ARGUMENT", operation, ": expected at least one use, and one entry a use in every list.");
    for (size_t i = 0; i < count; ++i) {
      const auto segments = std::make_shared<const Segments>(offsets[i]);
      PG_CHECK(i == 0 || segments->count() == samples, "ERR_BATCH_DIMENSION", operation, ": use ", i, " has ",
               segments->count(), " samples, the first has ", samples, ".");
      samples = segments->count();
      uses.push_back(make(operation, left, right, kinds[i], first[i], second[i], segments, scales[i], padding_ids[i]));
    }
  }

  Uses uses;
  int64_t samples = 0;

 private:
  static UsePtr make(const char* operation, int64_t left, int64_t right, const std::string& kind,
                     const at::Tensor& first, const at::Tensor& second, const SegmentsPtr& segments, double scale,
                     int64_t padding_id) {
    if (kind == "index") {
      PG_CHECK(second.dim() >= 1 && second.size(-1) == right, "ERR_INVALID_ARGUMENT", operation,
               ": rows by id must be [..., ", right, "], got ", second.sizes(), ".");
      return input_use(operation, first, second, segments, left, scale, padding_id);
    }
    const at::Tensor l = rows_of(operation, kind == "stored" ? "perSample" : "left", first, *segments);
    if (kind == "stored") {
      PG_CHECK(segments->rows() == segments->count() && l.size(1) == left * right, "ERR_INVALID_ARGUMENT", operation,
               ": per-sample gradients must be [", segments->count(), ", ", left * right, "], got ", l.sizes(), ".");
      return stored_use(l, 0);
    }
    PG_CHECK(kind == "dense", "ERR_INVALID_ARGUMENT", operation,
             ": a use must be one of \"dense\", \"index\", \"stored\", got \"", kind, "\".");
    const at::Tensor r = rows_of(operation, "right", second, *segments);
    PG_CHECK(l.size(1) == left && r.size(1) == right && l.scalar_type() == r.scalar_type(), "ERR_INVALID_ARGUMENT",
             operation, ": left and right rows must be [N, ", left, "] and [N, ", right, "] of one dtype, got ",
             l.sizes(), " and ", r.sizes(), ".");
    return dense_use(segments, l, r);
  }
};

std::tuple<at::Tensor, at::Tensor> uses_norm(int64_t left, int64_t right, const std::vector<std::string>& kinds,
                                             const std::vector<at::Tensor>& first,
                                             const std::vector<at::Tensor>& second,
                                             const std::vector<at::Tensor>& offsets, at::ArrayRef<double> scales,
                                             at::IntArrayRef padding_ids) {
  const UseList list("usesNorm", left, right, kinds, first, second, offsets, scales, padding_ids);
  const SampleNorms norms = certified(left, right, list.uses);
  return {roots(norms.norm2), values(norms.bound)};
}

// Each sample's gradient is formed in float64, so the bound of uses_norm covers it whatever cancels.
at::Tensor uses_sum(int64_t left, int64_t right, const std::vector<std::string>& kinds,
                    const std::vector<at::Tensor>& first, const std::vector<at::Tensor>& second,
                    const std::vector<at::Tensor>& offsets, at::ArrayRef<double> scales, at::IntArrayRef padding_ids,
                    const at::Tensor& factors) {
  const UseList list("usesSum", left, right, kinds, first, second, offsets, scales, padding_ids);
  at::Tensor sum = new_doubles({left, right}, list.uses.front()->device());
  mixed_record(left, right, list.uses)->accumulate(factors_of("usesSum", factors, list.samples).data(), sum);
  return sum;
}

TORCH_LIBRARY_FRAGMENT(phantomgrad, m) {
  m.def(
      "uses_norm(int left, int right, str[] kinds, Tensor[] first, Tensor[] second, Tensor[] offsets, float[] scales, "
      "int[] padding_ids) -> (Tensor, Tensor)",
      &uses_norm);
  m.def(
      "uses_sum(int left, int right, str[] kinds, Tensor[] first, Tensor[] second, Tensor[] offsets, float[] scales, "
      "int[] padding_ids, Tensor factors) -> Tensor",
      &uses_sum);
}

}  // namespace
}  // namespace phantomgrad
