// tap: one autograd node for every trainable operator. Its backward pass hands uses to the book instead of gradients.
#pragma once

#include <ATen/core/Tensor.h>

#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "ops/book.h"
#include "ops/use.h"

namespace phantomgrad {

/// Where the backward pass of an operator delivers what it has for its parameters.
class Sink {
 public:
  /// One entry an input of the operator.
  Sink(const std::vector<BookEntry>& entries, const std::vector<bool>& needed, std::vector<at::Tensor>& gradients)
      : entries_(entries), needed_(needed), gradients_(gradients) {}

  /// Whether input i needs a gradient (or, attached, a use) at all.
  bool needs(size_t input) const { return needed_[input]; }
  /// An ordinary gradient of an input that is no parameter.
  void gradient(size_t input, at::Tensor value) { gradients_[input] = std::move(value); }
  /// The use of a parameter: recorded in its book, or summed at once where it has none. `like` gives shape and dtype.
  void use(size_t input, const at::Tensor& like, UsePtr use);

 private:
  const std::vector<BookEntry>& entries_;
  const std::vector<bool>& needed_;
  std::vector<at::Tensor>& gradients_;
};

/// An operator call. forward runs below autograd and keeps what backward needs; inputs are saved by the node, so that
/// a later in-place edit of one of them throws instead of falsifying a norm.
class Operation {
 public:
  virtual ~Operation() = default;
  /// `entries[i]` says where input i is attached; `needed[i]` whether it takes part in differentiation.
  virtual at::Tensor forward(const std::vector<at::Tensor>& inputs, const std::vector<BookEntry>& entries,
                             const std::vector<bool>& needed) = 0;
  virtual void backward(const std::vector<at::Tensor>& inputs, const at::Tensor& gradient, Sink& sink) = 0;
};

/// Runs `operation`, on the tape if any input requires a gradient. Undefined tensors stand for absent inputs. Refuses
/// (ERR_DEVICE, opening with `name`) inputs on several devices.
at::Tensor tap(const char* name, std::shared_ptr<Operation> operation, std::vector<at::Tensor> inputs);

/// Name of the autograd node («MulBackward0») through which `loss` reaches the leaf `parameter` without tap; empty if
/// none.
std::string operator_using(const at::Tensor& loss, const at::Tensor& parameter);

/// Whether `error` is LibTorch's complaint about a graph whose saved tensors have been freed.
bool is_second_backward(const std::exception& error);

}  // namespace phantomgrad
