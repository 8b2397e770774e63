// One parameter's step of Adam (Kingma & Ba 2015, Algorithm 1) as torch.optim.Adam and AdamW compute it, in double.
#pragma once

#include "shared/host_device.h"

namespace phantomgrad {

struct AdamConstants {
  double beta1, beta2, eps;
  double one_minus_beta1, one_minus_beta2;
  double step_size;        // lr / (1 - beta1^t)
  double root_correction;  // sqrt(1 - beta2^t)
  double decay_gradient;   // coupled weight decay (L2): added to the gradient as decay * parameter
  double keep_parameter;   // decoupled weight decay (AdamW): the parameter is multiplied by 1 - lr * decay
};

/// p -= step_size m / (sqrt(v) / root_correction + eps), after m and v have taken in the gradient. Rounds once an
/// operation, in torch's order, so that float64 results equal torch's operator by operator.
PG_HD void adam_step(const AdamConstants& c, double gradient, double& p, double& m, double& v) {
  p = ieee::mul(p, c.keep_parameter);
  const double g = ieee::add(gradient, ieee::mul(c.decay_gradient, p));
  m = ieee::add(ieee::mul(c.beta1, m), ieee::mul(c.one_minus_beta1, g));
  v = ieee::add(ieee::mul(c.beta2, v), ieee::mul(ieee::mul(c.one_minus_beta2, g), g));
  const double denominator = ieee::add(ieee::div(ieee::sqrt(v), c.root_correction), c.eps);
  p = ieee::add(p, -ieee::div(ieee::mul(c.step_size, m), denominator));
}

}  // namespace phantomgrad
