// Laws of the samplers beside Poisson's: who is drawn how often, how many, together with whom, and what may continue.

import {
  ballsAndBins,
  type DrawingSampler,
  fixedSize,
  insecureRandom,
  poisson,
  secureRandom,
  shuffle,
  truncatedPoisson,
} from '../../../../lib/privacy/sampling';
import { below, uniformSubset } from '../../../../lib/privacy/sampling/uniform';

/** (χ² - degrees of freedom) / sqrt(2 degrees of freedom): a standard normal variable, nearly. */
function chiSquare(counts: ArrayLike<number>, expected: (k: number) => number, degrees: number): number {
  const sum = Array.from(counts).reduce((chi2, count, k) => chi2 + (count - expected(k)) ** 2 / expected(k), 0);
  return (sum - degrees) / Math.sqrt(2 * degrees);
}

function inclusions(sampler: DrawingSampler, records: number, steps: number, seed: number): Float64Array {
  const random = insecureRandom(seed);
  const draws = sampler.open(records, random);
  const counts = new Float64Array(records);
  for (let step = 0; step < steps; step++) {
    random.startStep(step);
    for (const id of draws.batch(step)) counts[id]! += 1;
  }
  return counts;
}

const ALL = [
  poisson({ batchSize: 8 }),
  truncatedPoisson({ batchSize: 8, maxBatchSize: 10 }),
  fixedSize({ batchSize: 8 }),
  ballsAndBins({ batchSize: 8 }),
  shuffle({ batchSize: 8 }),
];

describe.each(ALL.map((sampler) => [sampler.kind, sampler] as const))('%s', (_kind, sampler) => {
  const run = (seed: number, steps: readonly number[], records = 50): Int32Array[] => {
    const random = insecureRandom(seed);
    const draws = sampler.open(records, random);
    return steps.map((step) => (random.startStep(step), draws.batch(step)));
  };

  test('batches are distinct records in ascending order', () => {
    for (const batch of run(1, [0, 1, 2, 3, 4, 5, 6, 7, 8])) {
      expect(batch.every((id, k) => id >= 0 && id < 50 && (k === 0 || id > batch[k - 1]!))).toBe(true);
    }
  });

  test('repeat under the same insecureSeed, also when entered in the middle; without a seed they differ', () => {
    const steps = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
    const whole = run(3, steps);
    expect(run(3, steps)).toEqual(whole);
    expect(run(4, steps)).not.toEqual(whole);
    expect(run(3, [9, 10])).toEqual(whole.slice(9));
    const secret = (): Int32Array[] => {
      const draws = sampler.open(5000, secureRandom());
      return [0, 1, 2].map((step) => draws.batch(step));
    };
    expect(secret()).not.toEqual(secret());
  });

  test('is frozen, and refuses sizes that are no sizes and batches larger than the data', () => {
    expect(Object.isFrozen(sampler)).toBe(true);
    const refused = expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }) as Error;
    for (const call of [
      () => sampler.steps(7, 1),
      () => sampler.steps(50, 0),
      () => sampler.event(1, 7),
      () => sampler.event(0, 50),
      () => sampler.open(7, secureRandom()).batch(0),
    ]) {
      expect(call).toThrow(refused);
    }
  });

  test('gives an event for its own neighbours and refuses the others', () => {
    for (const neighbours of ['addRemove', 'replace', 'zeroOut'] as const) {
      const event = (): unknown => sampler.event(1.5, 50, 3, neighbours);
      if (sampler.neighbours.includes(neighbours)) {
        expect(event()).toMatchObject({
          noiseMultiplier: 1.5,
          count: 3,
          ...(neighbours === 'addRemove' ? {} : { neighbours }),
        });
      } else {
        expect(event).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
      }
    }
  });
});

describe('truncated Poisson', () => {
  test('sizes are binomial up to the maximum, where the rest collects (chi-square within 4 standard deviations)', () => {
    const [records, batchSize, maxBatchSize, rounds] = [30, 6, 8, 20_000];
    const sampler = truncatedPoisson({ batchSize, maxBatchSize });
    const random = insecureRandom(5);
    const sizes = new Float64Array(maxBatchSize + 1);
    for (let k = 0; k < rounds; k++) sizes[sampler.draw(records, random).length]! += 1;
    const q = batchSize / records;
    const odds = q / (1 - q);
    const exact = [(1 - q) ** records];
    for (let k = 1; k < maxBatchSize; k++) exact.push((exact[k - 1]! * odds * (records - k + 1)) / k);
    exact.push(1 - exact.reduce((a, b) => a + b, 0));
    expect(Math.abs(chiSquare(sizes, (k) => rounds * exact[k]!, maxBatchSize))).toBeLessThan(4);
  });

  test('the cut favours nobody: every record is as frequent as every other', () => {
    const [records, rounds] = [40, 20_000];
    const counts = inclusions(truncatedPoisson({ batchSize: 8, maxBatchSize: 8 }), records, rounds, 6);
    const mean = counts.reduce((a, b) => a + b, 0) / records;
    expect(mean).toBeLessThan(rounds * 0.2);
    expect(chiSquare(counts, () => mean, records - 1)).toBeLessThan(4);
  });

  test('knows its maximum, which must not be below the batch size', () => {
    expect(truncatedPoisson({ batchSize: 8, maxBatchSize: 12 }).event(1, 100)).toMatchObject({
      kind: 'truncatedPoissonGaussian',
      samplingRate: 0.08,
      records: 100,
      maxBatchSize: 12,
    });
    expect(() => truncatedPoisson({ batchSize: 8, maxBatchSize: 7 })).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }),
    );
  });
});

describe('fixed size', () => {
  test('always B records, each and each pair equally often', () => {
    const [records, batchSize, rounds] = [12, 5, 20_000];
    const sampler = fixedSize({ batchSize });
    const random = insecureRandom(7);
    const single = new Float64Array(records);
    const pairs = new Float64Array((records * (records - 1)) / 2);
    for (let k = 0; k < rounds; k++) {
      const batch = sampler.draw(records, random);
      expect(batch.length).toBe(batchSize);
      for (const a of batch) {
        single[a]! += 1;
        for (const b of batch) if (b < a) pairs[(a * (a - 1)) / 2 + b]! += 1;
      }
    }
    expect(chiSquare(single, () => (rounds * batchSize) / records, records - 1)).toBeLessThan(4);
    const pair = (rounds * batchSize * (batchSize - 1)) / (records * (records - 1));
    expect(chiSquare(pairs, () => pair, pairs.length - 1)).toBeLessThan(4);
  });
});

describe('balls and bins', () => {
  const sampler = ballsAndBins({ batchSize: 10 });

  test('every record in exactly one batch of a pass, in the same one in every pass', () => {
    const random = insecureRandom(8);
    const draws = sampler.open(95, random);
    const first = Array.from({ length: 10 }, (_, step) => draws.batch(step));
    expect(first.flatMap((batch) => [...batch]).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 95 }, (_, id) => id),
    );
    expect(Array.from({ length: 10 }, (_, step) => draws.batch(10 + step))).toEqual(first);
    expect(sampler.steps(95, 3)).toBe(30);
    expect(sampler.event(2, 95, 30)).toEqual({ kind: 'ballsAndBinsGaussian', bins: 10, noiseMultiplier: 2, count: 30 });
  });

  test('every bin equally likely for every record, also the first and the last', () => {
    const [runs, records, bins] = [4000, 20, 2];
    const counts = new Float64Array(records * bins);
    for (let run = 0; run < runs; run++) {
      const draws = sampler.open(records, insecureRandom(run));
      for (const id of draws.batch(0)) counts[id]! += 1;
      for (const id of draws.batch(1)) counts[records + id]! += 1;
    }
    expect(chiSquare(counts, () => runs / bins, records)).toBeLessThan(4);
  });

  test('a kept assignment continues the run; a lost one is not drawn anew', () => {
    const draws = sampler.open(95, secureRandom());
    const [first, second] = [draws.batch(0), draws.batch(1)];
    const later = sampler.open(95, secureRandom(), draws.state as Int32Array);
    expect([later.batch(10), later.batch(1)]).toEqual([first, second]);
    expect(() => sampler.open(95, secureRandom()).batch(1)).toThrow(
      expect.objectContaining({ code: 'ERR_ENGINE_STATE' }),
    );
    expect(() => sampler.open(94, secureRandom(), draws.state as Int32Array)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }),
    );
  });
});

describe('shuffle', () => {
  const sampler = shuffle({ batchSize: 10 });

  test('every record exactly once a pass, in batches of B and a smaller last one, in another order in every pass', () => {
    const draws = sampler.open(95, secureRandom());
    const pass = (start: number): Int32Array[] => Array.from({ length: 10 }, (_, step) => draws.batch(start + step));
    const [one, two] = [pass(0), pass(10)];
    for (const batches of [one, two]) {
      expect(batches.map((batch) => batch.length)).toEqual([10, 10, 10, 10, 10, 10, 10, 10, 10, 5]);
      expect(batches.flatMap((batch) => [...batch]).sort((a, b) => a - b)).toEqual(
        Array.from({ length: 95 }, (_, id) => id),
      );
    }
    expect(two).not.toEqual(one);
  });

  test('every place equally likely for every record', () => {
    const [runs, records] = [6000, 12];
    const two = shuffle({ batchSize: 6 });
    const counts = new Float64Array(records);
    for (let run = 0; run < runs; run++)
      for (const id of two.open(records, insecureRandom(run)).batch(0)) counts[id]! += 1;
    // Half of the records, exactly: the counts have the variance of choices without replacement.
    expect(Math.abs(chiSquare(counts, () => runs / 2, (records - 1) / 2))).toBeLessThan(4);
  });

  test('a kept order continues the pass; a lost one is not drawn anew', () => {
    const draws = sampler.open(95, secureRandom());
    const [, second, third] = [draws.batch(0), draws.batch(1), draws.batch(2)];
    const later = sampler.open(95, secureRandom(), draws.state as Int32Array);
    expect([later.batch(1), later.batch(2)]).toEqual([second, third]);
    expect(() => sampler.open(95, secureRandom()).batch(1)).toThrow(
      expect.objectContaining({ code: 'ERR_ENGINE_STATE' }),
    );
  });
});

describe('uniform choices', () => {
  test('numbers below a bound are equally likely, and the ends occur', () => {
    const [bound, rounds] = [7, 70_000];
    const random = insecureRandom(9);
    const counts = new Float64Array(bound);
    for (let k = 0; k < rounds; k++) counts[below(bound, random)]! += 1;
    expect(Math.abs(chiSquare(counts, () => rounds / bound, bound - 1))).toBeLessThan(4);
  });

  test('the last uniforms, which would favour small numbers, are drawn again', () => {
    const scripted = [1, 0.5];
    const random = { uniform: () => scripted.shift() as number, startStep: () => undefined };
    expect(below(3, random)).toBe((2 ** 52 - 1) % 3);
    expect(scripted).toEqual([]);
  });

  test('subsets of all sizes', () => {
    const items = Int32Array.from([3, 5, 8]);
    expect([...uniformSubset(items, 3, secureRandom())]).toEqual([3, 5, 8]);
    expect([...uniformSubset(items, 0, secureRandom())]).toEqual([]);
    expect([...items]).toEqual([3, 5, 8]);
  });
});
