// The one entry point to every operator of the dispatcher.
#pragma once

#include "js.h"

namespace phantomgrad {

/// The JavaScript function whose data pointer is a Packet: positional arguments, then perhaps one plain object of
/// keywords.
///
/// Overloads are tried in order of registration; the first that accepts every argument is called, boxed, with autograd.
/// An `undefined` argument counts as left out. In-place and out= operators return the very handle they were given.
/// @throws ERR_TORCH_NO_OVERLOAD, listing every overload and why it was refused; ERR_TENSOR_DISPOSED; ERR_TORCH.
napi_value call_operator(napi_env env, napi_callback_info info);

/// find(name: string): that function for `name` («aten::add»), or undefined if there is no such operator.
napi_value find_operator(napi_env env, napi_callback_info info);

}  // namespace phantomgrad
