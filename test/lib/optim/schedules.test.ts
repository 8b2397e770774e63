// Laws of the learning-rate schedules.

import { constant, cosine, linearWarmupDecay, type Schedule } from '../../../lib/optim/schedules';

const values = (schedule: Schedule, steps: number): number[] =>
  Array.from({ length: steps }, (_, step) => schedule(step));

describe('linearWarmupDecay', () => {
  test('rises in equal parts to 1, stays there one step longer and falls in equal parts', () => {
    expect(values(linearWarmupDecay({ warmup: 0.2, steps: 10 }), 11)).toEqual([
      1 / 2,
      1,
      1,
      7 / 8,
      6 / 8,
      5 / 8,
      4 / 8,
      3 / 8,
      2 / 8,
      1 / 8,
      0,
    ]);
  });

  test('warms up over a fifth of the steps by default', () => {
    const factors = values(linearWarmupDecay({ steps: 100 }), 100);
    expect(factors.indexOf(1)).toBe(19);
  });

  test.each([1, 2, 3, 7, 100, 1001])(
    'no planned step of %i is without effect, and none exceeds the base rate',
    (steps) => {
      for (const warmup of [0, 0.2, 0.5, 0.999]) {
        const factors = values(linearWarmupDecay({ warmup, steps }), steps);
        expect(Math.min(...factors)).toBeGreaterThan(0);
        expect(Math.max(...factors)).toBe(1);
      }
    },
  );

  test('is 0 after the planned steps', () => {
    expect(values(linearWarmupDecay({ steps: 5 }), 8).slice(5)).toEqual([0, 0, 0]);
  });
});

describe('cosine', () => {
  test('falls from 1 to the floor, half way at the middle', () => {
    const schedule = cosine({ steps: 10, floor: 0.1 });
    expect(schedule(0)).toBe(1);
    expect(schedule(5)).toBeCloseTo(0.55, 12);
    expect(schedule(10)).toBeCloseTo(0.1, 12);
    expect(schedule(1000)).toBeCloseTo(0.1, 12);
  });

  test('never rises once the warm-up is over', () => {
    const factors = values(cosine({ warmup: 0.25, steps: 40 }), 40);
    expect(factors.slice(0, 10)).toEqual(Array.from({ length: 10 }, (_, i) => (i + 1) / 10));
    for (let step = 11; step < 40; step++) expect(factors[step]).toBeLessThan(factors[step - 1] as number);
  });
});

test('the constant schedule is 1 at every step', () => {
  expect(values(constant(), 5)).toEqual([1, 1, 1, 1, 1]);
});

test.each<[string, () => unknown]>([
  ['no steps', () => linearWarmupDecay({ steps: 0 })],
  ['a broken number of steps', () => linearWarmupDecay({ steps: 2.5 })],
  ['a warm-up that never ends', () => linearWarmupDecay({ steps: 10, warmup: 1 })],
  ['a negative warm-up', () => linearWarmupDecay({ steps: 10, warmup: -0.1 })],
  ['a warm-up that is no number', () => linearWarmupDecay({ steps: 10, warmup: NaN })],
  ['a floor above 1', () => cosine({ steps: 10, floor: 1.5 })],
  ['a floor below 0', () => cosine({ steps: 10, floor: -1 })],
  ['a negative step', () => linearWarmupDecay({ steps: 10 })(-1)],
  ['a broken step', () => cosine({ steps: 10 })(0.5)],
])('%s is refused', (_, make) => {
  expect(make).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
});
