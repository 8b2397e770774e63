// One stable sort by id; the samples' lists are its entries dealt out in that order.
#include "ops/index_plan.h"

#include <ATen/ops/empty.h>

#include <algorithm>

#include "ops/device.h"

namespace phantomgrad {

IndexPlan make_index_plan(const Segments& entries, const at::Tensor& ids, int64_t padding_id,
                          const at::Device& device) {
  const int64_t* id = host_data<int64_t>(ids);
  const auto samples = static_cast<size_t>(entries.count());
  std::vector<int64_t> sample_of, by_id, begin{0};
  for (int64_t b = 0; b < entries.count(); ++b) {
    int64_t listed = 0;
    for (int64_t e = entries.first(b); e < entries.first(b + 1); ++e) {
      sample_of.push_back(b);
      if (id[e] == padding_id) continue;
      by_id.push_back(e);
      ++listed;
    }
    begin.push_back(begin.back() + listed);
  }
  std::stable_sort(by_id.begin(), by_id.end(), [&](int64_t a, int64_t b) { return id[a] < id[b]; });

  std::vector<int64_t> by_sample(by_id.size()), runs, distinct;
  std::vector<int64_t> next(begin.begin(), begin.begin() + static_cast<std::ptrdiff_t>(samples)), last(samples, -1);
  at::Tensor opens = at::empty({static_cast<int64_t>(by_id.size())}, at::TensorOptions().dtype(at::kByte));
  auto* flag = host_writable<uint8_t>(opens);
  for (size_t i = 0; i < by_id.size(); ++i) {
    const int64_t e = by_id[i];
    if (distinct.empty() || distinct.back() != id[e]) {
      distinct.push_back(id[e]);
      runs.push_back(static_cast<int64_t>(i));
    }
    const auto b = static_cast<size_t>(sample_of[static_cast<size_t>(e)]);
    const int64_t place = next[b]++;
    by_sample[static_cast<size_t>(place)] = e;
    flag[place] = last[b] == id[e] ? 0 : 1;
    last[b] = id[e];
  }
  runs.push_back(static_cast<int64_t>(by_id.size()));
  return {integers_on(device, by_sample), opens.to(device),          integers_on(device, begin),
          integers_on(device, by_id),     integers_on(device, runs), integers_on(device, distinct),
          integers_on(device, sample_of)};
}

}  // namespace phantomgrad
