// Table of contents: every operator of the core with its schema. (Noise and updates register beside their own code.)
#include <torch/library.h>

#include "ops/operators.h"
#include "ops/segments.h"

namespace phantomgrad {
namespace {

TORCH_LIBRARY_FRAGMENT(phantomgrad, m) {
  // Operators with a per-sample rule.
  m.def("linear(Tensor input, Tensor weight, Tensor? bias=None, *, bool transposed=False) -> Tensor", &linear);
  m.def("affine(Tensor input, Tensor? weight=None, Tensor? bias=None, int axis=-1) -> Tensor", &affine);
  m.def(
      "convolution(Tensor input, Tensor weight, Tensor? bias, int[] stride, int[] padding, int[] dilation, int "
      "groups=1) -> Tensor",
      &convolution);
  m.def("candidate_scores(Tensor hidden, Tensor table, Tensor candidates, Tensor? bias=None) -> Tensor",
        &candidate_scores);
  m.def(
      "declare_use(Tensor output, Tensor parameter, *, Tensor? left=None, Tensor? right=None, Tensor? ids=None, "
      "float scale=1.0) -> Tensor",
      &declare_use);
  m.def("embedding(Tensor ids, Tensor weight, int padding_id=-1, float scale=1.0) -> Tensor", &embedding);
  m.def("layer_norm(Tensor input, Tensor weight, Tensor? bias=None, float eps=1e-05) -> Tensor", &layer_norm);
  m.def(
      "softmax_cross_entropy_head(Tensor hidden, Tensor table, Tensor targets, Tensor? weights=None, "
      "Tensor? bias=None, *, float scale=1.0, float label_smoothing=0.0, int padding_id=-1, Tensor? candidates=None, "
      "bool mean=False) -> Tensor",
      &softmax_cross_entropy_head);
  m.def("per_sample(Tensor parameter, int samples) -> Tensor", &per_sample);

  // Operators without parameters that keep samples apart.
  m.def(
      "attention(Tensor query, Tensor key, Tensor value, Tensor cu_seqlens, *, int heads=1, bool causal=True, "
      "float dropout=0.0, int seed=0, int step=0, int site=0, Tensor? sample_keys=None) -> Tensor",
      &attention);
  m.def(
      "re_attention(Tensor query, Tensor key, Tensor value, Tensor key_variance, Tensor cu_seqlens, *, "
      "Tensor? value_variance=None, int heads=1, bool causal=True, str correction='logit', float? max_penalty=None, "
      "float dropout=0.0, int seed=0, int step=0, int site=0, Tensor? sample_keys=None) -> (Tensor, Tensor)",
      &re_attention);
  m.def(
      "dropout(Tensor input, float p, *, int seed, int step, int site, Tensor cu_seqlens, Tensor sample_keys) -> "
      "Tensor",
      &dropout);

  // How noise in parameters and inputs spreads through a layer: the variance of each row, outside autograd.
  m.def(
      "linear_variance(Tensor input, Tensor variance, Tensor weight, *, float weight_variance, "
      "float bias_variance=0.0, int groups=1) -> Tensor",
      &linear_variance);
  m.def(
      "layer_norm_variance(Tensor input, Tensor variance, Tensor weight, *, float weight_variance=0.0, "
      "float bias_variance=0.0, float eps=1e-05, bool saturate=True) -> Tensor",
      &layer_norm_variance);
  m.def("activation_variance(Tensor input, Tensor variance, str activation) -> Tensor", &activation_variance);

  // Which rows belong to which sample, for this thread.
  m.def("set_segments(Tensor? cu_seqlens, int token=0) -> ()", &set_segments);
  m.def("set_batch(int token) -> ()", &set_batch);

  // The gradient book.
  m.def("book_attach(Tensor[] parameters, str[] names) -> (int, Tensor)", &book_attach);
  m.def("book_detach(int book) -> ()", &book_detach);
  m.def("book_gradient(int book) -> Tensor", &book_gradient);
  m.def("book_set_groups(int book, int[] groups) -> ()", &book_set_groups);
  m.def("book_set_scales(int book, float[] scales) -> ()", &book_set_scales);
  m.def("book_materialise(int book, bool wanted) -> ()", &book_materialise);
  m.def("book_want_norms(int book, bool wanted) -> ()", &book_want_norms);
  m.def("book_backward(int book, Tensor loss, int token=0) -> ()", &book_backward);
  m.def("book_check_attribution(int book, Tensor loss, int[] chosen) -> str", &book_check_attribution);
  m.def("book_norms(int book) -> (Tensor, Tensor, Tensor)", &book_norms);
  m.def("book_accumulate(int book, Tensor factors) -> ()", &book_accumulate);
  m.def("book_unused(int book) -> int[]", &book_unused);
  m.def("book_discard(int book) -> ()", &book_discard);
  m.def("book_parameters_changed(int book) -> ()", &book_parameters_changed);
}

}  // namespace
}  // namespace phantomgrad
