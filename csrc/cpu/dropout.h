// Dropout of one sample's rows, forward and backward alike: y = keep ? x / (1 - rate) : 0.
#pragma once

#include <cstdint>

#include "cpu/isa.h"

namespace phantomgrad::cpu {

/// Elements are numbered within the sample, from `first_element`. rate in [0, 1).
PG_EVERY_ISA(template <class T>
             void dropout(const T* x, int64_t n, uint64_t stream, uint64_t first_element, double rate, T* y);)

}  // namespace phantomgrad::cpu
