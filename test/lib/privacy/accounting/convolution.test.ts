// FFT powers against sums written out, within the error that they state.

import { convolve } from '../../../../lib/privacy/accounting/convolution';
import type { DiscreteLoss } from '../../../../lib/privacy/accounting/discretisation';

function loss(first: number, weights: readonly number[]): DiscreteLoss {
  const total = weights.reduce((a, b) => a + b, 0);
  return {
    mass: Float64Array.from(weights, (w) => w / total),
    first,
    log: 0,
    excess: 0,
    logInfinity: -Infinity,
    lossError: 0,
  };
}

/** The distribution of the sum, term by term. */
function slow(terms: readonly { loss: DiscreteLoss; count: number }[]): { first: number; mass: number[] } {
  let result = { first: 0, mass: [1] };
  for (const { loss: one, count } of terms) {
    for (let k = 0; k < count; k++) {
      const mass = new Array<number>(result.mass.length + one.mass.length - 1).fill(0);
      result.mass.forEach((p, i) => one.mass.forEach((r, j) => (mass[i + j]! += p * r)));
      result = { first: result.first + one.first, mass };
    }
  }
  return result;
}

const A = loss(-2, [1, 5, 20, 7, 3]);
const B = loss(3, [0.999, 0.0005, 0, 0.0005]);

test.each([
  ['one step', [{ loss: A, count: 1 }]],
  ['a power', [{ loss: A, count: 13 }]],
  ['a lump with a rare tail', [{ loss: B, count: 20 }]],
  [
    'two kinds of steps',
    [
      { loss: A, count: 5 },
      { loss: B, count: 7 },
    ],
  ],
])('%s: every entry is within the stated error, and the error is small', (_name, terms) => {
  const truth = slow(terms);
  const size = 256;
  const first = truth.first - 20;
  const { mass, error } = convolve(terms, first, size);
  expect(error).toBeLessThan(1e-11);
  for (let k = 0; k < size; k++) {
    const expected = truth.mass[k + first - truth.first] ?? 0;
    expect(Math.abs(mass[k]! - expected)).toBeLessThanOrEqual(error);
  }
});

test('what lies outside the window wraps around', () => {
  const truth = slow([{ loss: A, count: 6 }]);
  const size = 16;
  const first = truth.first + 5;
  const { mass, error } = convolve([{ loss: A, count: 6 }], first, size);
  const wrapped = new Array<number>(size).fill(0);
  truth.mass.forEach((p, i) => (wrapped[(((truth.first + i - first) % size) + size) % size]! += p));
  wrapped.forEach((p, k) => expect(Math.abs(mass[k]! - p)).toBeLessThanOrEqual(2 * error));
});

test('the order of the terms does not matter beyond rounding, and a million steps keep their total', () => {
  const one = convolve(
    [
      { loss: A, count: 5 },
      { loss: B, count: 7 },
    ],
    -20,
    256,
  );
  const other = convolve(
    [
      { loss: B, count: 7 },
      { loss: A, count: 5 },
    ],
    -20,
    256,
  );
  one.mass.forEach((p, k) => expect(Math.abs(p - other.mass[k]!)).toBeLessThanOrEqual(one.error));
  const many = convolve([{ loss: B, count: 1_000_000 }], 3_000_000 - 1000, 4096);
  const total = many.mass.reduce((sum, p) => sum + p, 0);
  expect(Math.abs(total - 1)).toBeLessThan(1e-9);
});
