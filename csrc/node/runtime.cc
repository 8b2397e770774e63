// Gradient mode, memory, threads, random numbers.
#include "runtime.h"

#include <ATen/Context.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <c10/core/GradMode.h>

#include "native.h"

namespace phantomgrad {

napi_value grad_enabled(napi_env env, napi_callback_info /*info*/) {
  return guarded(env, "gradEnabled", [&] { return js::boolean(env, c10::GradMode::is_enabled()); });
}

napi_value set_grad_enabled(napi_env env, napi_callback_info info) {
  return guarded(env, "setGradEnabled", [&] {
    c10::GradMode::set_enabled(read_flag(env, arguments<1>(env, info)[0], "setGradEnabled", "enabled"));
    return js::undefined(env);
  });
}

napi_value memory(napi_env env, napi_callback_info /*info*/) {
  return guarded(env, "memory", [&] {
    const Account& held = *account(env);
    // Operators may give a tensor another storage (a parameter moves into an arena) without saying so in their schema.
    for (Handle* handle : held.handles()) recount(*handle);
    napi_value out = js::object(env);
    js::set(env, out, "tensors", js::integer(env, held.tensors()));
    js::set(env, out, "bytes", js::integer(env, held.bytes()));
    js::set(env, out, "peak", js::integer(env, held.peak()));
    return out;
  });
}

napi_value reset_peak_memory(napi_env env, napi_callback_info /*info*/) {
  return guarded(env, "resetPeakMemory", [&] {
    account(env)->reset_peak();
    return js::undefined(env);
  });
}

napi_value num_threads(napi_env env, napi_callback_info /*info*/) {
  return guarded(env, "numThreads", [&] { return js::integer(env, at::get_num_threads()); });
}

napi_value set_num_threads(napi_env env, napi_callback_info info) {
  return guarded(env, "setNumThreads", [&] {
    const int64_t count = read_count(env, arguments<1>(env, info)[0], "setNumThreads", "count");
    PG_CHECK(count >= 1 && count <= 4096, "ERR_INVALID_ARGUMENT", "setNumThreads: count must be from 1 to 4096, got ",
             count);
    at::set_num_threads(static_cast<int>(count));
    return js::undefined(env);
  });
}

napi_value manual_seed(napi_env env, napi_callback_info info) {
  return guarded(env, "manualSeed", [&] {
    at::manual_seed(static_cast<uint64_t>(read_count(env, arguments<1>(env, info)[0], "manualSeed", "seed")));
    return js::undefined(env);
  });
}

napi_value generator(napi_env env, napi_callback_info info) {
  return guarded(env, "generator", [&] {
    const int64_t seed = read_count(env, arguments<1>(env, info)[0], "generator", "seed");
    return wrap(env, at::make_generator<at::CPUGeneratorImpl>(static_cast<uint64_t>(seed)));
  });
}

}  // namespace phantomgrad
