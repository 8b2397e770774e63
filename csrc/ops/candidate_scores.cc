// Scores of a few candidates a row, h . E[c] + bias[c]. In the book: one list of rows by id, so a tied table needs no
// cross term of its own.
#include <ATen/ops/add.h>
#include <ATen/ops/bmm.h>
#include <ATen/ops/index_select.h>
#include <ATen/ops/ones.h>

#include "ops/dispatch.h"
#include "ops/operators.h"
#include "ops/tap.h"

namespace phantomgrad {
namespace {

class CandidateScores final : public Operation {
 public:
  explicit CandidateScores(at::Tensor candidates) : candidates_(std::move(candidates)) {}

  at::Tensor forward(const std::vector<at::Tensor>& inputs, const std::vector<BookEntry>&,
                     const std::vector<bool>& needed) override {
    const at::Tensor &hidden = inputs[0], &table = inputs[1], &bias = inputs[2];
    const int64_t rows = hidden.size(0), count = candidates_.size(1);
    if (needed[1] || needed[2]) segments_ = segments_of("candidateScores", rows, rows);
    at::Tensor scores = at::bmm(chosen(table), hidden.unsqueeze(2)).view({rows, count});
    if (bias.defined()) scores = at::add(scores, at::index_select(bias, 0, candidates_.view({-1})).view({rows, count}));
    return scores;
  }

  void backward(const std::vector<at::Tensor>& inputs, const at::Tensor& gradient, Sink& sink) override {
    const at::Tensor &hidden = inputs[0], &table = inputs[1], &bias = inputs[2];
    if (sink.needs(0)) sink.gradient(0, at::bmm(gradient.unsqueeze(1), chosen(table)).view(hidden.sizes()));
    if (sink.needs(1)) sink.use(1, table, candidate_use(segments_, candidates_, hidden, gradient, 1));
    if (sink.needs(2))
      sink.use(2, bias,
               candidate_use(segments_, candidates_, at::ones({hidden.size(0), 1}, hidden.options()), gradient, 1));
  }

 private:
  at::Tensor chosen(const at::Tensor& table) const {
    return at::index_select(table, 0, candidates_.view({-1}))
        .view({candidates_.size(0), candidates_.size(1), table.size(1)});
  }

  at::Tensor candidates_;
  SegmentsPtr segments_;
};

}  // namespace

at::Tensor candidate_scores(const at::Tensor& hidden, const at::Tensor& table, const at::Tensor& candidates,
                            const std::optional<at::Tensor>& bias) {
  PG_CHECK(hidden.dim() == 2 && table.dim() == 2 && hidden.size(1) == table.size(1) &&
               hidden.scalar_type() == table.scalar_type(),
           "ERR_INVALID_ARGUMENT", "candidateScores: expected hidden [N, d] and table [M, d] of one dtype, got ",
           hidden.sizes(), " and ", table.sizes(), ".");
  check_floating("candidateScores", hidden);
  PG_CHECK(candidates.dim() == 2 && candidates.size(0) == hidden.size(0) && candidates.size(1) >= 1,
           "ERR_INVALID_ARGUMENT", "candidateScores: expected candidates [", hidden.size(0), ", K], got ",
           candidates.sizes(), ".");
  PG_CHECK(!bias.has_value() ||
               (bias->dim() == 1 && bias->size(0) == table.size(0) && bias->scalar_type() == table.scalar_type()),
           "ERR_INVALID_ARGUMENT", "candidateScores: bias must be [", table.size(0), "] of the table's dtype.");
  const at::Tensor own = own_integers("candidateScores", "candidates", candidates);
  if (const auto outside = first_outside(own, table.size(0)))
    refuse("ERR_INVALID_ARGUMENT", "candidateScores: candidate ", outside->id, " is not a row of the table (0 to ",
           table.size(0) - 1, ").");
  return tap("candidateScores", std::make_shared<CandidateScores>(own.to(hidden.device())),
             {hidden, table, bias.value_or(at::Tensor())});
}

}  // namespace phantomgrad
