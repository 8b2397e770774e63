// What a clipped sum owes its samples, whatever they hold: sensitivity, permutation, duplication, splitting, isolation.

import { fc, test as property } from '@fast-check/jest';
import { abadi, automatic, type Clip, normalize } from '../../../lib/privacy/clip';
import { inSegments, withBook } from './book';
import { expectClose, expectNear, norm } from './numbers';
import { type Batch, inputs, leaves, makeBatch, makeParameters, type Pattern, plainGradients } from './batch';
import { PATTERNS } from './patterns';
import { Random } from './random';
import { dtype, offsets, repetition, seed, SEEDED } from './shapes';

type Values = ReturnType<typeof makeParameters>;
type Precision = 'float32' | 'float64';

const pattern = fc.constantFrom(...PATTERNS);
const shape = fc.oneof(
  { arbitrary: fc.record({ M: fc.constantFrom(2, 65), d: fc.constantFrom(3, 8), at: offsets(17) }), weight: 4 },
  { arbitrary: fc.record({ M: fc.constant(65), d: fc.constant(8), at: offsets(65) }), weight: 1 },
);

interface Outcome {
  readonly norm: number[];
  readonly bound: number[];
  readonly sum: Float64Array;
}

/** Norms and clipped sum of a batch, over micro-batches of the samples in `parts` (default: one with all). */
function clipped(
  model: Pattern,
  values: Values,
  batch: Batch,
  d: number,
  type: Precision,
  rule: (bound: number[]) => readonly number[],
  parts?: readonly (readonly number[])[],
): Outcome {
  const parameters = leaves(values, type);
  return withBook(parameters, (book) => {
    const outcome = { norm: [] as number[], bound: [] as number[] };
    for (const part of parts ?? [batch.at.slice(1).map((_, b) => b)]) {
      const own = inputs(batch, d, type, part);
      const norms = book.backward(inSegments(own.at, () => model.ours(parameters, own))).norms();
      book.accumulate(rule(norms.bound));
      outcome.norm.push(...norms.norm);
      outcome.bound.push(...norms.bound);
    }
    return { ...outcome, sum: book.flat().slice() };
  });
}

const by =
  (clip: Clip) =>
  (bound: number[]): number[] => [...clip.factors(Float64Array.from(bound))];
const ones = (bound: number[]): number[] => bound.map(() => 1);
const difference = (a: Float64Array, b: Float64Array): number => norm(a.map((x, i) => x - b[i]!));

/** The batch of the chosen samples, in that order. */
function select(batch: Batch, d: number, samples: readonly number[]): Batch {
  const rows = samples.flatMap((b) =>
    Array.from({ length: batch.at[b + 1]! - batch.at[b]! }, (_, t) => batch.at[b]! + t),
  );
  const take = (values: readonly number[]): number[] => rows.map((t) => values[t]!);
  return {
    at: samples.reduce((at, b) => [...at, at[at.length - 1]! + batch.at[b + 1]! - batch.at[b]!], [0]),
    ids: take(batch.ids),
    others: take(batch.others),
    targets: take(batch.targets),
    weights: take(batch.weights),
    x: Float64Array.from(rows.flatMap((t) => [...batch.x.subarray(t * d, (t + 1) * d)])),
  };
}

const CORRUPTIONS = {
  none: (x: number) => x,
  huge: (x: number) => 1e6 * x,
  vanishing: (x: number) => Math.fround(1e-22 * x),
  constant: () => 1.7,
  cancelling: (_: number, t: number) => (t % 2 === 0 ? 1.75 : -1.75),
  nan: (x: number, t: number) => (t === 0 ? NaN : x),
  infinite: (x: number, t: number) => (t === 0 ? Infinity : x),
} as const;

/** The batch with the rows x of sample `b` made hostile. */
function corrupt(batch: Batch, d: number, b: number, kind: keyof typeof CORRUPTIONS): Batch {
  const [first, end] = [batch.at[b]! * d, batch.at[b + 1]! * d];
  return {
    ...batch,
    x: batch.x.map((value, i) =>
      i >= first && i < end ? CORRUPTIONS[kind](value, Math.floor((i - first) / d)) : value,
    ),
  };
}

const corruption = fc.constantFrom(...(Object.keys(CORRUPTIONS) as (keyof typeof CORRUPTIONS)[]));
const clips = fc.constantFrom<Clip>(
  abadi({ maxGradNorm: 0.1 }),
  abadi({ maxGradNorm: 1 }),
  automatic({ maxGradNorm: 1 }),
  normalize({ maxGradNorm: 1 }),
);

property.prop([pattern, shape, repetition, corruption, clips, dtype, seed], { ...SEEDED, numRuns: 150 })(
  'removing one sample moves the clipped sum by at most maxGradNorm',
  (model, { M, d, at }, kind, hostile, clip, type, start) => {
    const random = new Random(start);
    if (at.length < 2) return;
    const values = makeParameters(model, M, d, random);
    const b = random.below(at.length - 1);
    const batch = corrupt(makeBatch(random, at, M, d, kind), d, b, hostile);
    const others = at.slice(1).flatMap((_, i) => (i === b ? [] : [i]));
    const [all, rest] = [batch, select(batch, d, others)].map((own) => clipped(model, values, own, d, type, by(clip)));
    expect(difference(all!.sum, rest!.sum)).toBeLessThanOrEqual(clip.maxGradNorm);
    expect(norm(all!.sum)).toBeLessThanOrEqual(clip.maxGradNorm * (at.length - 1));
    expectClose(
      others.map((i) => all!.bound[i]!),
      rest!.bound,
      { relative: type === 'float64' ? 1e-9 : 1e-3, what: 'bound' },
    );
  },
);

property.prop([pattern, shape, repetition, dtype, seed], { ...SEEDED, numRuns: 40 })(
  'permuting samples permutes norms and keeps the sum',
  (model, { M, d, at }, kind, type, start) => {
    const random = new Random(start);
    const values = makeParameters(model, M, d, random);
    const batch = makeBatch(random, at, M, d, kind);
    const order = at
      .slice(1)
      .map((_, b) => b)
      .sort(() => random.uniform() - 0.5);
    const before = clipped(model, values, batch, d, type, by(abadi({ maxGradNorm: 1 })));
    const after = clipped(model, values, select(batch, d, order), d, type, by(abadi({ maxGradNorm: 1 })));
    const tolerance = type === 'float64' ? 1e-10 : 1e-4;
    expectClose(
      after.norm,
      order.map((b) => before.norm[b]!),
      { relative: tolerance, absolute: tolerance * Math.max(...before.norm, 0) },
    );
    expectNear(after.sum, before.sum, tolerance, { scale: order.length });
  },
);

property.prop([pattern, shape, repetition, dtype, seed], { ...SEEDED, numRuns: 40 })(
  'duplicating every sample doubles the clipped sum',
  (model, { M, d, at }, kind, type, start) => {
    const random = new Random(start);
    const values = makeParameters(model, M, d, random);
    const batch = makeBatch(random, at, M, d, kind);
    const twice = select(
      batch,
      d,
      at.slice(1).flatMap((_, b) => [b, b]),
    );
    const rule = by(normalize({ maxGradNorm: 1 }));
    const [one, two] = [batch, twice].map((own) => clipped(model, values, own, d, type, rule));
    // A gradient that is all rounding has no direction to double.
    const steady = one!.norm.every((n) => n > 1e-3 * Math.max(...one!.norm));
    if (steady)
      expectNear(
        two!.sum,
        one!.sum.map((x) => 2 * x),
        type === 'float64' ? 1e-9 : 1e-3,
        { scale: at.length },
      );
    expect(two!.norm).toHaveLength(2 * one!.norm.length);
  },
);

property.prop([pattern, shape, repetition, dtype, seed], { ...SEEDED, numRuns: 40 })(
  'splitting into micro-batches changes nothing beyond rounding',
  (model, { M, d, at }, kind, type, start) => {
    const random = new Random(start);
    const values = makeParameters(model, M, d, random);
    const batch = makeBatch(random, at, M, d, kind);
    const samples = at.slice(1).map((_, b) => b);
    const cut = random.below(samples.length + 1);
    const parts = [samples.slice(0, cut), samples.slice(cut)]; // one of them may be empty
    const rule = by(abadi({ maxGradNorm: 1 }));
    const whole = clipped(model, values, batch, d, type, rule);
    const split = clipped(model, values, batch, d, type, rule, parts);
    const tolerance = type === 'float64' ? 1e-11 : 1e-5;
    expectClose(split.norm, whole.norm, { relative: tolerance, absolute: tolerance * Math.max(...whole.norm, 0) });
    expectNear(split.sum, whole.sum, tolerance, { scale: samples.length });
  },
);

property.prop([pattern, shape, repetition, seed], { ...SEEDED, numRuns: 30 })(
  'without clipping the sum is the gradient, with norms, without norms, and without a book',
  (model, { M, d, at }, kind, start) => {
    const random = new Random(start);
    const values = makeParameters(model, M, d, random);
    const batch = makeBatch(random, at, M, d, kind);
    const truth = plainGradients(model, values, batch, d);
    const sum = Float64Array.from(
      Object.keys(values).flatMap((name) =>
        Array.from(values[name]!.values, (_, i) => truth.reduce((total, gradients) => total + gradients[name]![i]!, 0)),
      ),
    );
    const scale = norm(sum) + 1e-3;
    expectNear(clipped(model, values, batch, d, 'float64', by(abadi({ maxGradNorm: Infinity }))).sum, sum, 1e-11, {
      scale,
    });

    const parameters = leaves(values, 'float64');
    const own = inputs(batch, d, 'float64');
    withBook(parameters, (book) => {
      book.wantNorms(false);
      book.backward(inSegments(at, () => model.ours(parameters, own))).accumulate(ones(at.slice(1)));
      expectNear(book.flat(), sum, 1e-11, { scale, what: 'sum without norms' });
    });
    const free = leaves(values, 'float64');
    inSegments(at, () => model.ours(free, own))
      .sum()
      .backward();
    const gradients = Object.values(free).flatMap((p) => [
      ...((p.grad?.toTypedArray() as Float64Array | undefined) ?? new Float64Array(p.numel)),
    ]);
    expectNear(gradients, sum, 1e-11, { scale, what: 'gradient without a book' });
  },
);

// Of the patterns those whose rows x a sample can poison.
const poisonable = fc.constantFrom(
  ...PATTERNS.filter(({ name }) => /linear|bias|LayerNorm|heads|perSample/.test(name)),
);

property.prop([poisonable, shape, repetition, fc.constantFrom('nan' as const, 'infinite' as const), dtype, seed], {
  ...SEEDED,
  numRuns: 60,
})(
  'a sample that is not finite leaves every bit of the others alone',
  (model, { M, d, at }, kind, hostile, type, start) => {
    const random = new Random(start);
    if (at.length < 2) return;
    const values = makeParameters(model, M, d, random);
    const b = random.below(at.length - 1);
    const batch = makeBatch(random, at, M, d, kind);
    const without = (bound: number[]): number[] => bound.map((_, i) => (i === b ? 0 : 0.5));
    const clean = clipped(model, values, batch, d, type, without);
    const dirty = clipped(model, values, corrupt(batch, d, b, hostile), d, type, without);
    expect([...dirty.sum]).toEqual([...clean.sum]);
    for (let i = 0; i + 1 < at.length; i++)
      if (i !== b) expect([dirty.norm[i], dirty.bound[i]]).toEqual([clean.norm[i], clean.bound[i]]);
  },
);
