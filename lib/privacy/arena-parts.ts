// The arena in runs that are treated alike: from scales of parameters and steps of rows to what an optimizer is handed.

import type { ArenaProfile } from '../optim';
import { fromTypedArray, keep, type Tensor } from '../tensor';

/** What differs from 1. */
export interface Parts {
  /** `[P]` scale of each parameter. */
  readonly scales: readonly number[];
  /** `[rows]` factors of the steps of a table, by its name. */
  readonly rows: ReadonlyMap<string, Float64Array>;
}

/** Neighbouring parameters with one scale and one step, as plain numbers. Empty: all of them are 1. */
export interface Run {
  readonly end: number;
  readonly scale: number;
  readonly step: number;
}

/** @param parameters  By name, in the order of the arena. */
export function arenaRuns(parameters: ReadonlyMap<string, Tensor>, { scales, rows }: Parts): Run[] {
  const runs: Run[] = [];
  let end = 0;
  const add = (length: number, scale: number, step: number): void => {
    if (length === 0) return;
    end += length;
    const last = runs.at(-1);
    if (last?.scale === scale && last.step === step) runs.pop();
    runs.push({ end, scale, step });
  };
  [...parameters].forEach(([name, { numel, shape }], slot) => {
    const scale = scales[slot] ?? 1;
    const factors = rows.get(name);
    if (factors === undefined) return add(numel, scale, 1);
    factors.forEach((step) => add(numel / (shape[0] as number), scale, step));
  });
  return runs.every(({ scale, step }) => scale === 1 && step === 1) ? [] : runs;
}

/** Tensors of the runs, the caller's to free; null for none. */
export function profileOf(runs: readonly Run[]): ArenaProfile | null {
  if (runs.length === 0) return null;
  const doubles = (value: (run: Run) => number): Tensor =>
    keep(fromTypedArray(Float64Array.from(runs, value), [runs.length]));
  return {
    ends: keep(
      fromTypedArray(
        BigInt64Array.from(runs, ({ end }) => BigInt(end)),
        [runs.length],
      ),
    ),
    scales: doubles(({ scale }) => scale),
    steps: doubles(({ step }) => step),
  };
}
