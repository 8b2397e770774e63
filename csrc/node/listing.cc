// Schemas as plain JavaScript objects.
#include "listing.h"

#include <sstream>
#include <string>
#include <vector>

#include "native.h"
#include "schema.h"

namespace phantomgrad {

namespace {

constexpr std::string_view kAten = "aten::";

napi_value strings(napi_env env, const std::vector<std::string>& texts) {
  napi_value out = js::array(env, texts.size());
  for (size_t i = 0; i < texts.size(); ++i) js::set(env, out, i, js::string(env, texts[i]));
  return out;
}

napi_value show(napi_env env, const Param& param) {
  napi_value out = js::object(env);
  js::set(env, out, "name", js::string(env, param.name));
  js::set(env, out, "type", js::string(env, spell(param.type)));
  js::set(env, out, "keyword", js::boolean(env, param.keyword_only));
  js::set(env, out, "required", js::boolean(env, !param.fallback.has_value() && !param.type.optional));
  js::set(env, out, "writes", js::boolean(env, param.writes));
  return out;
}

napi_value show(napi_env env, const Overload& overload) {
  std::ostringstream schema;
  schema << overload.op.schema();
  napi_value params = js::array(env, overload.params.size());
  for (size_t i = 0; i < overload.params.size(); ++i) js::set(env, params, i, show(env, overload.params[i]));
  napi_value returns = js::array(env, overload.returns.size());
  for (size_t i = 0; i < overload.returns.size(); ++i)
    js::set(env, returns, i, js::string(env, spell(overload.returns[i])));
  napi_value out = js::object(env);
  js::set(env, out, "overload", js::string(env, overload.op.schema().overload_name()));
  js::set(env, out, "schema", js::string(env, schema.str()));
  js::set(env, out, "unbindable", js::string(env, overload.unbindable));
  js::set(env, out, "params", params);
  js::set(env, out, "returns", returns);
  return out;
}

bool takes_tensor_first(const c10::FunctionSchema& schema) {
  if (schema.arguments().empty()) return false;
  const c10::Argument& first = schema.arguments()[0];
  return !first.kwarg_only() && first.real_type()->kind() == c10::TypeKind::TensorType;
}

}  // namespace

napi_value list_operators(napi_env env, napi_callback_info /*info*/) {
  return guarded(env, "operatorNames", [&] { return strings(env, operator_names()); });
}

napi_value list_methods(napi_env env, napi_callback_info /*info*/) {
  return guarded(env, "methodNames", [&] {
    std::vector<std::string> names;
    for (const c10::OperatorName& key : c10::Dispatcher::singleton().getAllOpNames()) {
      if (key.name.rfind(kAten, 0) != 0 || key.name[kAten.size()] == '_') continue;
      const auto op = c10::Dispatcher::singleton().findSchema(key);
      if (op.has_value() && takes_tensor_first(op->schema())) names.push_back(key.name.substr(kAten.size()));
    }
    return strings(env, names);  // a name once an overload: the caller makes a set of them
  });
}

napi_value list_schemas(napi_env env, napi_callback_info info) {
  return guarded(env, "schemas", [&] {
    const Packet packet = parse_packet(read_text(env, arguments<1>(env, info)[0], "schemas", "name"));
    napi_value out = js::array(env, packet.overloads.size());
    for (size_t i = 0; i < packet.overloads.size(); ++i) js::set(env, out, i, show(env, packet.overloads[i]));
    return out;
  });
}

}  // namespace phantomgrad
