// A frozen linear layer plus a trained product of two thin matrices (Hu et al. 2021, arXiv 2106.09685).

import * as check from '../check';
import { raise } from '../errors';
import { noGrad, type Tensor, torch, zeros } from '../tensor';
import { Conv1D } from './conv1d-linear';
import { type Initializer, type ParameterType, sharedInitializer } from './initializer';
import type { Linear } from './linear';
import { Module } from './module';
import { Parameter } from './parameter';

export interface LoRAOptions {
  /** Width of the thin matrices. */
  readonly rank: number;
  /** The product counts alpha / rank. Default: rank, so that it counts 1. */
  readonly alpha?: number;
  /** Where the initial A comes from, see {@link LoRALinear}. */
  readonly init?: Initializer;
}

/**
 * `y = base(x) + (alpha / rank) B A x`. The parameters of `base` are frozen; at the start B is 0, and the layer is the base.
 *
 * Existing paths of parameters stay: «weight» and «bias» are the base's, «loraA» and «loraB» are new.
 */
export class LoRALinear extends Module {
  /** `[rank, in]`, starts normal with standard deviation 1/√in. */
  readonly loraA: Parameter;
  /** `[out, rank]`, starts at 0. */
  readonly loraB: Parameter;
  readonly base: Linear | Conv1D;
  /** alpha / rank. */
  readonly scale: number;

  /**
   * @param options.share Trains the A and B of this layer, which has the same widths and rank, instead of ones of its own.
   * @throws ERR_INVALID_ARGUMENT
   */
  constructor(base: Linear | Conv1D, options: LoRAOptions & { readonly share?: LoRALinear }) {
    super();
    check.onlyKnown('LoRALinear', options, ['rank', 'alpha', 'init', 'share']);
    const { rank, alpha = rank, init = sharedInitializer(), share } = options;
    check.integer('LoRALinear', { rank }, 1);
    check.positive('LoRALinear', { alpha });
    const [outputs, inputs] = widths(base);
    if (share !== undefined) checkShared(share, rank, inputs, outputs);
    const dtype = base.weight.dtype as ParameterType;
    this.loraA = share?.loraA ?? new Parameter(init.normal([rank, inputs], 1 / Math.sqrt(inputs), dtype));
    this.loraB = share?.loraB ?? new Parameter(zeros([outputs, rank], { dtype }));
    this.base = base;
    this.scale = alpha / rank;
    for (const parameter of base.parameters()) parameter.requiresGrad_(false);
  }

  protected override members(): Iterable<[string, unknown]> {
    return Object.entries({
      weight: this.base.weight,
      bias: this.base.bias,
      loraA: this.loraA,
      loraB: this.loraB,
    });
  }

  /** @param x `[..., in]` @returns `[..., out]` */
  forward(x: Tensor): Tensor {
    const { phantomgrad } = torch.ops;
    const change = phantomgrad.linear(phantomgrad.linear(x, this.loraA), this.loraB);
    return this.base.forward(x).add(change.mul(this.scale));
  }

  /** The weight that does the same alone, in the layout of the base. A new tensor, without gradient. */
  merge(): Tensor {
    return noGrad(() => {
      const change = this.loraB.matmul(this.loraA).mul(this.scale);
      return this.base.weight.add(this.base instanceof Conv1D ? change.t() : change);
    });
  }
}

/** `[out, in]`. */
export function widths(layer: Linear | Conv1D): [number, number] {
  const [first, second] = layer.weight.shape as [number, number];
  return layer instanceof Conv1D ? [second, first] : [first, second];
}

function checkShared({ loraA, loraB }: LoRALinear, rank: number, inputs: number, outputs: number): void {
  const [a, b] = [loraA.shape.join(', '), loraB.shape.join(', ')];
  if (a === `${rank}, ${inputs}` && b === `${outputs}, ${rank}`) return;
  raise(
    'ERR_INVALID_ARGUMENT',
    `LoRALinear: shared matrices must be [${rank}, ${inputs}] and [${outputs}, ${rank}], got [${a}] and [${b}].`,
  );
}
