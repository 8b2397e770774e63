// Operators as the door sees them: each overload's arguments parsed once into a small table.
#pragma once

#include <ATen/core/dispatch/Dispatcher.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace phantomgrad {

/// Thirteen kinds, plain, optional, in a list or in a list of optionals, cover every schema of aten.
enum class Kind : uint8_t {
  kTensor,
  kScalar,
  kInt,
  kFloat,
  kBool,
  kString,
  kDtype,
  kLayout,
  kMemoryFormat,
  kDevice,
  kGenerator,
  kOpaque,  // storages, streams, script classes: JavaScript has no value for them
};

struct Type {
  Kind kind = Kind::kOpaque;
  bool optional = false;          // Tensor?   int[]?
  bool list = false;              // Tensor[]  int[2]
  bool element_optional = false;  // Tensor?[]
  int32_t fixed = -1;             // the 2 of int[2]: one number may stand for all
};

struct Param {
  std::string name;
  Type type;
  bool keyword_only = false;
  bool writes = false;  // (a!): the operator changes this argument in place
  std::optional<c10::IValue> fallback;
};

struct Overload {
  c10::OperatorHandle op;
  std::vector<Param> params;
  std::vector<Type> returns;
  bool mutates = false;     // some argument is written: its storage must be weighed again
  int returned_param = -1;  // in-place and out= operators return this argument itself
  std::string unbindable;   // why JavaScript cannot call it; empty if it can
};

/// All overloads of one name, in the order of registration: native_functions.yaml puts Tensor before Scalar.
struct Packet {
  std::string name;  // «aten::add»
  std::vector<Overload> overloads;
};

/// The packet of a name, parsed on first use and kept for the life of the process. Null if there is no such operator.
const Packet* find_packet(const std::string& name);

/// Parses afresh, for listings.
Packet parse_packet(const std::string& name);

/// Every operator name that the dispatcher knows, sorted.
std::vector<std::string> operator_names();

/// «Tensor», «int[]?», «Tensor?[]» …: the schema language's spelling.
std::string spell(const Type& type);

}  // namespace phantomgrad
