// From dispatcher schemas to argument tables.
#include "schema.h"

#include <ATen/core/jit_type.h>
#include <torch/csrc/jit/runtime/operator.h>

#include <algorithm>
#include <mutex>
#include <set>
#include <unordered_map>

namespace phantomgrad {

namespace {

Kind kind_of(const c10::Type& type) {
  switch (type.kind()) {
    case c10::TypeKind::TensorType:
      return Kind::kTensor;
    case c10::TypeKind::NumberType:
      return Kind::kScalar;
    case c10::TypeKind::IntType:
    case c10::TypeKind::SymIntType:
      return Kind::kInt;
    case c10::TypeKind::FloatType:
    case c10::TypeKind::SymFloatType:
      return Kind::kFloat;
    case c10::TypeKind::BoolType:
    case c10::TypeKind::SymBoolType:
      return Kind::kBool;
    case c10::TypeKind::StringType:
      return Kind::kString;
    case c10::TypeKind::ScalarTypeType:
      return Kind::kDtype;
    case c10::TypeKind::LayoutType:
      return Kind::kLayout;
    case c10::TypeKind::MemoryFormatType:
      return Kind::kMemoryFormat;
    case c10::TypeKind::DeviceObjType:
      return Kind::kDevice;
    case c10::TypeKind::GeneratorType:
      return Kind::kGenerator;
    default:
      return Kind::kOpaque;
  }
}

Type parse_type(const c10::Argument& argument) {
  Type out;
  c10::TypePtr type = argument.real_type();  // type() would erase ScalarType, Layout and SymInt to int
  if (const auto optional = type->cast<c10::OptionalType>()) {
    out.optional = true;
    type = optional->getElementType();
  }
  if (const auto list = type->cast<c10::ListType>()) {
    out.list = true;
    out.fixed = argument.N().value_or(-1);
    type = list->getElementType();
    if (const auto element = type->cast<c10::OptionalType>()) {
      out.element_optional = true;
      type = element->getElementType();
    }
  }
  out.kind = kind_of(*type);
  return out;
}

// Named tensors register a string overload beside the integer one (sum(x, 'batch')): a plain string would match it.
bool takes_dimension_names(const c10::FunctionSchema& schema) {
  const std::string& overload = schema.overload_name();
  if (schema.name().rfind("aten::", 0) != 0) return false;
  return overload.find("Dimname") != std::string::npos || overload.find("dimname") != std::string::npos ||
         overload.find("names") != std::string::npos || overload.find("named") != std::string::npos;
}

bool is_written(const c10::Argument& argument) {
  return argument.alias_info() != nullptr && argument.alias_info()->isWrite();
}

int returned_param(const c10::FunctionSchema& schema) {
  if (schema.returns().size() != 1 || !is_written(schema.returns()[0])) return -1;
  for (size_t i = 0; i < schema.arguments().size(); ++i)
    if (is_written(schema.arguments()[i]) && *schema.arguments()[i].alias_info() == *schema.returns()[0].alias_info())
      return static_cast<int>(i);
  return -1;
}

Overload parse(c10::OperatorHandle op) {
  const c10::FunctionSchema& schema = op.schema();
  Overload out{op, {}, {}, false, returned_param(schema), ""};
  if (takes_dimension_names(schema)) out.unbindable = "takes dimension names";
  if (schema.is_vararg()) out.unbindable = "takes any number of arguments";
  for (const c10::Argument& argument : schema.arguments()) {
    Param param{argument.name(), parse_type(argument), argument.kwarg_only(), is_written(argument),
                argument.default_value()};
    if (param.type.kind == Kind::kOpaque)
      out.unbindable = "argument " + param.name + " is " + argument.real_type()->str();
    out.mutates = out.mutates || param.writes;
    out.params.push_back(std::move(param));
  }
  for (const c10::Argument& result : schema.returns()) {
    out.returns.push_back(parse_type(result));
    if (out.returns.back().kind == Kind::kOpaque) out.unbindable = "returns " + result.real_type()->str();
  }
  return out;
}

// Leaked on purpose, here and below: a destructor at exit would race with Workers that still call operators.
std::mutex& packets_mutex() {
  static auto* mutex = new std::mutex;
  return *mutex;
}

}  // namespace

Packet parse_packet(const std::string& name) {
  Packet packet{name, {}};
  std::set<std::string> seen;
  // The dispatcher lists its operators in hash order; LibTorch's script registry keeps the order of registration.
  for (const auto& entry : torch::jit::getAllOperatorsFor(c10::Symbol::fromQualString(name))) {
    const c10::OperatorName& key = entry->schema().operator_name();
    auto op = c10::Dispatcher::singleton().findSchema(key);
    if (op.has_value() && seen.insert(key.overload_name).second) packet.overloads.push_back(parse(*op));
  }
  return packet;
}

const Packet* find_packet(const std::string& name) {
  static auto* packets = new std::unordered_map<std::string, const Packet*>;
  if (name.find("::") == std::string::npos) return nullptr;
  const std::lock_guard<std::mutex> lock(packets_mutex());
  const auto known = packets->find(name);
  if (known != packets->end()) return known->second;
  auto packet = std::make_unique<Packet>(parse_packet(name));
  if (packet->overloads.empty()) return nullptr;  // not remembered: a library loaded later may bring it
  return packets->emplace(name, packet.release()).first->second;
}

std::vector<std::string> operator_names() {
  std::set<std::string> names;
  for (const c10::OperatorName& name : c10::Dispatcher::singleton().getAllOpNames()) names.insert(name.name);
  return {names.begin(), names.end()};
}

std::string spell(const Type& type) {
  static constexpr const char* kNames[] = {"Tensor",     "Scalar", "int",          "float",  "bool",      "str",
                                           "ScalarType", "Layout", "MemoryFormat", "Device", "Generator", "opaque"};
  std::string out = kNames[static_cast<size_t>(type.kind)];
  if (type.element_optional) out += "?";
  if (type.list) out += type.fixed < 0 ? "[]" : "[" + std::to_string(type.fixed) + "]";
  if (type.optional) out += "?";
  return out;
}

}  // namespace phantomgrad
