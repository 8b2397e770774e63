// Laws of steps that clip groups of parameters apart: no sample adds more than C_g to a group, nor more than C in all.

import { Module, Parameter, perSample } from '../../../../lib/nn';
import { sgd } from '../../../../lib/optim';
import {
  abadi,
  automatic,
  type Clip,
  clippedSum,
  external,
  global,
  type GroupAssignment,
  type Grouping,
  groups,
  normalize,
  perLayer,
  poisson,
  PrivacyEngine,
  psac,
} from '../../../../lib/privacy';
import { GradientBook } from '../../../../lib/privacy/gradient-book';
import { type Tensor, tensor } from '../../../../lib/tensor';
import { distance, engineFor, histories, optimizers, smallModel, weights } from '../fixture';

const C = 0.7;
const LR = 0.5; // of optimizers.sgd
const byHand = groups([['items'], { prefixes: ['positions', 'blocks.0.attention'], weight: 2 }, otherBlocks()]);

function otherBlocks(): readonly string[] {
  return ['attentionNorm', 'ffnIn', 'ffnOut', 'ffnNorm'].map((layer) => `blocks.0.${layer}`);
}

/** What one step without noise adds up, by parameter. */
function summed(clip: Clip, ids: readonly number[]): Map<string, number[]> {
  const model = smallModel();
  const engine = engineFor(model, { sampler: external({ batchSize: 1 }), steps: 1, noiseMultiplier: 0, clip });
  const read = (): [string, number[]][] =>
    [...model.namedParameters()].map(([name, p]) => [name, [...(p.detach().toTypedArray() as Float32Array)]]);
  const before = new Map(read());
  const optimizer = engine.attach(optimizers.sgd(model));
  const [batch] = histories().pack(Int32Array.from(ids), { rowBudget: 1000, maxLength: 6 });
  optimizer.step({ loss: model.loss(batch!) });
  const after = read();
  engine.close();
  return new Map(
    after.map(([name, values]) => [name, values.map((w, i) => (before.get(name)![i]! - w) / LR)] as const),
  );
}

/** Norm of the difference in each group. */
function gaps(a: Map<string, number[]>, b: Map<string, number[]> | null, grouping: Grouping): number[] {
  const { groups: all, groupOf } = grouping.assign([...a.keys()]);
  const squares = all.map(() => 0);
  [...a].forEach(([name, values], slot) => {
    squares[groupOf[slot]!]! += distance(values, b?.get(name) ?? values.map(() => 0)) ** 2;
  });
  return squares.map(Math.sqrt);
}

const all = (share: number): { name: string; share: number } => ({ name: `${share}`, share });

const shares = (grouping: Grouping): number[] =>
  grouping.assign([...smallModel().namedParameters()].map(([name]) => name)).groups.map(({ share }) => share);

const RULES: Readonly<Record<string, (grouping: Grouping) => Clip>> = {
  abadi: (grouping) => abadi({ maxGradNorm: C, groups: grouping }),
  automatic: (grouping) => automatic({ maxGradNorm: C, groups: grouping }),
  normalize: (grouping) => normalize({ maxGradNorm: C, groups: grouping }),
  psac: (grouping) => psac({ maxGradNorm: C, groups: grouping }),
  global: (grouping) => global({ maxGradNorm: C, groups: grouping, cutoff: 1 }),
};
const GROUPINGS = { perLayer: perLayer(), groups: byHand };

describe.each(Object.entries(GROUPINGS))('%s', (_grouping, grouping) => {
  test.each(Object.entries(RULES))(
    '%s: removing one sample moves no group by more than C_g, and the whole by at most C',
    (name, rule) => {
      const ids = [3, 12, 21, 30];
      const all = summed(rule(grouping), ids);
      for (const left of ids) {
        const without = summed(
          rule(grouping),
          ids.filter((id) => id !== left),
        );
        const moved = gaps(all, without, grouping);
        const part = shares(grouping);
        moved.forEach((gap, g) => expect(gap).toBeLessThanOrEqual(part[g]! * C * (1 + 1e-4)));
        expect(Math.hypot(...moved)).toBeLessThanOrEqual(C * (1 + 1e-4));
        // Normalised gradients use the whole bound, so that a wrong share would show.
        if (name === 'normalize') expect(Math.hypot(...moved)).toBeGreaterThan(C * (1 - 2e-3));
      }
    },
  );

  test.each<[string, (n: number, c: number) => number]>([
    ['abadi', (n, c) => Math.min(1, c / n)],
    ['automatic', (n, c) => c / (n + 0.01)],
    ['normalize', (n, c) => c / n],
    ['psac', (n, c) => c / (n + 0.1 / (n + 0.1))],
    ['global', (n, c) => (n <= 1 ? c : 0)],
  ])('%s: the factor of a group is that of its norm at C_g', (name, factor) => {
    const plain = abadi({ maxGradNorm: Infinity });
    const part = shares(grouping);
    for (const id of [5, 23]) {
      const norms = gaps(summed(plain, [id]), null, grouping);
      const clipped = gaps(summed(RULES[name]!(grouping), [id]), null, grouping);
      clipped.forEach((n, g) => {
        const expected = norms[g]! * factor(norms[g]!, part[g]! * C);
        expect(Math.abs(n - expected)).toBeLessThan(2e-3 * expected + 1e-6); // the slack is 1e-3
      });
    }
  });
});

test('one group of all parameters is the same step as no groups, bit for bit', () => {
  const one = groups([['items', 'positions', 'blocks']]);
  expect(summed(normalize({ maxGradNorm: C, groups: one }), [1, 2, 3])).toEqual(
    summed(normalize({ maxGradNorm: C }), [1, 2, 3]),
  );
});

test('without a threshold groups change nothing', () => {
  const grouped = summed(abadi({ maxGradNorm: Infinity, groups: perLayer() }), [1, 2, 3]);
  const plain = summed(abadi({ maxGradNorm: Infinity }), [1, 2, 3]);
  expect(distance([...grouped.values()].flat(), [...plain.values()].flat())).toBeLessThan(1e-6);
});

test('physical batches of any size give the same step', () => {
  const run = (memoryBudget: number): number[] => {
    const model = smallModel();
    const clip = normalize({ maxGradNorm: C, groups: perLayer() });
    const engine = engineFor(model, { noiseMultiplier: 0, clip, steps: 2, performance: { memoryBudget } });
    const optimizer = engine.attach(optimizers.sgd(model));
    for (const batch of engine.batches(histories())) optimizer.step({ loss: model.loss(batch) });
    return weights(model);
  };
  const whole = run(2 ** 26);
  expect(distance(run(1), whole)).toBeLessThan(1e-5 * distance(whole, weights(smallModel())));
});

/** Where `poison` is 1, the gradient of `root` is infinite and everything else finite, the loss included. */
class Poisoned extends Module {
  readonly root = new Parameter(tensor([0, 0]));
  readonly scale = { weight: new Parameter(tensor([1, 2, 3])) };

  loss(poison: readonly number[]): Tensor {
    const samples = poison.length;
    const mask = tensor([...poison]).unsqueeze(1);
    const root = perSample(this.root, samples).mul(mask).add(mask.neg().add(1)).sqrt().sum([1]);
    const scale = perSample(this.scale.weight, samples).square().sum([1]);
    return root.add(scale);
  }
}

test('a sample with one group that is not finite is dropped from every group, and counted once', () => {
  const run = (poison: readonly number[]) => {
    const model = new Poisoned();
    const engine = new PrivacyEngine(model, {
      records: 10,
      steps: 1,
      noiseMultiplier: 0,
      sampler: external({ batchSize: 1 }),
      clip: normalize({ maxGradNorm: 1, groups: perLayer() }),
      attributionCheck: false,
    });
    const optimizer = engine.attach(sgd(model.parameters(), { lr: 1 }));
    optimizer.step({ loss: model.loss(poison) });
    return { moved: weights(model), stats: engine.trainingStats()! };
  };
  const { moved, stats } = run([0, 1, 0]);
  expect(moved).toEqual(run([0, 0]).moved);
  expect(moved).not.toEqual(run([0, 0, 0]).moved);
  expect(stats).toMatchObject({ samples: 3, notFinite: 1 });
});

test('statistics know the groups, and their norms make up the norm of the whole', () => {
  const model = smallModel();
  const clip = abadi({ maxGradNorm: 0.2, groups: perLayer() });
  const engine = engineFor(model, { sampler: external({ batchSize: 1 }), steps: 1, noiseMultiplier: 0, clip });
  const optimizer = engine.attach(optimizers.sgd(model));
  const [batch] = histories().pack(Int32Array.of(9), { rowBudget: 1000, maxLength: 6 });
  optimizer.step({ loss: model.loss(batch!) });
  const { groups: parts, gradientNorm, clippedShare, clipFactor, maxGradNorm } = engine.trainingStats()!;
  expect(Object.keys(parts)).toEqual(Object.keys(engine.groupThresholds()!));
  expect(Object.keys(parts)).toContain('items');
  expect(Math.hypot(...Object.values(parts).map((part) => part.gradientNorm.max))).toBeCloseTo(gradientNorm.max, 5);
  expect(clippedShare).toBe(Math.max(...Object.values(parts).map((part) => part.clippedShare)));
  expect(clipFactor.min).toBe(Math.min(...Object.values(parts).map((part) => part.clipFactor.min)));
  expect(maxGradNorm).toBe(0.2);
  expect(Math.hypot(...Object.values(engine.groupThresholds()!))).toBeCloseTo(0.2, 14);
});

test('a book gives norms of the whole, of groups and of parameters that agree', () => {
  const model = smallModel();
  const parameters = new Map(model.namedParameters());
  const book = new GradientBook(parameters, { groups: perLayer().assign([...parameters.keys()]) });
  try {
    const [batch] = histories().pack(Int32Array.of(2, 9, 17), { rowBudget: 1000, maxLength: 6 });
    book.backward(model.loss(batch!), 0);
    const { norm, bound, groups: parts, parameters: each } = book.norms();
    for (let b = 0; b < 3; b++) {
      expect(Math.hypot(...parts.map((part) => part.norm[b]!))).toBeCloseTo(norm[b]!, 10);
      expect(Math.hypot(...[...each.values()].map((values) => values[b]!))).toBeCloseTo(norm[b]!, 5);
      expect(bound[b]).toBeGreaterThanOrEqual(Math.hypot(...parts.map((part) => part.bound[b]!)));
    }
    expect([...each.keys()]).toEqual([...parameters.keys()]);
  } finally {
    book.close();
  }
});

describe('refusals', () => {
  const refusal = (code: string, part: string) =>
    expect.objectContaining({ code, message: expect.stringContaining(part) as string });

  test('groups that do not fit the model are refused by attach, which then may be tried again', () => {
    const run = (refusedFirst: boolean): { moved: number[]; ledger: unknown } => {
      const model = smallModel();
      const clip = normalize({ maxGradNorm: 1, groups: groups([['items'], ['blocks']]) });
      const engine = engineFor(model, { clip, steps: 2, sampler: poisson({ batchSize: 10 }) });
      if (refusedFirst) {
        const before = weights(model);
        const optimizer = optimizers.adam(model);
        expect(() => engine.attach(optimizer)).toThrow(refusal('ERR_PARAMETER_GROUPS', 'positions.weight'));
        expect(weights(model)).toEqual(before);
        expect(optimizer.steps).toBe(0);
        expect(engine.ledger.events).toEqual([]);
      }
      model.positions.weight.requiresGrad_(false);
      const trained = model.parameters().filter((p) => p.requiresGrad);
      const optimizer = engine.attach(sgd(trained, { lr: 0.5 }));
      for (const batch of engine.batches(histories())) optimizer.step({ loss: model.loss(batch) });
      return { moved: weights(model), ledger: engine.ledger.toJSON() };
    };
    expect(run(true)).toEqual(run(false)); // noise and sampling too
  });

  test('a rule that breaks its promise in one group alone is refused, and the step may be taken again', () => {
    let broken = true;
    const rule = normalize({ maxGradNorm: 1, groups: byHand });
    const [, second] = shares(byHand);
    const clip: Clip = {
      ...rule,
      factors: (bounds, share) => rule.factors(bounds, share).map((f) => (broken && share === second ? 1.01 * f : f)),
    };
    const run = (breaks: boolean): number[] => {
      broken = breaks;
      const model = smallModel();
      const engine = engineFor(model, { clip, steps: 1 });
      const optimizer = engine.attach(optimizers.adam(model));
      const before = weights(model);
      const batch = engine.batches(histories()).next().value!;
      if (breaks) {
        expect(() => optimizer.step({ loss: model.loss(batch) })).toThrow(refusal('ERR_INVALID_ARGUMENT', 'promise'));
        expect(weights(model)).toEqual(before);
        expect(engine.steps).toBe(0);
        expect(engine.ledger.events).toEqual([]);
      }
      broken = false;
      optimizer.step({ loss: model.loss(batch) });
      expect(engine.steps).toBe(1);
      return weights(model);
    };
    expect(run(true)).toEqual(run(false));
  });

  test.each<[string, Partial<GroupAssignment>]>([
    ['shares whose squares add up to 2', { groups: [all(1), all(1)] }],
    ['a share that is no number', { groups: [all(NaN), all(0.5)] }],
    ['a negative share', { groups: [all(-1), all(0)] }],
    ['a parameter without a group', { groupOf: [0, 1] }],
    [
      'a group that is none',
      {
        groupOf: smallModel()
          .parameters()
          .map(() => 2),
      },
    ],
  ])('a grouping that breaks its promise is refused before anything is attached: %s', (_what, broken) => {
    const model = smallModel();
    const two = { groups: [all(0.6), all(0.8)], groupOf: model.parameters().map((_, slot) => slot % 2), ...broken };
    const clip = { ...normalize({ maxGradNorm: 1 }), grouping: { kind: 'own', assign: () => two } };
    expect(() => engineFor(model, { clip }).attach(optimizers.sgd(model))).toThrow(
      refusal('ERR_INVALID_ARGUMENT', 'squares'),
    );
    const [batch] = histories().pack(Int32Array.of(1, 2), { rowBudget: 1000, maxLength: 6 });
    expect(() => clippedSum(model, () => model.loss(batch!), clip)).toThrow(refusal('ERR_INVALID_ARGUMENT', 'squares'));
  });
});
