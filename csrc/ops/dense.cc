// Dense uses (linear layers): Gram or instantiate for the norms, one product of scaled rows for the clipped sum.
#include <ATen/ops/empty.h>

#include <cmath>

#include "cpu/gemm.h"
#include "cpu/parallel.h"
#include "cpu/reduce.h"
#include "ops/any.h"
#include "ops/buffer.h"
#include "ops/dispatch.h"
#include "ops/gram.h"
#include "ops/record.h"
#include "ops/row_norm.h"
#include "ops/runs.h"

namespace phantomgrad {
namespace {

// Output rows of the clipped sum: what threads share out, and what one product forms. Multiples of the register tile.
constexpr int64_t kTaskRows = 12, kBlockRows = 24;

class DenseUse final : public Use {
 public:
  DenseUse(SegmentsPtr segments, at::Tensor gradient, at::Tensor input)
      : Use(std::move(segments)), gradient_(std::move(gradient)), input_(std::move(input)) {}

  UseKind kind() const override { return UseKind::dense; }
  const at::Tensor& gradient() const { return gradient_; }
  const at::Tensor& input() const { return input_; }
  int64_t left() const { return gradient_.size(-1); }
  int64_t right() const { return input_.size(-1); }

  void add_row_products(double* out) const override {
    with_floating("linear", gradient_, [&](auto zero) {
      using T = decltype(zero);
      const T *g = host_data<T>(gradient_), *a = host_data<T>(input_);
      const int64_t p = left(), d = right();
      cpu::parallel_for(0, samples(), cpu::grain_for(mean_rows() * (p + d)), [&](int64_t first, int64_t last) {
        for (int64_t b = first; b < last; ++b)
          for (int64_t t = segments().first(b); t < segments().first(b + 1); ++t)
            out[b] += row_norm(g + t * p, p) * row_norm(a + t * d, d);
      });
    });
  }

  void materialise(int64_t sample, const at::Tensor& gradient) const override {
    double* out = host_writable<double>(gradient);
    with_floating("linear", gradient_, [&](auto zero) {
      using T = decltype(zero);
      const int64_t p = left(), d = right();
      for (int64_t t = segments().first(sample); t < segments().first(sample + 1); ++t) {
        const T *g = host_data<T>(gradient_) + t * p, *a = host_data<T>(input_) + t * d;
        for (int64_t i = 0; i < p; ++i) PG_CALL((add_scaled<T>), out + i * d, static_cast<double>(g[i]), a, d);
      }
    });
  }

  void accumulate(const double* factors, const at::Tensor& sum) const override {
    add_runs(make_runs(segments(), [&](int64_t b) { return factors[b] != 0; }), factors, sum);
  }

  /// sum += (factor g)^T a over the samples of each run; partial sums of one run in the data's type.
  void add_runs(const std::vector<Run>& runs, const double* factors, const at::Tensor& into) const {
    if (runs.empty()) return;
    double* sum = host_writable<double>(into);
    with_floating("linear", gradient_, [&](auto zero) {
      using T = decltype(zero);
      const int64_t p = left(), d = right();
      const T *g = host_data<T>(gradient_), *a = host_data<T>(input_);
      Buffer<T> scaled(segments().rows() * d);
      cpu::parallel_for(
          0, static_cast<int64_t>(runs.size()), cpu::grain_for(kRunRows * d), [&](int64_t first, int64_t last) {
            for (int64_t r = first; r < last; ++r)
              for (int64_t b = runs[static_cast<size_t>(r)].first; b < runs[static_cast<size_t>(r)].last; ++b) {
                const T factor = static_cast<T>(factors[b]);
                for (int64_t i = segments().first(b) * d; i < segments().first(b + 1) * d; ++i)
                  scaled.data()[i] = factor * a[i];
              }
          });
      const int64_t tasks = (p + kTaskRows - 1) / kTaskRows;
      cpu::parallel_for(
          0, tasks, cpu::grain_for(segments().rows() * kTaskRows * d / 8), [&](int64_t first, int64_t last) {
            Buffer<T> partial(kBlockRows * d);
            const int64_t end = std::min(p, last * kTaskRows);
            for (int64_t row = first * kTaskRows; row < end; row += kBlockRows) {
              const int64_t rows = std::min(kBlockRows, end - row);
              for (const Run& run : runs) {
                const int64_t start = segments().first(run.first), length = segments().first(run.last) - start;
                PG_CALL((gemm<T>), rows, d, length, {g + start * p + row, 1, p}, scaled.data() + start * d, d,
                        partial.data(), d, false);
                PG_CALL((add_scaled<T>), sum + row * d, 1.0, partial.data(), rows * d);
              }
            }
          });
    });
  }

 private:
  at::Tensor gradient_, input_;
};

class DenseRecord final : public Record {
 public:
  DenseRecord(int64_t left, int64_t right, const std::vector<UsePtr>& uses)
      : left_(left), right_(right), samples_(uses.front()->samples()) {
    for (const UsePtr& use : uses) uses_.push_back(static_cast<const DenseUse*>(use.get()));
    at_.assign(static_cast<size_t>(samples_), -1);
  }

  SampleNorms norms() override {
    SampleNorms result{std::vector<double>(static_cast<size_t>(samples_)),
                       std::vector<double>(static_cast<size_t>(samples_))};
    std::vector<double> products(static_cast<size_t>(samples_), 0.0);
    for (const DenseUse* use : uses_) use->add_row_products(products.data());
    choose();
    with_floating("linear", uses_.front()->gradient(), [&](auto zero) {
      using T = decltype(zero);
      if (stored_ > 0) gradients_ = at::empty({stored_, left_ * right_}, uses_.front()->gradient().options());
      const int64_t grain = cpu::grain_for(uses_.front()->mean_rows() * (left_ + right_) * 4);
      cpu::parallel_for(0, samples_, grain, [&](int64_t first, int64_t last) {
        for (int64_t b = first; b < last; ++b) {
          const auto i = static_cast<size_t>(b);
          if (at_[i] >= 0)
            instantiate<T>(b, products[i], result.norm2[i], result.bound[i]);
          else
            gram<T>(b, products[i], result.norm2[i], result.bound[i]);
        }
      });
    });
    return result;
  }

  void accumulate(const double* factors, const at::Tensor& sum) override {
    for (const DenseUse* use : uses_)
      use->add_runs(
          make_runs(use->segments(), [&](int64_t b) { return factors[b] != 0 && at_[static_cast<size_t>(b)] < 0; }),
          factors, sum);
    if (stored_ == 0) return;
    double* into = host_writable<double>(sum);
    with_floating("linear", gradients_, [&](auto zero) {
      using T = decltype(zero);
      const int64_t size = left_ * right_;
      const T* gradients = host_data<T>(gradients_);
      cpu::parallel_for(0, size, 2048, [&](int64_t first, int64_t last) {
        for (int64_t b = 0; b < samples_; ++b)
          if (factors[b] != 0 && at_[static_cast<size_t>(b)] >= 0)
            PG_CALL((add_scaled<T>), into + first, factors[b], gradients + at_[static_cast<size_t>(b)] * size + first,
                    last - first);
      });
    });
  }

 private:
  int64_t rows_of(int64_t sample) const {
    int64_t rows = 0;
    for (const DenseUse* use : uses_) rows += use->segments().length(sample);
    return rows;
  }

  // T (p + d) products for the Gram matrices against 2 p d for the gradient itself, which then also serves the sum.
  void choose() {
    const double harmonic = 2.0 * static_cast<double>(left_ * right_) / static_cast<double>(left_ + right_);
    stored_ = 0;
    for (int64_t b = 0; b < samples_; ++b)
      at_[static_cast<size_t>(b)] = static_cast<double>(rows_of(b)) >= harmonic ? stored_++ : -1;
  }

  template <class T>
  void instantiate(int64_t b, double products, double& norm2, double& bound) {
    T* gradient = host_writable<T>(gradients_) + at_[static_cast<size_t>(b)] * left_ * right_;
    bool more = false;
    for (const DenseUse* use : uses_) {
      const int64_t start = use->segments().first(b), length = use->segments().length(b);
      PG_CALL((gemm<T>), left_, right_, length, {host_data<T>(use->gradient()) + start * left_, 1, left_},
              host_data<T>(use->input()) + start * right_, right_, gradient, right_, more);
      more = true;
    }
    norm2 = PG_CALL((sum_of_squares<T>), gradient, left_ * right_);
    bound = std::sqrt(norm2 * (1 + rounding<T>(cpu::kSquareUlps))) +
            rounding<T>(static_cast<double>(rows_of(b)) + 2) * products;
    if (norm2 < safe_square<T>(left_ * right_)) bound = std::max(bound, products);  // squares may have underflowed
  }

  template <class T>
  void gram(int64_t b, double products, double& norm2, double& bound) {
    const int64_t rows = rows_of(b);
    if (rows == 0) return;
    // Rows of several uses are one list: the cross terms of a shared weight come by themselves.
    Buffer<T> joined;
    const T *g = host_data<T>(uses_.front()->gradient()) + uses_.front()->segments().first(b) * left_,
            *a = host_data<T>(uses_.front()->input()) + uses_.front()->segments().first(b) * right_;
    if (uses_.size() > 1) {
      joined = Buffer<T>(rows * (left_ + right_));
      T *to_g = joined.data(), *to_a = joined.data() + rows * left_;
      for (const DenseUse* use : uses_) {
        const int64_t start = use->segments().first(b), length = use->segments().length(b);
        to_g = std::copy_n(host_data<T>(use->gradient()) + start * left_, length * left_, to_g);
        to_a = std::copy_n(host_data<T>(use->input()) + start * right_, length * right_, to_a);
      }
      g = joined.data();
      a = joined.data() + rows * left_;
    }
    const double total = gram_norm2<T>(rows, g, left_, left_, a, right_, right_);
    norm2 = total < 0 ? 0 : total;
    bound = std::sqrt(norm2 + gram_rounding<T>(rows, left_, right_) * products * products) +
            rounding<T>(static_cast<double>(std::max(rows, kRunRows)) + 3) * products;
  }

  int64_t left_, right_, samples_, stored_ = 0;
  std::vector<const DenseUse*> uses_;
  std::vector<int64_t> at_;  // where a sample's gradient is stored, or -1
  at::Tensor gradients_;
};

}  // namespace

UsePtr dense_use(SegmentsPtr segments, at::Tensor gradient, at::Tensor input) {
  if (!has_kernels(gradient)) return any_dense_use(std::move(segments), std::move(gradient), std::move(input));
  return std::make_unique<DenseUse>(std::move(segments), gradient.contiguous(), input.contiguous());
}

std::unique_ptr<Record> dense_record(int64_t left, int64_t right, const std::vector<UsePtr>& uses) {
  return std::make_unique<DenseRecord>(left, right, uses);
}

}  // namespace phantomgrad
