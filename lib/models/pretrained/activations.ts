// Activation functions by the names that configurations use.

import type { Tensor } from '../../tensor';
import type { ConfigReader } from './config';

const ACTIVATIONS = {
  gelu: (x: Tensor) => x.gelu(),
  /** The approximation by tanh. */
  gelu_new: (x: Tensor) => x.gelu({ approximate: 'tanh' }),
  gelu_pytorch_tanh: (x: Tensor) => x.gelu({ approximate: 'tanh' }),
  relu: (x: Tensor) => x.relu(),
  silu: (x: Tensor) => x.silu(),
  swish: (x: Tensor) => x.silu(),
  tanh: (x: Tensor) => x.tanh(),
} as const;

export type ActivationName = keyof typeof ACTIVATIONS;

/** The activation that a field of the configuration names. @throws ERR_MODEL_CONFIG that lists the known ones */
export function activationOf(config: ConfigReader, field: string, fallback: ActivationName): ActivationName {
  return config.oneOf(field, Object.keys(ACTIVATIONS) as ActivationName[], fallback);
}

export function activate(name: ActivationName, x: Tensor): Tensor {
  return ACTIVATIONS[name](x);
}
