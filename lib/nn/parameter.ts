// Trainable tensors, and the rule that gives any of them per-sample gradients.

import * as check from '../check';
import { bridge } from '../tensor/handles';
import { keep, noGrad, Tensor, torch } from '../tensor';

/** A leaf tensor that a {@link Module} finds and lists. It requires a gradient, and belongs to no scope. */
export class Parameter extends Tensor {
  /**
   * @param data Initial values, float32 or float64. The parameter shares their memory; the caller may dispose its own
   * handle.
   * @param options.requiresGrad False freezes it: it is saved and listed, but not trained.
   * @throws ERR_TORCH for integers
   */
  constructor(data: Tensor, options: { readonly requiresGrad?: boolean } = {}) {
    check.able('Parameter', { data }, 'detach', 'a tensor');
    check.onlyKnown('Parameter', options, ['requiresGrad']);
    // Kept, because the scope that owns the detached tensor would otherwise free the handle under the parameter.
    const own = noGrad(() => keep(data.detach()));
    super(bridge.tensorHandle(own)!);
    keep(this);
    if (options.requiresGrad ?? true) this.requiresGrad_();
  }
}

/**
 * One copy of `parameter` for every sample, `[samples, ...parameter.shape]`, so that operators without a per-sample
 * rule can
 * use it: the gradients of the copies are the per-sample gradients. Costs that much memory.
 *
 * @example x.mul(perSample(this.temperature, x.shape[0]))
 * @throws ERR_INVALID_ARGUMENT for a negative count
 */
export function perSample(parameter: Tensor, samples: number): Tensor {
  return torch.ops.phantomgrad.per_sample(parameter, samples);
}
