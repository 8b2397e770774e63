// Natives on one tensor that are no operators: what it is, its gradient, its value.
#pragma once

#include "js.h"

namespace phantomgrad {

napi_value tensor_shape(napi_env env, napi_callback_info info);          // shape(handle): number[]
napi_value tensor_dtype(napi_env env, napi_callback_info info);          // dtype(handle): string
napi_value tensor_device(napi_env env, napi_callback_info info);         // device(handle): string
napi_value tensor_numel(napi_env env, napi_callback_info info);          // numel(handle): number
napi_value tensor_is_leaf(napi_env env, napi_callback_info info);        // isLeaf(handle): boolean
napi_value tensor_requires_grad(napi_env env, napi_callback_info info);  // requiresGrad(handle): boolean
napi_value tensor_grad(napi_env env, napi_callback_info info);           // grad(handle): handle | null
napi_value tensor_set_grad(napi_env env, napi_callback_info info);       // setGrad(handle, handle | null)
napi_value tensor_backward(napi_env env,
                           napi_callback_info info);  // backward(handle, gradient | null, retainGraph, createGraph)
napi_value tensor_item(napi_env env, napi_callback_info info);     // item(handle): number | bigint
napi_value tensor_dispose(napi_env env, napi_callback_info info);  // dispose(handle)

}  // namespace phantomgrad
