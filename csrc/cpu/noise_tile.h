// One tile of 160 normals, in the instruction set that the including *.isa.cc file is compiled for.
#pragma once

#include "cpu/vec.h"
#include "shared/box_muller.h"
#include "shared/noise_layout.h"

namespace phantomgrad::cpu::PG_ISA {

/// words[w][l] = word w of block `first_block + l`, l = 0..15.
inline void tile_words(const ChaChaStream& stream, uint32_t first_block, uint32_t (&words)[16][kTileLanes]) {
  using Word = Vec<uint32_t>;
  constexpr int L = kLanes<uint32_t>;
  Word lane;
  for (int l = 0; l < L; ++l) lane[l] = static_cast<uint32_t>(l);
  for (int part = 0; part < kTileLanes; part += L) {
    Word block[16];
    chacha20_block<Word>(stream, lane + (first_block + static_cast<uint32_t>(part)), block);
    for (int w = 0; w < 16; ++w) store(&words[w][part], block[w]);
  }
}

/// normals[row * 16 + lane] of tile `tile` (noise_layout.h).
inline void tile_normals(const ChaChaStream& stream, int64_t tile, double (&normals)[kTile]) {
  alignas(64) uint32_t words[16][kTileLanes];
  tile_words(stream, static_cast<uint32_t>(tile * kTileLanes), words);
  for (int pair = 0; pair < kTileRows / 2; ++pair) {
    const uint32_t *high = words[3 * pair], *low = words[3 * pair + 1], *angle = words[3 * pair + 2];
    double *n0 = normals + 2 * pair * kTileLanes, *n1 = n0 + kTileLanes;
    for (int l = 0; l < kTileLanes; ++l) {
      double cosine, sine;
      box_muller(high[l], low[l], angle[l], cosine, sine);
      n0[l] = cosine;
      n1[l] = sine;
    }
  }
}

}  // namespace phantomgrad::cpu::PG_ISA
