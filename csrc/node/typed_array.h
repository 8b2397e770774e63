// Copies between typed arrays and tensors. JavaScript memory is never aliased: a buffer may be detached at any time.
#pragma once

#include "js.h"

namespace phantomgrad {

/// fromTypedArray(array, shape: number[], dtype: string): handle. The element width must be that of the dtype.
napi_value from_typed_array(napi_env env, napi_callback_info info);

/// toTypedArray(handle): int64 gives BigInt64Array, float16 and bfloat16 give Uint16Array (bit patterns), bool
/// Uint8Array.
napi_value to_typed_array(napi_env env, napi_callback_info info);

}  // namespace phantomgrad
