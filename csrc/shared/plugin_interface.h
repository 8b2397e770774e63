// The version of what core and plugin say to each other: schemas of the plugin's operators and what they promise.
#pragma once

#include <cstdint>

namespace phantomgrad {

/// Raised whenever an operator of csrc/cuda changes its schema or its promises. A core refuses every other number.
inline constexpr int64_t kPluginInterface = 2;

}  // namespace phantomgrad
