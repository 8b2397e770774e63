// Tensors between Workers: a number stands for a tensor until another environment claims it. Nothing is copied.
#pragma once

#include "js.h"

namespace phantomgrad {

napi_value share_tensor(napi_env env, napi_callback_info info);  // share(handle): number
napi_value claim_shared(napi_env env,
                        napi_callback_info info);  // fromShared(token: number): handle; each token works once

}  // namespace phantomgrad
