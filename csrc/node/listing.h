// Listings of the dispatcher: for the type generator, for `Tensor` methods, for near misses in error messages.
#pragma once

#include "js.h"

namespace phantomgrad {

/// operatorNames(): string[], sorted: «aten::add», …
napi_value list_operators(napi_env env, napi_callback_info info);

/// methodNames(): string[]: aten names whose first argument is a tensor, without «aten::»; private names are left out.
napi_value list_methods(napi_env env, napi_callback_info info);

/// schemas(name): one entry an overload, in the order in which they are tried:
/// { overload, schema, unbindable, params: [{ name, type, keyword, required, writes }], returns: string[] }.
napi_value list_schemas(napi_env env, napi_callback_info info);

}  // namespace phantomgrad
