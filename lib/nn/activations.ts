// Activation functions: they have no parameters and act on every element alone.

import type { Tensor } from '../tensor';

/** x Φ(x), the exact form (Hendrycks and Gimpel 2016). */
export function gelu(x: Tensor): Tensor {
  return x.gelu();
}

/** max(x, 0). */
export function relu(x: Tensor): Tensor {
  return x.relu();
}

/** Names of activations, as models take them. */
export const ACTIVATIONS = { relu, gelu } as const;

export type Activation = keyof typeof ACTIVATIONS;
