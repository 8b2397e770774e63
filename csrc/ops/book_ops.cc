// The gradient book behind numbers, so that the generic door to operators is the only one.
#include <ATen/ops/empty.h>

#include <unordered_map>

#include "error.h"
#include "ops/book.h"
#include "ops/device.h"
#include "ops/operators.h"

namespace phantomgrad {
namespace {

struct Books {
  std::mutex mutex;
  int64_t next = 1;
  std::unordered_map<int64_t, std::shared_ptr<Book>> open;
};

Books& books() {
  static auto* instance = new Books;
  return *instance;
}

std::shared_ptr<Book> find(int64_t id) {
  const std::lock_guard<std::mutex> lock(books().mutex);
  const auto found = books().open.find(id);
  PG_CHECK(found != books().open.end(), "ERR_ENGINE_STATE", "book: ", id, " is not attached.");
  return found->second;
}

at::Tensor doubles(const std::vector<double>& values, at::IntArrayRef shape) {
  at::Tensor t = at::empty(shape, at::TensorOptions().dtype(at::kDouble));
  std::copy(values.begin(), values.end(), host_writable<double>(t));
  return t;
}

}  // namespace

std::tuple<int64_t, at::Tensor> book_attach(const std::vector<at::Tensor>& parameters,
                                            const std::vector<std::string>& names) {
  auto book = Book::attach(parameters, names);
  const std::lock_guard<std::mutex> lock(books().mutex);
  const int64_t id = books().next++;
  const at::Tensor arena = book->arena();
  books().open.emplace(id, std::move(book));
  return {id, arena};
}

void book_detach(int64_t id) {
  find(id)->detach();
  const std::lock_guard<std::mutex> lock(books().mutex);
  books().open.erase(id);
}

at::Tensor book_gradient(int64_t id) { return find(id)->sum(); }

void book_set_groups(int64_t id, at::IntArrayRef groups) { find(id)->set_groups(groups.vec()); }

void book_set_scales(int64_t id, at::ArrayRef<double> scales) { find(id)->set_scales(scales.vec()); }

void book_materialise(int64_t id, bool wanted) { find(id)->materialise(wanted); }

void book_want_norms(int64_t id, bool wanted) { find(id)->want_norms(wanted); }

void book_backward(int64_t id, const at::Tensor& loss, int64_t token) { find(id)->backward(loss, token); }

std::string book_check_attribution(int64_t id, const at::Tensor& loss, at::IntArrayRef chosen) {
  return find(id)->check_attribution(loss, chosen.vec());
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> book_norms(int64_t id) {
  const auto book = find(id);
  const Book::Norms norms = book->norms();
  const int64_t groups = book->groups(), samples = static_cast<int64_t>(norms.norm.size()) / groups;
  return {doubles(norms.norm, {groups, samples}), doubles(norms.bound, {groups, samples}),
          doubles(norms.parameter_norm2, {book->size(), samples})};
}

void book_accumulate(int64_t id, const at::Tensor& factors) { find(id)->accumulate(host_doubles(factors)); }

std::vector<int64_t> book_unused(int64_t id) { return find(id)->unused(); }

void book_discard(int64_t id) { find(id)->discard(); }

void book_parameters_changed(int64_t id) { find(id)->parameters_changed(); }

}  // namespace phantomgrad
