// How the few hand-written natives read their arguments.
#pragma once

#include <array>
#include <string>

#include "../error.h"
#include "guard.h"
#include "handle.h"
#include "js.h"

namespace phantomgrad {

/// The first `n` arguments of a call; missing ones are undefined.
template <size_t n>
std::array<napi_value, n> arguments(napi_env env, napi_callback_info info) {
  std::array<napi_value, n> values;
  size_t count = n;
  js::ok(napi_get_cb_info(env, info, &count, values.data(), nullptr, nullptr));
  return values;
}

inline bool read_flag(napi_env env, napi_value value, const char* operation, const char* name) {
  bool flag = false;
  PG_CHECK(napi_get_value_bool(env, value, &flag) == napi_ok, "ERR_INVALID_ARGUMENT", operation, ": ", name,
           " must be a boolean, got ", js::describe(env, value));
  return flag;
}

inline int64_t read_count(napi_env env, napi_value value, const char* operation, const char* name) {
  int64_t x = 0;
  PG_CHECK(js::read_integer(env, value, js::type_of(env, value), &x), "ERR_INVALID_ARGUMENT", operation, ": ", name,
           " must be a whole number, got ", js::describe(env, value));
  return x;
}

inline std::string read_text(napi_env env, napi_value value, const char* operation, const char* name) {
  PG_CHECK(js::type_of(env, value) == napi_string, "ERR_INVALID_ARGUMENT", operation, ": ", name,
           " must be a string, got ", js::describe(env, value));
  return js::text(env, value);
}

}  // namespace phantomgrad
