// White-box: what is left of a released sum when the clipped gradients are taken away, parameter by parameter.

import { publicGrid } from '../../optim';
import type { PhysicalBatch } from '../batch-stream';
import { poisson } from '../sampling';
import { digits, type Finding } from './finding';
import type { Place } from './parameters';
import { replay } from './replay';
import { type AuditedMechanism, type AuditSubject, type MakeEngine, profileOf } from './subject';

const BATCH = 4;
/** Standard errors: a false alarm once in 1.7 million. */
const ERRORS = 5;
/** What is asked of the whole; a parameter of few entries is measured less well. */
const WITHIN = 0.01;
const DRAWS = 400_000; // for five standard errors of 0.56 %

interface Sums {
  count: number;
  sum: number;
  square: number;
}

/**
 * Replays steps with the claimed noise until 400,000 values of it were seen (at least 50 steps, at most 400).
 *
 * - `noiseScale`: their standard deviation is σC to 1 %.
 * - `noiseEverywhere`: so it is on every parameter, to 1 % or five standard errors of so many values.
 * - `noiseCentred`: their mean is 0 to five standard errors.
 * - `noiseFresh`: two steps in a row are uncorrelated.
 * - `publicGrid`: what is released lies on multiples of the public grid.
 */
export function auditNoise<B extends PhysicalBatch>(
  subject: AuditSubject<B>,
  { noiseMultiplier, clip, delta, ...mechanism }: AuditedMechanism,
  records: Int32Array,
  make: MakeEngine,
): Finding[] {
  const counter = subject.model();
  const size = counter.trainableParameters().reduce((sum, { numel }) => sum + numel, 0);
  counter.dispose();
  const steps = Math.min(400, Math.max(50, Math.ceil(DRAWS / size)));
  const batchSize = Math.min(BATCH, records.length);
  const grid = publicGrid(noiseMultiplier * clip.maxGradNorm) / clip.maxGradNorm;
  const parts = new Map<string, Sums>();
  let [offGrid, product] = [0, 0];
  let before: Float64Array | null = null;
  const options = {
    records: records.length,
    steps,
    noiseMultiplier,
    delta,
    sampler: poisson({ batchSize }),
    clip,
    ...profileOf(mechanism),
  };
  const chosen = (ids: Int32Array): Int32Array => ids.map((id) => records[id] as number);
  replay(subject, make, options, chosen, ({ released, references }, { places }) => {
    const noise = released.slice();
    for (const { clipped } of references) clipped.forEach((value, i) => ((noise[i] as number) -= value));
    for (const place of places) add(parts, place, noise);
    for (let i = 0; i < noise.length; i++) {
      const multiple = (released[i] as number) / grid;
      offGrid = Math.max(offGrid, Math.abs(multiple - Math.round(multiple)));
      product += before === null ? 0 : (noise[i] as number) * (before[i] as number);
    }
    before = noise;
  });
  return judge(parts, noiseMultiplier, { offGrid, correlation: product / noiseMultiplier ** 2, grid, steps });
}

interface Seen {
  readonly offGrid: number;
  /** Sum over products of neighbours in time, in units of the variance. */
  readonly correlation: number;
  readonly grid: number;
  readonly steps: number;
}

function judge(parts: ReadonlyMap<string, Sums>, sigma: number, seen: Seen): Finding[] {
  const all = [...parts.values()].reduce<Sums>(
    (sums, { count, sum, square }) => ({
      count: sums.count + count,
      sum: sums.sum + sum,
      square: sums.square + square,
    }),
    { count: 0, sum: 0, square: 0 },
  );
  const ratio = (sums: Sums): number => Math.sqrt(sums.square / sums.count) / sigma;
  const total = ratio(all);
  const odd = [...parts].filter(([, sums]) => Math.abs(ratio(sums) - 1) > tolerance(sums.count));
  const mean = all.sum / all.count / (sigma / Math.sqrt(all.count));
  const pairs = all.count - all.count / seen.steps;
  const correlation = seen.correlation / Math.sqrt(pairs);
  const [first] = odd;
  // Parameters without their noise would be listed twice if they also counted here.
  const scaled = Math.abs(total - 1) <= tolerance(all.count);
  return [
    {
      claim: 'noiseScale',
      holds: scaled,
      detail: scaled
        ? `standard deviation ${digits(total)} σC over ${all.count} values of ${seen.steps} steps`
        : `the noise has standard deviation ${digits(total)} σC instead of σC (${all.count} values)`,
    },
    {
      claim: 'noiseEverywhere',
      holds: first === undefined,
      detail:
        first === undefined
          ? `each of ${parts.size} parameters has it`
          : `${odd.length} of ${parts.size} parameters have noise of another size: ${first[0]} has ${digits(ratio(first[1]))} σC`,
    },
    {
      claim: 'noiseCentred',
      holds: Math.abs(mean) <= ERRORS,
      detail: `mean ${digits(mean)} standard errors from 0`,
    },
    {
      claim: 'noiseFresh',
      holds: Math.abs(correlation) <= ERRORS,
      detail: `correlation of successive steps ${digits(correlation)} standard errors from 0`,
    },
    {
      claim: 'publicGrid',
      holds: seen.offGrid <= 0.1,
      detail: `what is released lies within ${digits(seen.offGrid)} of multiples of the grid ${digits(seen.grid)} C`,
    },
  ];
}

/** Of a standard deviation from so many values. */
function tolerance(count: number): number {
  return Math.max(WITHIN, ERRORS / Math.sqrt(2 * count));
}

function add(parts: Map<string, Sums>, { name, from, to }: Place, noise: Float64Array): void {
  const sums = parts.get(name) ?? { count: 0, sum: 0, square: 0 };
  for (let i = from; i < to; i++) {
    sums.sum += noise[i] as number;
    sums.square += (noise[i] as number) ** 2;
  }
  sums.count += to - from;
  parts.set(name, sums);
}
