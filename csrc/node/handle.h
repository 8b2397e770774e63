// A handle is what JavaScript holds of a tensor or a generator: an External that points to a small box.
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <memory>

#include "account.h"
#include "js.h"

namespace phantomgrad {

struct Handle {
  std::shared_ptr<Account> account;     // outlives the environment: finalizers of a dying one still need it
  at::Tensor tensor;                    // undefined after dispose(), and for generators
  at::Generator generator;              // undefined for tensors
  c10::StorageImpl* counted = nullptr;  // the storage this handle weighs; only a key, the tensor may have moved on
  bool is_tensor = false, disposed = false;
};

/// The account of this environment.
const std::shared_ptr<Account>& account(napi_env env);

/// Creates the account of an environment, once.
void open_account(napi_env env);

/// A new External over `tensor`; null for an undefined tensor.
napi_value wrap(napi_env env, at::Tensor tensor);
napi_value wrap(napi_env env, at::Generator generator);

/// The handle behind an External, or nullptr if `value` is not one of ours.
Handle* find_handle(napi_env env, napi_value value, napi_valuetype type);

/// The handle of a live tensor. Throws ERR_TENSOR_DISPOSED, and ERR_INVALID_ARGUMENT if `value` is no tensor of ours.
Handle& tensor_handle(napi_env env, napi_value value, const char* operation);

/// Throws ERR_TENSOR_DISPOSED if the handle was disposed.
void require_live(const Handle& handle);

/// Frees the tensor now instead of at the next garbage collection. Disposing twice is allowed.
void dispose(napi_env env, Handle& handle);

/// Weighs a handle again after an operator may have resized its storage or given it another one.
void recount(Handle& handle);

}  // namespace phantomgrad
