// Layers one after another.

import * as check from '../check';
import type { Tensor } from '../tensor';
import { Module } from './module';

/** A module with one input and one output, or a function such as {@link gelu}. */
export type Layer = { forward(x: Tensor): Tensor } | ((x: Tensor) => Tensor);

/** `new Sequential(a, gelu, b).forward(x)` is b(gelu(a(x))). Paths of parameters use the position: «0.weight». @throws ERR_INVALID_ARGUMENT for what is no layer */
export class Sequential extends Module {
  readonly layers: readonly Layer[];

  constructor(...layers: readonly Layer[]) {
    super();
    layers.forEach((layer, k) => {
      if (typeof layer !== 'function')
        check.able('Sequential', { [`layer ${k}`]: layer }, 'forward', 'a layer or a function');
    });
    this.layers = layers;
  }

  protected override members(): Iterable<[string, unknown]> {
    return Object.entries(this.layers);
  }

  forward(x: Tensor): Tensor {
    let out = x;
    for (const layer of this.layers) out = typeof layer === 'function' ? layer(out) : layer.forward(out);
    return out;
  }
}
