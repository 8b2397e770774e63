// One table a LibTorch enumeration.
#include "names.h"

#include <c10/util/Exception.h>

#include <utility>

namespace phantomgrad {

namespace {

using c10::ScalarType;
constexpr std::pair<std::string_view, ScalarType> kDtypes[] = {
    {"float32", ScalarType::Float},
    {"float64", ScalarType::Double},
    {"int64", ScalarType::Long},
    {"int32", ScalarType::Int},
    {"int16", ScalarType::Short},
    {"int8", ScalarType::Char},
    {"uint8", ScalarType::Byte},
    {"bool", ScalarType::Bool},
    {"bfloat16", ScalarType::BFloat16},
    {"float16", ScalarType::Half},
    {"complex64", ScalarType::ComplexFloat},
    {"complex128", ScalarType::ComplexDouble},
    {"uint16", ScalarType::UInt16},
    {"uint32", ScalarType::UInt32},
    {"uint64", ScalarType::UInt64},
    {"float8_e4m3fn", ScalarType::Float8_e4m3fn},
    {"float8_e5m2", ScalarType::Float8_e5m2},
};
constexpr std::pair<std::string_view, c10::Layout> kLayouts[] = {
    {"strided", c10::kStrided},      {"sparse_coo", c10::kSparse},    {"sparse_csr", c10::kSparseCsr},
    {"sparse_csc", c10::kSparseCsc}, {"sparse_bsr", c10::kSparseBsr}, {"sparse_bsc", c10::kSparseBsc},
};
constexpr std::pair<std::string_view, c10::MemoryFormat> kMemoryFormats[] = {
    {"contiguous_format", c10::MemoryFormat::Contiguous},
    {"preserve_format", c10::MemoryFormat::Preserve},
    {"channels_last", c10::MemoryFormat::ChannelsLast},
    {"channels_last_3d", c10::MemoryFormat::ChannelsLast3d},
};

template <class Value, size_t n>
std::optional<Value> find(const std::pair<std::string_view, Value> (&table)[n], std::string_view name) {
  for (const auto& [entry, value] : table)
    if (entry == name) return value;
  return std::nullopt;
}

}  // namespace

std::optional<ScalarType> dtype_from_name(std::string_view name) { return find(kDtypes, name); }
std::optional<c10::Layout> layout_from_name(std::string_view name) { return find(kLayouts, name); }
std::optional<c10::MemoryFormat> memory_format_from_name(std::string_view name) { return find(kMemoryFormats, name); }

std::string dtype_name(ScalarType dtype) {
  for (const auto& [name, value] : kDtypes)
    if (value == dtype) return std::string(name);
  return c10::toString(dtype);
}

}  // namespace phantomgrad
