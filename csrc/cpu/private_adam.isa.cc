// The private update, one tile of 160 parameters at a time: noise, grid, divisor, Adam. Twin:
// reference/private_adam.cc.
#include "cpu/private_adam.h"

#include "cpu/noise_tile.h"

namespace phantomgrad::cpu::PG_ISA {
namespace {

// The profile, spread over one tile.
struct TileProfile {
  alignas(64) double scale[kTile], step[kTile];

  TileProfile() {
    for (int i = 0; i < kTile; ++i) scale[i] = step[i] = 1;
  }

  void load(const ArenaProfile& profile, int64_t begin, int count) {
    if (profile.runs == 0) return;
    int64_t run = run_of(profile, begin);
    for (int i = 0; i < count;) {
      const int64_t left = profile.ends[run] - begin;
      const int end = static_cast<int>(left < count ? left : count);
      for (; i < end; ++i) {
        scale[i] = profile.scale[run];
        step[i] = profile.step[run];
      }
      ++run;
    }
  }
};

// The gradient of one parameter, `Noise` being whether release.noise_std is above 0.
template <bool Noise>
[[gnu::always_inline]] inline double gradient_of(const Release& release, double scale, double sum, double normal) {
  return Noise ? released(release, scale, sum, normal) : released_without_noise(release, scale, sum);
}

// What a tile of the update reads and writes: the arena itself, or copies where the arena ends inside the tile.
template <class T>
struct Tile {
  T *parameters, *exp_avg, *exp_avg_sq;
  double* sum;
};

template <class T>
class CutTile {
 public:
  Tile<T> copy_of(Tile<T> arena, int count) {
    memset(this, 0, sizeof *this);
    const Tile<T> own{parameters_, exp_avg_, exp_avg_sq_, sum_};
    copy(own, arena, static_cast<size_t>(count));
    return own;
  }

  void write_back(Tile<T> arena, int count) {
    copy(arena, {parameters_, exp_avg_, exp_avg_sq_, sum_}, static_cast<size_t>(count));
  }

 private:
  static void copy(Tile<T> to, Tile<T> from, size_t count) {
    memcpy(to.parameters, from.parameters, count * sizeof(T));
    memcpy(to.exp_avg, from.exp_avg, count * sizeof(T));
    memcpy(to.exp_avg_sq, from.exp_avg_sq, count * sizeof(T));
    memcpy(to.sum, from.sum, count * sizeof(double));
  }

  alignas(64) T parameters_[kTile], exp_avg_[kTile], exp_avg_sq_[kTile];
  alignas(64) double sum_[kTile];
};

// Between the halves of Adam's step: in double, where the arena's moments are rounded to T.
struct Halfway {
  alignas(64) double m[kTile], root[kTile];
};

// Rows are updated two at a time: fewer lanes, and compilers unroll the loop before they vectorise it.
constexpr int kBand = 2 * kTileLanes;

// In double whatever the parameters' type is: the moments lose one rounding a step, the arithmetic none.
template <bool Noise, bool Profiled, class T>
[[gnu::always_inline]] inline void first_half(const AdamConstants& c, const Release& release,
                                              const TileProfile& profile, const double* __restrict normals,
                                              const Tile<T>& tile, int at, Halfway& halfway) {
  const double* __restrict scale = profile.scale + at, * __restrict step = profile.step + at;
  const T* __restrict parameters = tile.parameters + at;
  T* __restrict exp_avg = tile.exp_avg + at, * __restrict exp_avg_sq = tile.exp_avg_sq + at;
  double* __restrict sum = tile.sum + at, * __restrict kept = halfway.m + at, * __restrict root = halfway.root + at;
#pragma GCC ivdep
  for (int i = 0; i < kBand; ++i) {
    const double own = Profiled ? scale[i] : 1.0;
    const double gradient = gradient_of<Noise>(release, own, sum[i], normals[at + i]);
    const double noise = Profiled ? released_variance(release, own) : 0, p = static_cast<double>(parameters[i]);
    double m = static_cast<double>(exp_avg[i]), v = static_cast<double>(exp_avg_sq[i]);
    root[i] = adam_moments(c, gradient, Profiled ? step[i] : 1, noise, p, m, v);
    kept[i] = m;
    exp_avg[i] = static_cast<T>(m);
    exp_avg_sq[i] = static_cast<T>(v);
    sum[i] = 0;
  }
}

template <bool Profiled, class T>
[[gnu::always_inline]] inline void second_half(const AdamConstants& c, const TileProfile& profile, const Tile<T>& tile,
                                               int at, const Halfway& halfway) {
  const double* __restrict step = profile.step + at;
  const double* __restrict m = halfway.m + at;
  const double* __restrict root = halfway.root + at;
  T* __restrict parameters = tile.parameters + at;
#pragma GCC ivdep
  for (int i = 0; i < kBand; ++i) {
    const double p = static_cast<double>(parameters[i]);
    parameters[i] = static_cast<T>(adam_moved(c, Profiled ? step[i] : 1, m[i], root[i], p));
  }
}

// x - x is 0 for every finite x. The stored value counts: a float may overflow where the double does not.
template <class T>
int not_finite(const T* x, int count) {
  int found = 0;
  for (int i = 0; i < count; ++i) found += x[i] - x[i] == 0 ? 0 : 1;
  return found;
}

int in_tile(int64_t count, int64_t tile) {
  const int64_t left = count - tile * kTile;
  return static_cast<int>(left < kTile ? left : kTile);
}

// Adam waits for divisions and square roots, the key stream for nothing but integer operations: so the next tile's key
// stream is computed between the bands of this tile's update. Without `Profiled` all scales and steps are 1 and no
// noise is taken out of the second moment; the compiler then drops that arithmetic.
template <bool Noise, bool Profiled, class T>
int64_t update(const AdamArena<T>& arena, const Release& asked, const ArenaProfile& profile, const ChaChaStream& stream,
               const AdamConstants& constants, int64_t first_tile, int64_t last_tile) {
  static_assert(kTile == 5 * kBand, "five double rounds go with each half");
  // Copies: no store into the arena can change them, so their values stay in registers.
  const Release release = asked;
  AdamConstants c = constants;
  if (!Profiled) c.moment_floor = 0;
  TileProfile own;
  Halfway halfway;
  CutTile<T> cut;
  alignas(64) TileWords words;
  alignas(64) double normals[kTile] = {};
  if (Noise) tile_words(stream, first_block_of(first_tile), words);
  int64_t found = 0;
  for (int64_t index = first_tile; index < last_tile; ++index) {
    const int64_t begin = index * kTile;
    const int count = in_tile(arena.count, index);
    const Tile<T> there{arena.parameters + begin, arena.exp_avg + begin, arena.exp_avg_sq + begin, arena.sum + begin};
    const Tile<T> tile = count == kTile ? there : cut.copy_of(there, count);
    if (Profiled) own.load(profile, begin, count);
    if (Noise) normals_of_words(words, normals);
    TileStream next(stream, first_block_of(index + 1));
    for (int at = 0; at < kTile; at += kBand) {
      if (Noise) next.double_round();
      first_half<Noise, Profiled>(c, release, own, normals, tile, at, halfway);
    }
    for (int at = 0; at < kTile; at += kBand) {
      if (Noise) next.double_round();
      second_half<Profiled>(c, own, tile, at, halfway);
    }
    if (Noise) next.finish(words);
    found += count == kTile ? not_finite(tile.parameters, kTile) : not_finite(tile.parameters, count);
    if (count < kTile) cut.write_back(there, count);
  }
  return found;
}

template <bool Noise>
void privatise_tiles(const double* sum, double* out, int64_t count, const Release& release, const ArenaProfile& profile,
                     const ChaChaStream& stream, int64_t first_tile, int64_t last_tile) {
  TileProfile own;
  alignas(64) double normals[kTile] = {};
  for (int64_t tile = first_tile; tile < last_tile; ++tile) {
    const int64_t begin = tile * kTile;
    const int here = in_tile(count, tile);
    own.load(profile, begin, here);
    if (Noise) tile_normals(stream, tile, normals);
    for (int i = 0; i < here; ++i)
      out[begin + i] = gradient_of<Noise>(release, own.scale[i], sum[begin + i], normals[i]);
  }
}

}  // namespace

template <class T>
int64_t private_adam(const AdamArena<T>& arena, const Release& release, const ArenaProfile& profile,
                     const ChaChaStream& stream, const AdamConstants& constants, int64_t first_tile,
                     int64_t last_tile) {
  const bool profiled = profile.runs > 0 || constants.moment_floor > 0;
  const auto chosen = release.noise_std == 0 ? (profiled ? update<false, true, T> : update<false, false, T>)
                                             : (profiled ? update<true, true, T> : update<true, false, T>);
  return chosen(arena, release, profile, stream, constants, first_tile, last_tile);
}

void privatise(const double* sum, double* out, int64_t count, const Release& release, const ArenaProfile& profile,
               const ChaChaStream& stream, int64_t first_tile, int64_t last_tile) {
  const auto chosen = release.noise_std == 0 ? privatise_tiles<false> : privatise_tiles<true>;
  chosen(sum, out, count, release, profile, stream, first_tile, last_tile);
}

template int64_t private_adam<float>(const AdamArena<float>&, const Release&, const ArenaProfile&, const ChaChaStream&,
                                     const AdamConstants&, int64_t, int64_t);
template int64_t private_adam<double>(const AdamArena<double>&, const Release&, const ArenaProfile&,
                                      const ChaChaStream&, const AdamConstants&, int64_t, int64_t);

}  // namespace phantomgrad::cpu::PG_ISA
