// The only road from a Tensor or a Generator to its handle and back. The classes fill it in, so that calls import
// neither.

import type { Handle } from './native';
import type { Tensor } from './tensor';

interface Bridge {
  /** The handle of a tensor; undefined for anything else. */
  tensorHandle(value: object): Handle | undefined;
  /** The handle of a random number generator; undefined for anything else. */
  generatorHandle(value: object): Handle | undefined;
  /** A new tensor object over a handle, owned by the innermost open scope. */
  toTensor(handle: Handle): Tensor;
}

export const bridge: Bridge = {
  tensorHandle: () => undefined,
  generatorHandle: () => undefined,
  toTensor: () => {
    throw new Error('lib/tensor/tensor.ts has not been loaded');
  },
};
