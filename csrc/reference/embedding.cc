// The definition of an embedding's gradient: rows added where their ids point.
#include "reference/embedding.h"

#include <algorithm>

namespace phantomgrad::reference {

void embedding_forward(const Embedding& layer, const double* table, double* output) {
  for (int64_t t = 0; t < layer.rows; ++t)
    for (int64_t j = 0; j < layer.dim; ++j)
      output[t * layer.dim + j] = layer.scale * table[layer.ids[t] * layer.dim + j];
}

void embedding_backward(const Embedding& layer, const double* gradient, double* d_table) {
  std::fill_n(d_table, layer.vocabulary * layer.dim, 0.0);
  for (int64_t t = 0; t < layer.rows; ++t) {
    if (layer.ids[t] == layer.padding_id) continue;
    for (int64_t j = 0; j < layer.dim; ++j)
      d_table[layer.ids[t] * layer.dim + j] += layer.scale * gradient[t * layer.dim + j];
  }
}

double embedding_norm2(const Embedding& layer, const double* gradient) {
  double sum = 0;
  for (int64_t t = 0; t < layer.rows; ++t)
    for (int64_t s = 0; s < layer.rows; ++s) {
      if (layer.ids[t] != layer.ids[s] || layer.ids[t] == layer.padding_id) continue;
      for (int64_t j = 0; j < layer.dim; ++j)
        sum += layer.scale * gradient[t * layer.dim + j] * layer.scale * gradient[s * layer.dim + j];
    }
  return sum;
}

}  // namespace phantomgrad::reference
