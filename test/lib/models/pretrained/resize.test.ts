// Another number of tokens: what the model knew stays, heads follow, files say so, and private training is not disturbed.

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type Seq2SeqExample, seq2seqBatch, tokenBatch, type TokenExample } from '../../../../lib/data';
import { ConditionalGeneration, fromPretrained, type PretrainedModel, type TaskName } from '../../../../lib/models';
import { lora } from '../../../../lib/nn';
import { sgd } from '../../../../lib/optim';
import { abadi, perSampleNorms, poisson, PrivacyEngine } from '../../../../lib/privacy';
import { noGrad, setNumThreads, type Tensor, tidy } from '../../../../lib/tensor';
import { settledMemory } from '../../../fixtures/collect';
import { thrown } from '../../data/support';
import { expectedOf, folderOf } from './fixtures';

beforeAll(() => setNumThreads(1));

/** Tied, untied, with biases for tokens, with constants, and without any head for tokens. */
const CASES: readonly (readonly [string, TaskName, number])[] = [
  ['gpt2-lm', 'causal-lm', 23],
  ['gpt2-untied', 'causal-lm', 23],
  ['opt-narrow-words', 'causal-lm', 23],
  ['openai-double-heads', 'double-heads', 21],
  ['llama-grouped', 'causal-lm', 23],
  ['bert-masked-lm', 'masked-lm', 19],
  ['albert-masked-lm', 'masked-lm', 19],
  ['roberta-regression', 'sequence-classification', 19],
  ['bart-scaled', 'conditional-generation', 23],
  ['t5-untied', 'conditional-generation', 23],
];

type Any = PretrainedModel & { logits(batch: unknown): Tensor; loss(batch: unknown): Tensor };
const open = async (name: string, task: TaskName): Promise<Any> =>
  (await fromPretrained(folderOf(name), { task, dtype: 'float64' })).eval() as unknown as Any;
const batchOf = (model: Any, examples: readonly unknown[]): unknown =>
  model instanceof ConditionalGeneration
    ? seq2seqBatch(examples as Seq2SeqExample[])
    : tokenBatch(examples as TokenExample[]);
const rows = (x: Tensor): number[][] => x.to('float64').detach().toArray() as number[][];

test.each(CASES)(
  '%s: scores of the old tokens stay, new ones begin near the mean, and files follow',
  async (name, task, old) => {
    const model = await open(name, task);
    const batch = batchOf(model, expectedOf(name).examples);
    const scores = (of: Any): number[][] => tidy(() => noGrad(() => rows(of.logits(batch))));
    const before = scores(model);
    const parameters = [...model.namedParameters()].map(([path]) => path);
    model.resizeTokenEmbeddings(old + 4, { seed: 3 });
    const after = scores(model);
    expect([...model.namedParameters()].map(([path]) => path)).toEqual(parameters);
    const scored = task !== 'sequence-classification';
    before.forEach((row, i) => {
      expect(after[i]).toHaveLength(scored ? old + 4 : row.length);
      row.forEach((score, k) => expect(after[i]![k]).toBeCloseTo(score, 10));
    });
    if (scored && name !== 'bart-scaled') {
      // A mean row, and a mean bias, score the mean, but for a thousandth.
      before.forEach((row, i) => {
        const mean = row.reduce((sum, score) => sum + score, 0) / row.length;
        for (const score of after[i]!.slice(old)) expect(Math.abs(score - mean)).toBeLessThan(0.05);
        expect(new Set(after[i]!.slice(old)).size).toBe(4);
      });
    }
    const { norm } = perSampleNorms(model, () => model.loss(batch));
    norm.forEach((value) => expect(value).toBeGreaterThan(0));
    const folder = await mkdtemp(join(tmpdir(), 'phantomgrad-'));
    try {
      await model.savePretrained(folder);
      expect(JSON.parse(await readFile(join(folder, 'config.json'), 'utf8'))).toMatchObject({ vocab_size: old + 4 });
      const again = (await fromPretrained(folder, { task, dtype: 'float64' })).eval() as unknown as Any;
      expect(scores(again)).toEqual(after);
      again.dispose();
    } finally {
      await rm(folder, { recursive: true });
    }
    model.resizeTokenEmbeddings(old);
    scores(model).forEach((row, i) => row.forEach((score, k) => expect(score).toBeCloseTo(before[i]![k]!, 10)));
    model.dispose();
  },
);

test('new tokens are read and written, equally for equal seeds, and a frozen table stays frozen', async () => {
  const draw = async (seed: number): Promise<[Any, number]> => {
    const model = await open('t5-tied', 'conditional-generation');
    lora(model, { rank: 2, targets: ['query'] });
    model.resizeTokenEmbeddings(30, { seed });
    const batch = seq2seqBatch([{ inputIds: [28, 3], labels: [29, 2] }]);
    return [model, tidy(() => noGrad(() => (model.loss(batch).toTypedArray() as Float64Array)[0]!))];
  };
  const drawn = [await draw(1), await draw(1), await draw(2)];
  const [first, same, other] = drawn.map(([, loss]) => loss) as [number, number, number];
  expect(first).toBe(same);
  expect(first).not.toBe(other);
  for (const [model] of drawn) {
    expect(model.trainableParameters().every((parameter) => parameter.shape[0] !== 30)).toBe(true);
    model.dispose();
  }
});

test.each([false, true])(
  'is refused while an engine is attached, and nothing has changed (low-rank: %s)',
  async (thin) => {
    const model = (await open('gpt2-lm', 'causal-lm')).train();
    if (thin) lora(model, { rank: 2, targets: ['qkv'] });
    const engine = new PrivacyEngine(model, {
      records: 10,
      steps: 1,
      noiseMultiplier: 1,
      sampler: poisson({ batchSize: 2 }),
      clip: abadi({ maxGradNorm: 1 }),
      insecureSeed: 1,
    });
    engine.attach(sgd(model.trainableParameters(), { lr: 0.1 }));
    expect(await thrown(() => model.resizeTokenEmbeddings(25))).toMatchObject({ code: 'ERR_ENGINE_STATE' });
    expect(model.origin.config.vocab_size).toBe(23);
    engine.detach();
    model.resizeTokenEmbeddings(25);
    expect(model.origin.config.vocab_size).toBe(25);
    const shapes = new Map(Array.from(model.namedParameters(), ([path, { shape }]) => [path, shape]));
    expect(shapes.get('backbone.words.weight')).toEqual([25, 8]);
    model.dispose();
  },
);

test('models without tokens, counts that are none, and the loss of the token that begins a text are refused', async () => {
  const code = 'ERR_INVALID_ARGUMENT';
  const [images, pairs] = [
    await open('vit-classifier', 'image-classification'),
    await open('bart-scaled', 'conditional-generation'),
  ];
  expect(await thrown(() => images.resizeTokenEmbeddings(5))).toMatchObject({ code });
  for (const count of [0, 2.5, 2])
    expect(await thrown(() => pairs.resizeTokenEmbeddings(count))).toMatchObject({ code });
  pairs.resizeTokenEmbeddings(3);
  images.dispose();
  pairs.dispose();
});

test('leaves no tensor behind', async () => {
  const model = await open('bart-scaled', 'conditional-generation');
  const before = settledMemory().tensors;
  for (const count of [30, 25, 23]) model.resizeTokenEmbeddings(count);
  expect(settledMemory().tensors).toBe(before);
  model.dispose();
});
