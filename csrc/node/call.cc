// Binding arguments to an overload, and calling it.
#include "call.h"

#include <ATen/core/stack.h>
#include <c10/util/SmallVector.h>

#include <sstream>
#include <string>
#include <vector>

#include "../error.h"
#include "guard.h"
#include "schema.h"
#include "value.h"

namespace phantomgrad {

namespace {

struct Keyword {
  std::string name;
  Argument argument;
};

struct Arguments {
  c10::SmallVector<Argument, 12> positional;
  c10::SmallVector<Keyword, 4> keywords;
};

// The trailing object holds keywords unless it is an array (a list argument) or a typed array (refused by name).
bool holds_keywords(napi_env env, const Argument& argument) {
  if (argument.type != napi_object || js::is_array(env, argument.value)) return false;
  bool typed;
  js::ok(napi_is_typedarray(env, argument.value, &typed));
  return !typed;
}

void read_keywords(napi_env env, napi_value object, Arguments* out) {
  napi_value names;
  js::ok(napi_get_all_property_names(env, object, napi_key_own_only,
                                     static_cast<napi_key_filter>(napi_key_enumerable | napi_key_skip_symbols),
                                     napi_key_numbers_to_strings, &names));
  const uint32_t count = js::length(env, names);
  for (uint32_t i = 0; i < count; ++i) {
    const napi_value name = js::element(env, names, i);
    napi_value value;
    js::ok(napi_get_property(env, object, name, &value));
    const napi_valuetype type = js::type_of(env, value);
    if (type != napi_undefined) out->keywords.push_back({js::text(env, name), {value, type, true}});
  }
}

Arguments read_arguments(napi_env env, const napi_value* values, size_t count) {
  Arguments out;
  while (count > 0 && js::type_of(env, values[count - 1]) == napi_undefined) --count;
  for (size_t i = 0; i < count; ++i) {
    const Argument argument{values[i], js::type_of(env, values[i])};
    if (i + 1 == count && holds_keywords(env, argument)) {
      read_keywords(env, values[i], &out);
    } else {
      out.positional.push_back(argument);
    }
  }
  return out;
}

// Fills `stack` for one overload. On refusal returns false and, if asked, says why: reasons cost more than the trial,
// so they are only made when every overload has refused.
bool bind_arguments(napi_env env, const Overload& overload, const Arguments& arguments, torch::jit::Stack* stack,
                    std::string* why) {
  const auto refuse = [&](auto&& reason) {
    if (why != nullptr) *why = reason();
    return false;
  };
  if (!overload.unbindable.empty()) return refuse([&] { return overload.unbindable; });
  stack->clear();
  stack->reserve(overload.params.size());
  size_t next = 0, used_keywords = 0;
  for (const Param& param : overload.params) {
    const Argument* given = nullptr;
    if (!param.keyword_only && next < arguments.positional.size()) {
      given = &arguments.positional[next++];
      if (given->type == napi_undefined) given = nullptr;
    } else {
      for (const Keyword& keyword : arguments.keywords) {
        if (keyword.name != param.name) continue;
        given = &keyword.argument;
        ++used_keywords;
        break;
      }
    }
    if (given != nullptr) {
      std::optional<c10::IValue> value = from_js(env, param.type, *given);
      if (!value.has_value())
        return refuse(
            [&] { return param.name + " must be " + spell(param.type) + ", got " + js::describe(env, given->value); });
      stack->push_back(*std::move(value));
    } else if (param.fallback.has_value()) {
      stack->push_back(*param.fallback);
    } else if (param.type.optional) {
      stack->emplace_back();
    } else {
      return refuse([&] { return param.name + " is missing"; });
    }
  }
  if (next < arguments.positional.size())
    return refuse([&] {
      return "takes at most " + std::to_string(next) + " positional arguments, got " +
             std::to_string(arguments.positional.size());
    });
  if (used_keywords < arguments.keywords.size())
    return refuse([&] {
      std::string names;
      for (const Keyword& keyword : arguments.keywords) {
        bool known = false;
        for (const Param& param : overload.params) known = known || param.name == keyword.name;
        if (!known) names += (names.empty() ? "" : ", ") + keyword.name;
      }
      return names.empty() ? "an argument is given twice" : "has no argument named " + names;
    });
  return true;
}

[[noreturn]] void no_overload(napi_env env, const Packet& packet, const Arguments& arguments) {
  std::ostringstream message;
  message << packet.name << ": no overload accepts these arguments.";
  torch::jit::Stack scratch;
  for (const Overload& overload : packet.overloads) {
    std::string why;
    bind_arguments(env, overload, arguments, &scratch, &why);
    message << "\n  " << overload.op.schema() << "\n    refused: " << why;
  }
  refuse("ERR_TORCH_NO_OVERLOAD", message.str());
}

// The JavaScript value that was bound to parameter `index`.
const Argument* given_for(const Overload& overload, const Arguments& arguments, size_t index) {
  if (!overload.params[index].keyword_only && index < arguments.positional.size()) return &arguments.positional[index];
  for (const Keyword& keyword : arguments.keywords)
    if (keyword.name == overload.params[index].name) return &keyword.argument;
  return nullptr;
}

void recount_written(napi_env env, const Overload& overload, const Arguments& arguments) {
  for (size_t i = 0; i < overload.params.size(); ++i) {
    if (!overload.params[i].writes) continue;
    const Argument* given = given_for(overload, arguments, i);
    if (given == nullptr) continue;
    if (Handle* handle = find_handle(env, given->value, given->type)) {
      recount(*handle);
    } else if (overload.params[i].type.list && given->type == napi_object) {
      for (uint32_t k = 0, count = js::length(env, given->value); k < count; ++k) {
        const napi_value item = js::element(env, given->value, k);
        if (Handle* element = find_handle(env, item, js::type_of(env, item))) recount(*element);
      }
    }
  }
}

napi_value result(napi_env env, const Overload& overload, const Arguments& arguments, const torch::jit::Stack& stack) {
  if (overload.mutates) recount_written(env, overload, arguments);
  if (overload.returned_param >= 0 && overload.returns[0].kind == Kind::kTensor && !overload.returns[0].list) {
    const Argument* given = given_for(overload, arguments, static_cast<size_t>(overload.returned_param));
    if (given != nullptr && given->type == napi_external) return given->value;
  }
  if (stack.empty()) return js::undefined(env);
  if (stack.size() == 1) return to_js(env, stack[0], overload.returns[0]);
  napi_value out = js::array(env, stack.size());
  for (size_t i = 0; i < stack.size(); ++i) js::set(env, out, i, to_js(env, stack[i], overload.returns[i]));
  return out;
}

}  // namespace

napi_value call_operator(napi_env env, napi_callback_info info) {
  constexpr size_t kMost = 48;  // the longest schema of aten has 26 arguments
  napi_value values[kMost];
  size_t count = kMost;
  void* data = nullptr;
  if (napi_get_cb_info(env, info, &count, values, nullptr, &data) != napi_ok) return nullptr;
  const Packet& packet = *static_cast<const Packet*>(data);
  return guarded(env, packet.name.c_str(), [&]() -> napi_value {
    PG_CHECK(count <= kMost, "ERR_INVALID_ARGUMENT", packet.name, ": ", count,
             " arguments are more than any operator takes");
    const Arguments arguments = read_arguments(env, values, count);
    torch::jit::Stack stack;  // local: operators may call back into the door from other threads
    for (const Overload& overload : packet.overloads) {
      if (!bind_arguments(env, overload, arguments, &stack, nullptr)) continue;
      overload.op.callBoxed(stack);
      return result(env, overload, arguments, stack);
    }
    no_overload(env, packet, arguments);
  });
}

napi_value find_operator(napi_env env, napi_callback_info info) {
  return guarded(env, nullptr, [&]() -> napi_value {
    napi_value argument;
    size_t count = 1;
    js::ok(napi_get_cb_info(env, info, &count, &argument, nullptr, nullptr));
    PG_CHECK(js::type_of(env, argument) == napi_string, "ERR_INVALID_ARGUMENT", "an operator's name must be a string");
    const std::string name = js::text(env, argument);
    const Packet* packet = find_packet(name);
    if (packet == nullptr) return js::undefined(env);
    napi_value function;
    js::ok(napi_create_function(env, name.data(), name.size(), call_operator, const_cast<Packet*>(packet), &function));
    return function;
  });
}

}  // namespace phantomgrad
