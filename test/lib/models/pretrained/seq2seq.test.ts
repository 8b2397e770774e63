// Encoder-decoder families against Python's transformers: logits, losses, per-sample norms, and files that go there and back.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { seq2seqBatch } from '../../../../lib/data';
import { type ConditionalGeneration, fromPretrained } from '../../../../lib/models';
import { RelativeBias } from '../../../../lib/models/pretrained/relative-bias';
import { Initializer } from '../../../../lib/nn';
import { noGrad, setNumThreads, tidy } from '../../../../lib/tensor';
import { folderOf } from './fixtures';
import { expectedPairsOf, PAIR_MODELS } from './seq2seq-cases';
import { expectNear, expectNorms, expectSameWhenSaved, flat, numbers } from './truth';

// Models this small lose more to waiting for a second thread than they gain.
beforeAll(() => setNumThreads(1));

const task = 'conditional-generation';

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
    expectNorms(model, () => model.loss(batch), truth.norms);
    model.dispose();
  });

  test('what is saved is loaded again bit by bit, under the names of the original', () =>
    expectSameWhenSaved(name, task));

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
