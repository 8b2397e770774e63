// Sums of gradient rows by id: float64, because a frequent id collects rows of many samples.
#include "ops/index.h"

#include <cmath>

#include "cpu/parallel.h"
#include "cpu/reduce.h"
#include "ops/dispatch.h"
#include "ops/row_norm.h"

namespace phantomgrad {

IndexUse::IndexUse(SegmentsPtr segments, at::Tensor ids, at::Tensor gradient, double scale, int64_t padding_id)
    : Use(std::move(segments)),
      ids_(std::move(ids)),
      gradient_(std::move(gradient)),
      first_id_(ids_.const_data_ptr<int64_t>()),
      scale_(scale),
      padding_id_(padding_id) {}

void IndexUse::add_row_products(double* out) const {
  with_floating("embedding", gradient_, [&](auto zero) {
    using T = decltype(zero);
    const T* u = gradient_.const_data_ptr<T>();
    for (int64_t b = 0; b < samples(); ++b)
      for (int64_t t = segments().first(b); t < segments().first(b + 1); ++t)
        if (counts(t)) out[b] += std::abs(scale_) * row_norm(u + t * dim(), dim());
  });
}

void IndexUse::materialise(int64_t sample, double* gradient) const {
  with_floating("embedding", gradient_, [&](auto zero) {
    using T = decltype(zero);
    const T* u = gradient_.const_data_ptr<T>();
    for (int64_t t = segments().first(sample); t < segments().first(sample + 1); ++t)
      if (counts(t)) PG_CALL((add_scaled<T>), gradient + ids()[t] * dim(), scale_, u + t * dim(), dim());
  });
}

void IndexUse::accumulate(const double* factors, double* sum) const {
  with_floating("embedding", gradient_, [&](auto zero) {
    using T = decltype(zero);
    const T* u = gradient_.const_data_ptr<T>();
    const int64_t d = dim(), threads = cpu::thread_count();
    // Each thread owns the ids of one residue class: no two threads meet in a row, and the order of rows is fixed.
    cpu::parallel_for(0, threads, 1, [&](int64_t first, int64_t last) {
      for (int64_t b = 0; b < samples(); ++b) {
        if (factors[b] == 0) continue;
        for (int64_t t = segments().first(b); t < segments().first(b + 1); ++t) {
          const int64_t owner = ids()[t] % threads;
          if (owner >= first && owner < last && counts(t))
            PG_CALL((add_scaled<T>), sum + ids()[t] * d, factors[b] * scale_, u + t * d, d);
        }
      }
    });
  });
}

UsePtr index_use(SegmentsPtr segments, at::Tensor ids, at::Tensor gradient, double scale, int64_t padding_id) {
  return std::make_unique<IndexUse>(std::move(segments), ids.contiguous(), gradient.contiguous(), scale, padding_id);
}

}  // namespace phantomgrad
