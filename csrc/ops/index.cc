// Sums of gradient rows by id: float64, because a frequent id collects rows of many samples.
#include "ops/index.h"

#include <cmath>

#include "cpu/parallel.h"
#include "cpu/reduce.h"
#include "ops/any.h"
#include "ops/dispatch.h"
#include "ops/row_norm.h"

namespace phantomgrad {

IndexUse::IndexUse(SegmentsPtr entries, at::Tensor ids, at::Tensor rows, at::Tensor coefficients, double scale,
                   int64_t padding_id)
    : Use(std::move(entries)),
      ids_(std::move(ids)),
      rows_(std::move(rows)),
      coefficients_(std::move(coefficients)),
      first_id_(host_data<int64_t>(ids_)),
      scale_(scale),
      padding_id_(padding_id),
      fan_(rows_.size(0) == 0 ? 1 : ids_.numel() / rows_.size(0)) {}

void IndexUse::add_row_products(double* out) const {
  with_floating("embedding", rows_, [&](auto zero) {
    using T = decltype(zero);
    const T* last = nullptr;
    double norm = 0;
    for (int64_t b = 0; b < samples(); ++b)
      for (int64_t e = segments().first(b); e < segments().first(b + 1); ++e) {
        if (!counts(e)) continue;
        if (row<T>(e) != last) norm = row_norm(last = row<T>(e), dim());
        out[b] += std::abs(weight<T>(e)) * norm;
      }
  });
}

void IndexUse::materialise(int64_t sample, const at::Tensor& gradient) const {
  double* out = host_writable<double>(gradient);
  with_floating("embedding", rows_, [&](auto zero) {
    using T = decltype(zero);
    for (int64_t e = segments().first(sample); e < segments().first(sample + 1); ++e)
      if (counts(e)) PG_CALL((add_scaled<T>), out + ids()[e] * dim(), weight<T>(e), row<T>(e), dim());
  });
}

void IndexUse::accumulate(const double* factors, const at::Tensor& sum) const {
  double* out = host_writable<double>(sum);
  with_floating("embedding", rows_, [&](auto zero) {
    using T = decltype(zero);
    const int64_t d = dim(), threads = cpu::thread_count();
    // Each thread owns the ids of one residue class: no two threads meet in a row, and the order of rows is fixed.
    const int64_t grain = cpu::grain_for(segments().rows() * d / threads);
    cpu::parallel_for(0, threads, grain, [&](int64_t first, int64_t last) {
      for (int64_t b = 0; b < samples(); ++b) {
        if (factors[b] == 0) continue;
        for (int64_t e = segments().first(b); e < segments().first(b + 1); ++e) {
          const int64_t owner = ids()[e] % threads;
          if (owner >= first && owner < last && counts(e))
            PG_CALL((add_scaled<T>), out + ids()[e] * d, factors[b] * weight<T>(e), row<T>(e), d);
        }
      }
    });
  });
}

UsePtr index_use(SegmentsPtr segments, at::Tensor ids, at::Tensor gradient, double scale, int64_t padding_id) {
  if (!has_kernels(gradient))
    return any_index_use(std::move(segments), std::move(ids), std::move(gradient), at::Tensor(), scale, padding_id);
  return std::make_unique<IndexUse>(std::move(segments), ids.contiguous(), gradient.contiguous(), at::Tensor(), scale,
                                    padding_id);
}

UsePtr candidate_use(SegmentsPtr segments, at::Tensor ids, at::Tensor rows, at::Tensor coefficients, double scale) {
  SegmentsPtr entries = widen(*segments, ids.size(-1));
  if (!has_kernels(rows))
    return any_index_use(std::move(entries), std::move(ids), std::move(rows), std::move(coefficients), scale, -1);
  return std::make_unique<IndexUse>(std::move(entries), ids.contiguous(), rows.contiguous(), coefficients.contiguous(),
                                    scale, -1);
}

}  // namespace phantomgrad
