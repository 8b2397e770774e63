// The discrete Gaussian by rejection from the discrete Laplace distribution, every coin an exact rational.
#include "cpu/discrete_gaussian.h"

#include <algorithm>

#include "cpu/noise.h"
#include "cpu/parallel.h"

namespace phantomgrad::cpu {
namespace {

using Wide = unsigned __int128;

constexpr int64_t kChunk = 4096;

/// The words of one key stream, in order.
class Coins {
 public:
  explicit Coins(const ChaChaStream& stream) : stream_(stream) {}

  /// Uniform on {0, ..., below - 1}: bits enough, and again while they are too large.
  Wide uniform(Wide below) {
    int bits = 0;
    for (Wide rest = below - 1; rest > 0; rest >>= 1) ++bits;
    for (;;) {
      Wide value = 0;
      for (int have = 0; have < bits; have += 32) value = (value << 32) | word();
      if (bits % 32 != 0) value >>= 32 - bits % 32;
      if (value < below) return value;
    }
  }

  /// True with probability exp(-f), f = numerator / denominator at most 1: coins of probability f / k are thrown for
  /// k = 1, 2, ... until the first miss, which comes at an odd k with probability 1 - f + f^2/2 - ... .
  bool bernoulli_exp_small(Wide numerator, Wide denominator) {
    uint32_t k = 1;
    while (uniform(denominator * k) < numerator) ++k;
    return k % 2 == 1;
  }

  /// The same for any fraction.
  bool bernoulli_exp(Wide numerator, Wide denominator) {
    for (Wide whole = numerator / denominator; whole > 0; --whole)
      if (!bernoulli_exp_small(1, 1)) return false;
    return bernoulli_exp_small(numerator % denominator, denominator);
  }

  /// With probability proportional to exp(-|x| / scale).
  int64_t discrete_laplace(int64_t scale) {
    for (;;) {
      const Wide remainder = uniform(static_cast<Wide>(scale));
      if (!bernoulli_exp_small(remainder, static_cast<Wide>(scale))) continue;
      int64_t whole = 0;
      while (bernoulli_exp_small(1, 1)) ++whole;
      const int64_t magnitude = static_cast<int64_t>(remainder) + scale * whole;
      const bool negative = uniform(2) == 1;
      if (negative && magnitude == 0) continue;
      return negative ? -magnitude : magnitude;
    }
  }

  int64_t discrete_gaussian(int64_t scale) {
    for (;;) {
      const int64_t draw = discrete_laplace(scale);
      // With Laplace's scale t = s the acceptance is exp(-(|x| - s)^2 / (2 s^2)).
      const Wide away = static_cast<Wide>(draw < 0 ? (-draw < scale ? scale + draw : -draw - scale)
                                                   : (draw < scale ? scale - draw : draw - scale));
      if (bernoulli_exp(away * away, static_cast<Wide>(2) * static_cast<Wide>(scale) * static_cast<Wide>(scale)))
        return draw;
    }
  }

 private:
  uint32_t word() {
    if (next_ == kWords) {
      // The counter does not come round: 4,096 values take some 100,000 of the 2^36 words, and a million times as many
      // with no probability that can be written down.
      words(stream_, block_, words_);
      block_ += 16;
      next_ = 0;
    }
    return words_[next_++];
  }

  static constexpr int kWords = 256;  // of sixteen blocks
  const ChaChaStream stream_;
  uint32_t words_[kWords];
  int next_ = kWords;
  uint32_t block_ = 0;
};

}  // namespace

void add_discrete_gaussian(const ChaChaStream& stream, int64_t scale, int64_t count, int64_t* values) {
  parallel_for(0, (count + kChunk - 1) / kChunk, 1, [&](int64_t first, int64_t last) {
    for (int64_t chunk = first; chunk < last; ++chunk) {
      ChaChaStream own = stream;
      own.nonce[2] = static_cast<uint32_t>(chunk + 1);
      Coins coins(own);
      const int64_t end = std::min(count, (chunk + 1) * kChunk);
      for (int64_t i = chunk * kChunk; i < end; ++i) {
        const int64_t draw = coins.discrete_gaussian(scale);
        if (__builtin_add_overflow(values[i], draw, &values[i])) values[i] = draw < 0 ? INT64_MIN : INT64_MAX;
      }
    }
  });
}

}  // namespace phantomgrad::cpu
