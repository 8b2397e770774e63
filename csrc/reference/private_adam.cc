// The private Adam step, one parameter at a time: sum, noise, grid, divisor, then torch.optim.Adam's formula.
#include "reference/private_adam.h"

#include <cmath>

#include "reference/noise.h"

namespace phantomgrad::reference {

template <class T>
int64_t private_adam(const PrivateAdam& s, const ArenaProfile& profile, const ChaChaStream& stream, int64_t count,
                     T* parameters, T* exp_avg, T* exp_avg_sq, double* sum) {
  const double correction1 = 1 - std::pow(s.beta1, double(s.step)), correction2 = 1 - std::pow(s.beta2, double(s.step));
  int64_t not_finite = 0;
  for (int64_t i = 0, run = 0; i < count; ++i) {
    if (profile.runs > 0 && i == profile.ends[run]) ++run;
    const double scale = profile.runs > 0 ? profile.scale[run] : 1, length = profile.runs > 0 ? profile.step[run] : 1;
    double released = sum[i];
    if (s.noise_std > 0) released = s.grid * std::nearbyint((sum[i] + s.noise_std * normal(stream, i)) / s.grid);
    sum[i] = 0;
    double g = released / (s.divisor * scale), p = double(parameters[i]), m = double(exp_avg[i]),
           v = double(exp_avg_sq[i]);
    if (s.decoupled)
      p *= 1 - length * (s.lr * s.weight_decay);
    else
      g += s.weight_decay * p;
    m = s.beta1 * m + (1 - s.beta1) * g;
    v = s.beta2 * v + (1 - s.beta2) * g * g;
    double root = std::sqrt(v) / std::sqrt(correction2);
    if (s.moment_floor > 0) {
      const double noise = s.noise_std / (s.divisor * scale), left = v / correction2 - noise * noise;
      root = std::sqrt(left > s.moment_floor ? left : s.moment_floor);
    }
    p -= length * (s.lr / correction1 * m / (root + s.eps));
    exp_avg[i] = T(m), exp_avg_sq[i] = T(v), parameters[i] = T(p);
    if (!std::isfinite(parameters[i])) ++not_finite;
  }
  return not_finite;
}

template int64_t private_adam<float>(const PrivateAdam&, const ArenaProfile&, const ChaChaStream&, int64_t, float*,
                                     float*, float*, double*);
template int64_t private_adam<double>(const PrivateAdam&, const ArenaProfile&, const ChaChaStream&, int64_t, double*,
                                      double*, double*, double*);

}  // namespace phantomgrad::reference
