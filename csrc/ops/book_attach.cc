// Attaching parameters to a gradient book: one flat arena, who is attached where, and the guard on every other road.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <torch/library.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "error.h"
#include "ops/book.h"
#include "ops/device.h"
#include "ops/tap.h"

namespace phantomgrad {
namespace {

struct Registry {
  std::mutex mutex;
  std::unordered_map<const c10::TensorImpl*, std::pair<std::weak_ptr<Book>, int64_t>> entries;
};

// Leaked: tensors may die after static objects with destructors would have.
Registry& registry() {
  static auto* instance = new Registry;
  return *instance;
}

// Two leaves over the same memory look tied, and would each get a part of the arena of their own.
void check_apart(const std::vector<at::Tensor>& parameters, const std::vector<std::string>& names) {
  struct Extent {
    const char *first, *last;
    size_t parameter;
  };
  std::vector<Extent> extents;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const at::Tensor& p = parameters[i];
    if (p.numel() == 0) continue;
    int64_t span = 1;
    for (int64_t j = 0; j < p.dim(); ++j) span += (p.size(j) - 1) * p.stride(j);
    const char* first = address_of(p);
    extents.push_back({first, first + span * static_cast<int64_t>(p.element_size()), i});
  }
  std::sort(extents.begin(), extents.end(), [](const Extent& a, const Extent& b) { return a.first < b.first; });
  for (size_t i = 1; i < extents.size(); ++i)
    PG_CHECK(extents[i].first >= extents[i - 1].last, "ERR_INVALID_ARGUMENT", "attach: parameters ",
             names[extents[i - 1].parameter], " and ", names[extents[i].parameter],
             " share memory, and would drift apart. Share one parameter object instead: using it in several places is "
             "exact.");
}

// The parameters' former memory lies in many pieces below what came after it, where the C library would keep it: of
// GPT-2 small 330 MB, which nothing asks for in pieces of that size again.
void give_back_memory() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

}  // namespace

BookEntry find_book(const at::Tensor& parameter) {
  if (!parameter.defined()) return {};
  const std::lock_guard<std::mutex> lock(registry().mutex);
  const auto found = registry().entries.find(parameter.unsafeGetTensorImpl());
  if (found == registry().entries.end()) return {};
  return {found->second.first.lock(), found->second.second};
}

std::shared_ptr<Book> Book::attach(std::vector<at::Tensor> parameters, std::vector<std::string> names) {
  PG_CHECK(!parameters.empty(), "ERR_INVALID_ARGUMENT", "attach: there are no trainable parameters.");
  PG_CHECK(parameters.size() == names.size(), "ERR_INVALID_ARGUMENT", "attach: expected a name for each of ",
           parameters.size(), " parameters, got ", names.size(), ".");
  const at::ScalarType dtype = parameters.front().scalar_type();
  std::unordered_set<const void*> seen;
  int64_t total = 0;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const at::Tensor& p = parameters[i];
    PG_CHECK(p.defined() && p.is_leaf() && p.requires_grad(), "ERR_INVALID_ARGUMENT", "attach: parameter ", names[i],
             " must be a leaf that requires a gradient.");
    PG_CHECK(p.scalar_type() == dtype && (dtype == at::kFloat || dtype == at::kDouble), "ERR_INVALID_ARGUMENT",
             "attach: parameters must all be float32 or all float64, ", names[i], " is ", p.scalar_type(), ".");
    PG_CHECK(!p.device().is_meta(), "ERR_DEVICE", "attach: parameter ", names[i], " is on meta and has no values.");
    PG_CHECK(p.device() == parameters.front().device(), "ERR_DEVICE", "attach: parameters must all be on one device, ",
             names.front(), " is on ", parameters.front().device().str(), " and ", names[i], " on ", p.device().str(),
             ". Move the model with to(device).");
    PG_CHECK(seen.insert(p.unsafeGetTensorImpl()).second, "ERR_INVALID_ARGUMENT", "attach: parameter ", names[i],
             " is listed twice.");
    PG_CHECK(find_book(p).book == nullptr, "ERR_ENGINE_STATE", "attach: parameter ", names[i],
             " already belongs to an engine. Detach that engine first.");
    total += p.numel();
  }
  check_apart(parameters, names);
  auto book = std::make_shared<Book>();
  const at::NoGradGuard no_grad;
  book->arena_ = at::empty({total}, parameters.front().options().requires_grad(false));
  book->sum_ = at::zeros({total}, book->arena_.options().dtype(at::kDouble));
  book->parameters_ = std::move(parameters);
  book->names_ = std::move(names);
  book->slots_.resize(book->parameters_.size());
  book->groups_.assign(book->parameters_.size(), 0);
  book->scales_.assign(book->parameters_.size(), 1);
  book->offsets_.push_back(0);
  const std::lock_guard<std::mutex> lock(registry().mutex);
  for (size_t i = 0; i < book->parameters_.size(); ++i) {
    at::Tensor& p = book->parameters_[i];
    const int64_t offset = book->offsets_.back();
    const at::Tensor view = book->arena_.narrow(0, offset, p.numel()).view(p.sizes());
    view.copy_(p.detach());
    p.set_data(view);
    book->offsets_.push_back(offset + p.numel());
    registry().entries[p.unsafeGetTensorImpl()] = {book, static_cast<int64_t>(i)};
    // The other road: a gradient that reaches the leaf itself came through an operator without a per-sample rule.
    const std::string name = book->names_[i];
    const std::weak_ptr<Book> weak = book;
    book->hooks_.push_back(p.register_hook([name, weak](const at::Tensor& gradient) {
      const auto owner = weak.lock();
      if (!gradient.defined() || owner == nullptr) return;
      PG_CHECK(owner->phase() != Phase::closed, "ERR_BACKWARD_OUTSIDE_STEP", "backward() reached parameter ", name,
               " while an engine is attached. Give the loss to optimizer.step({ loss }), or detach the engine first.");
      refuse("ERR_NO_GRADIENT_RULE", "step: parameter ", name, " is used by an operator without a per-sample rule",
             owner->operator_of(name),
             ". Use the modules of nn, or wrap the parameter with "
             "nn.perSample(parameter, samples).");
    }));
  }
  give_back_memory();
  return book;
}

void Book::detach() {
  discard();
  const at::NoGradGuard no_grad;
  const std::lock_guard<std::mutex> lock(registry().mutex);
  for (size_t i = 0; i < parameters_.size(); ++i) {
    at::Tensor& p = parameters_[i];
    registry().entries.erase(p.unsafeGetTensorImpl());
    p.remove_hook(hooks_[i]);
    p.set_data(p.detach().clone());
  }
  parameters_.clear();
  groups_.clear();
  scales_.clear();
  slots_.clear();
}

std::string Book::operator_of(const std::string& name) const {
  const auto found = std::find(names_.begin(), names_.end(), name);
  if (found == names_.end() || !loss_.defined()) return {};
  const std::string node = operator_using(loss_, parameters_[static_cast<size_t>(found - names_.begin())]);
  return node.empty() ? "" : " (" + node + ")";
}

void Book::check_bound(int64_t slot) const {
  const at::Tensor& p = parameters_[static_cast<size_t>(slot)];
  const int64_t offset = offsets_[static_cast<size_t>(slot)];
  PG_CHECK(p.storage().is_alias_of(arena_.storage()) && p.storage_offset() == offset && p.is_contiguous() &&
               p.numel() == offsets_[static_cast<size_t>(slot) + 1] - offset,
           "ERR_ENGINE_STATE", "parameter ", name(slot),
           " was given other memory (setData, set_) while an engine is attached. Copy into it with copy_, or detach "
           "the engine first.");
}

namespace {

bool book_owns(const at::Tensor& parameter) { return find_book(parameter).book != nullptr; }

TORCH_LIBRARY_FRAGMENT(phantomgrad, m) {
  // Whether an engine is attached to this very tensor.
  m.def("book_owns(Tensor parameter) -> bool", &book_owns);
}

}  // namespace
}  // namespace phantomgrad
