// White-box: what one record adds to the sum, without noise, against its gradient by autograd.

import type { PhysicalBatch } from '../batch-stream';
import { poisson } from '../sampling';
import { digits, type Finding } from './finding';
import type { FlatParameters } from './parameters';
import { length } from './reference';
import { replay, type Replayed } from './replay';
import { type AuditedMechanism, type AuditSubject, type MakeEngine, profileOf } from './subject';

/** Rounding of float32 kernels and parameters; a forgotten use or cross term is a hundred times this. */
const ROUNDING = 1e-3;

interface Worst {
  norm: number;
  /** Of the factor, relative. */
  factor: number;
  /** Of one parameter's part, in C. */
  part: number;
  place: string;
}

/**
 * Takes one step for each of `records` alone, at rate 1 and without noise: the parameters move by exactly that record's contribution.
 *
 * - `contributionsBounded`: its norm is at most C, whatever the engine believes its norm to be.
 * - `contributionsExact`: it is the factor of the clipping rule, from the norm of the gradient by autograd, times that gradient.
 * - `everyUseCounted`: parameter by parameter it points where autograd's gradient points, so that no use of any parameter is missing.
 */
export function auditContributions<B extends PhysicalBatch>(
  subject: AuditSubject<B>,
  { clip, delta, ...mechanism }: AuditedMechanism,
  records: Int32Array,
  make: MakeEngine,
): Finding[] {
  const worst: Worst = { norm: 0, factor: 0, part: 0, place: '' };
  const options = {
    records: 1,
    steps: records.length,
    noiseMultiplier: 0,
    delta,
    sampler: poisson({ batchSize: 1 }),
    clip,
    ...profileOf(mechanism),
  };
  replay(
    subject,
    make,
    options,
    (_ids, step) => records.slice(step, step + 1),
    (step, parameters) => note(worst, step, parameters),
  );
  const bounded = worst.norm <= 1 + ROUNDING;
  const exact = worst.factor <= 10 * ROUNDING;
  const counted = worst.part <= 10 * ROUNDING;
  return [
    {
      claim: 'contributionsBounded',
      holds: bounded,
      detail: bounded
        ? `each of ${records.length} records moves the sum by at most ${digits(worst.norm)} C`
        : `a record moves the sum by ${digits(worst.norm)} C: per-sample clipping does not bound what it adds`,
    },
    {
      claim: 'contributionsExact',
      holds: exact,
      detail: exact
        ? `clip factors equal those of gradients by autograd to ${digits(worst.factor)}`
        : `clip factors differ by ${digits(worst.factor)} from those of gradients by autograd: the per-sample norm is wrong, as when ` +
          'a parameter that is used twice lacks its cross term, or clipping is left out',
    },
    {
      claim: 'everyUseCounted',
      holds: counted,
      detail: counted
        ? `every parameter gets the gradient of all its uses to ${digits(worst.part)} C`
        : `${worst.place} gets another gradient than autograd's, ${digits(worst.part)} C apart: a use of it is missing or counted twice`,
    },
  ];
}

function note(worst: Worst, { released, references }: Replayed, { places }: FlatParameters): void {
  worst.norm = Math.max(worst.norm, length(released));
  const gradient = references[0]?.gradient as Float64Array;
  const clipped = references[0]?.clipped as Float64Array;
  const squared = length(gradient) ** 2;
  if (squared === 0) return;
  // The multiple of the gradient that comes closest to what was released, beside the factor of the rule.
  const along = (values: Float64Array): number =>
    values.reduce((sum, value, i) => sum + value * (gradient[i] as number), 0) / squared;
  const [taken, due] = [along(released), along(clipped)];
  worst.factor = Math.max(worst.factor, Math.abs(taken / due - 1));
  for (const { name, from, to } of places) {
    const part = length(released.slice(from, to).map((value, i) => value - taken * (gradient[from + i] as number)));
    const ratio = part / (Math.abs(taken) * Math.sqrt(squared));
    const relative = Number.isNaN(ratio) ? Infinity : ratio;
    if (relative <= worst.part) continue;
    worst.part = relative;
    worst.place = name;
  }
}
