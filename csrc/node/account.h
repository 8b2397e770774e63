// What one JavaScript environment holds: its live handles, and the bytes of the storages behind them.
//
// Only the environment's own thread touches an Account. Finalizers may run inside a garbage collection, where no
// Node-API call is allowed, so they only change `unsettled`; the next creation tells V8 (nodejs/node-addon-api#1724).
#pragma once

#include <c10/core/StorageImpl.h>
#include <c10/util/flat_hash_map.h>

#include <cstdint>

#include "js.h"

namespace phantomgrad {

struct Handle;

class Account {
 public:
  /// True if `pointer` is a handle made here and not yet collected. Never reads through the pointer: it may be foreign.
  bool owns(void* pointer) const { return handles_.count(static_cast<Handle*>(pointer)) != 0; }

  void add(Handle* handle) { handles_.insert(handle); }
  void remove(Handle* handle) { handles_.erase(handle); }
  const ska::flat_hash_set<Handle*>& handles() const { return handles_; }

  /// Counts one more handle on `storage`; its bytes count once, however many views share it. Null counts no bytes.
  void hold(c10::StorageImpl* storage);

  /// Undoes one `hold`. The pointer may dangle by now: it is only a key.
  void release(c10::StorageImpl* storage);

  /// Tells V8 what was allocated and freed since the last call; may start a garbage collection.
  void settle(napi_env env);

  int64_t tensors() const { return tensors_; }
  int64_t bytes() const { return bytes_; }
  int64_t peak() const { return peak_; }
  void reset_peak() { peak_ = bytes_; }

 private:
  struct Weight {
    int64_t bytes;     // what memory() shows
    int64_t pressure;  // what V8 is told
    int64_t handles;
  };
  ska::flat_hash_map<const void*, Weight> storages_;
  ska::flat_hash_set<Handle*> handles_;
  int64_t tensors_ = 0, bytes_ = 0, peak_ = 0;
  int64_t unsettled_ = 0;
};

}  // namespace phantomgrad
