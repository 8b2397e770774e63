// One parameter's step of Adam (Kingma & Ba 2015, Algorithm 1) as torch.optim.Adam and AdamW compute it, in double; on
// request with the noise taken out of the second moment (Tang et al. 2024, DP-AdamBC).
#pragma once

#include "shared/host_device.h"

namespace phantomgrad {

struct AdamConstants {
  double beta1, beta2, eps;
  double one_minus_beta1, one_minus_beta2;
  double step_size;        // lr / (1 - beta1^t)
  double root_correction;  // sqrt(1 - beta2^t)
  double correction2;      // 1 - beta2^t
  double decay_gradient;   // coupled weight decay (L2): added to the gradient as decay * parameter
  double shrink;           // decoupled weight decay (AdamW), lr * decay: the parameter is multiplied by 1 - step shrink
  double moment_floor;     // DP-AdamBC: what is left of the second moment is at least this. 0: nothing is taken out
};

// The step is p -= step step_size m / (sqrt(v) / root_correction + eps), after m and v have taken in the gradient. It
// rounds once an operation, in torch's order, so that float64 results equal torch's operator by operator. It comes in
// two halves, each with one slow chain of divisions: a processor overlaps neighbours' halves, not their whole chains.

PG_HD double adam_shrunk(const AdamConstants& c, double step, double p) {
  return ieee::mul(p, ieee::add(1, -ieee::mul(step, c.shrink)));
}

/// First half: m and v take in the gradient. Gives sqrt(v), or with a moment_floor the root of max(v / (1 - beta2^t) -
/// noise_variance, moment_floor), the variance being that of the gradient's noise.
PG_HD double adam_moments(const AdamConstants& c, double gradient, double step, double noise_variance, double p,
                          double& m, double& v) {
  const double g = ieee::add(gradient, ieee::mul(c.decay_gradient, adam_shrunk(c, step, p)));
  m = ieee::add(ieee::mul(c.beta1, m), ieee::mul(c.one_minus_beta1, g));
  v = ieee::add(ieee::mul(c.beta2, v), ieee::mul(ieee::mul(c.one_minus_beta2, g), g));
  if (!(c.moment_floor > 0)) return ieee::sqrt(v);
  const double left = ieee::add(ieee::div(v, c.correction2), -noise_variance);
  return ieee::sqrt(left > c.moment_floor ? left : c.moment_floor);
}

/// Second half: the new parameter, from the m and the root of the first half.
PG_HD double adam_moved(const AdamConstants& c, double step, double m, double root, double p) {
  const double corrected = c.moment_floor > 0 ? root : ieee::div(root, c.root_correction);
  const double move = ieee::div(ieee::mul(c.step_size, m), ieee::add(corrected, c.eps));
  return ieee::add(adam_shrunk(c, step, p), -ieee::mul(step, move));
}

}  // namespace phantomgrad
