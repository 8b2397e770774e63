// The operators of the namespace phantomgrad, as functions; schema.cc is their table of contents.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "shared/correction.h"

namespace phantomgrad {

at::Tensor linear(const at::Tensor& input, const at::Tensor& weight, const std::optional<at::Tensor>& bias,
                  bool transposed);
at::Tensor affine(const at::Tensor& input, const std::optional<at::Tensor>& weight,
                  const std::optional<at::Tensor>& bias, int64_t axis);
at::Tensor convolution(const at::Tensor& input, const at::Tensor& weight, const std::optional<at::Tensor>& bias,
                       at::IntArrayRef stride, at::IntArrayRef padding, at::IntArrayRef dilation, int64_t groups);
at::Tensor candidate_scores(const at::Tensor& hidden, const at::Tensor& table, const at::Tensor& candidates,
                            const std::optional<at::Tensor>& bias);
at::Tensor declare_use(const at::Tensor& output, const at::Tensor& parameter, const std::optional<at::Tensor>& left,
                       const std::optional<at::Tensor>& right, const std::optional<at::Tensor>& ids, double scale);
at::Tensor embedding(const at::Tensor& ids, const at::Tensor& weight, int64_t padding_id, double scale);
at::Tensor layer_norm(const at::Tensor& input, const at::Tensor& weight, const std::optional<at::Tensor>& bias,
                      double eps);
at::Tensor softmax_cross_entropy_head(const at::Tensor& hidden, const at::Tensor& table, const at::Tensor& targets,
                                      const std::optional<at::Tensor>& weights, const std::optional<at::Tensor>& bias,
                                      double scale, double label_smoothing, int64_t padding_id,
                                      const std::optional<at::Tensor>& candidates, bool mean);
at::Tensor attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                     const at::Tensor& cu_seqlens, int64_t heads, bool causal, double dropout, int64_t seed,
                     int64_t step, int64_t site, const std::optional<at::Tensor>& sample_keys);
/// By the names that users write: logit, paper, secondOrder, off.
Correction correction_of(std::string_view name);
std::tuple<at::Tensor, at::Tensor> re_attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                                                const at::Tensor& key_variance, const at::Tensor& cu_seqlens,
                                                const std::optional<at::Tensor>& value_variance, int64_t heads,
                                                bool causal, std::string_view correction,
                                                std::optional<double> max_penalty, double dropout, int64_t seed,
                                                int64_t step, int64_t site,
                                                const std::optional<at::Tensor>& sample_keys);
at::Tensor linear_variance(const at::Tensor& input, const at::Tensor& variance, const at::Tensor& weight,
                           double weight_variance, double bias_variance, int64_t groups);
at::Tensor layer_norm_variance(const at::Tensor& input, const at::Tensor& variance, const at::Tensor& weight,
                               double weight_variance, double bias_variance, double eps, bool saturate);
at::Tensor activation_variance(const at::Tensor& input, const at::Tensor& variance, std::string_view activation);
at::Tensor dropout(const at::Tensor& input, double p, int64_t seed, int64_t step, int64_t site,
                   const at::Tensor& cu_seqlens, const at::Tensor& sample_keys);
at::Tensor per_sample(const at::Tensor& parameter, int64_t samples);

std::tuple<int64_t, at::Tensor> book_attach(const std::vector<at::Tensor>& parameters,
                                            const std::vector<std::string>& names);
void book_detach(int64_t book);
at::Tensor book_gradient(int64_t book);
void book_set_groups(int64_t book, at::IntArrayRef groups);
void book_set_scales(int64_t book, at::ArrayRef<double> scales);
void book_materialise(int64_t book, bool wanted);
void book_want_norms(int64_t book, bool wanted);
void book_backward(int64_t book, const at::Tensor& loss, int64_t token);
std::string book_check_attribution(int64_t book, const at::Tensor& loss, at::IntArrayRef chosen);
std::tuple<at::Tensor, at::Tensor, at::Tensor> book_norms(int64_t book);
void book_accumulate(int64_t book, const at::Tensor& factors);
std::vector<int64_t> book_unused(int64_t book);
void book_discard(int64_t book);
void book_parameters_changed(int64_t book);

}  // namespace phantomgrad
