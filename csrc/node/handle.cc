// Life of a handle: made with an External, weighed in the account, freed by dispose() or by the collector.
#include "handle.h"

#include "../error.h"

namespace phantomgrad {

namespace {

c10::StorageImpl* storage_of(const at::Tensor& tensor) {
  return tensor.has_storage() ? tensor.storage().unsafeGetStorageImpl() : nullptr;
}

// Runs inside garbage collection when the loader asked for eager finalizers: no Node-API call in here.
void finalize(napi_env /*env*/, void* data, void* /*hint*/) {
  auto* handle = static_cast<Handle*>(data);
  handle->account->remove(handle);
  if (handle->is_tensor && !handle->disposed) handle->account->release(handle->counted);
  delete handle;
}

napi_value external(napi_env env, std::unique_ptr<Handle> handle) {
  napi_value value;
  js::ok(napi_create_external(env, handle.get(), finalize, nullptr, &value));
  Handle* owned = handle.release();  // the External owns it from here on
  owned->account->add(owned);
  if (owned->is_tensor) {
    owned->counted = storage_of(owned->tensor);
    owned->account->hold(owned->counted);
  }
  owned->account->settle(env);
  return value;
}

void close_account(napi_env /*env*/, void* data, void* /*hint*/) {
  delete static_cast<std::shared_ptr<Account>*>(data);
}

}  // namespace

void open_account(napi_env env) {
  // Registered again in the same environment (a test runner loads our TypeScript once a file): handles are still out
  // there.
  void* known = nullptr;
  js::ok(napi_get_instance_data(env, &known));
  if (known != nullptr) return;
  auto owner = std::make_unique<std::shared_ptr<Account>>(std::make_shared<Account>());
  js::ok(napi_set_instance_data(env, owner.get(), close_account, nullptr));
  owner.release();
}

const std::shared_ptr<Account>& account(napi_env env) {
  void* data = nullptr;
  js::ok(napi_get_instance_data(env, &data));
  return *static_cast<std::shared_ptr<Account>*>(data);
}

napi_value wrap(napi_env env, at::Tensor tensor) {
  if (!tensor.defined()) return js::null(env);
  auto handle = std::make_unique<Handle>();
  handle->account = account(env);
  handle->tensor = std::move(tensor);
  handle->is_tensor = true;
  return external(env, std::move(handle));
}

napi_value wrap(napi_env env, at::Generator generator) {
  auto handle = std::make_unique<Handle>();
  handle->account = account(env);
  handle->generator = std::move(generator);
  return external(env, std::move(handle));
}

Handle* find_handle(napi_env env, napi_value value, napi_valuetype type) {
  if (type != napi_external) return nullptr;
  void* data = nullptr;
  js::ok(napi_get_value_external(env, value, &data));
  return account(env)->owns(data) ? static_cast<Handle*>(data) : nullptr;
}

void require_live(const Handle& handle) {
  PG_CHECK(!handle.disposed, "ERR_TENSOR_DISPOSED",
           "a tensor was used after dispose(); keep(tensor) or return it to take it out of a tidy scope");
}

Handle& tensor_handle(napi_env env, napi_value value, const char* operation) {
  Handle* handle = find_handle(env, value, js::type_of(env, value));
  PG_CHECK(handle != nullptr && handle->is_tensor, "ERR_INVALID_ARGUMENT", operation,
           ": expected a Tensor of this environment, got ", js::describe(env, value), " that is not one");
  require_live(*handle);
  return *handle;
}

void dispose(napi_env env, Handle& handle) {
  if (!handle.is_tensor || handle.disposed) return;
  handle.disposed = true;
  handle.account->release(handle.counted);
  handle.counted = nullptr;
  handle.tensor.reset();
  handle.account->settle(env);
}

void recount(Handle& handle) {
  if (!handle.is_tensor || handle.disposed) return;
  handle.account->release(handle.counted);
  handle.counted = storage_of(handle.tensor);
  handle.account->hold(handle.counted);
}

}  // namespace phantomgrad
