// Which elements dropout keeps: a hash of (seed, step, site, sample, element), so that batching cannot change it.
#pragma once

#include <cstdint>

#include "shared/host_device.h"

namespace phantomgrad {

/// Finaliser of splitmix64 (Steele, Lea, Flood 2014): a bijection of 64 bits with full avalanche.
PG_HD constexpr uint64_t mix64(uint64_t x) {
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9u;
  x ^= x >> 27;
  x *= 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

/// The stream of one sample at one place of the model in one step. What must not be known of a private run is `sample`,
/// a key under a secret (lib/privacy/record-keys.ts); of the hash, statistical quality is enough.
constexpr uint64_t dropout_stream(int64_t seed, int64_t step, int64_t site, int64_t sample) {
  uint64_t key = mix64(static_cast<uint64_t>(seed) + 0x9e3779b97f4a7c15u);
  key = mix64(key ^ (static_cast<uint64_t>(step) + 0x632be59bd9b4e019u));
  key = mix64(key ^ (static_cast<uint64_t>(site) + 0xd1342543de82ef95u));
  return mix64(key ^ (static_cast<uint64_t>(sample) + 0x2545f4914f6cdd1du));
}

/// An element is dropped when its 32 hash bits fall below this threshold.
inline uint32_t dropout_threshold(double rate) { return static_cast<uint32_t>(rate * 4294967296.0); }

PG_HD constexpr bool dropout_keeps(uint64_t stream, uint64_t element, uint32_t threshold) {
  return static_cast<uint32_t>(mix64(stream + element * 0x9e3779b97f4a7c15u) >> 32) >= threshold;
}

}  // namespace phantomgrad
