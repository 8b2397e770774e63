// The two conversions, kind by kind.
#include "value.h"

#include <c10/core/Device.h>

#include <cmath>

#include "../error.h"
#include "names.h"

namespace phantomgrad {

namespace {

using Converted = std::optional<c10::IValue>;

Converted number_from_js(napi_env env, const Argument& argument) {
  int64_t integer;
  double x;
  switch (argument.type) {
    case napi_boolean: {
      bool flag;
      js::ok(napi_get_value_bool(env, argument.value, &flag));
      return c10::IValue(flag);
    }
    case napi_bigint:
      if (!js::read_integer(env, argument.value, argument.type, &integer)) return std::nullopt;
      return c10::IValue(integer);
    case napi_number:
      js::ok(napi_get_value_double(env, argument.value, &x));
      // Whole numbers stay integers, so that t.add(1) keeps an integer tensor; -0 would lose its sign.
      if (!(x == 0 && std::signbit(x)) && js::read_integer(env, argument.value, argument.type, &integer))
        return c10::IValue(integer);
      return c10::IValue(x);
    default:
      return std::nullopt;
  }
}

// An enumeration given by name: 'float32'; or by LibTorch's number, but only as a keyword.
template <class Enum>
Converted enum_from_js(napi_env env, const Argument& argument, std::optional<Enum> (*from_name)(std::string_view),
                       Enum last) {
  if (argument.type == napi_string) {
    const std::optional<Enum> found = from_name(js::text(env, argument.value));
    if (!found.has_value()) return std::nullopt;
    return c10::IValue(static_cast<int64_t>(*found));
  }
  int64_t number;
  if (!argument.by_name || !js::read_integer(env, argument.value, argument.type, &number)) return std::nullopt;
  if (number < 0 || number >= static_cast<int64_t>(last)) return std::nullopt;
  return c10::IValue(number);
}

Converted device_from_js(napi_env env, const Argument& argument) {
  if (argument.type != napi_string) return std::nullopt;
  try {
    return c10::IValue(c10::Device(js::text(env, argument.value)));
  } catch (const c10::Error&) {
    return std::nullopt;  // not a device's name: another overload may want this string
  }
}

Converted tensor_from_js(napi_env env, const Argument& argument) {
  const Handle* handle = find_handle(env, argument.value, argument.type);
  if (handle == nullptr || !handle->is_tensor) return std::nullopt;
  require_live(*handle);
  return c10::IValue(handle->tensor);
}

Converted generator_from_js(napi_env env, const Argument& argument) {
  const Handle* handle = find_handle(env, argument.value, argument.type);
  if (handle == nullptr || handle->is_tensor) return std::nullopt;
  return c10::IValue(handle->generator);
}

Converted element_from_js(napi_env env, Kind kind, const Argument& argument) {
  switch (kind) {
    case Kind::kTensor:
      return tensor_from_js(env, argument);
    case Kind::kScalar:
      return number_from_js(env, argument);
    case Kind::kInt: {
      int64_t x;
      if (!js::read_integer(env, argument.value, argument.type, &x)) return std::nullopt;
      return c10::IValue(x);
    }
    case Kind::kFloat: {
      double x;
      if (argument.type != napi_number) return std::nullopt;
      js::ok(napi_get_value_double(env, argument.value, &x));
      return c10::IValue(x);
    }
    case Kind::kBool: {
      bool x;
      if (argument.type != napi_boolean) return std::nullopt;
      js::ok(napi_get_value_bool(env, argument.value, &x));
      return c10::IValue(x);
    }
    case Kind::kString:
      if (argument.type != napi_string) return std::nullopt;
      return c10::IValue(js::text(env, argument.value));
    case Kind::kDtype:
      return enum_from_js(env, argument, dtype_from_name, c10::ScalarType::NumOptions);
    case Kind::kLayout:
      return enum_from_js(env, argument, layout_from_name, c10::Layout::NumOptions);
    case Kind::kMemoryFormat:
      return enum_from_js(env, argument, memory_format_from_name, c10::MemoryFormat::NumOptions);
    case Kind::kDevice:
      return device_from_js(env, argument);
    case Kind::kGenerator:
      return generator_from_js(env, argument);
    case Kind::kOpaque:
      return std::nullopt;
  }
  return std::nullopt;
}

c10::TypePtr element_type(const Type& type) {
  switch (type.kind) {
    case Kind::kTensor:
      return c10::TensorType::get();
    case Kind::kScalar:
      return c10::NumberType::get();
    case Kind::kFloat:
      return c10::FloatType::get();
    case Kind::kBool:
      return c10::BoolType::get();
    case Kind::kString:
      return c10::StringType::get();
    default:
      return c10::IntType::get();
  }
}

Converted list_from_js(napi_env env, const Type& type, const Argument& argument) {
  c10::TypePtr element = element_type(type);
  if (type.element_optional) element = c10::OptionalType::create(element);
  c10::impl::GenericList out(element);
  if (argument.type != napi_object) {
    // int[2] given one number means the same number for every dimension, as in Python.
    if (type.fixed < 0) return std::nullopt;
    const Converted one = element_from_js(env, type.kind, argument);
    if (!one.has_value()) return std::nullopt;
    for (int32_t i = 0; i < type.fixed; ++i) out.push_back(*one);
    return c10::IValue(std::move(out));
  }
  if (!js::is_array(env, argument.value)) return std::nullopt;
  const uint32_t count = js::length(env, argument.value);
  out.reserve(count);
  for (uint32_t i = 0; i < count; ++i) {
    const napi_value value = js::element(env, argument.value, i);
    const Argument item{value, js::type_of(env, value), argument.by_name};
    if (js::is_nullish(item.type) && type.element_optional) {
      out.push_back(c10::IValue());
      continue;
    }
    Converted converted = element_from_js(env, type.kind, item);
    if (!converted.has_value()) return std::nullopt;
    out.push_back(*std::move(converted));
  }
  return c10::IValue(std::move(out));
}

}  // namespace

Converted from_js(napi_env env, const Type& type, const Argument& argument) {
  if (js::is_nullish(argument.type)) return type.optional ? Converted(c10::IValue()) : std::nullopt;
  return type.list ? list_from_js(env, type, argument) : element_from_js(env, type.kind, argument);
}

napi_value to_js(napi_env env, const c10::IValue& value, const Type& type) {
  if (value.isTensor()) return wrap(env, value.toTensor());
  if (value.isNone()) return js::null(env);
  if (type.kind == Kind::kDtype && value.isInt() && !type.list)
    return js::string(env, dtype_name(static_cast<c10::ScalarType>(value.toInt())));
  if (value.isInt()) return js::integer(env, value.toInt());
  if (value.isDouble()) return js::number(env, value.toDouble());
  if (value.isBool()) return js::boolean(env, value.toBool());
  if (value.isString()) return js::string(env, value.toStringRef());
  if (value.isDevice()) return js::string(env, value.toDevice().str());
  if (value.isSymInt()) return js::integer(env, value.toSymInt().guard_int(__FILE__, __LINE__));
  if (value.isList()) {
    const c10::ArrayRef<c10::IValue> items = value.toListRef();
    napi_value out = js::array(env, items.size());
    for (size_t i = 0; i < items.size(); ++i) js::set(env, out, i, to_js(env, items[i], type));
    return out;
  }
  if (value.isIntList() || value.isDoubleList() || value.isBoolList() || value.isTensorList()) {
    const c10::List<c10::IValue> items = value.toList();
    napi_value out = js::array(env, items.size());
    for (size_t i = 0; i < items.size(); ++i) js::set(env, out, i, to_js(env, items.get(i), type));
    return out;
  }
  PG_CHECK(false, "ERR_TORCH", "a result of type ", value.tagKind(), " has no JavaScript form");
}

}  // namespace phantomgrad
