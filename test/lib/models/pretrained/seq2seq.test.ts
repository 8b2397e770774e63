// Encoder-decoder families against Python's transformers: logits, losses, per-sample norms, and files that go there and back.

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { seq2seqBatch } from '../../../../lib/data';
import { type ConditionalGeneration, fromPretrained } from '../../../../lib/models';
import { namesOf } from '../../../../lib/models/pretrained/family';
import { theirName } from '../../../../lib/models/pretrained/names';
import { RelativeBias } from '../../../../lib/models/pretrained/relative-bias';
import { Initializer } from '../../../../lib/nn';
import { perSampleNorms } from '../../../../lib/privacy';
import { noGrad, setNumThreads, type Tensor, tidy } from '../../../../lib/tensor';
import { folderOf } from './fixtures';
import { expectedPairsOf, PAIR_MODELS } from './seq2seq-cases';

// Models this small lose more to waiting for a second thread than they gain.
beforeAll(() => setNumThreads(1));

const task = 'conditional-generation';
const flat = (values: unknown): number[] => (Array.isArray(values) ? values.flatMap(flat) : [Number(values)]);
const numbers = (x: Tensor): number[] => flat(x.to('float64').toArray());

function expectNear(got: readonly number[], truth: readonly number[], tolerance: number): void {
  expect(got).toHaveLength(truth.length);
  const scale = Math.max(1, ...truth.map(Math.abs));
  const apart = got.reduce((most, value, i) => Math.max(most, Math.abs(value - truth[i]!)), 0);
  expect(apart / scale).toBeLessThan(tolerance);
}

describe.each(PAIR_MODELS)('%s', (name) => {
  const truth = expectedPairsOf(name);
  const batch = seq2seqBatch(truth.examples);
  const open = (dtype: 'float32' | 'float64' = 'float32'): Promise<ConditionalGeneration> =>
    fromPretrained(folderOf(name), { task, dtype });

  test.each([
    ['float32', 1e-4],
    ['float64', 1e-9],
  ] as const)('logits and losses are those of transformers in %s', async (dtype, tolerance) => {
    const model = (await open(dtype)).eval();
    tidy(() =>
      noGrad(() => {
        expectNear(numbers(model.logits(batch)), flat(truth.logits), tolerance);
        expectNear(numbers(model.loss(batch)), truth.losses, tolerance);
      }),
    );
    model.dispose();
  });

  test('per-sample norms are those of autograd one example at a time, over all parameters and each', async () => {
    const model = (await open('float64')).eval();
    const rules = namesOf(model.origin);
    const { norm, bound, parameters } = perSampleNorms(model, () => model.loss(batch));
    const totals = truth.norms.map(({ total }) => total);
    expectNear(Array.from(norm), totals, 1e-9);
    totals.forEach((total, b) => expect(bound[b]).toBeGreaterThanOrEqual(total * (1 - 1e-12)));
    for (const [path, own] of parameters) {
      const theirs = truth.norms.map((example) => example.parameters[theirName(rules, path)!] ?? NaN);
      own.forEach((value, b) => expect(Math.abs(value - theirs[b]!)).toBeLessThan(1e-9 * Math.max(1, totals[b]!)));
    }
    expect(parameters.size).toBe(Object.keys(truth.norms[0]!.parameters).length);
    model.dispose();
  });

  test('what is saved is loaded again bit by bit, under the names of the original', async () => {
    const folder = process.env.PHANTOMGRAD_SAVED ?? (await mkdtemp(join(tmpdir(), 'phantomgrad-')));
    try {
      const model = await open();
      await model.savePretrained(join(folder, name));
      const again = await fromPretrained(join(folder, name), { task });
      const loaded = new Map<string, Tensor>([...again.namedParameters(), ...again.constants()]);
      for (const [path, parameter] of [...model.namedParameters(), ...model.constants()])
        expect(loaded.get(path)!.equal(parameter)).toBe(true);
      const config = async (from: string): Promise<Record<string, unknown>> =>
        JSON.parse(await readFile(join(from, 'config.json'), 'utf8')) as Record<string, unknown>;
      expect(await config(join(folder, name))).toMatchObject(await config(folderOf(name)));
      model.dispose();
      again.dispose();
    } finally {
      if (process.env.PHANTOMGRAD_SAVED === undefined) await rm(folder, { recursive: true });
    }
  });

  test('the loss of an example depends neither on its neighbours nor on its place nor on padding', async () => {
    const model = (await open('float64')).eval();
    const losses = (examples: typeof truth.examples): number[] =>
      tidy(() => noGrad(() => numbers(model.loss(seq2seqBatch(examples)))));
    expectNear(losses([...truth.examples].reverse()).reverse(), truth.losses, 1e-12);
    truth.examples.forEach((example, b) => expectNear(losses([example]), [truth.losses[b]!], 1e-12));
    const left = truth.examples.map(({ inputIds, attentionMask, labels }) => ({
      inputIds: [9, ...Array.from(inputIds)],
      attentionMask: [0, ...Array.from(attentionMask!)],
      labels: [...Array.from(labels), -100, -100],
    }));
    expectNear(losses(left), truth.losses, 1e-12);
    model.dispose();
  });
});

test.each(['bothWays', 'back'] as const)(
  'distances of T5 fall into the buckets of transformers: %s',
  async (direction) => {
    const file = join(__dirname, '../../../fixtures/models/t5-buckets.json');
    const truth = JSON.parse(await readFile(file, 'utf8')) as Record<'bothWays' | 'back', number[]> & { first: number };
    const making = { init: new Initializer(0), dtype: 'float32' } as const;
    const shape = { heads: 1, buckets: 32, maxDistance: 128, bothWays: direction === 'bothWays', std: 1 };
    const positions = new RelativeBias({ ...making, ...shape });
    const length = 1 - truth.first;
    const buckets = tidy(() => positions.bucketsOf(length, length).toTypedArray() as BigInt64Array);
    truth[direction].forEach((bucket, k) => {
      const distance = truth.first + k;
      const query = Math.max(0, -distance);
      expect([distance, Number(buckets[query * length + query + distance])]).toEqual([distance, bucket]);
    });
    positions.dispose();
  },
);
