// Samplers: what is drawn follows the law that is charged.

import { external, insecureRandom, poisson, secureRandom, type RandomSource } from '../../../../lib/privacy/sampling';
import type { PhantomgradError } from '../../../../lib/errors';

const code = (action: () => unknown): string | undefined => {
  try {
    action();
  } catch (error) {
    return (error as PhantomgradError).code;
  }
  return undefined;
};

/** A source that replays given uniforms. */
const scripted = (values: number[]): RandomSource => ({
  uniform: () => values.shift() ?? 2 ** -53,
  startStep: () => undefined,
});

function draws(records: number, batchSize: number, count: number, random = insecureRandom(11)): Int32Array[] {
  const sampler = poisson({ batchSize });
  return Array.from({ length: count }, () => sampler.draw(records, random));
}

describe('poisson draws', () => {
  test('distinct records in ascending order', () => {
    for (const batch of draws(500, 100, 50)) {
      expect(batch.every((id, k) => id >= 0 && id < 500 && (k === 0 || id > batch[k - 1]!))).toBe(true);
    }
  });

  test('jump over floor(ln U / ln(1 - q)) records', () => {
    const half = poisson({ batchSize: 5 }); // q = 1/2: U in (1/2, 1] passes none over, (1/4, 1/2] one, (1/8, 1/4] two
    expect([...half.draw(10, scripted([1, 0.5 + 2 ** -53, 0.4, 0.25 + 2 ** -53, 0.2]))]).toEqual([0, 1, 3, 5, 8]);
  });

  test('every record with frequency q (each within 5 standard errors, chi-square of all within 4)', () => {
    const [records, rounds, q] = [200, 20_000, 0.05];
    const counts = new Float64Array(records);
    for (const batch of draws(records, records * q, rounds)) for (const id of batch) counts[id]! += 1;
    const variance = rounds * q * (1 - q);
    const z = Array.from(counts, (count) => (count - rounds * q) / Math.sqrt(variance));
    expect(Math.max(...z.map(Math.abs))).toBeLessThan(5);
    const chi2 = z.reduce((sum, one) => sum + one * one, 0);
    expect(Math.abs(chi2 - records) / Math.sqrt(2 * records)).toBeLessThan(4);
  });

  test('pairs of records independently: neighbours and distant ones meet with frequency q^2', () => {
    const [records, rounds, q] = [40, 40_000, 0.1];
    const together = new Float64Array(records * records);
    for (const batch of draws(records, records * q, rounds, insecureRandom(5))) {
      for (const a of batch) for (const b of batch) if (a < b) together[a * records + b]! += 1;
    }
    const deviation = Math.sqrt(rounds * q * q * (1 - q * q));
    for (let a = 0; a < records; a++) {
      for (let b = a + 1; b < records; b++) {
        expect(Math.abs(together[a * records + b]! - rounds * q * q) / deviation).toBeLessThan(5);
      }
    }
  });

  test('batch sizes with the binomial mean, variance and probability of none', () => {
    const [records, batchSize, rounds] = [1000, 3, 30_000];
    const sizes = draws(records, batchSize, rounds, insecureRandom(3)).map((batch) => batch.length);
    const mean = sizes.reduce((a, b) => a + b, 0) / rounds;
    const variance = sizes.reduce((sum, size) => sum + (size - mean) ** 2, 0) / (rounds - 1);
    const expected = batchSize * (1 - batchSize / records);
    expect(Math.abs(mean - batchSize)).toBeLessThan(5 * Math.sqrt(expected / rounds));
    expect(Math.abs(variance / expected - 1)).toBeLessThan(5 * Math.sqrt(2.5 / rounds)); // kurtosis of a binomial of mean 3
    const none = (1 - batchSize / records) ** records;
    const empty = sizes.filter((size) => size === 0).length / rounds;
    expect(Math.abs(empty - none)).toBeLessThan(5 * Math.sqrt(none / rounds));
  });

  test('all records when the batch is the data, and one record of one', () => {
    expect([...poisson({ batchSize: 7 }).draw(7, secureRandom())]).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect([...poisson({ batchSize: 1 }).draw(1, secureRandom())]).toEqual([0]);
  });

  test('in time proportional to the batch, not to the data', () => {
    let calls = 0;
    const random = insecureRandom(1);
    const counted: RandomSource = { uniform: () => ((calls += 1), random.uniform()), startStep: () => undefined };
    const batch = poisson({ batchSize: 100 }).draw(100_000_000, counted);
    expect(calls).toBe(batch.length + 1);
  });
});

describe('randomness', () => {
  test('repeats under the same insecureSeed and is stamped with it', () => {
    expect(draws(1000, 50, 5, insecureRandom(42))).toEqual(draws(1000, 50, 5, insecureRandom(42)));
    expect(draws(1000, 50, 5, insecureRandom(42))).not.toEqual(draws(1000, 50, 5, insecureRandom(43)));
    expect(draws(1000, 50, 5, insecureRandom(42, 'a'))).not.toEqual(draws(1000, 50, 5, insecureRandom(42, 'b')));
    expect(insecureRandom(42).insecureSeed).toBe(42);
  });

  test('does not repeat without a seed', () => {
    expect(draws(1000, 50, 1, secureRandom())).not.toEqual(draws(1000, 50, 1, secureRandom()));
    expect(secureRandom().insecureSeed).toBeUndefined();
  });

  test('gives a step the same numbers whether or not the steps before it were drawn', () => {
    const from = (steps: number[]): number[] => {
      const random = insecureRandom(9);
      return steps.map((step) => (random.startStep(step), random.uniform()));
    };
    const run = from([0, 1, 2, 3]);
    expect(from([3])).toEqual([run[3]]);
    expect(new Set(run).size).toBe(4);
  });

  test.each([
    ['seeded', insecureRandom(2)],
    ['secure', secureRandom()],
  ] as const)('%s uniforms lie in (0, 1] on the 53-bit lattice, evenly', (_, random) => {
    const [count, bins] = [200_000, 64];
    const seen = new Float64Array(bins);
    let lowBit = 0;
    for (let k = 0; k < count; k++) {
      const value = random.uniform();
      if (!(value > 0 && value <= 1 && Number.isInteger(value * 2 ** 53))) throw new Error(`out of range: ${value}`);
      seen[Math.ceil(value * bins) - 1]! += 1;
      lowBit += Number((BigInt(value * 2 ** 53) - 1n) & 1n);
    }
    const expected = count / bins;
    const chi2 = seen.reduce((sum, one) => sum + (one - expected) ** 2 / expected, 0);
    expect(Math.abs(chi2 - (bins - 1)) / Math.sqrt(2 * (bins - 1))).toBeLessThan(6);
    expect(Math.abs(lowBit - count / 2)).toBeLessThan(6 * Math.sqrt(count / 4));
  });

  test('the first numbers of a seed are pinned: RFC 8439 ChaCha20 under the derived key', () => {
    // 64-bit counter 0 and nonce 0 make the same block as the RFC's 32-bit counter and 96-bit nonce of zero.
    const random = insecureRandom(7);
    const first = [random.uniform(), random.uniform()];
    // Computed apart: key = SHA-256('phantomgrad insecure sampling 7'), block 0, pairs of little-endian words.
    expect(first).toEqual([0.03603774217971556, 0.299776606649352]);
  });
});

describe('what a step costs', () => {
  test('poisson is charged at q = B / N exactly, external without amplification', () => {
    expect(poisson({ batchSize: 1024 }).event(1.5, 6040)).toEqual({
      kind: 'poissonGaussian',
      samplingRate: 1024 / 6040,
      noiseMultiplier: 1.5,
      count: 1,
    });
    expect(poisson({ batchSize: 1024 }).event(1.5, 6040, 12)).toMatchObject({ count: 12 });
    expect(external({ batchSize: 1024 }).event(1.5, 6040, 3)).toEqual({
      kind: 'gaussian',
      noiseMultiplier: 1.5,
      count: 3,
    });
  });

  test('steps are ceil(epochs N / B)', () => {
    const sampler = poisson({ batchSize: 1024 });
    expect([
      sampler.steps(6040, 100),
      sampler.steps(1024, 3),
      sampler.steps(1025, 1),
      sampler.steps(6040, 0.1),
    ]).toEqual([590, 3, 2, 1]);
    expect(external({ batchSize: 10 }).steps(25, 2)).toBe(5);
  });

  test('a sampler cannot be changed after it was made', () => {
    expect(Object.isFrozen(poisson({ batchSize: 3 })) && Object.isFrozen(external({ batchSize: 3 }))).toBe(true);
  });

  test('a batch larger than the data, and sizes that are no sizes, are refused', () => {
    for (const make of [poisson, external]) {
      for (const batchSize of [0, -1, 1.5, NaN, Infinity])
        expect(code(() => make({ batchSize }))).toBe('ERR_INVALID_ARGUMENT');
      expect(code(() => make({ batchSize: 11 }).event(1, 10))).toBe('ERR_INVALID_ARGUMENT');
      expect(code(() => make({ batchSize: 11 }).steps(10, 1))).toBe('ERR_INVALID_ARGUMENT');
      expect(code(() => make({ batchSize: 1 }).steps(10, 0))).toBe('ERR_INVALID_ARGUMENT');
      expect(code(() => make({ batchSize: 1 }).event(0, 10))).toBe('ERR_INVALID_ARGUMENT');
    }
    expect(code(() => poisson({ batchSize: 11 }).draw(10, secureRandom()))).toBe('ERR_INVALID_ARGUMENT');
    expect(code(() => insecureRandom(1.5))).toBe('ERR_INVALID_ARGUMENT');
  });
});
