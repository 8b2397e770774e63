// From certified bounds of parameters to clip factors, without asking the host. Rules: lib/privacy/clip.
//
// A factor is rounded down: factor * bound (1 + slack) never exceeds the group's threshold by a rounding. A sample with
// a bound that is not finite gets 0 in every group and is counted; nothing about it is told to the others.
#pragma once

#include "cuda/block.h"

namespace phantomgrad::cuda {

enum class ClipRule { abadi, automatic, normalize, psac, global };

/// C / n as the rule reads it; `setting` is gamma (automatic), r (psac) or the cutoff Z (global).
PG_HD double clip_factor(ClipRule rule, double threshold, double setting, double n) {
  // Smaller bounds have lost digits. A larger one is a bound too.
  if (n > 0 && n < 0x1p-960) n = 0x1p-960;
  double factor = 0;
  if (rule == ClipRule::abadi) {
    factor = ieee::div(threshold, n);
    if (factor >= 1) return 1;
  } else if (rule == ClipRule::automatic) {
    factor = ieee::div(threshold, ieee::add(n, setting));
  } else if (rule == ClipRule::normalize) {
    factor = n == 0 ? 0 : ieee::div(threshold, n);
  } else if (rule == ClipRule::psac) {
    factor = ieee::div(threshold, ieee::add(n, ieee::div(setting, ieee::add(n, setting))));
  } else {
    factor = n <= setting ? ieee::div(threshold, setting) : 0;
  }
  factor = ieee::mul(factor, 1 - 0x1p-51);
  // Too large to be a number: a gradient of no consequence. Below the normal numbers: digits are lost. Both count as 0.
  return factor - factor == 0 && factor >= 0x1p-1022 ? factor : 0;
}

struct ClipFactors {
  static constexpr int kThreads = 128;
  static constexpr int64_t kShared = kThreads * sizeof(int);

  struct Params {
    const double* bounds;     // [P, B] of each parameter
    const int64_t* group_of;  // [P]
    const double* shares;     // [G] C_g / C
    int64_t parameters, groups, samples;
    ClipRule rule;
    double threshold, setting, slack;
    double* factors;   // [G, B]
    int64_t* dropped;  // [blocks] samples of the block that are not finite
  };

  static int64_t blocks(int64_t samples) { return ceil_div(samples, kThreads); }

  template <class Block>
  PG_TILE static void run(Block& block, const Params& p) {
    int* dropped = block.template shared<int>();
    block.phase([&](int thread) {
      const int64_t b = block.index() * kThreads + thread;
      dropped[thread] = 0;
      if (b >= p.samples) return;
      bool finite = true;
      for (int64_t g = 0; g < p.groups; ++g) {
        // Divided by the largest, no square overflows or vanishes. Written so that a NaN is kept.
        double most = 0, square = 0;
        for (int64_t i = 0; i < p.parameters; ++i)
          if (p.group_of[i] == g && !(p.bounds[i * p.samples + b] <= most)) most = p.bounds[i * p.samples + b];
        for (int64_t i = 0; i < p.parameters && most > 0; ++i) {
          const double part = p.group_of[i] == g ? ieee::div(p.bounds[i * p.samples + b], most) : 0;
          square += part * part;
        }
        // The roundings of squares, sum and root, as in the book of the core.
        const double bound = most == 0 ? 0 : most * ieee::sqrt(square) * (1 + 0x1p-45) * (1 + p.slack);
        finite = finite && bound - bound == 0;
        p.factors[g * p.samples + b] = clip_factor(p.rule, p.shares[g] * p.threshold, p.setting, bound);
      }
      if (finite) return;
      dropped[thread] = 1;
      for (int64_t g = 0; g < p.groups; ++g) p.factors[g * p.samples + b] = 0;
    });
    block.phase([&](int thread) {
      if (thread != 0) return;
      int64_t total = 0;
      for (int i = 0; i < kThreads; ++i) total += dropped[i];
      p.dropped[block.index()] = total;
    });
  }
};

}  // namespace phantomgrad::cuda
