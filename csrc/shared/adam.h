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

/// p -= step step_size m / (sqrt(v) / root_correction + eps), after m and v have taken in the gradient. Rounds once an
/// operation, in torch's order, so that float64 results equal torch's operator by operator. With a moment_floor the
/// root is that of max(v / (1 - beta2^t) - noise_variance, moment_floor), the variance being that of the gradient's
/// noise.
PG_HD void adam_step(const AdamConstants& c, double gradient, double step, double noise_variance, double& p, double& m,
                     double& v) {
  p = ieee::mul(p, ieee::add(1, -ieee::mul(step, c.shrink)));
  const double g = ieee::add(gradient, ieee::mul(c.decay_gradient, p));
  m = ieee::add(ieee::mul(c.beta1, m), ieee::mul(c.one_minus_beta1, g));
  v = ieee::add(ieee::mul(c.beta2, v), ieee::mul(ieee::mul(c.one_minus_beta2, g), g));
  double root;
  if (c.moment_floor > 0) {
    const double left = ieee::add(ieee::div(v, c.correction2), -noise_variance);
    root = ieee::sqrt(left > c.moment_floor ? left : c.moment_floor);
  } else {
    root = ieee::div(ieee::sqrt(v), c.root_correction);
  }
  p = ieee::add(p, -ieee::mul(step, ieee::div(ieee::mul(c.step_size, m), ieee::add(root, c.eps))));
}

}  // namespace phantomgrad
