// Norms and clipped sums of given factors as operators: for loops that are composed without the gradient book.
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include <cmath>

#include "error.h"
#include "ops/dispatch.h"
#include "ops/head.h"
#include "ops/kernel_support.h"

namespace phantomgrad {
namespace {

using Optional = std::optional<at::Tensor>;

struct DenseRows {
  DenseRows(const char* operation, const at::Tensor& activations, const at::Tensor& gradients,
            const at::Tensor& cu_seqlens)
      : segments(std::make_shared<const Segments>(cu_seqlens)),
        a(rows_of(operation, "activations", activations, *segments)),
        g(rows_of(operation, "gradients", gradients, *segments)) {
    check_device(operation, {a, g});
    PG_CHECK(a.scalar_type() == g.scalar_type(), "ERR_INVALID_ARGUMENT", operation,
             ": activations and gradients must have one dtype, got ", a.scalar_type(), " and ", g.scalar_type(), ".");
  }
  /// The rows of a bias: the same gradients beside the constant 1.
  UsePtr bias_use() const { return dense_use(segments, g, at::ones({g.size(0), 1}, g.options())); }

  SegmentsPtr segments;
  at::Tensor a, g;
};

std::tuple<at::Tensor, at::Tensor> ghost_norm(const at::Tensor& activations, const at::Tensor& gradients,
                                              const at::Tensor& cu_seqlens, bool bias) {
  const DenseRows rows("ghostNorm", activations, gradients, cu_seqlens);
  Uses uses;
  uses.push_back(dense_use(rows.segments, rows.g, rows.a));
  SampleNorms norms = certified(rows.g.size(1), rows.a.size(1), uses);
  if (bias) {
    Uses bias_uses;
    bias_uses.push_back(rows.bias_use());
    const SampleNorms more = certified(rows.g.size(1), 1, bias_uses);
    for (size_t b = 0; b < norms.norm2.size(); ++b) {
      norms.norm2[b] += more.norm2[b];
      norms.bound[b] = std::sqrt(norms.bound[b] * norms.bound[b] + more.bound[b] * more.bound[b]) * (1 + 0x1p-50);
    }
  }
  return {roots(norms.norm2), values(norms.bound)};
}

// Sums are formed in float64 whatever the rows' type: so a sample whose rows cancel keeps its bound.
std::tuple<at::Tensor, at::Tensor> clipped_sum(const at::Tensor& activations, const at::Tensor& gradients,
                                               const at::Tensor& factors, const at::Tensor& cu_seqlens, bool bias) {
  DenseRows rows("clippedSum", activations, gradients, cu_seqlens);
  const std::vector<double> c = factors_of("clippedSum", factors, rows.segments->count());
  rows.a = rows.a.to(at::kDouble);
  rows.g = rows.g.to(at::kDouble);
  const at::Device device = rows.g.device();
  at::Tensor weight = new_doubles({rows.g.size(1), rows.a.size(1)}, device),
             shift = new_doubles({bias ? rows.g.size(1) : 0}, device);
  dense_use(rows.segments, rows.g, rows.a)->accumulate(c.data(), weight);
  if (bias) rows.bias_use()->accumulate(c.data(), shift);
  return {weight, shift};
}

std::tuple<at::Tensor, at::Tensor> embedding_norm(const at::Tensor& ids, const at::Tensor& gradients,
                                                  const at::Tensor& cu_seqlens, int64_t vocabulary, double scale,
                                                  int64_t padding_id) {
  const auto segments = std::make_shared<const Segments>(cu_seqlens);
  Uses uses;
  uses.push_back(input_use("embeddingNorm", ids, gradients, segments, vocabulary, scale, padding_id));
  const SampleNorms norms = certified(vocabulary, gradients.size(-1), uses);
  return {roots(norms.norm2), values(norms.bound)};
}

at::Tensor embedding_sum(const at::Tensor& ids, const at::Tensor& gradients, const at::Tensor& factors,
                         const at::Tensor& cu_seqlens, int64_t vocabulary, double scale, int64_t padding_id) {
  const auto segments = std::make_shared<const Segments>(cu_seqlens);
  at::Tensor sum = new_doubles({vocabulary, gradients.size(-1)}, gradients.device());
  input_use("embeddingSum", ids, gradients, segments, vocabulary, scale, padding_id)
      ->accumulate(factors_of("embeddingSum", factors, segments->count()).data(), sum);
  return sum;
}

// The two uses of a tied table.
struct Tied {
  Tied(const char* operation, const at::Tensor& ids, const at::Tensor& input_gradients, const at::Tensor& hidden,
       const at::Tensor& table, const at::Tensor& targets, const at::Tensor& cu_seqlens, const Optional& weights,
       const Optional& bias, double input_scale, double scale, double label_smoothing, int64_t padding_id,
       int64_t head_padding_id, const Optional& candidates, bool mean, bool norms)
      : segments(std::make_shared<const Segments>(cu_seqlens)) {
    PG_CHECK(table.dim() == 2, "ERR_INVALID_ARGUMENT", operation, ": expected a table [M, d], got ", table.sizes(),
             ".");
    PG_CHECK(input_gradients.size(-1) == table.size(1) && input_gradients.scalar_type() == table.scalar_type(),
             "ERR_INVALID_ARGUMENT", operation, ": inputGradients must be [..., ", table.size(1),
             "] of the table's dtype, got ", input_gradients.sizes(), ".");
    check_device(operation, {hidden, table, input_gradients});
    input = input_use(operation, ids, input_gradients, segments, table.size(0), input_scale, padding_id);
    const at::Tensor rows = rows_of(operation, "hidden", hidden, *segments);
    head = run_head(rows, table.detach(), own_integers(operation, "targets", targets),
                    weights.has_value() ? weights->detach() : at::Tensor(),
                    bias.has_value() ? bias->detach() : at::Tensor(),
                    {scale, label_smoothing, head_padding_id, candidates, mean},
                    {/*residual=*/true, /*table=*/true, /*bias=*/false, norms, /*rows=*/true}, segments);
  }

  UsePtr output() const {
    return residual_use(head, at::ones({segments->count()}, at::TensorOptions().dtype(at::kDouble)));
  }

  SegmentsPtr segments;
  UsePtr input;
  HeadPtr head;
};

void check_lse(const Head& head, const at::Tensor& lse) {
  PG_CHECK(lse.numel() == head.lse.numel(), "ERR_INVALID_ARGUMENT", "phantomNorm: expected ", head.lse.numel(),
           " lse, got ", lse.numel(), ".");
  const std::vector<double> given = host_doubles(lse), own = host_doubles(head.lse);
  for (size_t t = 0; t < own.size(); ++t) {
    const double want = own[t], got = given[t];
    PG_CHECK(!(std::abs(got - want) > 1e-3 * (1 + std::abs(want))), "ERR_INVALID_ARGUMENT", "phantomNorm: lse[", t,
             "] is ", got, ", these hidden rows and this table give ", want,
             ". It belongs to other parameters or another scale.");
  }
}

std::tuple<at::Tensor, at::Tensor, at::Tensor, at::Tensor, at::Tensor> phantom_norm(
    const at::Tensor& ids, const at::Tensor& input_gradients, const at::Tensor& hidden, const at::Tensor& table,
    const at::Tensor& targets, const at::Tensor& cu_seqlens, const Optional& weights, const Optional& bias,
    double input_scale, double scale, double label_smoothing, int64_t padding_id, int64_t head_padding_id,
    const Optional& candidates, bool mean, const Optional& lse) {
  Tied tied("phantomNorm", ids, input_gradients, hidden, table, targets, cu_seqlens, weights, bias, input_scale, scale,
            label_smoothing, padding_id, head_padding_id, candidates, mean, /*norms=*/true);
  if (lse.has_value()) check_lse(*tied.head, *lse);
  const int64_t M = table.size(0), d = table.size(1);
  Uses uses;
  uses.push_back(std::move(tied.input));
  const SampleNorms in = certified(M, d, uses);
  uses.push_back(tied.output());
  const SampleNorms both = certified(M, d, uses);
  uses.erase(uses.begin());
  const SampleNorms out = certified(M, d, uses);
  std::vector<double> cross;
  for (size_t b = 0; b < both.norm2.size(); ++b) cross.push_back((both.norm2[b] - in.norm2[b] - out.norm2[b]) / 2);
  return {values(in.norm2), values(out.norm2), values(cross), roots(both.norm2), values(both.bound)};
}

at::Tensor phantom_sum(const at::Tensor& ids, const at::Tensor& input_gradients, const at::Tensor& hidden,
                       const at::Tensor& table, const at::Tensor& targets, const at::Tensor& factors,
                       const at::Tensor& cu_seqlens, const Optional& weights, const Optional& bias, double input_scale,
                       double scale, double label_smoothing, int64_t padding_id, int64_t head_padding_id,
                       const Optional& candidates, bool mean) {
  const Tied tied("phantomSum", ids, input_gradients, hidden, table, targets, cu_seqlens, weights, bias, input_scale,
                  scale, label_smoothing, padding_id, head_padding_id, candidates, mean, /*norms=*/true);
  const std::vector<double> c = factors_of("phantomSum", factors, tied.segments->count());
  at::Tensor sum = new_doubles(table.sizes(), table.device());
  tied.input->accumulate(c.data(), sum);
  for (int64_t b = 0; b < tied.segments->count(); ++b) {
    const int64_t rows = tied.segments->length(b);
    if (c[static_cast<size_t>(b)] == 0 || rows == 0) continue;
    // The residual rows that the norm was taken of, summed in float64.
    dense_use(std::make_shared<const Segments>(1, rows), residual_of(*tied.head, b).to(at::kDouble),
              tied.head->hidden.narrow(0, tied.segments->first(b), rows).to(at::kDouble))
        ->accumulate(&c[static_cast<size_t>(b)], sum);
  }
  return sum;
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> softmax_residual(const at::Tensor& hidden, const at::Tensor& table,
                                                                const at::Tensor& targets, const Optional& weights,
                                                                const Optional& bias, double scale,
                                                                double label_smoothing, int64_t padding_id,
                                                                const Optional& candidates) {
  const HeadPtr head =
      run_head(hidden.detach(), table.detach(), own_integers("softmaxResidual", "targets", targets),
               weights.has_value() ? weights->detach() : at::Tensor(), bias.has_value() ? bias->detach() : at::Tensor(),
               {scale, label_smoothing, padding_id, candidates, false},
               {/*residual=*/true, /*table=*/true, /*bias=*/false, /*norms=*/false, /*rows=*/true},
               std::make_shared<const Segments>(row_count(hidden), 1));
  return {head->residual, head->hidden, head->lse};
}

TORCH_LIBRARY_FRAGMENT(phantomgrad, m) {
  // Norms of given factors, with their certificate: float64 [samples].
  m.def("ghost_norm(Tensor activations, Tensor gradients, Tensor cu_seqlens, bool bias=False) -> (Tensor, Tensor)",
        &ghost_norm);
  m.def(
      "embedding_norm(Tensor ids, Tensor gradients, Tensor cu_seqlens, int vocabulary, float scale=1.0, "
      "int padding_id=-1) -> (Tensor, Tensor)",
      &embedding_norm);
  m.def(
      "phantom_norm(Tensor ids, Tensor input_gradients, Tensor hidden, Tensor table, Tensor targets, Tensor "
      "cu_seqlens, *, "
      "Tensor? weights=None, Tensor? bias=None, float input_scale=1.0, float scale=1.0, float label_smoothing=0.0, "
      "int padding_id=-1, int head_padding_id=-1, Tensor? candidates=None, bool mean=False, Tensor? lse=None) -> "
      "(Tensor, Tensor, Tensor, Tensor, Tensor)",
      &phantom_norm);
  // Sums of given factors over samples, each times its clip factor: float64.
  m.def(
      "clipped_sum(Tensor activations, Tensor gradients, Tensor factors, Tensor cu_seqlens, bool bias=False) -> "
      "(Tensor, Tensor)",
      &clipped_sum);
  m.def(
      "embedding_sum(Tensor ids, Tensor gradients, Tensor factors, Tensor cu_seqlens, int vocabulary, float scale=1.0, "
      "int padding_id=-1) -> Tensor",
      &embedding_sum);
  m.def(
      "phantom_sum(Tensor ids, Tensor input_gradients, Tensor hidden, Tensor table, Tensor targets, Tensor factors, "
      "Tensor cu_seqlens, *, Tensor? weights=None, Tensor? bias=None, float input_scale=1.0, float scale=1.0, "
      "float label_smoothing=0.0, int padding_id=-1, int head_padding_id=-1, Tensor? candidates=None, bool mean=False) "
      "-> "
      "Tensor",
      &phantom_sum);
  // The residual rows as the head keeps them, beside its scaled hidden rows and lse: the stored factors, for tests.
  m.def(
      "softmax_residual(Tensor hidden, Tensor table, Tensor targets, Tensor? weights=None, Tensor? bias=None, *, "
      "float scale=1.0, float label_smoothing=0.0, int padding_id=-1, Tensor? candidates=None) -> "
      "(Tensor, Tensor, Tensor)",
      &softmax_residual);
}

}  // namespace
}  // namespace phantomgrad
