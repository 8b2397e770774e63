// What every sample should contribute: its gradient by autograd alone, one at a time, clipped by the rule as it is written down.

import { type Tensor, tidy } from '../../tensor';
import { type Clip, together } from '../clip';
import type { FlatParameters } from './parameters';

/** One sample's gradient, and what the clipping rule leaves of it. */
export interface Reference {
  readonly gradient: Float64Array;
  readonly clipped: Float64Array;
}

/**
 * One backward pass a sample, without an engine: slow, and independent of every kernel that forms norms.
 *
 * @param scales  `[parameters]` what gradients are multiplied by before anything else is done with them.
 * @param loss  `[samples]`, of a model whose parameters `parameters` are and to which no engine is attached.
 */
export function referenceGradients(
  loss: Tensor,
  parameters: FlatParameters,
  clip: Clip,
  scales: Float64Array,
): Reference[] {
  const samples = loss.shape[0] as number;
  const names = parameters.places.map(({ name }) => name);
  const groups = clip.grouping?.assign(names) ?? together(names);
  return Array.from({ length: samples }, (_, b) => {
    if (!loss.requiresGrad) return nothing(parameters.count);
    tidy(() => loss.narrow(0, b, 1).sum().backward(null, { retainGraph: true }));
    const gradient = parameters.takeGradients().map((value, i) => value * (scales[i] as number));
    const clipped = new Float64Array(gradient.length);
    groups.groups.forEach(({ share }, g) => {
      const places = parameters.places.filter((_place, k) => groups.groupOf[k] === g);
      const norm = Math.hypot(...places.map(({ from, to }) => length(gradient.subarray(from, to))));
      const [factor] = clip.factors(Float64Array.of(norm), share) as unknown as [number];
      for (const { from, to } of places) for (let i = from; i < to; i++) clipped[i] = factor * (gradient[i] as number);
    });
    return { gradient, clipped };
  });
}

/** Euclidean. */
export function length(values: Float64Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
}

function nothing(count: number): Reference {
  return { gradient: new Float64Array(count), clipped: new Float64Array(count) };
}
