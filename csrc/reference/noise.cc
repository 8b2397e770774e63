// Standard normals one at a time: Box & Muller 1958 with the C library's log, cos and sin.
#include "reference/noise.h"

#include <cmath>
#include <numbers>

#include "shared/noise_layout.h"

namespace phantomgrad::reference {

double normal(const ChaChaStream& stream, int64_t index) {
  const int64_t tile = index / kTile, row = index % kTile / kTileLanes, lane = index % kTileLanes;
  uint32_t block[16];
  chacha20_block<uint32_t>(stream, static_cast<uint32_t>(tile * kTileLanes + lane), block);
  const uint32_t *words = block + 3 * (row / 2), angle = words[2];
  const double u = std::ldexp(double(words[0]), -32) + std::ldexp(double(words[1]) + 1, -64);
  const double radius = std::sqrt(-2 * std::log(u));
  // 29 bits place the angle inside an octant; bit 29 mirrors at the diagonal, bits 31 and 30 at the axes.
  const double theta = (double(angle % (1u << 29)) + 0.5) / (1u << 29) * std::numbers::pi / 4;
  const bool mirrored = angle >> 29 & 1, wants_cosine = (row % 2 == 0) != mirrored;
  const bool negative = angle >> (row % 2 == 0 ? 31 : 30) & 1;
  return (negative ? -radius : radius) * (wants_cosine ? std::cos(theta) : std::sin(theta));
}

}  // namespace phantomgrad::reference
