// The autograd node behind tap; the only file that pays for LibTorch's autograd headers.
#include "ops/tap.h"

#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/autograd/functions/accumulate_grad.h>
#include <torch/csrc/autograd/saved_variable.h>

#include <string_view>
#include <unordered_set>

#include "error.h"
#include "ops/device.h"

namespace phantomgrad {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct Call : torch::CustomClassHolder {
  std::shared_ptr<Operation> operation;
  std::vector<BookEntry> entries;
  std::vector<bool> needed;

  /// The node sees only the inputs that are there; the operation sees all of them.
  std::vector<at::Tensor> spread(at::TensorList present) const {
    std::vector<at::Tensor> all(inputs, at::Tensor());
    for (size_t i = 0; i < positions.size(); ++i) all[positions[i]] = present[i];
    return all;
  }

  bool attached() const {
    for (const BookEntry& entry : entries)
      if (entry.book != nullptr) return true;
    return false;
  }

  std::vector<size_t> positions;
  size_t inputs = 0;
};

struct Tap : torch::autograd::Function<Tap> {
  static at::Tensor forward(AutogradContext* context, const c10::intrusive_ptr<Call>& call, at::TensorList present) {
    at::Tensor output = call->operation->forward(call->spread(present), call->entries, call->needed);
    context->save_for_backward(present.vec());
    context->saved_data["call"] = c10::IValue::make_capsule(call);
    context->set_materialize_grads(false);
    return output;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list present = context->get_saved_variables();
    variable_list result(present.size() + 1);
    if (!gradients[0].defined()) return result;
    const auto call = c10::static_intrusive_pointer_cast<Call>(context->saved_data["call"].toCapsule());
    PG_CHECK(call->operation != nullptr, "ERR_BACKWARD_OUTSIDE_STEP",
             "step: the loss has already been used. Compute it again for another step.");
    // The gradients below are constants for autograd: a second derivative would silently lack them.
    if (at::GradMode::is_enabled())
      refuse(call->attached() ? "ERR_BACKWARD_OUTSIDE_STEP" : "ERR_NO_GRADIENT_RULE",
             "backward: createGraph asks for second derivatives, which this operator does not have.");
    const std::vector<at::Tensor> inputs = call->spread(present);
    std::vector<at::Tensor> values(inputs.size());
    Sink sink(call->entries, call->needed, values);
    call->operation->backward(inputs, gradients[0].contiguous(), sink);
    for (size_t i = 0; i < present.size(); ++i) result[i + 1] = values[call->positions[i]];
    // Inside a step the graph is used once: what the operation keeps (a head's logits, say) goes with the uses, even
    // while the caller still holds the loss.
    for (const BookEntry& entry : call->entries)
      if (entry.book != nullptr && entry.book->phase() == Book::Phase::recording) call->operation.reset();
    return result;
  }
};

}  // namespace

void Sink::use(size_t input, const at::Tensor& like, UsePtr use) {
  if (entries_[input].book != nullptr) return entries_[input].book->record(entries_[input].slot, std::move(use));
  // Such a leaf would collect the plain gradient of a private batch, neither clipped nor noised.
  PG_CHECK(
      !Book::in_step() || !like.is_leaf() || !like.requires_grad(), "ERR_NO_GRADIENT_RULE",
      "step: a parameter of shape ", like.sizes(),
      " requires a gradient but is not among the engine's. Freeze it with requiresGrad_(false), or make it a public "
      "property of the model before attach.");
  at::Tensor sum = at::zeros({like.numel()}, at::TensorOptions().dtype(at::kDouble).device(like.device()));
  const std::vector<double> ones(static_cast<size_t>(use->samples()), 1.0);
  use->accumulate(ones.data(), sum);
  gradients_[input] = sum.view(like.sizes()).to(like.scalar_type());
}

at::Tensor tap(const char* name, std::shared_ptr<Operation> operation, std::vector<at::Tensor> inputs) {
  check_device(name, inputs);
  std::vector<bool> needed;
  std::vector<BookEntry> entries;
  bool any = false;
  for (const at::Tensor& input : inputs) {
    needed.push_back(at::GradMode::is_enabled() && input.defined() && input.requires_grad());
    entries.push_back(needed.back() ? find_book(input) : BookEntry{});
    if (entries.back().book != nullptr) entries.back().book->check_bound(entries.back().slot);
    any = any || needed.back();
  }
  if (!any) {
    const at::NoGradGuard no_grad;
    return operation->forward(inputs, entries, needed);
  }
  auto call = c10::make_intrusive<Call>();
  call->operation = std::move(operation);
  call->entries = std::move(entries);
  call->needed = std::move(needed);
  call->inputs = inputs.size();
  std::vector<at::Tensor> present;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i].defined()) continue;
    call->positions.push_back(i);
    present.push_back(inputs[i]);
  }
  return Tap::apply(call, at::TensorList(present));
}

std::string operator_using(const at::Tensor& loss, const at::Tensor& parameter) {
  std::vector<torch::autograd::Node*> open;
  std::unordered_set<torch::autograd::Node*> seen;
  if (loss.grad_fn() != nullptr) open.push_back(loss.grad_fn().get());
  while (!open.empty()) {
    torch::autograd::Node* node = open.back();
    open.pop_back();
    if (!seen.insert(node).second) continue;
    for (const torch::autograd::Edge& edge : node->next_edges()) {
      if (!edge.is_valid()) continue;
      const auto* leaf = dynamic_cast<torch::autograd::AccumulateGrad*>(edge.function.get());
      // Nodes of tapped operators hand over uses; what arrives at the leaf came through another one.
      if (leaf == nullptr)
        open.push_back(edge.function.get());
      else if (leaf->variable.is_same(parameter) && dynamic_cast<torch::autograd::CppNode<Tap>*>(node) == nullptr)
        return node->name();
    }
  }
  return {};
}

bool is_second_backward(const std::exception& error) {
  return std::string_view(error.what()).find(torch::autograd::ERR_BACKWARD_TWICE) != std::string_view::npos;
}

}  // namespace phantomgrad
