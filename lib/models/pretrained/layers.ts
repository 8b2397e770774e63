// Linear layers in the two layouts of checkpoints, and feed-forward networks, plain and gated.

import { Conv1D, Linear, Module } from '../../nn';
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

export function linearLayer(
  inputs: number,
  outputs: number,
  { transposed = false, ...options }: LinearShape,
): LinearLayer {
  return new (transposed ? Conv1D : Linear)(inputs, outputs, { std: 0.02, ...options });
}

/** out(activation(in(x))). */
export class FeedForward extends Module {
  readonly in: LinearLayer;
  readonly out: LinearLayer;
  readonly activation: ActivationName;

  constructor(dim: number, inner: number, activation: ActivationName, shape: LinearShape) {
    super();
    this.in = linearLayer(dim, inner, shape);
    this.out = linearLayer(inner, dim, shape);
    this.activation = activation;
  }

  forward(x: Tensor): Tensor {
    return this.out.forward(activate(this.activation, this.in.forward(x)));
  }
}

/** down(activation(gate(x)) ∘ up(x)): with silu, the SwiGLU of Shazeer 2020 (arXiv 2002.05202). */
export class GatedFeedForward extends Module {
  readonly gate: LinearLayer;
  readonly up: LinearLayer;
  readonly down: LinearLayer;
  readonly activation: ActivationName;

  constructor(dim: number, inner: number, activation: ActivationName, shape: LinearShape) {
    super();
    this.gate = linearLayer(dim, inner, shape);
    this.up = linearLayer(dim, inner, shape);
    this.down = linearLayer(inner, dim, shape);
    this.activation = activation;
  }

  forward(x: Tensor): Tensor {
    return this.down.forward(activate(this.activation, this.gate.forward(x)).mul(this.up.forward(x)));
  }
}
