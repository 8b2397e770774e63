// Small arenas for tests of the private update, and the operator with its arguments named.

import { fromTypedArray, type Tensor, torch } from '../../lib/tensor';

const ops = torch.ops.phantomgrad;

/** Reproducible values in [-scale, scale). */
export function values(count: number, scale: number, seed: number): Float64Array {
  let state = seed >>> 0;
  return Float64Array.from({ length: count }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return scale * (state / 2 ** 31 - 1);
  });
}

export const vector = (array: Float64Array): Tensor => fromTypedArray(array, [array.length]);
export const array = (tensor: Tensor): Float64Array => Float64Array.from(tensor.toTypedArray() as Float64Array);

export interface Settings {
  noiseStd?: number;
  grid?: number;
  divisor?: number;
  lr?: number;
  beta1?: number;
  beta2?: number;
  eps?: number;
  weightDecay?: number;
  decoupled?: boolean;
  step?: number;
  /** Runs of the arena: where they end, their scales and steps. */
  runs?: readonly { end: number; scale: number; step: number }[];
  momentFloor?: number;
}

/** The runs as the operators take them. */
export function profile(runs: Settings['runs']): { run_ends?: Tensor; scales?: Tensor; steps?: Tensor } {
  if (runs === undefined) return {};
  return {
    run_ends: fromTypedArray(
      BigInt64Array.from(runs, ({ end }) => BigInt(end)),
      [runs.length],
    ),
    scales: vector(Float64Array.from(runs, ({ scale }) => scale)),
    steps: vector(Float64Array.from(runs, ({ step }) => step)),
  };
}

export interface State {
  p: Tensor;
  m: Tensor;
  v: Tensor;
  sum: Tensor;
}

export function state(count: number, dtype: 'float32' | 'float64', seed = 1): State {
  return {
    p: vector(values(count, 1, seed)).to(dtype),
    m: vector(values(count, 0.1, seed + 1)).to(dtype),
    v: vector(values(count, 0.01, seed + 2))
      .abs()
      .to(dtype),
    sum: vector(values(count, 5, seed + 3)),
  };
}

export function update({ p, m, v, sum }: State, id: number, settings: Settings, twin = false): number {
  const s = {
    ...{ noiseStd: 0, grid: settings.noiseStd ? 2 ** -8 : 0, divisor: 16, lr: 1e-2, beta1: 0.9, beta2: 0.999 },
    ...{ eps: 1e-8, weightDecay: 0, decoupled: false, step: 1 },
    ...settings,
  };
  const operator = twin ? ops.reference_private_adam_ : ops.private_adam_;
  const { noiseStd, grid, divisor, lr, beta1, beta2, eps, weightDecay, decoupled, step, runs, momentFloor = 0 } = s;
  return operator(p, m, v, sum, id, noiseStd, grid, divisor, lr, beta1, beta2, eps, weightDecay, decoupled, step, {
    ...profile(runs),
    moment_floor: momentFloor,
  });
}

export const contents = ({ p, m, v, sum }: State): Float64Array[] => [p, m, v, sum].map(array);

/** Every bit of a state, for comparisons. */
export const bits = (s: State): string =>
  contents(s)
    .map((a) => Buffer.from(a.buffer).toString('base64'))
    .join(' ');
