// The ChaCha20 block function (RFC 8439, section 2.3), one block a lane.
#pragma once

#include "shared/host_device.h"

namespace phantomgrad {

/// Input of the block function without its counter: key (8 words) and nonce (3 words), little-endian.
struct ChaChaStream {
  uint32_t key[8];
  uint32_t nonce[3];
};

template <class Word>
PG_HD Word rotate_left(Word x, int bits) {
  return (x << bits) | (x >> (32 - bits));
}

template <class Word>
PG_HD void quarter_round(Word& a, Word& b, Word& c, Word& d) {
  a += b, d ^= a, d = rotate_left(d, 16);
  c += d, b ^= c, b = rotate_left(b, 12);
  a += b, d ^= a, d = rotate_left(d, 8);
  c += d, b ^= c, b = rotate_left(b, 7);
}

/// Input of the block function: constants, key, counter, nonce. `Word` is uint32_t, or a vector of them: then lane l
/// holds the block of counter[l].
template <class Word>
PG_HD void chacha20_input(const ChaChaStream& stream, Word counter, Word (&input)[16]) {
  const uint32_t words[16] = {0x61707865,      0x3320646e,      0x79622d32,
                              0x6b206574,  // "expand 32-byte k"
                              stream.key[0],   stream.key[1],   stream.key[2],
                              stream.key[3],   stream.key[4],   stream.key[5],
                              stream.key[6],   stream.key[7],   0,
                              stream.nonce[0], stream.nonce[1], stream.nonce[2]};
  const Word zero = {};
  for (int i = 0; i < 16; ++i) input[i] = zero + words[i];
  input[12] = counter;
}

/// A column round and a diagonal round; the block function has ten.
template <class Word>
PG_HD void chacha20_double_round(Word (&block)[16]) {
  quarter_round(block[0], block[4], block[8], block[12]);
  quarter_round(block[1], block[5], block[9], block[13]);
  quarter_round(block[2], block[6], block[10], block[14]);
  quarter_round(block[3], block[7], block[11], block[15]);
  quarter_round(block[0], block[5], block[10], block[15]);
  quarter_round(block[1], block[6], block[11], block[12]);
  quarter_round(block[2], block[7], block[8], block[13]);
  quarter_round(block[3], block[4], block[9], block[14]);
}

/// block[0..15] = the 16 words of the key stream at `counter`.
template <class Word>
PG_HD void chacha20_block(const ChaChaStream& stream, Word counter, Word (&block)[16]) {
  chacha20_input(stream, counter, block);
  for (int round = 0; round < 20; round += 2) chacha20_double_round(block);
  Word input[16];
  chacha20_input(stream, counter, input);
  for (int i = 0; i < 16; ++i) block[i] += input[i];
}

}  // namespace phantomgrad
