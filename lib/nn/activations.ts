// Activation functions: they have no parameters and act on every element alone.

import * as check from '../check';
import type { Tensor } from '../tensor';

/** x Φ(x), the exact form (Hendrycks and Gimpel 2016). */
export function gelu(x: Tensor): Tensor {
  check.able('gelu', { x }, 'gelu', 'a tensor');
  return x.gelu();
}

/** max(x, 0). */
export function relu(x: Tensor): Tensor {
  check.able('relu', { x }, 'relu', 'a tensor');
  return x.relu();
}

/** Names of activations, as models take them. */
export const ACTIVATIONS = { relu, gelu } as const;

export type Activation = keyof typeof ACTIVATIONS;
