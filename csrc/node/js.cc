// Conversions of plain JavaScript values that need more than one Node-API call.
#include "js.h"

#include <cmath>

namespace phantomgrad::js {

namespace {
constexpr int64_t kMaxSafeInteger = (int64_t{1} << 53) - 1;
}

std::string text(napi_env env, napi_value value) {
  size_t size;
  ok(napi_get_value_string_utf8(env, value, nullptr, 0, &size));
  std::string out(size, '\0');
  ok(napi_get_value_string_utf8(env, value, out.data(), size + 1, &size));
  return out;
}

napi_value integer(napi_env env, int64_t x) {
  if (x >= -kMaxSafeInteger && x <= kMaxSafeInteger) return number(env, static_cast<double>(x));
  napi_value value;
  ok(napi_create_bigint_int64(env, x, &value));
  return value;
}

bool read_integer(napi_env env, napi_value value, napi_valuetype type, int64_t* out) {
  if (type == napi_bigint) {
    bool lossless;
    ok(napi_get_value_bigint_int64(env, value, out, &lossless));
    return lossless;
  }
  if (type != napi_number) return false;
  double x;
  ok(napi_get_value_double(env, value, &x));
  if (!(std::abs(x) <= static_cast<double>(kMaxSafeInteger)) || x != std::trunc(x)) return false;
  *out = static_cast<int64_t>(x);
  return true;
}

std::string describe(napi_env env, napi_value value) {
  switch (type_of(env, value)) {
    case napi_undefined:
      return "undefined";
    case napi_null:
      return "null";
    case napi_boolean:
      return "a boolean";
    case napi_number: {
      double x;
      ok(napi_get_value_double(env, value, &x));
      return x == std::trunc(x) && std::abs(x) < 1e15 ? std::to_string(static_cast<int64_t>(x)) : std::to_string(x);
    }
    case napi_string: {
      std::string shown = text(env, value);
      if (shown.size() > 40) shown = shown.substr(0, 37) + "...";
      return "'" + shown + "'";
    }
    case napi_symbol:
      return "a symbol";
    case napi_function:
      return "a function";
    case napi_bigint:
      return "a bigint";
    case napi_external:
      return "a Tensor";
    case napi_object:
      break;
  }
  if (is_array(env, value)) return "an array of " + std::to_string(length(env, value));
  bool typed;
  ok(napi_is_typedarray(env, value, &typed));
  return typed ? "a typed array" : "an object";
}

}  // namespace phantomgrad::js
