// An embedding for one sample, x_t = scale E[id_t]: its gradient, and the squared norm of it without forming it.
#pragma once

#include <cstdint>

namespace phantomgrad::reference {

struct Embedding {
  int64_t rows, vocabulary, dim;
  const int64_t* ids;  // [rows]
  double scale;
  int64_t padding_id;  // its rows give no gradient; -1: none
};

/// output [rows, dim] from table [vocabulary, dim].
void embedding_forward(const Embedding& layer, const double* table, double* output);

/// d_table [vocabulary, dim] from the gradient u [rows, dim]: row i is the sum of scale u_t over the t with id_t = i.
void embedding_backward(const Embedding& layer, const double* gradient, double* d_table);

/// sum_{t,s} [id_t = id_s] scale^2 (u_t . u_s)        Li et al. 2022 (arXiv 2110.05679), section 4, embedding layer.
double embedding_norm2(const Embedding& layer, const double* gradient);

}  // namespace phantomgrad::reference
