// Standard normals one at a time, straight from their definition.
#pragma once

#include <cstdint>

#include "shared/chacha20.h"

namespace phantomgrad::reference {

/// Normal `index` of the stream (numbering: shared/noise_layout.h).
double normal(const ChaChaStream& stream, int64_t index);

}  // namespace phantomgrad::reference
