// The softmax head on the CPU: blocks of rows, each through logits, loss, residual and gradients while they are cached.
#include "ops/head.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/mul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>

#include "cpu/gemm.h"
#include "cpu/parallel.h"
#include "cpu/reduce.h"
#include "cpu/softmax_head.h"
#include "ops/any.h"
#include "ops/buffer.h"
#include "ops/dispatch.h"
#include "ops/gram.h"
#include "ops/row_norm.h"

namespace phantomgrad {
namespace {

// Consecutive samples that one thread takes through the head together.
struct Task {
  int64_t first, last;
};

std::vector<Task> make_tasks(const Head& head) {
  std::vector<Task> tasks;
  int64_t rows = 0;
  const Segments& segments = *head.segments;
  for (int64_t b = 0; b < segments.count(); ++b) {
    const bool alone = !head.gradient_at.empty() && head.gradient_at[static_cast<size_t>(b)] >= 0;
    if (tasks.empty() || alone || rows + segments.length(b) > cpu::kHeadRows) {
      tasks.push_back({b, b});
      rows = 0;
    }
    tasks.back().last = b + 1;
    rows += alone ? cpu::kHeadRows : segments.length(b);
  }
  return tasks;
}

template <class T>
cpu::HeadParams<T> parameters(const Head& head, const T* packed) {
  return {host_data<T>(head.hidden),
          host_data<T>(head.table),
          packed,
          head.bias.defined() ? host_data<T>(head.bias) : nullptr,
          head.live.defined() ? host_data<uint8_t>(head.live) : nullptr,
          host_data<int64_t>(head.targets),
          host_data<T>(head.weights),
          head.vocabulary(),
          head.dim(),
          head.live_count,
          head.smoothing,
          static_cast<T>(head.scale)};
}

template <class T>
cpu::HeadParams<T> from_row(cpu::HeadParams<T> params, int64_t row) {
  params.hidden += row * params.dim;
  params.targets += row;
  params.weights += row;
  return params;
}

// Every block of rows reads all panels. A table that the cache holds is packed once for all of them; a larger one comes
// from memory for each block anyway, and the block packs it on the way: packed it would be in memory a second time.
constexpr int64_t kLargestPacked = 1 << 25;

template <class T>
Buffer<T> pack(const at::Tensor& table) {
  if (static_cast<int64_t>(table.nbytes()) > kLargestPacked) return {};
  const int64_t panels = (table.size(0) + cpu::kPanel - 1) / cpu::kPanel;
  Buffer<T> packed(panels * table.size(1) * cpu::kPanel);
  cpu::parallel_for(0, panels, 8, [&](int64_t first, int64_t last) {
    PG_CALL((pack_table<T>), host_data<T>(table), table.size(0), table.size(1), first, last, packed.data());
  });
  return packed;
}

// Workspace of head_block for one thread.
template <class T>
Buffer<T> own_panel(const cpu::HeadParams<T>& params) {
  return params.packed == nullptr ? Buffer<T>(params.dim * cpu::kPanel) : Buffer<T>();
}

template <class T>
double row_products(const T* residual, int64_t rows, int64_t M, const T* hidden, int64_t d) {
  double sum = 0;
  for (int64_t t = 0; t < rows; ++t) sum += row_norm(residual + t * M, M) * row_norm(hidden + t * d, d);
  return sum;
}

// Equal blocks of at most kHeadRows rows: the same blocks whenever a sample is computed again.
int64_t block_rows(int64_t rows) {
  const int64_t blocks = std::max<int64_t>(1, (rows + cpu::kHeadRows - 1) / cpu::kHeadRows);
  return (rows + blocks - 1) / blocks;
}

template <class T>
class Runner {
 public:
  Runner(Head& head, const HeadWants& wants)
      : head_(head), wants_(wants), packed_(pack<T>(head.table)), params_(parameters<T>(head, packed_.data())) {}

  void run() {
    const std::vector<Task> tasks = make_tasks(head_);
    std::vector<double> row_loss(static_cast<size_t>(head_.segments->rows()));
    cpu::parallel_for(0, static_cast<int64_t>(tasks.size()), 1, [&](int64_t first, int64_t last) {
      Buffer<T> logits;  // of one block whose residual is not kept
      Buffer<T> panel = own_panel<T>(params_);
      for (int64_t i = first; i < last; ++i) task(tasks[static_cast<size_t>(i)], logits, panel.data(), row_loss.data());
    });
    T* loss = host_writable<T>(head_.loss);
    for (int64_t b = 0; b < head_.segments->count(); ++b) {
      double sum = 0;
      for (int64_t t = head_.segments->first(b); t < head_.segments->first(b + 1); ++t)
        sum += row_loss[static_cast<size_t>(t)];
      loss[b] = static_cast<T>(sum);
    }
  }

 private:
  void task(const Task& task, Buffer<T>& logits, T* panel, double* row_loss) {
    const Segments& segments = *head_.segments;
    const int64_t M = head_.vocabulary(), d = head_.dim();
    const int64_t start = segments.first(task.first), end = segments.first(task.last);
    const int64_t kept = wants_.table && head_.residual_row[static_cast<size_t>(task.first)] >= 0
                             ? head_.residual_row[static_cast<size_t>(task.first)]
                             : -1;
    const int64_t step = block_rows(end - start);
    for (int64_t row = start; row < end; row += step) {
      const int64_t rows = std::min(step, end - row);
      T* z = kept >= 0 ? host_writable<T>(head_.residual) + (kept + row - start) * M : scratch(logits);
      PG_CALL((head_block<T>), from_row(params_, row), rows, wants_.residual, z, panel,
              host_writable<T>(head_.lse) + row, row_loss + row,
              wants_.residual ? host_writable<T>(head_.d_hidden) + row * d : nullptr);
      if (wants_.bias) add_bias(z, row, rows, task);
      if (wants_.table && kept < 0) add_gradient(task.first, z, row, rows, row > start);
    }
    if (!wants_.table || !wants_.norms) return;
    for (int64_t b = task.first; b < task.last; ++b) finish_norm(b);
  }

  T* scratch(Buffer<T>& logits) {
    const int64_t size = cpu::kHeadRows * head_.vocabulary();
    if (logits.size() < size) logits = Buffer<T>(size);
    return logits.data();
  }

  void add_bias(const T* z, int64_t row, int64_t rows, const Task& task) {
    const int64_t M = head_.vocabulary();
    T* d_bias = host_writable<T>(head_.d_bias);
    int64_t b = task.first;
    for (int64_t r = 0; r < rows; ++r) {
      while (row + r >= head_.segments->first(b + 1)) ++b;
      for (int64_t j = 0; j < M; ++j) d_bias[b * M + j] += z[r * M + j];
    }
  }

  void add_gradient(int64_t b, const T* z, int64_t row, int64_t rows, bool more) {
    const int64_t M = head_.vocabulary(), d = head_.dim();
    const T* hidden = params_.hidden + row * d;
    PG_CALL((gemm<T>), M, d, rows, {z, 1, M}, hidden, d,
            host_writable<T>(head_.gradients) + head_.gradient_at[static_cast<size_t>(b)] * M * d, d, more);
    head_.row_products[static_cast<size_t>(b)] += row_products(z, rows, M, hidden, d);
  }

  void finish_norm(int64_t b) {
    const int64_t M = head_.vocabulary(), d = head_.dim(), rows = head_.segments->length(b);
    const auto i = static_cast<size_t>(b);
    if (head_.gradient_at[i] >= 0) {
      head_.norm2[i] =
          PG_CALL((sum_of_squares<T>), host_data<T>(head_.gradients) + head_.gradient_at[i] * M * d, M * d);
    } else {
      const T* residual = host_data<T>(head_.residual) + head_.residual_row[i] * M;
      const T* hidden = params_.hidden + head_.segments->first(b) * d;
      head_.norm2[i] = gram_norm2<T>(rows, residual, M, M, hidden, d, d);
      head_.row_products[i] = row_products(residual, rows, M, hidden, d);
    }
  }

  Head& head_;
  const HeadWants& wants_;
  Buffer<T> packed_;
  cpu::HeadParams<T> params_;
};

void check_ids(const char* what, const at::Tensor& ids, int64_t M) {
  if (const auto outside = first_outside(ids, M))
    refuse("ERR_INVALID_ARGUMENT", "softmaxCrossEntropyHead: ", what, "[", outside->position, "] is ", outside->id,
           ", the table has rows 0 to ", M - 1, ".");
}

// Flags on the CPU, wherever the candidates are.
at::Tensor live_columns(const HeadOptions& options, int64_t M) {
  if (options.padding_id < 0 && !options.candidates.has_value()) return {};
  at::Tensor live = options.candidates.has_value() ? at::zeros({M}, at::kByte) : at::ones({M}, at::kByte);
  auto* flag = host_writable<uint8_t>(live);
  if (options.candidates.has_value()) {
    const at::Tensor ids = on_host(*options.candidates).to(at::kLong).contiguous();
    check_ids("candidates", ids, M);
    for (int64_t i = 0; i < ids.numel(); ++i) flag[host_data<int64_t>(ids)[i]] = 1;
  }
  if (options.padding_id >= 0) flag[options.padding_id] = 0;
  return live;
}

at::Tensor sample_means(const at::Tensor& weights, const Segments& segments) {
  at::Tensor mean = weights.clone();
  if (!has_kernels(mean)) {
    any_sample_means(mean, segments);
    return mean;
  }
  with_floating("softmaxCrossEntropyHead", mean, [&](auto zero) {
    using T = decltype(zero);
    T* w = host_writable<T>(mean);
    for (int64_t b = 0; b < segments.count(); ++b) {
      double sum = 0;
      for (int64_t t = segments.first(b); t < segments.first(b + 1); ++t) sum += static_cast<double>(w[t]);
      for (int64_t t = segments.first(b); t < segments.first(b + 1); ++t)
        w[t] = sum == 0 ? T(0) : static_cast<T>(static_cast<double>(w[t]) / sum);
    }
  });
  return mean;
}

// Both as they were given: those of another device are copied here once.
void check_live_targets(const Head& head, const at::Tensor& targets, const at::Tensor& weights) {
  if (!head.live.defined()) return;
  const uint8_t* live = host_data<uint8_t>(head.live);
  const std::vector<double> weight = weights.defined() ? host_doubles(weights) : std::vector<double>{};
  const int64_t* target = host_data<int64_t>(targets);
  for (int64_t t = 0; t < targets.numel(); ++t) {
    const bool counts = weight.empty() || weight[static_cast<size_t>(t)] != 0;
    PG_CHECK(!counts || live[target[t]], "ERR_INVALID_ARGUMENT", "softmaxCrossEntropyHead: targets[", t, "] is ",
             target[t], ", a column outside the softmax. Give the row weight 0 or add the column to the candidates.");
  }
}

// Residual rows cost T M numbers, the gradient d M: short samples keep the rows, long ones the gradient.
void plan_storage(Head& head, const HeadWants& wants) {
  const int64_t samples = head.segments->count();
  head.residual_row.assign(static_cast<size_t>(samples), -1);
  head.gradient_at.assign(static_cast<size_t>(samples), -1);
  if (!wants.table) return;
  int64_t rows = 0, gradients = 0;
  for (int64_t b = 0; b < samples; ++b) {
    const int64_t length = head.segments->length(b);
    if (wants.norms && length >= head.dim()) {
      head.gradient_at[static_cast<size_t>(b)] = gradients++;
    } else {
      head.residual_row[static_cast<size_t>(b)] = rows;
      rows += length;
    }
  }
  head.residual = at::empty({rows, head.vocabulary()}, head.hidden.options());
  head.gradients = at::empty({gradients, head.vocabulary(), head.dim()}, head.hidden.options());
}

}  // namespace

HeadPtr run_head(const at::Tensor& hidden, const at::Tensor& table, const at::Tensor& targets,
                 const at::Tensor& weights, const at::Tensor& bias, const HeadOptions& options, const HeadWants& wants,
                 SegmentsPtr segments) {
  constexpr const char* name = "softmaxCrossEntropyHead";
  PG_CHECK(hidden.dim() >= 2 && table.dim() == 2 && hidden.size(-1) == table.size(1), "ERR_INVALID_ARGUMENT", name,
           ": expected hidden [..., d] and table [M, d], got ", hidden.sizes(), " and ", table.sizes(), ".");
  PG_CHECK(hidden.scalar_type() == table.scalar_type(), "ERR_INVALID_ARGUMENT", name,
           ": hidden and table must have one dtype, got ", hidden.scalar_type(), " and ", table.scalar_type(), ".");
  PG_CHECK(options.padding_id >= -1 && options.padding_id < table.size(0), "ERR_INVALID_ARGUMENT", name,
           ": padding_id must be -1 or a row of the table, got ", options.padding_id, ".");
  PG_CHECK(options.label_smoothing >= 0 && options.label_smoothing < 1, "ERR_INVALID_ARGUMENT", name,
           ": label_smoothing must lie in [0, 1), got ", options.label_smoothing, ".");
  check_floating(name, hidden);
  check_device(name, {hidden, table, bias});
  auto head = std::make_shared<Head>();
  const int64_t rows = row_count(hidden), M = table.size(0);
  head->segments = segments != nullptr ? std::move(segments) : segments_of(name, rows, hidden.size(0));
  head->table = table.contiguous();
  head->hidden = hidden.reshape({rows, table.size(1)}).contiguous();
  if (options.scale != 1) head->hidden = at::mul(head->hidden, options.scale);
  head->scale = options.scale;
  head->smoothing = options.label_smoothing;
  PG_CHECK(targets.numel() == rows, "ERR_INVALID_ARGUMENT", name, ": expected ", rows, " targets, got ",
           targets.numel(), ".");
  const at::Tensor own_targets = on_host(targets).to(at::kLong).reshape({rows}).contiguous();
  check_ids("targets", own_targets, M);
  head->targets = own_targets.to(hidden.device());
  if (weights.defined()) {
    PG_CHECK(weights.numel() == rows, "ERR_INVALID_ARGUMENT", name, ": expected ", rows, " weights, got ",
             weights.numel(), ".");
    head->weights = weights.to(hidden.device(), hidden.scalar_type()).reshape({rows}).contiguous();
  } else {
    head->weights = at::ones({rows}, hidden.options());
  }
  if (options.mean) head->weights = sample_means(head->weights, *head->segments);
  if (bias.defined()) {
    PG_CHECK(bias.numel() == M && bias.scalar_type() == hidden.scalar_type(), "ERR_INVALID_ARGUMENT", name,
             ": bias must be [M] of the table's dtype, got ", bias.sizes(), ".");
    head->bias = bias.contiguous();
  }
  head->live = live_columns(options, M);
  head->live_count = M;
  if (head->live.defined()) {
    const uint8_t* live = host_data<uint8_t>(head->live);
    head->live_count = std::count(live, live + M, uint8_t{1});
  }
  check_live_targets(*head, own_targets, weights);
  head->any_device = !has_kernels(hidden);
  if (head->any_device) {
    if (head->live.defined()) head->live = head->live.to(hidden.device());
    any_run_head(*head, wants);
    return head;
  }

  plan_storage(*head, wants);
  head->loss = at::empty({head->segments->count()}, hidden.options());
  head->lse = at::empty({rows}, hidden.options());
  if (wants.residual) head->d_hidden = at::empty({rows, table.size(1)}, hidden.options());
  if (wants.bias) head->d_bias = at::zeros({head->segments->count(), M}, hidden.options());
  head->norm2.assign(static_cast<size_t>(head->segments->count()), 0.0);
  head->row_products.assign(static_cast<size_t>(head->segments->count()), 0.0);
  with_floating(name, head->hidden, [&](auto zero) { Runner<decltype(zero)>(*head, wants).run(); });
  return head;
}

at::Tensor residual_of(const Head& head, int64_t sample) {
  const int64_t rows = head.segments->length(sample), M = head.vocabulary(), first = head.segments->first(sample);
  PG_CHECK(!head.swept, "ERR_ENGINE_STATE", "softmaxCrossEntropyHead: this head keeps no residual rows.");
  if (head.any_device) return head.residual.narrow(0, first, rows);
  if (head.residual_row[static_cast<size_t>(sample)] >= 0)
    return head.residual.narrow(0, head.residual_row[static_cast<size_t>(sample)], rows);
  at::Tensor residual = at::empty({rows, M}, head.hidden.options());
  with_floating("softmaxCrossEntropyHead", head.hidden, [&](auto zero) {
    using T = decltype(zero);
    const Buffer<T> packed = pack<T>(head.table);
    const cpu::HeadParams<T> params = parameters<T>(head, packed.data());
    std::vector<T> lse(cpu::kHeadRows), d_hidden(static_cast<size_t>(cpu::kHeadRows * head.dim()));
    std::vector<double> loss(cpu::kHeadRows);
    Buffer<T> panel = own_panel<T>(params);
    const int64_t step = block_rows(rows);
    for (int64_t row = 0; row < rows; row += step)
      PG_CALL((head_block<T>), from_row(params, first + row), std::min(step, rows - row), true,
              host_writable<T>(residual) + row * M, panel.data(), lse.data(), loss.data(), d_hidden.data());
  });
  return residual;
}

}  // namespace phantomgrad
