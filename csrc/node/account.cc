// Byte accounting: every storage weighs once, every handle weighs a little.
#include "account.h"

#include <algorithm>

namespace phantomgrad {

namespace {

// TensorImpl, autograd metadata and allocator slack: without it V8 would let millions of tiny tensors pile up.
constexpr int64_t kHandleWeight = 256;

// Device memory does not grow this process, but V8 must still feel that garbage holds it.
constexpr int64_t kDeviceShare = 4;

}  // namespace

void Account::hold(c10::StorageImpl* storage) {
  ++tensors_;
  unsettled_ += kHandleWeight;
  if (storage == nullptr) return;
  const auto [entry, fresh] = storages_.emplace(storage, Weight{0, 0, 0});
  Weight& weight = entry->second;
  ++weight.handles;
  if (!fresh) return;
  weight.bytes = static_cast<int64_t>(storage->nbytes());
  weight.pressure = storage->device().is_cpu() ? weight.bytes : weight.bytes / kDeviceShare;
  bytes_ += weight.bytes;
  peak_ = std::max(peak_, bytes_);
  unsettled_ += weight.pressure;
}

void Account::release(c10::StorageImpl* storage) {
  --tensors_;
  unsettled_ -= kHandleWeight;
  if (storage == nullptr) return;
  const auto entry = storages_.find(storage);
  if (--entry->second.handles > 0) return;
  bytes_ -= entry->second.bytes;
  unsettled_ -= entry->second.pressure;
  storages_.erase(entry);
}

void Account::settle(napi_env env) {
  if (unsettled_ == 0) return;
  // Cleared first: the call may collect garbage, whose finalizers write `unsettled_` again.
  const int64_t change = unsettled_;
  unsettled_ = 0;
  int64_t total;
  napi_adjust_external_memory(env, change, &total);
}

}  // namespace phantomgrad
