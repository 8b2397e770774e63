// A record: all uses of one parameter in one physical batch, and the pair rules that turn them into norms and sums.
#pragma once

#include <memory>
#include <vector>

#include "ops/use.h"

namespace phantomgrad {

/// What a record knows of each sample's gradient of one parameter. Both arrays hold B entries.
struct SampleNorms {
  std::vector<double> norm2;  // best estimate of the squared norm
  std::vector<double> bound;  // at least the exact norm of the stored factors plus the rounding of accumulate()
};

class Record {
 public:
  virtual ~Record() = default;
  virtual SampleNorms norms() = 0;
  /// As Use::accumulate, over all uses. The contribution of sample b has norm at most factors[b] bound[b].
  virtual void accumulate(const double* factors, const at::Tensor& sum) = 0;
};

/// Picks the pair rule for the kinds present. `left` x `right` is the parameter seen as a matrix. The uses outlive the
/// record.
std::unique_ptr<Record> make_record(int64_t left, int64_t right, const std::vector<UsePtr>& uses);

std::unique_ptr<Record> dense_record(int64_t left, int64_t right, const std::vector<UsePtr>& uses);
std::unique_ptr<Record> table_record(int64_t left, int64_t right, const std::vector<UsePtr>& uses);
std::unique_ptr<Record> stored_record(const std::vector<UsePtr>& uses);
/// Of uses for which Use::any_device() holds.
std::unique_ptr<Record> any_record(int64_t left, int64_t right, const std::vector<UsePtr>& uses);
/// Any kinds together: forms each sample's gradient in float64. Exact and slow.
std::unique_ptr<Record> mixed_record(int64_t left, int64_t right, const std::vector<UsePtr>& uses);

struct ExactNorm {
  double norm2, bound;
};

/// Room for one gradient: float64 [size] on the device of the uses.
at::Tensor gradient_room(const std::vector<UsePtr>& uses, int64_t size);
/// The gradient of one sample over all uses, formed in `gradient` (gradient_room) with every product and sum in
/// float64, and its norm. `products` is the sample's sum of Use::add_row_products.
ExactNorm exact_norm(const std::vector<UsePtr>& uses, int64_t sample, double products, const at::Tensor& gradient);
/// sum += factor gradient, both float64 of one size.
void add_gradient(double factor, const at::Tensor& gradient, const at::Tensor& sum);

/// gamma_n = n u / (1 - n u): the relative error of n roundings in a row (Higham 2002, Lemma 3.1).
template <class T>
constexpr double rounding(double n) {
  constexpr double u = sizeof(T) == 4 ? 0x1p-24 : 0x1p-53;
  return n * u / (1 - n * u);
}

}  // namespace phantomgrad
