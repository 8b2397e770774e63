// The names under which JavaScript knows LibTorch's enumerations: 'float32', 'strided', 'channels_last'.
#pragma once

#include <c10/core/Layout.h>
#include <c10/core/MemoryFormat.h>
#include <c10/core/ScalarType.h>

#include <optional>
#include <string>
#include <string_view>

namespace phantomgrad {

std::optional<c10::ScalarType> dtype_from_name(std::string_view name);
std::string dtype_name(c10::ScalarType dtype);

std::optional<c10::Layout> layout_from_name(std::string_view name);
std::optional<c10::MemoryFormat> memory_format_from_name(std::string_view name);

}  // namespace phantomgrad
