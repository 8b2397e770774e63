// Short names over the C Node-API: a failed call becomes a C++ exception, which `guarded` ends at the door.
//
// Why not node-addon-api's classes: they abort the process when a call fails while a Worker is being terminated,
// and wrapping each value costs more than the dispatch of an operator.
#pragma once

#ifndef NAPI_VERSION
#define NAPI_VERSION 9
#endif
#include <node_api.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace phantomgrad::js {

/// A Node-API call failed: either a JavaScript exception is pending or the environment is going away.
struct Failure {};

inline void ok(napi_status status) {
  if (status != napi_ok) throw Failure{};
}

inline napi_valuetype type_of(napi_env env, napi_value value) {
  napi_valuetype type;
  ok(napi_typeof(env, value, &type));
  return type;
}

inline bool is_nullish(napi_valuetype type) { return type == napi_undefined || type == napi_null; }

inline napi_value undefined(napi_env env) {
  napi_value value;
  ok(napi_get_undefined(env, &value));
  return value;
}

inline napi_value null(napi_env env) {
  napi_value value;
  ok(napi_get_null(env, &value));
  return value;
}

inline napi_value number(napi_env env, double x) {
  napi_value value;
  ok(napi_create_double(env, x, &value));
  return value;
}

inline napi_value boolean(napi_env env, bool x) {
  napi_value value;
  ok(napi_get_boolean(env, x, &value));
  return value;
}

inline napi_value string(napi_env env, std::string_view text) {
  napi_value value;
  ok(napi_create_string_utf8(env, text.data(), text.size(), &value));
  return value;
}

inline napi_value array(napi_env env, size_t length) {
  napi_value value;
  ok(napi_create_array_with_length(env, length, &value));
  return value;
}

inline napi_value object(napi_env env) {
  napi_value value;
  ok(napi_create_object(env, &value));
  return value;
}

inline void set(napi_env env, napi_value object, const char* name, napi_value value) {
  ok(napi_set_named_property(env, object, name, value));
}

inline void set(napi_env env, napi_value array, size_t index, napi_value value) {
  ok(napi_set_element(env, array, static_cast<uint32_t>(index), value));
}

inline bool is_array(napi_env env, napi_value value) {
  bool answer;
  ok(napi_is_array(env, value, &answer));
  return answer;
}

inline uint32_t length(napi_env env, napi_value array) {
  uint32_t count;
  ok(napi_get_array_length(env, array, &count));
  return count;
}

inline napi_value element(napi_env env, napi_value array, uint32_t index) {
  napi_value value;
  ok(napi_get_element(env, array, index, &value));
  return value;
}

/// The text of a JavaScript string (the caller has checked the type).
std::string text(napi_env env, napi_value value);

/// An int64 as a number where a double holds it exactly, as a bigint elsewhere.
napi_value integer(napi_env env, int64_t x);

/// A whole number (or a bigint) as int64; false if the value is anything else or does not fit.
bool read_integer(napi_env env, napi_value value, napi_valuetype type, int64_t* out);

/// What a value is, for error messages: «number», «array», «foreign External» and so on.
std::string describe(napi_env env, napi_value value);

}  // namespace phantomgrad::js
