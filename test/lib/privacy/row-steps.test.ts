// Laws of steps by frequency: mean 1 under the frequencies, post-processing of the same release, and no way in for raw counts.

import { adam, adamw, sgd } from '../../../lib/optim';
import { frequencies, frequencySteps, type RowSteps } from '../../../lib/privacy';
import { rowFactors } from '../../../lib/privacy/row-steps';
import { engineFor, histories, ITEMS, smallModel } from './fixture';

const shares = Float64Array.from({ length: ITEMS + 1 }, (_, i) => (i === 0 ? 1 : 1 / (1 + i)));
const known = frequencies.public(shares);
const invalid = expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }) as Error;

test.each([0.25, 0.5, 1, 2])('factors are p^%p up to a constant, with mean 1 under p', (exponent) => {
  const factors = rowFactors(shares, exponent);
  const mass = shares.subarray(1).reduce((sum, p) => sum + p, 0);
  const mean = shares.subarray(1).reduce((sum, p, i) => sum + p * factors[i + 1]!, 0) / mass;
  expect(mean).toBeCloseTo(1, 12);
  expect(factors[4]! / factors[9]!).toBeCloseTo((shares[4]! / shares[9]!) ** exponent, 12);
  expect(factors[0]).toBe(1);
});

test('equal frequencies give the factor 1 to every row; renaming items renames the factors', () => {
  for (const factor of rowFactors(new Float64Array(ITEMS + 1).fill(0.3), 0.5)) expect(factor).toBeCloseTo(1, 12);
  const turned = Float64Array.from(shares, (_, i) => (i === 0 ? 1 : shares[1 + (i % ITEMS)]!));
  const [a, b] = [rowFactors(shares, 0.5), rowFactors(turned, 0.5)];
  for (let i = 1; i <= ITEMS; i++) expect(b[i]).toBeCloseTo(a[1 + (i % ITEMS)]!, 12);
});

const OPTIMIZERS = {
  adam: (m: ReturnType<typeof smallModel>) => adam(m.parameters(), { lr: 0.01, weightDecay: 0.1 }),
  adamw: (m: ReturnType<typeof smallModel>) => adamw(m.parameters(), { lr: 0.01, weightDecay: 0.1 }),
  'sgd with momentum': (m: ReturnType<typeof smallModel>) => sgd(m.parameters(), { lr: 0.5, momentum: 0.9 }),
};

/** What the first private step moved, by parameter. */
function firstMove(
  make: (m: ReturnType<typeof smallModel>) => ReturnType<typeof adam> | ReturnType<typeof sgd>,
  options: Parameters<typeof engineFor>[1],
): { values: Map<string, number[]>; before: Map<string, number[]> } {
  const model = smallModel();
  const read = (): Map<string, number[]> =>
    new Map([...model.namedParameters()].map(([name, p]) => [name, [...(p.detach().toTypedArray() as Float32Array)]]));
  const before = read();
  const engine = engineFor(model, options);
  const optimizer = engine.attach(make(model) as ReturnType<typeof adam>);
  for (const batch of engine.batches(histories())) {
    optimizer.step({ loss: model.loss(batch) });
    if (engine.steps === 1) break;
  }
  const after = read();
  engine.close();
  return { before, values: new Map([...after].map(([name, w]) => [name, w.map((x, i) => x - before.get(name)![i]!)])) };
}

test.each(Object.entries(OPTIMIZERS))(
  '%s: row i moves r_i times as far as without, everything else as far',
  (_, make) => {
    const plain = firstMove(make, {}).values;
    const own = firstMove(make, { frequencies: known, rowSteps: frequencySteps({ tables: ['items'] }) }).values;
    const factors = rowFactors(shares, 0.5);
    for (const [name, values] of own) {
      const same = plain.get(name)!;
      if (name !== 'items.weight') expect(values).toEqual(same);
      else values.forEach((x, i) => expect(Math.abs(x - factors[Math.floor(i / 8)]! * same[i]!)).toBeLessThan(1e-6));
    }
  },
);

test('uniform frequencies switch it off bit for bit', () => {
  const make = OPTIMIZERS.adam;
  const uniform = firstMove(make, {
    frequencies: frequencies.uniform(),
    rowSteps: frequencySteps({ tables: ['items'] }),
  });
  expect(uniform.values).toEqual(firstMove(make, {}).values);
});

test('a private histogram is released once, charged once, and steps go by it', () => {
  const model = smallModel();
  const engine = engineFor(model, {
    frequencies: frequencies.privateHistogram({ noiseMultiplier: 2 }),
    rowSteps: frequencySteps({ tables: ['items'] }),
  });
  const optimizer = engine.attach(adam(model.parameters(), { lr: 0.01 }));
  for (const batch of engine.batches(histories())) optimizer.step({ loss: model.loss(batch) });
  expect(engine.ledger.events.map(({ kind, count }) => [kind, count])).toEqual([
    ['gaussian', 1],
    ['poissonGaussian', 4],
  ]);
  engine.close();
});

describe('what is refused', () => {
  const steps = frequencySteps({ tables: ['items'] });

  test('row steps without frequencies, and numbers in the place of row steps', () => {
    expect(() => engineFor(smallModel(), { rowSteps: steps })).toThrow(invalid);
    for (const own of [shares, { ...steps }, { tables: ['items'], counts: [3, 4] }])
      expect(() => engineFor(smallModel(), { frequencies: known, rowSteps: own as unknown as RowSteps })).toThrow(
        invalid,
      );
  });

  test('raw counts in the place of frequencies', () => {
    for (const counts of [shares, [3, 4, 5]])
      expect(() => engineFor(smallModel(), { frequencies: counts as never, rowSteps: steps })).toThrow(invalid);
  });

  test('a table of another number of rows, a prefix without a table, and frequencies that are all 0', () => {
    const attach = (own: RowSteps, f = known) => {
      const model = smallModel();
      return () => engineFor(model, { frequencies: f, rowSteps: own }).attach(adam(model.parameters()));
    };
    expect(attach(frequencySteps({ tables: ['positions'] }))).toThrow(invalid);
    expect(attach(frequencySteps({ tables: ['table'] }))).toThrow(
      expect.objectContaining({ code: 'ERR_PARAMETER_GROUPS' }),
    );
    expect(attach(steps, frequencies.public(new Float64Array(ITEMS + 1)))).toThrow(invalid);
  });

  test('no table, an exponent of 0, an unknown option, and a tracked error of Re-Attention', () => {
    expect(() => frequencySteps({ tables: [] })).toThrow(invalid);
    expect(() => frequencySteps({ tables: ['items'], exponent: 0 })).toThrow(invalid);
    expect(() => frequencySteps({ tables: ['items'], power: 1 } as never)).toThrow(invalid);
    const tracked = smallModel({ reAttention: { error: 'tracked' } });
    expect(() => engineFor(tracked, { frequencies: known, rowSteps: steps })).toThrow(invalid);
  });
});
