// Sharing in every combination equals one-sample-at-a-time autograd of plain operators: norms, sums, certificate.

import { fc, test as property } from '@fast-check/jest';
import { inputs, leaves, makeBatch, makeParameters, plainGradients } from './batch';
import { PATTERNS } from './patterns';
import { inSegments, step, withBook } from './book';
import { expectCertified, expectClose, expectNear, norm } from './numbers';
import { Random } from './random';
import { offsets, repetition, seed, SEEDED } from './shapes';

const shape = fc.oneof(
  { arbitrary: fc.record({ M: fc.constantFrom(2, 65, 97), d: fc.constantFrom(1, 3, 8), at: offsets(20) }), weight: 5 },
  // Long samples of narrow rows take the other road: their gradients are formed instead of Gram matrices.
  { arbitrary: fc.record({ M: fc.constantFrom(2, 65), d: fc.constantFrom(3, 8), at: offsets() }), weight: 2 },
  { arbitrary: fc.record({ M: fc.constantFrom(97), d: fc.constantFrom(64, 65), at: offsets(8) }), weight: 1 },
);

describe.each(PATTERNS.map((pattern) => [pattern.name, pattern] as const))('%s', (_name, pattern) => {
  property.prop([shape, repetition, seed], { ...SEEDED, numRuns: 12 })(
    'equals autograd one sample at a time in float64',
    ({ M, d, at }, kind, start) => {
      const random = new Random(start);
      const values = makeParameters(pattern, M, d, random);
      const batch = makeBatch(random, at, M, d, kind);
      const truth = plainGradients(pattern, values, batch, d);
      const factors = truth.map(() => random.uniform());

      const parameters = leaves(values, 'float64');
      const all = inputs(batch, d, 'float64');
      const got = step(parameters, at, () => pattern.ours(parameters, all), factors);
      const exact = truth.map((gradients) => norm(Object.values(gradients).map(norm)));
      const largest = Math.max(...exact, 1e-9);
      for (const name of Object.keys(values)) {
        const norms = truth.map((gradients) => norm(gradients[name]!));
        expectClose(got.norm2[name]!.map(Math.sqrt), norms, { relative: 1e-11, absolute: 1e-9 * largest, what: name });
        const sum = new Float64Array(values[name]!.values.length);
        truth.forEach((gradients, b) => gradients[name]!.forEach((x, i) => (sum[i]! += factors[b]! * x)));
        expectNear(got.sums[name]!, sum, 1e-12, { scale: largest * (truth.length + 1), what: `sum of ${name}` });
      }
      exact.forEach((want, b) => {
        if (want > 1e-6 * largest)
          expectClose([got.norm[b]!], [want], { relative: 1e-11 * Math.max(1, (1e-2 * largest) / want), what: 'norm' });
      });
      expectCertified(
        got.bound,
        exact.map((n) => Math.max(0, n * (1 - 1e-11) - 1e-12 * largest)),
        { floor: 1e-9 * largest },
      );
    },
  );

  property.prop([shape, repetition, seed], { ...SEEDED, numRuns: 6 })(
    'float32 is near it, and its bound holds for what is summed',
    ({ M, d, at }, kind, start) => {
      const random = new Random(start);
      const values = makeParameters(pattern, M, d, random);
      const batch = makeBatch(random, at, M, d, kind);
      const truth = plainGradients(pattern, values, batch, d);
      const parameters = leaves(values, 'float32');
      const all = inputs(batch, d, 'float32');
      const exact = truth.map((gradients) => norm(Object.values(gradients).map(norm)));
      const largest = Math.max(...exact, 1e-9);
      const run = (factors: number[]) => step(parameters, at, () => pattern.ours(parameters, all), factors);
      const { norm: norms, bound } = run(truth.map(() => 1));
      expectClose(norms, exact, { relative: 1e-3, absolute: 2e-5 * largest, what: 'norm' });
      expectCertified(bound, norms, { floor: 1e-4 * largest });
      truth.forEach((_, b) => {
        const alone = run(truth.map((__, i) => (i === b ? 1 : 0)));
        const contribution = norm(Object.values(alone.sums).map(norm));
        if (!(contribution <= bound[b]!)) throw new Error(`sample ${b} adds ${contribution}, its bound is ${bound[b]}`);
      });
    },
  );

  property.prop([shape, repetition, seed], { ...SEEDED, numRuns: 8 })(
    'float32 norms are within 1e-5 of float64 on the same stored factors, and the bound within 1 % above',
    ({ M, d, at }, kind, start) => {
      const random = new Random(start);
      const parameters = leaves(makeParameters(pattern, M, d, random), 'float32');
      const all = inputs(makeBatch(random, at, M, d, kind), d, 'float32');
      const run = (materialise: boolean) =>
        withBook(parameters, (book) =>
          book
            .materialise(materialise)
            .backward(inSegments(at, () => pattern.ours(parameters, all)))
            .norms(),
        );
      const [fast, exact] = [run(false), run(true)];
      expectClose(fast.norm, exact.norm, { relative: 1e-5, absolute: 1e-30, what: 'norm' });
      expectCertified(fast.bound, exact.norm, { floor: 1e-30 });
    },
  );
});
