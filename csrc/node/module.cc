// Table of contents of the native side. Everything else is an operator: operator('aten::add'),
// operator('phantomgrad::linear').
#include "call.h"
#include "guard.h"
#include "handle.h"
#include "heap.h"
#include "listing.h"
#include "runtime.h"
#include "share.h"
#include "tensor.h"
#include "typed_array.h"

namespace phantomgrad {

namespace {

constexpr struct {
  const char* name;
  napi_callback function;
} kNatives[] = {
    {"operator", find_operator},
    {"operatorNames", list_operators},
    {"methodNames", list_methods},
    {"schemas", list_schemas},

    {"fromTypedArray", from_typed_array},
    {"toTypedArray", to_typed_array},
    {"item", tensor_item},
    {"dispose", tensor_dispose},

    {"shape", tensor_shape},
    {"dtype", tensor_dtype},
    {"device", tensor_device},
    {"numel", tensor_numel},

    {"isLeaf", tensor_is_leaf},
    {"requiresGrad", tensor_requires_grad},
    {"grad", tensor_grad},
    {"setGrad", tensor_set_grad},
    {"backward", tensor_backward},
    {"gradEnabled", grad_enabled},
    {"setGradEnabled", set_grad_enabled},

    {"memory", memory},
    {"resetPeakMemory", reset_peak_memory},
    {"numThreads", num_threads},
    {"setNumThreads", set_num_threads},
    {"manualSeed", manual_seed},
    {"generator", generator},

    {"share", share_tensor},
    {"fromShared", claim_shared},
};

}  // namespace

}  // namespace phantomgrad

// Called once an environment (main thread, each Worker) by the loader, whose Node-API version also holds here.
extern "C" __attribute__((visibility("default"))) napi_value napi_register_module_v1(napi_env env, napi_value exports) {
  using namespace phantomgrad;
  return guarded(env, "load", [&] {
    keep_freed_memory();
    open_account(env);
    for (const auto& native : kNatives) {
      napi_value function;
      js::ok(napi_create_function(env, native.name, NAPI_AUTO_LENGTH, native.function, nullptr, &function));
      js::set(env, exports, native.name, function);
    }
    return exports;
  });
}
