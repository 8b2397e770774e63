// Rows of a table by id, times a scale. In the book: one-hot rows on the left, so only ids and gradient rows are kept.
#include <ATen/ops/empty.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/mul.h>

#include "cpu/parallel.h"
#include "ops/dispatch.h"
#include "ops/operators.h"
#include "ops/tap.h"

namespace phantomgrad {
namespace {

class Embedding final : public Operation {
 public:
  Embedding(at::Tensor ids, int64_t padding_id, double scale)
      : ids_(std::move(ids)), padding_id_(padding_id), scale_(scale) {}

  at::Tensor forward(const std::vector<at::Tensor>& inputs, const std::vector<BookEntry>&,
                     const std::vector<bool>& needed) override {
    const at::Tensor table = inputs[0].contiguous();
    const int64_t d = table.size(1), rows = ids_.numel();
    if (needed[0]) segments_ = segments_of("embedding", rows, ids_.dim() == 0 ? 1 : ids_.size(0));
    std::vector<int64_t> shape = ids_.sizes().vec();
    shape.push_back(d);
    if (const auto outside = first_outside(ids_, table.size(0)))
      refuse("ERR_INVALID_ARGUMENT", "embedding: id ", outside->id, " at position ", outside->position,
             " is not a row of the table (0 to ", table.size(0) - 1, ").");
    if (!has_kernels(table)) {
      check_floating("embedding", table);
      at::Tensor rows_of_ids = at::index_select(table, 0, ids_.reshape({-1}).to(table.device())).view(shape);
      return scale_ == 1 ? rows_of_ids : at::mul(rows_of_ids, scale_);
    }
    at::Tensor y = at::empty(shape, table.options());
    const int64_t* id = host_data<int64_t>(ids_);
    with_floating("embedding", table, [&](auto zero) {
      using T = decltype(zero);
      const T *from = host_data<T>(table), scale = static_cast<T>(scale_);
      T* to = host_writable<T>(y);
      cpu::parallel_for(0, rows, cpu::grain_for(d), [&](int64_t first, int64_t last) {
        for (int64_t t = first; t < last; ++t)
          for (int64_t j = 0; j < d; ++j) to[t * d + j] = scale * from[id[t] * d + j];
      });
    });
    return y;
  }

  void backward(const std::vector<at::Tensor>& inputs, const at::Tensor& gradient, Sink& sink) override {
    if (!sink.needs(0)) return;
    const int64_t d = inputs[0].size(1);
    sink.use(0, inputs[0], index_use(segments_, ids_, gradient.view({ids_.numel(), d}), scale_, padding_id_));
  }

 private:
  at::Tensor ids_;
  int64_t padding_id_;
  double scale_;
  SegmentsPtr segments_;
};

}  // namespace

at::Tensor embedding(const at::Tensor& ids, const at::Tensor& weight, int64_t padding_id, double scale) {
  PG_CHECK(weight.dim() == 2, "ERR_INVALID_ARGUMENT", "embedding: expected a table [M, d], got ", weight.sizes(), ".");
  return tap("embedding", std::make_shared<Embedding>(own_integers("embedding", "ids", ids), padding_id, scale),
             {weight});
}

}  // namespace phantomgrad
