// The only try/catch of the door: every native function runs inside `guarded`, so that no C++ exception reaches V8.
#pragma once

#include <c10/util/FunctionRef.h>

#include "js.h"

namespace phantomgrad {

/// Runs `body`; an exception becomes a pending JavaScript error with a `code`, and the result is nullptr.
///
/// A c10::Error whose message starts with «[ERR_X] » gets the code ERR_X and loses the bracket; out of memory
/// gets ERR_OUT_OF_MEMORY; any other gets ERR_TORCH. `operation`, when given, opens messages that come from LibTorch.
napi_value guarded(napi_env env, const char* operation, c10::function_ref<napi_value()> body) noexcept;

}  // namespace phantomgrad
