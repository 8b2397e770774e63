// Linear layers in the two layouts of checkpoints, and feed-forward networks, plain and gated.

import { Conv1D, Dropout, Linear, Module } from '../../nn';
import type { Tensor } from '../../tensor';
import { activate, type ActivationName } from './activations';
import type { Making } from './family';

/** A linear layer, whatever its layout, or what fine-tuning put in its place. */
export type LinearLayer = Module & { forward(x: Tensor): Tensor };

export interface LinearShape extends Making {
  /** GPT-2 stores its weights `[in, out]`. Default false. */
  readonly transposed?: boolean;
  /** Default true. */
  readonly bias?: boolean;
  /** Standard deviation of the initial weights. Default 0.02. */
  readonly std?: number;
}

/** @param shape May hold more: those of whole blocks are given as they are. */
export function linearLayer(inputs: number, outputs: number, shape: LinearShape): LinearLayer {
  const { transposed = false, init, dtype, bias = true, std = 0.02 } = shape;
  return new (transposed ? Conv1D : Linear)(inputs, outputs, { init, dtype, bias, std });
}

/** How a feed-forward network differs from layer to layer of one family. */
export interface FeedForwardShape extends LinearShape {
  /** Probability with which an inner value is dropped while training. Default 0. */
  readonly innerDropout?: number;
  /** Standard deviation of the initial weights of the last layer. Default: `std`. */
  readonly outStd?: number;
}

/** out(drop(activation(in(x)))). */
export class FeedForward extends Module {
  readonly in: LinearLayer;
  readonly out: LinearLayer;
  readonly drop: Dropout | null;
  readonly activation: ActivationName;

  constructor(dim: number, inner: number, activation: ActivationName, shape: FeedForwardShape) {
    super();
    this.in = linearLayer(dim, inner, shape);
    this.out = linearLayer(inner, dim, lastOf(shape));
    this.drop = innerDrop(shape);
    this.activation = activation;
  }

  forward(x: Tensor): Tensor {
    const inner = activate(this.activation, this.in.forward(x));
    return this.out.forward(this.drop === null ? inner : this.drop.forward(inner));
  }
}

/** down(drop(activation(gate(x)) ∘ up(x))): with silu, the SwiGLU of Shazeer 2020 (arXiv 2002.05202). */
export class GatedFeedForward extends Module {
  readonly gate: LinearLayer;
  readonly up: LinearLayer;
  readonly down: LinearLayer;
  readonly drop: Dropout | null;
  readonly activation: ActivationName;

  constructor(dim: number, inner: number, activation: ActivationName, shape: FeedForwardShape) {
    super();
    this.gate = linearLayer(dim, inner, shape);
    this.up = linearLayer(dim, inner, shape);
    this.down = linearLayer(inner, dim, lastOf(shape));
    this.drop = innerDrop(shape);
    this.activation = activation;
  }

  forward(x: Tensor): Tensor {
    const inner = activate(this.activation, this.gate.forward(x)).mul(this.up.forward(x));
    return this.down.forward(this.drop === null ? inner : this.drop.forward(inner));
  }
}

const lastOf = ({ outStd, ...shape }: FeedForwardShape): LinearShape =>
  outStd === undefined ? shape : { ...shape, std: outStd };

// None where nothing is dropped: a place of dropout more would change the masks of all that are made after it.
const innerDrop = ({ innerDropout = 0, init }: FeedForwardShape): Dropout | null =>
  innerDropout === 0 ? null : new Dropout(innerDropout, { init });
