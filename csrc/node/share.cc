// A process-wide table of tensors on their way from one Worker to another.
#include "share.h"

#include <mutex>
#include <unordered_map>

#include "native.h"

namespace phantomgrad {

namespace {

struct Table {
  std::mutex mutex;
  std::unordered_map<int64_t, at::Tensor> waiting;
  int64_t next = 1;
};

// Leaked on purpose: a destructor at exit would race with Workers.
Table& table() {
  static auto* instance = new Table;
  return *instance;
}

}  // namespace

napi_value share_tensor(napi_env env, napi_callback_info info) {
  return guarded(env, "share", [&] {
    // detach: an autograd graph belongs to the thread that recorded it.
    at::Tensor tensor = tensor_handle(env, arguments<1>(env, info)[0], "share").tensor.detach();
    const std::lock_guard<std::mutex> lock(table().mutex);
    const int64_t token = table().next++;
    table().waiting.emplace(token, std::move(tensor));
    return js::integer(env, token);
  });
}

napi_value claim_shared(napi_env env, napi_callback_info info) {
  return guarded(env, "fromShared", [&] {
    const int64_t token = read_count(env, arguments<1>(env, info)[0], "fromShared", "token");
    at::Tensor tensor;
    {
      const std::lock_guard<std::mutex> lock(table().mutex);
      const auto entry = table().waiting.find(token);
      PG_CHECK(entry != table().waiting.end(), "ERR_INVALID_ARGUMENT", "fromShared: token ", token,
               " is unknown or was used before; call share() once a receiver");
      tensor = std::move(entry->second);
      table().waiting.erase(entry);
    }
    return wrap(env, std::move(tensor));
  });
}

}  // namespace phantomgrad
