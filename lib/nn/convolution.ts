// Convolutions over one and two dimensions, with a per-sample rule.

import * as check from '../check';
import { raise } from '../errors';
import { type Tensor, torch, zeros } from '../tensor';
import { LAYER_OPTIONS, type LayerOptions, sharedInitializer } from './initializer';
import { Module } from './module';
import { Parameter } from './parameter';

/** One number for every spatial dimension, or one for each. */
export type Extent = number | readonly number[];

export interface ConvolutionOptions extends LayerOptions {
  /** Default 1. */
  readonly stride?: Extent;
  /** Zeros on both sides. Default 0. */
  readonly padding?: Extent;
  /** Distance of the places that the kernel reads. Default 1. */
  readonly dilation?: Extent;
  /** Channels are cut into so many groups that do not see each other; must divide both channel counts. Default 1. */
  readonly groups?: number;
  /** Default true; starts at zero. */
  readonly bias?: boolean;
  /** Standard deviation of the initial weights, which are normal. Default 1/√(weights of one output channel). */
  readonly std?: number;
}

const KNOWN = [
  ...LAYER_OPTIONS,
  'stride',
  'padding',
  'dilation',
  'groups',
  'bias',
  'std',
] as const satisfies readonly (keyof ConvolutionOptions)[];

abstract class Convolution extends Module {
  /** `[outChannels, inChannels / groups, ...kernelSize]`. */
  readonly weight: Parameter;
  /** `[outChannels]`. */
  readonly bias: Parameter | null;
  readonly stride: readonly number[];
  readonly padding: readonly number[];
  readonly dilation: readonly number[];
  readonly groups: number;

  protected constructor(
    private readonly operation: string,
    private readonly spatial: number,
    inChannels: number,
    outChannels: number,
    kernelSize: Extent,
    options: ConvolutionOptions,
  ) {
    super();
    check.onlyKnown(operation, options, KNOWN);
    const { stride = 1, padding = 0, dilation = 1, groups = 1, bias = true, dtype = 'float32' } = options;
    check.integer(operation, { inChannels }, 1);
    check.integer(operation, { outChannels }, 1);
    check.integer(operation, { groups }, 1);
    if (inChannels % groups !== 0 || outChannels % groups !== 0)
      raise(
        'ERR_INVALID_ARGUMENT',
        `${operation}: ${groups} groups do not divide ${inChannels} input and ${outChannels} output channels.`,
      );
    const shape = [outChannels, inChannels / groups, ...this.#extent({ kernelSize }, 1)];
    this.stride = this.#extent({ stride }, 1);
    this.padding = this.#extent({ padding }, 0);
    this.dilation = this.#extent({ dilation }, 1);
    this.groups = groups;
    const fanIn = shape.slice(1).reduce((product, size) => product * size, 1);
    const { init = sharedInitializer(), std = 1 / Math.sqrt(fanIn) } = options;
    this.weight = new Parameter(init.normal(shape, std, dtype));
    this.bias = bias ? new Parameter(zeros([outChannels], { dtype })) : null;
  }

  forward(x: Tensor): Tensor {
    if (x.shape.length !== this.spatial + 2) {
      const places = ['length', 'height, width'][this.spatial - 1] as string;
      raise(
        'ERR_INVALID_ARGUMENT',
        `${this.operation}: the input must be [B, channels, ${places}], got [${x.shape.join(', ')}].`,
      );
    }
    const { weight, bias, stride, padding, dilation, groups } = this;
    return torch.ops.phantomgrad.convolution(x, weight, bias, stride, padding, dilation, groups);
  }

  #extent(argument: Record<string, Extent>, least: number): number[] {
    const [[name, value]] = Object.entries(argument) as [[string, Extent]];
    if (typeof value !== 'number') check.list(this.operation, { [name]: value });
    const sizes = typeof value === 'number' ? Array.from({ length: this.spatial }, () => value) : [...value];
    for (const size of sizes) check.integer(this.operation, { [name]: size }, least);
    if (sizes.length !== this.spatial)
      raise(
        'ERR_INVALID_ARGUMENT',
        `${this.operation}: ${name} must have ${this.spatial} entries, got ${sizes.length}.`,
      );
    return sizes;
  }
}

/** Convolution over time, as `torch.nn.Conv1d` with zero padding: the dimensions are samples, channels, places. */
export class Conv1d extends Convolution {
  /** @throws ERR_INVALID_ARGUMENT */
  constructor(inChannels: number, outChannels: number, kernelSize: Extent, options: ConvolutionOptions = {}) {
    super('Conv1d', 1, inChannels, outChannels, kernelSize, options);
  }

  /**
   * @param x `[B, inChannels, length]`; inside a scope its first dimension counts the rows of the segments
   * @returns `[B, outChannels, ⌊(length + 2 padding − dilation (kernel − 1) − 1) / stride⌋ + 1]`
   * @throws ERR_INVALID_ARGUMENT, ERR_BATCH_DIMENSION
   */
  override forward(x: Tensor): Tensor {
    return super.forward(x);
  }
}

/**
 * Convolution over images, as `torch.nn.Conv2d` with zero padding. The patch embedding of a vision Transformer is
 * `conv.forward(image).flatten(2).transpose(1, 2)` with kernel and stride of the size of a patch.
 */
export class Conv2d extends Convolution {
  /** @throws ERR_INVALID_ARGUMENT */
  constructor(inChannels: number, outChannels: number, kernelSize: Extent, options: ConvolutionOptions = {}) {
    super('Conv2d', 2, inChannels, outChannels, kernelSize, options);
  }

  /**
   * @param x `[B, inChannels, height, width]`; inside a scope its first dimension counts the rows of the segments
   * @returns `[B, outChannels, …]`, each size as for {@link Conv1d}
   * @throws ERR_INVALID_ARGUMENT, ERR_BATCH_DIMENSION
   */
  override forward(x: Tensor): Tensor {
    return super.forward(x);
  }
}
