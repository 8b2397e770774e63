// The exact accountant against integration in the space of outputs, closed forms and its own freedom of choice.

import { Contour } from '../../../../lib/privacy/accounting/contour';
import { cumulantOf, saddlePoint } from '../../../../lib/privacy/accounting/cumulant';
import { composition } from '../../../../lib/privacy/accounting/composition';
import { gaussian, poissonGaussian } from '../../../../lib/privacy/accounting/events';
import { exact, exactEpsilon, exactLogDelta } from '../../../../lib/privacy/accounting/exact';
import { oneStepEpsilon, oneStepLogDelta } from '../../../../lib/privacy/accounting/step';
import { expectRelative, reference } from './reference';

test.each(reference.twoSteps.map((row) => [JSON.stringify(row.events), row.epsilon, row] as const))(
  'two steps %s at epsilon %d equal the double integral over outputs, in both directions',
  (_name, epsilon, { events, remove, add }) => {
    const composed = composition(events.map(([q, sigma]) => poissonGaussian(q, sigma)));
    expectRelative(Math.exp(exactLogDelta(composed, 'remove', epsilon)), Number(remove), 1e-9);
    const added = Math.exp(exactLogDelta(composed, 'add', epsilon));
    expect(Math.abs(added - Number(add))).toBeLessThanOrEqual(1e-9 * Number(add));
  },
);

test('one step by contour integration equals its closed form, and epsilon inverts delta', () => {
  for (const [q, sigma, epsilon] of [
    [0.02, 0.8, 0.5],
    [0.3, 2, 0.2],
    [0.7, 0.6, 3],
  ] as const) {
    const composed = composition([poissonGaussian(q, sigma)]);
    const step = composed.sampled[0]!;
    for (const direction of ['remove', 'add'] as const) {
      const closed = oneStepLogDelta(step, direction, epsilon);
      if (closed === -Infinity) continue; // add: no loss is that large
      const c = saddlePoint(cumulantOf(composed, direction), epsilon);
      const { value, resolved } = new Contour(composed, direction, c, -Infinity).logDelta(epsilon);
      expect(resolved).toBe(true);
      expect(Math.abs(value - closed)).toBeLessThan(1e-8);
      expectRelative(oneStepEpsilon(step, direction, closed), epsilon, 1e-9);
    }
  }
});

test('the value does not depend on where the contour crosses the axis', () => {
  const composed = composition([poissonGaussian(0.05, 2, 500), gaussian(20)]);
  for (const direction of ['remove', 'add'] as const) {
    const c = saddlePoint(cumulantOf(composed, direction), 1);
    const values = [0.6, 1, 1.4].map(
      (factor) => new Contour(composed, direction, factor * c, -Infinity).logDelta(1).value,
    );
    for (const value of values) expect(Math.abs(value - values[0]!)).toBeLessThan(1e-10);
  }
});

test('epsilon inverts delta for compositions, in both directions', () => {
  const composed = composition([poissonGaussian(0.02, 0.9, 300), poissonGaussian(0.1, 3, 100)]);
  for (const direction of ['remove', 'add'] as const) {
    for (const delta of [1e-2, 1e-6, 1e-12]) {
      const epsilon = exactEpsilon(composed, direction, Math.log(delta));
      expectRelative(Math.exp(exactLogDelta(composed, direction, epsilon)), delta, 1e-8);
    }
  }
});

test('q near 1 joins the closed form of q = 1', () => {
  const near = exact().epsilon([poissonGaussian(1 - 1e-10, 1, 10)], 1e-5);
  expect(Math.abs(near - exact().epsilon([gaussian(1, 10)], 1e-5))).toBeLessThan(1e-6);
});

test('where cancellation eats the digits it refuses instead of guessing', () => {
  const rare = [poissonGaussian(1e-6, 2.3, 7)];
  expect(() => exact().epsilon(rare, 1e-13)).toThrow(expect.objectContaining({ code: 'ERR_ACCOUNTING' }));
});
