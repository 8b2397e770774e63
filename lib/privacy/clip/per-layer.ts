// One group a layer: its weight and its bias are clipped together.

import { type Grouping, withShares } from './grouping';

/**
 * Parameters with the same dotted path up to the last point are clipped together, each of the G layers to C_g = C / √G. A parameter
 * that several layers share belongs to the first of them, where `namedParameters` lists it.
 *
 * @example abadi({ maxGradNorm: 1, groups: perLayer() })
 * @see McMahan et al. 2018, «Learning Differentially Private Recurrent Language Models», section 3, per-layer clipping.
 */
export function perLayer(): Grouping {
  return Object.freeze({
    kind: 'perLayer',
    assign(names: readonly string[]) {
      const layers = names.map((name) => name.slice(0, Math.max(0, name.lastIndexOf('.'))));
      const distinct = [...new Set(layers)];
      return withShares(
        distinct.map((path) => ({ name: path === '' ? 'the model itself' : path, weight: 1 })),
        layers.map((path) => distinct.indexOf(path)),
      );
    },
  });
}
