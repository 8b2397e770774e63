// Natives about the environment and the process: gradient mode, memory, threads, random numbers.
#pragma once

#include "js.h"

namespace phantomgrad {

napi_value grad_enabled(napi_env env, napi_callback_info info);      // gradEnabled(): boolean, of this thread
napi_value set_grad_enabled(napi_env env, napi_callback_info info);  // setGradEnabled(boolean), of this thread
napi_value memory(napi_env env, napi_callback_info info);  // memory(): { tensors, bytes, peak }, of this environment
napi_value reset_peak_memory(napi_env env, napi_callback_info info);
napi_value num_threads(napi_env env, napi_callback_info info);      // numThreads(): number
napi_value set_num_threads(napi_env env, napi_callback_info info);  // setNumThreads(number)
napi_value manual_seed(napi_env env, napi_callback_info info);      // manualSeed(number | bigint), all devices
napi_value generator(napi_env env, napi_callback_info info);  // generator(seed): handle of a CPU generator of its own

}  // namespace phantomgrad
