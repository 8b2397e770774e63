// A use that the caller declares: custom operators keep their own arithmetic and say which factors their gradient has.
#include <ATen/ops/alias.h>
#include <ATen/ops/mul.h>

#include "ops/dispatch.h"
#include "ops/operators.h"
#include "ops/tap.h"

namespace phantomgrad {
namespace {

enum class Declared { left, right, ids };

class DeclareUse final : public Operation {
 public:
  DeclareUse(Declared kind, at::Tensor ids, double scale) : kind_(kind), ids_(std::move(ids)), scale_(scale) {}

  at::Tensor forward(const std::vector<at::Tensor>& inputs, const std::vector<BookEntry>&,
                     const std::vector<bool>&) override {
    const at::Tensor& output = inputs[0];
    segments_ = segments_of("declareUse", row_count(output), output.size(0));
    return at::alias(output);
  }

  void backward(const std::vector<at::Tensor>& inputs, const at::Tensor& gradient, Sink& sink) override {
    if (sink.needs(0)) sink.gradient(0, gradient);
    if (!sink.needs(1)) return;
    at::Tensor g = gradient.view({row_count(gradient), gradient.size(-1)});
    if (scale_ != 1) g = at::mul(g, scale_);
    switch (kind_) {
      case Declared::right:
        return sink.use(1, inputs[1], dense_use(segments_, g, inputs[2].reshape({g.size(0), inputs[2].size(-1)})));
      case Declared::left:
        return sink.use(1, inputs[1], dense_use(segments_, inputs[2].reshape({g.size(0), inputs[2].size(-1)}), g));
      case Declared::ids:
        return sink.use(1, inputs[1], index_use(segments_, ids_, g, 1, -1));
    }
  }

 private:
  Declared kind_;
  at::Tensor ids_;
  double scale_;
  SegmentsPtr segments_;
};

}  // namespace

at::Tensor declare_use(const at::Tensor& output, const at::Tensor& parameter, const std::optional<at::Tensor>& left,
                       const std::optional<at::Tensor>& right, const std::optional<at::Tensor>& ids, double scale) {
  const int given = left.has_value() + right.has_value() + ids.has_value();
  PG_CHECK(given == 1, "ERR_INVALID_ARGUMENT", "declareUse: give exactly one of left, right and ids, got ", given, ".");
  PG_CHECK(output.dim() >= 2 && output.size(-1) > 0, "ERR_INVALID_ARGUMENT",
           "declareUse: output must be rows [..., width], got ", output.sizes(), ".");
  PG_CHECK(parameter.dim() == 2 && parameter.scalar_type() == output.scalar_type(), "ERR_INVALID_ARGUMENT",
           "declareUse: the parameter must be a matrix of the output's dtype, got ", parameter.sizes(), ".");
  check_floating("declareUse", output);
  const int64_t rows = row_count(output), width = output.size(-1);
  if (ids.has_value()) {
    const at::Tensor own = own_integers("declareUse", "ids", *ids).reshape({-1});
    PG_CHECK(own.numel() == rows && parameter.size(1) == width, "ERR_INVALID_ARGUMENT", "declareUse: expected ", rows,
             " ids and a table [M, ", width, "], got ", own.numel(), " and ", parameter.sizes(), ".");
    if (const auto outside = first_outside(own, parameter.size(0)))
      refuse("ERR_INVALID_ARGUMENT", "declareUse: id ", outside->id, " is not a row of the parameter (0 to ",
             parameter.size(0) - 1, ").");
    return tap("declareUse", std::make_shared<DeclareUse>(Declared::ids, own.to(output.device()), scale),
               {output, parameter});
  }
  const at::Tensor other = (left.has_value() ? *left : *right).detach();
  const int64_t far = parameter.size(left.has_value() ? 0 : 1), near = parameter.size(left.has_value() ? 1 : 0);
  PG_CHECK(other.dim() >= 2 && row_count(other) == rows && other.size(-1) == far && near == width &&
               other.scalar_type() == output.scalar_type(),
           "ERR_INVALID_ARGUMENT", "declareUse: for an output ", output.sizes(), " the ",
           left.has_value() ? "left" : "right", " rows must be [", rows, ", ", far, "] of its dtype and the parameter ",
           left.has_value() ? "[left, output]" : "[output, right]", " wide, got ", other.sizes(), " and ",
           parameter.sizes(), ".");
  return tap("declareUse",
             std::make_shared<DeclareUse>(left.has_value() ? Declared::left : Declared::right, at::Tensor(), scale),
             {output, parameter, other});
}

}  // namespace phantomgrad
