// Laws that epsilon and delta obey whatever the numbers are, over a wide random range of events.

import fc from 'fast-check';

import {
  type Accountant,
  type DpEvent,
  exact,
  gaussian,
  pld,
  poissonGaussian,
  rdp,
} from '../../../../lib/privacy/accounting';

/** A number between low and high, uniform in its logarithm. */
const log = (low: number, high: number): fc.Arbitrary<number> =>
  fc.double({ min: Math.log(low), max: Math.log(high), noNaN: true }).map(Math.exp);

const steps = fc
  .tuple(log(1e-5, 1), log(0.4, 100), log(1, 1e5))
  .map(([q, sigma, count]) => poissonGaussian(Math.min(1, q), sigma, Math.floor(count)));
const release = fc.tuple(log(0.5, 100), fc.integer({ min: 1, max: 5 })).map(([sigma, count]) => gaussian(sigma, count));
const anyEvents = fc.array(fc.oneof({ weight: 3, arbitrary: steps }, { weight: 1, arbitrary: release }), {
  minLength: 1,
  maxLength: 3,
});
const anyDelta = log(1e-8, 0.5);

const ALL: readonly Accountant[] = [pld(), rdp(), exact()];
const RUNS = { numRuns: 25 };

/** What the PLD may lie above the exact value: see the README of the vectors. */
const close = (epsilon: number): number => 1e-3 * Math.max(1, epsilon);

function known<T>(compute: () => T): T | undefined {
  try {
    return compute();
  } catch (error) {
    expect((error as { code: string }).code).toBe('ERR_ACCOUNTING');
    return undefined;
  }
}

test('rdp >= pld >= exact, none of them is negative, infinite or NaN', () => {
  fc.assert(
    fc.property(anyEvents, anyDelta, (events, delta) => {
      const upper = rdp().epsilon(events, delta);
      const own = pld().epsilon(events, delta);
      expect(Number.isFinite(upper) && Number.isFinite(own) && own >= 0).toBe(true);
      expect(own).toBeLessThanOrEqual(upper * (1 + 1e-12));
      const truth = known(() => exact().epsilon(events, delta));
      if (truth !== undefined) expect(own).toBeGreaterThanOrEqual(truth - 1e-7 * Math.max(1, truth));
    }),
    { numRuns: 60 },
  );
});

describe.each(ALL.map((accountant) => [accountant.name, accountant] as const))('%s', (name, accountant) => {
  const slack = name === 'pld' ? close : (epsilon: number) => 1e-9 * Math.max(1, epsilon);
  const epsilonOf = (events: readonly DpEvent[], delta: number): number | undefined =>
    known(() => accountant.epsilon(events, delta));

  test('epsilon falls when sigma grows, and rises with q, with the steps and with every further event', () => {
    fc.assert(
      fc.property(steps, release, anyDelta, log(1.01, 3), (event, more, delta, factor) => {
        const base = epsilonOf([event], delta);
        const { samplingRate: q, noiseMultiplier: sigma, count } = event;
        const less = epsilonOf([poissonGaussian(q, sigma * factor, count)], delta);
        const larger = [
          epsilonOf([poissonGaussian(Math.min(1, q * factor), sigma, count)], delta),
          epsilonOf([poissonGaussian(q, sigma, Math.ceil(count * factor))], delta),
          epsilonOf([event, more], delta),
        ];
        if (base === undefined) return;
        if (less !== undefined) expect(less).toBeLessThanOrEqual(base + slack(base));
        for (const value of larger) if (value !== undefined) expect(value).toBeGreaterThanOrEqual(base - slack(base));
      }),
      RUNS,
    );
  });

  test('epsilon falls when delta grows, delta falls when epsilon grows, and both stay in their ranges', () => {
    fc.assert(
      fc.property(anyEvents, anyDelta, log(1e-3, 50), log(1.1, 100), (events, delta, epsilon, factor) => {
        const small = epsilonOf(events, delta);
        const large = epsilonOf(events, Math.min(0.9, delta * factor));
        if (small !== undefined && large !== undefined) expect(large).toBeLessThanOrEqual(small + slack(small));
        const near = known(() => accountant.delta(events, epsilon));
        const far = known(() => accountant.delta(events, epsilon * factor));
        for (const value of [near, far]) if (value !== undefined) expect(value >= 0 && value <= 1).toBe(true);
        if (near !== undefined && far !== undefined) expect(far).toBeLessThanOrEqual(near * 1.02 + 1e-15);
      }),
      RUNS,
    );
  });

  test('the order and the grouping of events do not matter', () => {
    fc.assert(
      fc.property(anyEvents, anyDelta, (events, delta) => {
        const whole = epsilonOf(events, delta);
        expect(epsilonOf([...events].reverse(), delta)).toBe(whole);
        const split = events.flatMap((event) => [
          { ...event, count: Math.floor(event.count / 2) },
          { ...event, count: Math.ceil(event.count / 2) },
        ]);
        expect(epsilonOf(split, delta)).toBe(whole);
      }),
      { numRuns: 15 },
    );
  });

  test('nothing released costs nothing; a rate of 1 is the plain mechanism; a rate of 0 is no release', () => {
    const plain = accountant.epsilon([gaussian(3, 7)], 1e-5);
    expect(accountant.epsilon([], 1e-5)).toBe(0);
    expect(accountant.delta([], 0)).toBe(0);
    expect(accountant.epsilon([poissonGaussian(0.1, 1, 0), poissonGaussian(0, 0.5, 1000)], 1e-5)).toBe(0);
    expect(accountant.epsilon([poissonGaussian(1, 3, 7)], 1e-5)).toBe(plain);
  });

  test('impossible arguments are refused with a code', () => {
    const event = gaussian(1);
    for (const delta of [0, 1, -1e-5, NaN, Infinity]) {
      expect(() => accountant.epsilon([event], delta)).toThrow(
        expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }),
      );
    }
    for (const epsilon of [-1, NaN, Infinity]) {
      expect(() => accountant.delta([event], epsilon)).toThrow(
        expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }),
      );
    }
    const broken = { kind: 'laplace', noiseMultiplier: 1, count: 1 } as unknown as DpEvent;
    expect(() => accountant.epsilon([broken], 1e-5)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
  });
});

test('epsilon and delta of the PLD are consistent: delta at its epsilon is at most the delta asked for', () => {
  fc.assert(
    fc.property(anyEvents, log(1e-8, 0.05), (events, delta) => {
      const epsilon = pld().epsilon(events, delta);
      expect(pld().delta(events, epsilon)).toBeLessThanOrEqual(delta * 1.01);
    }),
    RUNS,
  );
});

test('next to no noise costs a finite ε, rising as the noise falls, from every accountant that answers', () => {
  const epsilonAt = (accountant: Accountant, sigma: number): number | undefined =>
    known(() => accountant.epsilon([poissonGaussian(0.1, sigma, 50)], 1e-6));
  for (const accountant of ALL) {
    const values = [0.02, 0.0101, 0.0099, 1e-3, 1e-4].flatMap((sigma) => epsilonAt(accountant, sigma) ?? []);
    expect(values.length).toBeGreaterThan(2);
    values.forEach((epsilon, i) => expect(epsilon).toBeGreaterThan(values[i - 1] ?? 1e4));
  }
});
