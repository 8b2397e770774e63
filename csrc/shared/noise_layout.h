// Which random bits make which normal: the numbering that every implementation of the noise follows.
//
// Sixteen consecutive ChaCha blocks make a tile of 160 normals. Normal i of a stream is in tile i / 160; within it, row
// (i % 160) / 16 and lane i % 16. Lane l reads block 16 tile + l; rows 2p and 2p + 1 are the Box-Muller pair of words
// 3p, 3p + 1, 3p + 2 of that block (word 15 is not used). So a vector of lanes, or a warp, stores whole rows.
#pragma once

#include "shared/chacha20.h"

namespace phantomgrad {

inline constexpr int kTileLanes = 16;
inline constexpr int kTileRows = 10;
inline constexpr int kTile = kTileLanes * kTileRows;
/// The block counter has 32 bits: a longer stream would repeat.
inline constexpr int64_t kLongestNoise = (int64_t{1} << 32) / kTileLanes * kTile;

/// Key stream of one use of a noise key: the nonce is (step, stream), so a new step or another arena is another stream.
PG_HD ChaChaStream noise_stream(const uint32_t (&key)[8], uint64_t step, uint32_t stream) {
  return {{key[0], key[1], key[2], key[3], key[4], key[5], key[6], key[7]},
          {static_cast<uint32_t>(step), static_cast<uint32_t>(step >> 32), stream}};
}

}  // namespace phantomgrad
