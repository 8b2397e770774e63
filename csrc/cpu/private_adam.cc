// Spreads the private update over instruction sets and threads.
#include "cpu/private_adam.h"

#include <atomic>

#include "cpu/parallel.h"

namespace phantomgrad::cpu {
namespace {

constexpr int64_t kGrain = 64;  // tiles: about 10,000 parameters, 30 microseconds

int64_t tiles(int64_t count) { return (count + kTile - 1) / kTile; }

}  // namespace

template <class T>
int64_t private_adam(const AdamArena<T>& arena, const Release& release, const ArenaProfile& profile,
                     const ChaChaStream& stream, const AdamConstants& constants) {
  std::atomic<int64_t> not_finite{0};
  parallel_for(0, tiles(arena.count), kGrain, [&](int64_t first, int64_t last) {
    not_finite += PG_CALL((private_adam<T>), arena, release, profile, stream, constants, first, last);
  });
  return not_finite;
}

void privatise(const double* sum, double* out, int64_t count, const Release& release, const ArenaProfile& profile,
               const ChaChaStream& stream) {
  parallel_for(0, tiles(count), kGrain, [&](int64_t first, int64_t last) {
    PG_CALL((privatise), sum, out, count, release, profile, stream, first, last);
  });
}

template int64_t private_adam<float>(const AdamArena<float>&, const Release&, const ArenaProfile&, const ChaChaStream&,
                                     const AdamConstants&);
template int64_t private_adam<double>(const AdamArena<double>&, const Release&, const ArenaProfile&,
                                      const ChaChaStream&, const AdamConstants&);

}  // namespace phantomgrad::cpu
