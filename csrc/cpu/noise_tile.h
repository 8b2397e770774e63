// One tile of 160 normals, in the instruction set that the including *.isa.cc file is compiled for.
#pragma once

#include "cpu/vec.h"
#include "shared/box_muller.h"
#include "shared/noise_layout.h"

namespace phantomgrad::cpu::PG_ISA {

/// Key stream words of a tile: words[w][l] is word w of the block of lane l.
using TileWords = uint32_t[16][kTileLanes];

/// The key stream of one tile in the making, so that other work can stand between its ten double rounds.
class TileStream {
 public:
  [[gnu::always_inline]] TileStream(const ChaChaStream& stream, uint32_t first_block)
      : stream_(stream), first_block_(first_block) {
    for (int part = 0; part < kParts; ++part) chacha20_input(stream, counter(part), block_[part]);
  }

  [[gnu::always_inline]] void double_round() {
    for (int part = 0; part < kParts; ++part) chacha20_double_round(block_[part]);
  }

  /// After the tenth double round: the words of the blocks `first_block` .. `first_block + 15`.
  [[gnu::always_inline]] void finish(TileWords& words) const {
    for (int part = 0; part < kParts; ++part) {
      Word input[16];
      chacha20_input(stream_, counter(part), input);
      for (int w = 0; w < 16; ++w) store(&words[w][part * kWordLanes], block_[part][w] + input[w]);
    }
  }

 private:
  using Word = Vec<uint32_t>;
  static constexpr int kWordLanes = kLanes<uint32_t>, kParts = kTileLanes / kWordLanes;

  [[gnu::always_inline]] Word counter(int part) const {
    Word lane;
    for (int l = 0; l < kWordLanes; ++l) lane[l] = static_cast<uint32_t>(part * kWordLanes + l);
    return lane + first_block_;
  }

  const ChaChaStream& stream_;
  uint32_t first_block_;
  Word block_[kParts][16];
};

/// The number of a tile's first block. Behind the last tile of kLongestNoise it is 0 again: nobody uses those words.
inline uint32_t first_block_of(int64_t tile) { return static_cast<uint32_t>(tile * kTileLanes); }

/// The words of the blocks `first_block` .. `first_block + 15`, without other work: as many lanes at once as registers
/// hold.
inline void tile_words(const ChaChaStream& stream, uint32_t first_block, TileWords& words) {
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

/// normals[row * 16 + lane] of a tile (noise_layout.h). First all radii, then all angles: a processor overlaps the
/// dependent operations of neighbours only where they are few.
inline void normals_of_words(const TileWords& words, double (&normals)[kTile]) {
  alignas(64) double radius[kTileRows / 2][kTileLanes];
  for (int pair = 0; pair < kTileRows / 2; ++pair)
    for (int l = 0; l < kTileLanes; ++l) radius[pair][l] = normal_radius(words[3 * pair][l], words[3 * pair + 1][l]);
  for (int pair = 0; pair < kTileRows / 2; ++pair) {
    double *n0 = normals + 2 * pair * kTileLanes, *n1 = n0 + kTileLanes;
    for (int l = 0; l < kTileLanes; ++l) {
      double cosine, sine;
      normals_at(radius[pair][l], words[3 * pair + 2][l], cosine, sine);
      n0[l] = cosine;
      n1[l] = sine;
    }
  }
}

inline void tile_normals(const ChaChaStream& stream, int64_t tile, double (&normals)[kTile]) {
  alignas(64) TileWords words;
  tile_words(stream, first_block_of(tile), words);
  normals_of_words(words, normals);
}

}  // namespace phantomgrad::cpu::PG_ISA
