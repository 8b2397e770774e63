// What is drawn for one record alone must not follow from its number: the number says how many others are before it.

import { TokenDataset } from '../../../lib/data';
import { Segments } from '../../../lib/nn';
import { poisson } from '../../../lib/privacy';
import { RecordKeys } from '../../../lib/privacy/record-keys';
import { insecureRandom, secureRandom } from '../../../lib/privacy/sampling';
import { tidy } from '../../../lib/tensor';
import { engineFor, histories, optimizers, smallModel } from './fixture';

const IDS = Int32Array.from({ length: 40 }, (_, id) => id);

/** Losses of the records of the first physical batch, where each is drawn, by a model whose seed everybody knows. */
function losses(insecureSeed: number | undefined): ReadonlyMap<number, number> {
  const model = smallModel({ dropout: 0.5 });
  // What is absent is spread over the fixture's seed: randomness is then the operating system's.
  const engine = engineFor(model, { sampler: poisson({ batchSize: 40 }), insecureSeed: insecureSeed as number });
  const batch = engine.batches(histories()).next().value!;
  const values = tidy(() => Array.from(model.loss(batch).detach().toTypedArray() as Float32Array));
  using one = Segments.of(batch);
  using again = Segments.of(batch);
  expect(one.keys).toEqual(again.keys);
  engine.close();
  model.dispose();
  return new Map(values.map((loss, b) => [batch.recordIds[b]!, loss]));
}

test('in private training dropout does not follow from seed, step and number of a record', () => {
  const [one, other] = [losses(undefined), losses(undefined)];
  expect(one.size).toBeGreaterThan(8);
  const moved = [...one].filter(([record, loss]) => loss !== other.get(record)).length;
  expect(moved).toBeGreaterThanOrEqual(one.size - 2); // masks that are alike are rare
  expect(losses(3)).toEqual(losses(3));
});

test('nor in segments that a model makes itself of the numbers of the records', () => {
  const keysIn = (insecureSeed: number | undefined): Map<number, bigint> => {
    const model = smallModel();
    const engine = engineFor(model, { sampler: poisson({ batchSize: 40 }), insecureSeed: insecureSeed as number });
    engine.attach(optimizers.sgd(model));
    const batch = engine.batches(histories()).next().value!;
    const { samples, recordIds, step } = batch;
    using own = Segments.equal(samples, 1, { recordIds, step });
    using ofBatch = Segments.of(batch);
    using other = own.withOffsets(BigInt64Array.from(own.offsets, (end) => 3n * end));
    expect(own.keys).toEqual(ofBatch.keys);
    expect(other.keys).toEqual(own.keys);
    engine.close();
    using after = Segments.equal(samples, 1, { recordIds, step });
    expect(after.keys).toEqual(BigInt64Array.from(recordIds, BigInt));
    return new Map(Array.from(recordIds, (record, b) => [record, own.keys[b]!]));
  };
  const [one, other] = [keysIn(undefined), keysIn(undefined)];
  expect([...one].filter(([record, key]) => key === BigInt(record) || key === other.get(record))).toEqual([]);
  expect([...keysIn(3)].every(([record, key]) => key === BigInt(record))).toBe(true);
});

test('nor does the sequence that a record of several trains on', () => {
  const sequences = Array.from({ length: 8 }, (_, k) => ({ ids: [k + 1, k + 1] }));
  const data = new TokenDataset(
    Array.from({ length: 40 }, () => ({ sequences })),
    { objective: 'causal', vocabularySize: 9 },
  );
  const chosen = (keys: RecordKeys): number[] => {
    const batches = data.pack(IDS, { rowBudget: 1000, step: 5, choice: (record) => keys.choice(record) });
    return batches.flatMap(({ ids }) => Array.from(ids, Number).filter((_, row) => row % 2 === 0));
  };
  const [one, other] = [chosen(new RecordKeys(secureRandom())), chosen(new RecordKeys(secureRandom()))];
  expect(one).not.toEqual(other);
  expect(new Set(one).size).toBeGreaterThan(4);
  const repeatable = chosen(new RecordKeys(insecureRandom(1)));
  expect(repeatable).toEqual(Array.from(IDS, (record) => data.sequenceAt(record, 5) + 1));
});

test('keys are distinct, evenly spread, and the same for a record as long as the run lasts', () => {
  const keys = new RecordKeys(secureRandom());
  const many = Int32Array.from({ length: 20_000 }, (_, id) => id);
  const drawn = keys.masks(many);
  expect(new Set(drawn).size).toBe(many.length);
  expect(keys.masks(Int32Array.of(7, 3))).toEqual(BigInt64Array.of(drawn[7]!, drawn[3]!));
  expect(keys.choice(7)).toBe(keys.choice(7));
  expect(BigInt(keys.choice(7))).not.toBe(BigInt.asUintN(32, drawn[7]!));
  // Each bit of 20,000: half of them, to five standard deviations.
  for (let bit = 0n; bit < 64n; bit++) {
    const ones = drawn.filter((key) => ((key >> bit) & 1n) === 1n).length;
    expect(Math.abs(ones - 10_000)).toBeLessThan(5 * Math.sqrt(5_000));
  }
});
