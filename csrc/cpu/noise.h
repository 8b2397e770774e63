// Noise on the CPU: key stream words and standard normals, numbered as in shared/noise_layout.h.
#pragma once

#include <cstdint>

#include "cpu/isa.h"
#include "shared/noise_layout.h"

namespace phantomgrad::cpu {

/// normals:  out[i] = normal i of the stream, for the tiles [first_tile, last_tile); `count` normals are wanted in all.
/// words:    out[16 l + w] = word w of block `first_block + l`, l = 0..15.
PG_EVERY_ISA(void normals(const ChaChaStream& stream, int64_t first_tile, int64_t last_tile, int64_t count,
                          double* out);
             void words(const ChaChaStream& stream, uint32_t first_block, uint32_t* out);)

/// The first `count` normals of a stream, on all threads. count is at most kLongestNoise.
void normals(const ChaChaStream& stream, int64_t count, double* out);
/// Sixteen blocks from `first_block` on: out[16 l + w].
void words(const ChaChaStream& stream, uint32_t first_block, uint32_t* out);

}  // namespace phantomgrad::cpu
