// Standard normals and key stream words, tile by tile. Twin: reference/noise.cc.
#include "cpu/noise.h"

#include "cpu/noise_tile.h"

namespace phantomgrad::cpu::PG_ISA {

void normals(const ChaChaStream& stream, int64_t first_tile, int64_t last_tile, int64_t count, double* out) {
  for (int64_t tile = first_tile; tile < last_tile; ++tile) {
    alignas(64) double row[kTile];
    tile_normals(stream, tile, row);
    const int64_t begin = tile * kTile, left = count - begin;
    memcpy(out + begin, row, static_cast<size_t>(left < kTile ? left : kTile) * sizeof(double));
  }
}

void words(const ChaChaStream& stream, uint32_t first_block, uint32_t* out) {
  alignas(64) TileWords rows;
  tile_words(stream, first_block, rows);
  for (int lane = 0; lane < kTileLanes; ++lane)
    for (int word = 0; word < 16; ++word) out[lane * 16 + word] = rows[word][lane];
}

}  // namespace phantomgrad::cpu::PG_ISA
