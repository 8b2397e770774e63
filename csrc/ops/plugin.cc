// Which families of the plugin's kernels serve a device: found by name, tried once, counted.
#include "ops/plugin.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/grad_mode.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <array>
#include <cmath>
#include <map>
#include <mutex>
#include <optional>

#include "error.h"
#include "ops/device.h"
#include "shared/plugin_interface.h"

namespace phantomgrad {
namespace {

struct FamilyOperators {
  const char* name;
  std::vector<const char*> operators;
};

// In the order of KernelFamily.
const std::array<FamilyOperators, kKernelFamilies>& families() {
  static const std::array<FamilyOperators, kKernelFamilies> all{{
      {"private update", {"private_adam_", "privatise_", "private_adam_blocks"}},
      {"stored gradients", {"stored_norm_", "stored_sum_"}},
      {"embeddings", {"index_norm_workspace", "index_norm_", "index_sum_"}},
      {"norm layers", {"norm_backward_"}},
      {"linear layers", {"ghost_norm_workspace", "ghost_norm_", "clipped_sum_"}},
      {"softmax head",
       {"head_forward_workspace", "head_forward_", "head_bias_", "head_norm_workspace", "head_norm_", "head_sum_"}},
      {"attention", {"re_attention_longest", "re_attention_forward_", "re_attention_backward_"}},
  }};
  return all;
}

const FamilyOperators& operators_of(KernelFamily family) { return families()[static_cast<size_t>(family)]; }

std::optional<c10::OperatorHandle> find_operator(const char* space, const char* name) {
  return c10::Dispatcher::singleton().findSchema({std::string(space) + "::" + name, ""});
}

// What is known of a family on a device; `trouble` is empty where it serves.
struct Verdict {
  bool there = false;
  std::string trouble;
  bool serves() const { return there && trouble.empty(); }
};

struct Verdicts {
  std::mutex mutex;
  std::map<std::pair<int, std::string>, Verdict> of;  // by family and device
  std::map<std::string, int64_t> calls;               // by operator, trials left out
};

Verdicts& verdicts() {
  static auto* instance = new Verdicts;  // workers may still call while the process ends
  return *instance;
}

// 0: no trial, else 1 + served.
int& trial() {
  thread_local int state = 0;
  return state;
}

bool all_registered(KernelFamily family, const char* space) {
  for (const char* name : operators_of(family).operators)
    if (!find_operator(space, name).has_value()) return false;
  return true;
}

void check_interface(const char* space) {
  const auto found = find_operator(space, "interface");
  int64_t spoken = 0;
  if (found.has_value()) {
    std::vector<c10::IValue> stack;
    found->callBoxed(stack);
    spoken = stack.back().toInt();
  }
  PG_CHECK(spoken == kPluginInterface, "ERR_NATIVE_LOAD", "the CUDA plugin (", space, ") speaks interface ", spoken,
           ", this core speaks ", kPluginInterface,
           ". Build it again (npm run build -- --cuda), or remove libphantomgrad_cuda.so.");
}

Verdict tried(KernelFamily family, const at::Device& device, const char* space) {
  if (!all_registered(family, space)) return {};
  check_interface(space);
  Verdict verdict{true, ""};
  try {
    const at::NoGradGuard no_grad;
    verdict.trouble = try_family(family, device);
  } catch (const std::exception& error) {
    verdict.trouble = error.what();
  }
  if (!verdict.trouble.empty())
    TORCH_WARN(
        "phantomgrad: kernels of the plugin for ", operators_of(family).name, " do not agree with LibTorch on ",
        device.str(), ": ", verdict.trouble,
        ". They are switched off in this process; LibTorch's operators do their work, slower and right. Should the "
        "device itself have failed (an illegal access), nothing works there any more: start again with "
        "PHANTOMGRAD_KERNELS=generic.");
  return verdict;
}

}  // namespace

PluginTrial::PluginTrial(bool served) { trial() = 1 + (served ? 1 : 0); }
PluginTrial::~PluginTrial() { trial() = 0; }

bool plugin_serves(KernelFamily family, const at::Device& device) {
  const char* space = plugin_namespace(device);
  if (space == nullptr) return false;
  if (trial() != 0) return trial() == 2;
  Verdicts& all = verdicts();
  // Held during the trial: a second thread waits for the verdict. The trial itself asks no verdict.
  const std::lock_guard<std::mutex> lock(all.mutex);
  const std::pair<int, std::string> key{static_cast<int>(family), device.str()};
  const auto known = all.of.find(key);
  if (known != all.of.end()) return known->second.serves();
  return all.of.emplace(key, tried(family, device, space)).first->second.serves();
}

at::Tensor plugin_output(at::IntArrayRef shape, const at::TensorOptions& options) {
  at::Tensor t = at::empty(shape, options);
  if (trial() == 0) return t;
  return at::isFloatingType(t.scalar_type()) ? t.fill_(std::nan("")) : t.fill_(77);
}

void run_plugin(const at::Device& device, const char* name, std::vector<c10::IValue>& stack) {
  const char* space = plugin_namespace(device);
  PG_CHECK(space != nullptr, "ERR_ENGINE_STATE",
           "kernels were switched on or off between the loss and its step. Compute the loss again.");
  const auto found = find_operator(space, name);
  PG_CHECK(found.has_value(), "ERR_NATIVE_LOAD", space, "::", name, " is not registered.");
  if (trial() == 0) {
    const std::lock_guard<std::mutex> lock(verdicts().mutex);
    ++verdicts().calls[name];
  }
  const at::AutoDispatchBelowADInplaceOrView below_autograd;
  found->callBoxed(stack);
}

namespace {

// One line a family: name, calls so far, and how it stands on the devices that were asked.
std::vector<std::string> plugin_report() {
  Verdicts& all = verdicts();
  const std::lock_guard<std::mutex> lock(all.mutex);
  std::vector<std::string> lines;
  for (int family = 0; family < kKernelFamilies; ++family) {
    const FamilyOperators& own = families()[static_cast<size_t>(family)];
    int64_t calls = 0;
    for (const char* name : own.operators)
      if (all.calls.count(name) > 0) calls += all.calls.at(name);
    std::string line = c10::str(own.name, ": ", calls, " calls");
    for (const auto& [key, verdict] : all.of)
      if (key.first == family)
        line += c10::str("; ", key.second, " ",
                         !verdict.there     ? "has no kernels"
                         : verdict.serves() ? "in use"
                                            : "OFF: " + verdict.trouble);
    lines.push_back(line);
  }
  return lines;
}

// Tries one family or every one on `device`, as first use would, and reports.
std::vector<std::string> plugin_try(const std::string& device, const std::optional<std::string>& family) {
  bool known = !family.has_value();
  for (int i = 0; i < kKernelFamilies; ++i) {
    if (family.has_value() && *family != families()[static_cast<size_t>(i)].name) continue;
    plugin_serves(static_cast<KernelFamily>(i), at::Device(device));
    known = true;
  }
  PG_CHECK(known, "ERR_INVALID_ARGUMENT", "plugin_try: there is no family of kernels named ", family.value_or(""), ".");
  return plugin_report();
}

void plugin_forget() {
  Verdicts& all = verdicts();
  const std::lock_guard<std::mutex> lock(all.mutex);
  all.of.clear();
  all.calls.clear();
}

TORCH_LIBRARY_FRAGMENT(phantomgrad, m) {
  m.def("plugin_report() -> str[]", &plugin_report);
  m.def("plugin_try(str device, str? family=None) -> str[]", &plugin_try);
  // For tests: verdicts and counts as in a new process.
  m.def("plugin_forget() -> ()", &plugin_forget);
}

}  // namespace

}  // namespace phantomgrad
