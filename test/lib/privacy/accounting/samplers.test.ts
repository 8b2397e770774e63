// Samplers other than Poisson's, and groups of records: against vectors, and against integrals over outputs.

import {
  affordableSteps,
  ballsAndBinsGaussian,
  calibrateBatchSize,
  calibrateNoise,
  type DpEvent,
  exact,
  fixedSizeGaussian,
  gaussian,
  pld,
  poissonGaussian,
  rdp,
  shuffledGaussian,
  truncatedPoissonGaussian,
} from '../../../../lib/privacy/accounting';
import { runChild } from '../../../fixtures/child';

interface Row {
  truth: { delta: number; exact: number; exact_remove?: number; exact_add?: number };
  own: number;
  remove: number;
  add: number;
  rdp: number;
  seconds: number;
}
interface Computed {
  truncated: Row[];
  replaced: Row[];
  fixed: {
    orders: { vector: number; own: number; attained: number }[];
    vector: number;
    value: number;
    rdp: number;
    attained: number;
    seconds: number;
  }[];
  binned: {
    truth: {
      eps: number;
      remove: { interval: [number, number] };
      add: { interval: [number, number] };
      gaussian_no_amplification: number;
    };
    value: number;
    seconds: number;
  }[];
  integrals: { name: string; own: number; truth: number }[];
  bins: { name: string; own: number; truth: number }[];
}

function expectUpperBound(own: number, truth: number, delta: number): void {
  expect(own).toBeGreaterThanOrEqual(truth - 1e-7 * Math.max(1, truth));
  if (delta >= 1e-8) expect(own).toBeLessThanOrEqual(truth + Math.max(1e-3, 1e-3 * truth));
}

describe('computed in a process of their own', () => {
  let computed: Computed;
  beforeAll(async () => {
    const { code, stdout, stderr } = await runChild('accounting/samplers.cjs');
    if (code !== 0) throw new Error(stderr);
    computed = JSON.parse(stdout) as Computed;
  }, 300_000);

  test('truncated Poisson batches: every row from above, in both directions, closely, and below Rényi', () => {
    expect(computed.truncated.length).toBe(12);
    for (const { truth, own, remove, add, rdp: renyi } of computed.truncated) {
      expectUpperBound(own, truth.exact, truth.delta);
      expectUpperBound(remove, truth.exact_remove as number, truth.delta);
      expectUpperBound(add, truth.exact_add as number, truth.delta);
      expect(own).toBeLessThanOrEqual(renyi);
    }
  });

  test('Poisson batches with a replaced record: both directions are the same, and every row is bounded closely', () => {
    expect(computed.replaced.length).toBe(12);
    for (const { truth, own, remove, add, rdp: renyi } of computed.replaced) {
      expectUpperBound(own, truth.exact, truth.delta);
      expect(Math.abs(remove - add)).toBeLessThanOrEqual(1e-4 * own);
      expect(own).toBeLessThanOrEqual(renyi);
    }
  });

  test('batches without replacement: between what a pair of data sets attains and the Rényi bound of the vectors', () => {
    expect(computed.fixed.length).toBe(9);
    for (const { orders, vector, value, rdp: renyi, attained } of computed.fixed) {
      for (const order of orders) {
        expect(order.own).toBeGreaterThanOrEqual(order.attained * (1 - 1e-9));
        expect(order.own).toBeLessThanOrEqual(order.vector * (1 + 1e-9));
      }
      expect(value).toBeGreaterThanOrEqual(attained - 1e-3 * attained); // `attained` is itself a bound from above, to 1e-3
      expect(value).toBeLessThanOrEqual(renyi);
      expect(renyi).toBeLessThanOrEqual(vector * (1 + 1e-9));
    }
  });

  test('balls and bins: in the interval of the simulation, and never above the mechanism without amplification', () => {
    expect(computed.binned.length).toBeGreaterThanOrEqual(20);
    for (const { truth, value } of computed.binned) {
      const low = Math.max(truth.remove.interval[0], truth.add.interval[0]);
      const high = Math.max(truth.remove.interval[1], truth.add.interval[1]);
      expect(value).toBeGreaterThanOrEqual(low);
      expect(value).toBeLessThanOrEqual(high * 1.001);
      expect(value).toBeLessThanOrEqual(truth.gaussian_no_amplification * (1 + 1e-5));
    }
  });

  test('two steps of every pair equal the integral over outputs, from above', () => {
    expect(computed.integrals.length).toBe(3 * (2 + 4 + 2 + 2));
    for (const { own, truth } of computed.integrals) {
      expect(own).toBeGreaterThanOrEqual(truth * (1 - 1e-6));
      expect(own).toBeLessThanOrEqual(truth * 1.001 + 1e-12);
    }
  });

  test('two bins equal the integral over both values, from above', () => {
    for (const { own, truth } of computed.bins) {
      expect(own).toBeGreaterThanOrEqual(truth * (1 - 1e-9));
      expect(own).toBeLessThanOrEqual(truth * 1.005 + 1e-9);
    }
  });

  test('no answer takes longer than two seconds (five where the machine is shared)', () => {
    const all = [computed.truncated, computed.replaced, computed.fixed, computed.binned].flat();
    expect(Math.max(...all.map(({ seconds }) => seconds))).toBeLessThan(5);
  });
});

test('many bins, whose amplification rounding hides, cost no more than fewer of them', () => {
  const delta = 2.5e-8;
  const spent = (bins: number): number => pld().epsilon([ballsAndBinsGaussian(bins, 14.8, bins)], delta);
  const few = spent(1900);
  expect(few).toBeLessThan(0.01);
  expect(spent(3000)).toBeLessThan(1.2 * few);
  expect(spent(30_000)).toBeLessThan(1.2 * few);
});

test('several passes over many bins with little noise are amplified, each direction by a window of its own', () => {
  const spent = pld().epsilon([ballsAndBinsGaussian(2577, 1, 13_300)], 6.48e-6);
  // Simulated by importance sampling of `remove`: δ(5.26106) = (6.42 ± 0.20) 10^-6; without amplification ε is 13.1.
  expect(spent).toBeGreaterThan(5.2);
  expect(spent).toBeLessThan(5.27);
});

test.each([
  [
    'cut',
    (sigma: number) => truncatedPoissonGaussian({ samplingRate: 0.02, records: 3200, maxBatchSize: 104 }, sigma, 400),
  ],
  ['bins', (sigma: number) => ballsAndBinsGaussian(300, sigma, 900)],
] as const)('noise found for %s keeps the target, and a thousandth less does not', (_name, event) => {
  const { noiseMultiplier, epsilon } = calibrateNoise({ targetEpsilon: 2, targetDelta: 1e-6, event });
  expect(epsilon).toBeLessThanOrEqual(2);
  expect(pld().epsilon([event(noiseMultiplier)], 1e-6)).toBe(epsilon);
  expect(pld().epsilon([event(0.999 * noiseMultiplier)], 1e-6)).toBeGreaterThan(2);
});

test('delta at the epsilon of a cut sample is delta: a first grid under another tilt does not decide', () => {
  const cut = { samplingRate: 1.3262218420908475e-4, records: 5000, maxBatchSize: 6 };
  const delta = 7.192987765631454e-7;
  const events = [truncatedPoissonGaussian(cut, 0.8115584898844566, 3)];
  const back = pld().delta(events, pld().epsilon(events, delta));
  expect(back).toBeLessThan(1.01 * delta); // the grid without the new rule: 2.2 times as much
  expect(back).toBeGreaterThan(0.999 * delta);
});

describe('what cannot be accounted for is refused with a code', () => {
  const refused = (code: string): Error => expect.objectContaining({ code }) as Error;

  test('noise so small that no list of losses holds it', () => {
    const cut = { samplingRate: 0.02, records: 3200, maxBatchSize: 104 };
    expect(() => pld().delta([truncatedPoissonGaussian(cut, 1e-4, 400)], 100)).toThrow(refused('ERR_ACCOUNTING'));
  });

  test('events for different neighbours do not compose', () => {
    expect(() => pld().epsilon([poissonGaussian(0.1, 1), fixedSizeGaussian(0.1, 1)], 1e-5)).toThrow(
      refused('ERR_INVALID_ARGUMENT'),
    );
  });

  test('neighbours without a proof have no event', () => {
    const wrong = [
      { kind: 'shuffledGaussian', stepsPerEpoch: 5, noiseMultiplier: 1, count: 1 },
      { kind: 'fixedSizeGaussian', samplingRate: 0.1, noiseMultiplier: 1, count: 1, neighbours: 'zeroOut' },
      { kind: 'ballsAndBinsGaussian', bins: 5, noiseMultiplier: 1, count: 1, neighbours: 'replace' },
    ] as unknown as DpEvent[];
    for (const event of wrong) {
      expect(() => pld().epsilon([event], 1e-5)).toThrow(refused('ERR_INVALID_ARGUMENT'));
    }
  });

  test('what nothing would read: a misspelt group size or relation left epsilon at that of something else', () => {
    const event = { kind: 'poissonGaussian', samplingRate: 0.01, noiseMultiplier: 1, count: 100 } as const;
    const target = { targetEpsilon: 1, targetDelta: 1e-6 };
    const attempts: (() => unknown)[] = [
      () => pld({ groupsize: 10 } as never),
      () => rdp({ order: [2] } as never),
      () => pld().epsilon([{ ...event, neighbors: 'replace' } as DpEvent], 1e-6),
      () => calibrateNoise({ ...target, samplingRate: 0.01, steps: 10, neighbours: 'replace' } as never),
      () => affordableSteps({ ...target, event, groupSize: 10 } as never),
      () => calibrateBatchSize({ ...target, records: 100, noiseMultiplier: 1, steps: 10, sampler: 'shuffle' } as never),
    ];
    for (const attempt of attempts) expect(attempt).toThrow(refused('ERR_INVALID_ARGUMENT'));
  });

  test('balls and bins beside another release; groups where no proof is known; the exact value of other pairs', () => {
    const bins = ballsAndBinsGaussian(10, 1, 10);
    expect(() => pld().epsilon([bins, gaussian(5)], 1e-5)).toThrow(refused('ERR_ACCOUNTING'));
    expect(() => rdp().epsilon([bins], 1e-5)).toThrow(refused('ERR_ACCOUNTING'));
    expect(() => pld({ groupSize: 2 }).epsilon([fixedSizeGaussian(0.1, 1)], 1e-5)).toThrow(refused('ERR_ACCOUNTING'));
    expect(() => exact().epsilon([fixedSizeGaussian(0.1, 1)], 1e-5)).toThrow(refused('ERR_ACCOUNTING'));
    expect(() => pld({ groupSize: 0 })).toThrow(refused('ERR_INVALID_ARGUMENT'));
  });
});

describe('what is the same in other words', () => {
  test('a group of k without sampling is one record with k times the weight', () => {
    expect(pld({ groupSize: 3 }).epsilon([gaussian(6, 2)], 1e-6)).toBeCloseTo(
      pld().epsilon([gaussian(2, 2)], 1e-6),
      12,
    );
  });

  test('replacing without sampling moves a sum twice as far', () => {
    expect(pld().epsilon([gaussian(6, 2, 'replace')], 1e-6)).toBeCloseTo(pld().epsilon([gaussian(3, 2)], 1e-6), 12);
    expect(pld().epsilon([fixedSizeGaussian(1, 6, 2)], 1e-6)).toBeCloseTo(pld().epsilon([gaussian(3, 2)], 1e-6), 12);
  });

  test('a zeroed record is a removed one where the divisor is a constant', () => {
    expect(pld().epsilon([poissonGaussian(0.1, 1, 50, 'zeroOut')], 1e-6)).toBe(
      pld().epsilon([poissonGaussian(0.1, 1, 50)], 1e-6),
    );
  });

  test('shuffled passes are one Gaussian release each, a begun pass counts, and runs are not merged', () => {
    const two = pld().epsilon([gaussian(4, 2)], 1e-6);
    expect(pld().epsilon([shuffledGaussian(10, 4, 20)], 1e-6)).toBe(two);
    expect(pld().epsilon([shuffledGaussian(10, 4, 11)], 1e-6)).toBe(two);
    expect(pld().epsilon([shuffledGaussian(10, 4, 5), shuffledGaussian(10, 4, 5)], 1e-6)).toBe(two);
  });

  test('two half passes over bins are of two runs, and cost what two independent ones release', () => {
    const half = ballsAndBinsGaussian(2, 1);
    const stated = pld().epsilon([half, half], 1e-6);
    expect(stated).toBe(pld().epsilon([ballsAndBinsGaussian(2, 1, 4)], 1e-6)); // whole passes do add up
    // A record is in each of the two steps with probability 1/2: the excess of their likelihood ratio over e^ε, by quadrature.
    const width = 0.05;
    let delta = 0;
    for (let x = -8; x < 12; x += width) {
      for (let y = -8; y < 12; y += width) {
        const ratio = ((1 + Math.exp(x - 0.5)) * (1 + Math.exp(y - 0.5))) / 4;
        const density = Math.exp(-(x * x + y * y) / 2) / (2 * Math.PI);
        delta += Math.max(0, ratio - Math.exp(stated)) * density * width * width;
      }
    }
    expect(delta).toBeLessThan(1e-6);
    expect(delta).toBeGreaterThan(1e-9); // one pass, which the two were taken for, would allow 7e-5
  });

  test('a maximum that is never reached costs nothing beside Poisson sampling', () => {
    const sampling = { samplingRate: 0.05, records: 1000, maxBatchSize: 1000 };
    const own = pld().epsilon([truncatedPoissonGaussian(sampling, 2, 100)], 1e-6);
    expect(own).toBeCloseTo(pld().epsilon([poissonGaussian(0.05, 2, 100)], 1e-6), 4);
  });

  test('a larger group costs more', () => {
    const events = [poissonGaussian(0.01, 2, 200)];
    const [one, two, four] = [1, 2, 4].map((groupSize) => pld({ groupSize }).epsilon(events, 1e-6)) as [
      number,
      number,
      number,
    ];
    expect(two).toBeGreaterThan(one);
    expect(four).toBeGreaterThan(two);
  });
});
