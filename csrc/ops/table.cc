// Phantom clipping: the norms of a table that is embedding and head at once, without forming its gradient.
//   |G_b|^2 = in + out + 2 cross     Ding et al. 2024, Algorithm 1 and Claim B.1, factored as in docs/how-it-works.md
#include <algorithm>
#include <cmath>
#include <numeric>

#include "cpu/parallel.h"
#include "cpu/reduce.h"
#include "ops/dispatch.h"
#include "ops/gram.h"
#include "ops/index.h"
#include "ops/record.h"
#include "ops/residual.h"
#include "ops/row_norm.h"
#include "ops/runs.h"

namespace phantomgrad {
namespace {

// The input side of one sample: each id once, with the sum of its rows.
template <class T>
struct InputRows {
  std::vector<int64_t> ids;
  std::vector<T> rows;  // [ids, d]
  double norm2 = 0;
  double count = 0;  // rows before they were summed
};

template <class T>
InputRows<T> sum_by_id(const std::vector<const IndexUse*>& uses, int64_t sample, int64_t d) {
  struct Row {
    int64_t id;
    const T* data;
    double scale;
  };
  std::vector<Row> rows;
  for (const IndexUse* use : uses)
    for (int64_t t = use->segments().first(sample); t < use->segments().first(sample + 1); ++t)
      if (use->counts(t)) rows.push_back({use->ids()[t], use->row<T>(t), use->weight<T>(t)});
  std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.id < b.id; });
  InputRows<T> result;
  result.count = static_cast<double>(rows.size());
  std::vector<double> sum(static_cast<size_t>(d));
  for (size_t i = 0; i < rows.size();) {
    const int64_t id = rows[i].id;
    std::fill(sum.begin(), sum.end(), 0.0);
    for (; i < rows.size() && rows[i].id == id; ++i)
      PG_CALL((add_scaled<T>), sum.data(), rows[i].scale, rows[i].data, d);
    result.ids.push_back(id);
    for (const double x : sum) {
      result.norm2 += x * x;
      result.rows.push_back(static_cast<T>(x));
    }
  }
  return result;
}

class TableRecord final : public Record {
 public:
  TableRecord(int64_t dim, std::vector<const IndexUse*> inputs, const ResidualUse* output)
      : dim_(dim), inputs_(std::move(inputs)), output_(output) {}

  SampleNorms norms() override {
    const int64_t samples = output_ != nullptr ? output_->samples() : inputs_.front()->samples();
    const auto size = static_cast<size_t>(samples);
    std::vector<double> in(size, 0.0), out(size, 0.0);
    for (const IndexUse* use : inputs_) use->add_row_products(in.data());
    if (output_ != nullptr) output_->add_row_products(out.data());
    SampleNorms result{std::vector<double>(size), std::vector<double>(size)};
    const at::Tensor& like = output_ != nullptr ? output_->head().hidden : inputs_.front()->rows();
    with_floating("embedding", like, [&](auto zero) {
      using T = decltype(zero);
      const int64_t grain = output_ != nullptr ? 1 : cpu::grain_for(8 * dim_ * inputs_.front()->mean_rows());
      cpu::parallel_for(0, samples, grain, [&](int64_t first, int64_t last) {
        for (int64_t b = first; b < last; ++b) {
          const auto i = static_cast<size_t>(b);
          one<T>(b, in[i], out[i], result.norm2[i], result.bound[i]);
        }
      });
    });
    return result;
  }

  void accumulate(const double* factors, const at::Tensor& sum) override {
    if (output_ != nullptr) output_->accumulate(factors, sum);
    for (const IndexUse* use : inputs_) use->accumulate(factors, sum);
  }

 private:
  template <class T>
  void one(int64_t b, double in_products, double out_products, double& norm2, double& bound) {
    const InputRows<T> in = sum_by_id<T>(inputs_, b, dim_);
    norm2 = in.norm2;
    // The input side is added in float64, and rounded to T once, where very small numbers lose more than their last
    // bit, or all: as of rows that small (row_norm), the certificate must then cover inner products that are wrong.
    const bool vanishing = in.norm2 < safe_square<T>(static_cast<int64_t>(in.rows.size()));
    double spread = vanishing ? kVanishingRow<T> * in_products : std::sqrt(in.norm2);
    double error = rounding<T>(4.0 + 3 * cpu::kSquareUlps) + rounding<double>(static_cast<double>(in.rows.size()));
    double sum_error = rounding<double>(in.count + 3) * in_products;
    if (output_ != nullptr) {
      const Head& head = output_->head();
      const double s = output_->upstream(b), out_norm2 = s * s * head.norm2[static_cast<size_t>(b)];
      const auto length = static_cast<double>(output_->segments().length(b));
      norm2 = in.norm2 + out_norm2 + 2 * s * cross(in, b);
      // What is not a number (products of float32 beyond its range) stays so: as a small norm it would be believed.
      if (norm2 < 0) norm2 = 0;
      // Sums of squares and of cross terms in float64.
      error += rounding<double>(length * static_cast<double>(in.ids.size()) +
                                static_cast<double>(head.vocabulary() * dim_ / kGramRun));
      if (head.gradient_at[static_cast<size_t>(b)] >= 0) {
        // Squares and inner products of what is stored lose little; what counts is how it was summed over the rows.
        spread += std::sqrt(out_norm2);
        sum_error += rounding<T>(length + 3) * out_products;
        // Squares may have underflowed.
        if (head.norm2[static_cast<size_t>(b)] < safe_square<T>(head.vocabulary() * dim_)) sum_error += out_products;
      } else {
        spread += out_products;
        error += gram_rounding<T>(output_->segments().length(b), head.vocabulary(), dim_);
        sum_error += rounding<T>(std::max(length, static_cast<double>(kRunRows)) + 3) * out_products;
      }
    }
    bound = std::sqrt(norm2 + error * spread * spread) + sum_error;
  }

  // sum over input ids i and head rows s of delta_s[i] <u_i, h_s>: independent of the vocabulary.
  template <class T>
  double cross(const InputRows<T>& in, int64_t b) const {
    const Head& head = output_->head();
    const int64_t M = head.vocabulary(), ids = static_cast<int64_t>(in.ids.size());
    double sum = 0;
    if (head.gradient_at[static_cast<size_t>(b)] >= 0) {
      const T* gradient = host_data<T>(head.gradients) + head.gradient_at[static_cast<size_t>(b)] * M * dim_;
      for (int64_t i = 0; i < ids; ++i)
        sum += PG_CALL((dot<T>), gradient + in.ids[static_cast<size_t>(i)] * dim_, in.rows.data() + i * dim_, dim_);
      return sum;
    }
    const int64_t rows = head.segments->length(b);
    if (rows == 0 || ids == 0) return 0;
    const T *residual = host_data<T>(head.residual) + head.residual_row[static_cast<size_t>(b)] * M,
            *hidden = host_data<T>(head.hidden) + head.segments->first(b) * dim_;
    std::vector<double> products(static_cast<size_t>(rows * ids));
    gram_rows<T>(rows, ids, dim_, hidden, dim_, in.rows.data(), dim_, products.data());
    for (int64_t s = 0; s < rows; ++s)
      for (int64_t i = 0; i < ids; ++i)
        sum += static_cast<double>(residual[s * M + in.ids[static_cast<size_t>(i)]]) *
               products[static_cast<size_t>(s * ids + i)];
    return sum;
  }

  int64_t dim_;
  std::vector<const IndexUse*> inputs_;
  const ResidualUse* output_;
};

}  // namespace

std::unique_ptr<Record> table_record(int64_t left, int64_t right, const std::vector<UsePtr>& uses) {
  std::vector<const IndexUse*> inputs;
  const ResidualUse* output = nullptr;
  for (const UsePtr& use : uses) {
    if (use->kind() == UseKind::index) {
      inputs.push_back(static_cast<const IndexUse*>(use.get()));
    } else if (output != nullptr) {
      return mixed_record(left, right, uses);
    } else {
      output = static_cast<const ResidualUse*>(use.get());
    }
  }
  return std::make_unique<TableRecord>(right, std::move(inputs), output);
}

}  // namespace phantomgrad
