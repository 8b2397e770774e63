// What encoders of texts have in common: one layer and a head on the first row, and the fields that name them.

import { Dropout, Module } from '../../nn';
import type { Tensor } from '../../tensor';
import { activate, type ActivationName } from '../pretrained/activations';
import type { ConfigReader } from '../pretrained/config';
import type { Making } from '../pretrained/family';
import { linearLayer, type LinearLayer } from '../pretrained/layers';

export interface PooledHeadShape extends Making {
  /** The layer before the head, perhaps one of the backbone. */
  readonly dense: LinearLayer;
  readonly dim: number;
  readonly labels: number;
  readonly activation: ActivationName;
  /** Probabilities of dropout before and after the layer. */
  readonly before: number;
  readonly after: number;
  readonly std: number;
}

/** out(drop(activation(dense(drop(x))))). */
export class PooledHead extends Module {
  readonly before: Dropout;
  readonly dense: LinearLayer;
  readonly after: Dropout;
  readonly out: LinearLayer;
  readonly activation: ActivationName;

  constructor({ dense, dim, labels, activation, before, after, ...making }: PooledHeadShape) {
    super();
    this.before = new Dropout(before, { init: making.init });
    this.dense = dense;
    this.after = new Dropout(after, { init: making.init });
    this.out = linearLayer(dim, labels, making);
    this.activation = activation;
  }

  /** @param first `[B, dim]` @returns `[B, labels]` */
  forward(first: Tensor): Tensor {
    const pooled = activate(this.activation, this.dense.forward(this.before.forward(first)));
    return this.out.forward(this.after.forward(pooled));
  }
}

/** `classifier_dropout`, and where it is null that of the other layers. */
export function classifierDropout(config: ConfigReader): number {
  return config.probability('classifier_dropout', config.probability('hidden_dropout_prob', 0.1));
}

/** @throws ERR_MODEL_CONFIG for a width that the heads do not divide */
export function headsOf(config: ConfigReader, dim: number, field: string, fallback: number): number {
  const heads = config.integer(field, fallback);
  return dim % heads === 0 ? heads : config.refuse(`${field} = ${heads} does not divide the width ${dim}`);
}

/** Refuses what makes an encoder a decoder, and positions that are not a table. */
export function plainEncoder(config: ConfigReader): void {
  config.only('is_decoder', false);
  config.only('add_cross_attention', false);
  config.only('position_embedding_type', 'absolute');
}
