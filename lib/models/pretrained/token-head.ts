// The head of a masked language model: one layer more before hidden rows meet the word table, and a bias for every word.

import { LayerNorm, Module, Parameter } from '../../nn';
import { type Tensor, zeros } from '../../tensor';
import { activate, type ActivationName } from './activations';
import type { Making } from './family';
import { linearLayer, type LinearLayer } from './layers';
import type { TextBackbone } from './text-backbone';

export interface TokenHeadShape extends Making {
  readonly activation: ActivationName;
  readonly eps: number;
  readonly std: number;
}

/** norm(activation(dense(x))), and a bias for every word; the table is that of the words. */
export class TokenHead extends Module {
  readonly dense: LinearLayer;
  readonly norm: LayerNorm;
  /** `[vocabulary]`. */
  readonly bias: Parameter;
  readonly activation: ActivationName;

  constructor({ dim, words }: TextBackbone, { activation, eps, std, init, dtype }: TokenHeadShape) {
    super();
    const [vocabulary, width] = words.weight.shape as [number, number];
    this.dense = linearLayer(dim, width, { init, dtype, std });
    this.norm = new LayerNorm(width, { eps, dtype });
    this.bias = new Parameter(zeros([vocabulary], { dtype }));
    this.activation = activation;
  }

  /** @param hidden `[N, dim]` @returns `[N, width of the words]` */
  forward(hidden: Tensor): Tensor {
    return this.norm.forward(activate(this.activation, this.dense.forward(hidden)));
  }
}
