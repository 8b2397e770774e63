// What a private update needs beside the optimizer's own numbers: the flat arena, the noise and the public divisor.

import * as check from '../check';
import { type Tensor, torch, zeros } from '../tensor';

const { aten } = torch.ops;

/** The flat memory of all trained parameters and of the clipped gradients that were summed for them. */
export interface PrivateArena {
  /** `[n]`, float32 or float64; the parameters are views of it. */
  readonly parameters: Tensor;
  /** `[n]`, float64: the sum of clipped gradients. An update consumes it: afterwards it is zero. */
  readonly sum: Tensor;
}

/** Runs of neighbouring parameters in the arena that are treated alike. The tensors are flat, one entry a run. */
export interface ArenaProfile {
  /** int64, rising: run k ends before `ends[k]`, the last one at the end of the arena. */
  readonly ends: Tensor;
  /** float64, from 2^-40 to 2^40: gradients of the run were multiplied by it before they were clipped and summed. */
  readonly scales: Tensor;
  /** float64, at least 0: the update of the run is multiplied by it. Weight decay is part of the update. */
  readonly steps: Tensor;
}

/** How a clipped sum is published: `grid * rint((sum + noiseStd * N(0, 1)) / grid) / (divisor * scale)`. */
export interface PrivateRelease {
  /** Id of a native noise source (`noise_source_create`). Every update takes its next step; not used where `noiseStd` is 0. */
  readonly noiseSource: number;
  /** Standard deviation of the noise, σC, in the unit of the clipped gradients. 0: no noise and no grid. */
  readonly noiseStd: number;
  /** Spacing of the public grid: a power of two, at most `noiseStd / 256` and at least `noiseStd / 2^21`. See {@link publicGrid}. */
  readonly grid: number;
  /** The expected batch size: a public constant, never the size of this batch. */
  readonly divisor: number;
  /** What is not the same over the whole arena. Left out or null: scales and steps are 1. */
  readonly profile?: ArenaProfile | null;
}

/** `[n]` the steps of a profile, one for every parameter. */
export function stepLengths({ ends, steps }: ArenaProfile): Tensor {
  const before = aten.cat([zeros([1], { dtype: 'int64' }), ends.narrow(0, 0, ends.numel - 1)]);
  return aten.repeat_interleave(steps, ends.sub(before));
}

/**
 * The coarsest public grid for a noise: the largest power of two that is at most `noiseStd / 256` (0 for no noise).
 *
 * Read from the exponent's bits: `Math.log2` rounds up next to a power of two and would give twice the promised grid.
 *
 * @throws ERR_INVALID_ARGUMENT `noiseStd` is negative, not finite, or so small (2^-900 or less) that the grid has no inverse.
 */
export function publicGrid(noiseStd: number): number {
  check.notNegative('publicGrid', { noiseStd });
  if (noiseStd === 0) return 0;
  check.within('publicGrid', { noiseStd }, 2 ** -900, 2 ** 900);
  const bits = new DataView(new ArrayBuffer(8));
  bits.setFloat64(0, noiseStd);
  return 2 ** ((bits.getUint16(0) >> 4) - 1023 - 8);
}
