// Values across the border: JavaScript to IValue by the declared type, IValue back to JavaScript.
#pragma once

#include <ATen/core/ivalue.h>

#include <optional>
#include <string>

#include "handle.h"
#include "js.h"
#include "schema.h"

namespace phantomgrad {

/// One argument as it arrived.
struct Argument {
  napi_value value;
  napi_valuetype type;
  bool by_name = false;  // given in the keyword object
};

/// The argument as `type` wants it, or nothing if it does not fit. Never guesses: 1.5 is no int, 1 is no bool.
///
/// Numbers: an int takes whole numbers within 2^53 and bigints; a Scalar becomes an integer for whole numbers and
/// bigints, a double otherwise. Enumerations are names ('float32'), or small integers when given by name: positional
/// integers would turn view(x, 7) into a reinterpretation as float64.
/// @throws ERR_TENSOR_DISPOSED for a disposed tensor.
std::optional<c10::IValue> from_js(napi_env env, const Type& type, const Argument& argument);

/// What an operator returned: tensors as new handles, tuples and lists as arrays, None as null.
/// int64 values beyond 2^53 become bigints; an element type is given by its name.
napi_value to_js(napi_env env, const c10::IValue& value, const Type& type);

}  // namespace phantomgrad
