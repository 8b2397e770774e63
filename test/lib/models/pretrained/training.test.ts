// Pretrained models in private training: whole, by low-rank additions, by biases alone, and with a new head.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type TokenBatch, tokenBatch, ExampleDataset } from '../../../../lib/data';
import {
  type CausalLM,
  type DoubleHeads,
  fromConfig,
  fromPretrained,
  type SequenceClassifier,
} from '../../../../lib/models';
import { biasesOnly, lora } from '../../../../lib/nn';
import { adam } from '../../../../lib/optim';
import { abadi, perSampleNorms, poisson, PrivacyEngine } from '../../../../lib/privacy';
import { noGrad, setNumThreads, type Tensor, tidy } from '../../../../lib/tensor';
import { CASES, expectedOf, folderOf } from './fixtures';

beforeAll(() => setNumThreads(1));

type Model = CausalLM | SequenceClassifier;
const load = async (name: string): Promise<Model> =>
  (await fromPretrained(folderOf(name), { task: CASES.find(([own]) => own === name)![1] })) as Model;
const values = (model: Model): Map<string, number[]> =>
  new Map(Array.from(model.namedParameters(), ([path, p]) => [path, Array.from(p.toTypedArray() as Float32Array)]));
const numbers = (x: Tensor): number[] => Array.from(x.toTypedArray() as Float32Array);

/** Two private steps over examples drawn from the fixture's, twelve records in all. */
function trainPrivately(model: Model, name: string): void {
  const { examples } = expectedOf(name);
  const dataset = new ExampleDataset(Array.from({ length: 12 }, (_, record) => examples[record % examples.length]!));
  const engine = new PrivacyEngine(model, {
    records: dataset.length,
    steps: 2,
    noiseMultiplier: 1,
    sampler: poisson({ batchSize: 6 }),
    clip: abadi({ maxGradNorm: 1 }),
    insecureSeed: 5,
  });
  const optimizer = engine.attach(adam(model.trainableParameters(), { lr: 0.01 }));
  for (const batch of engine.batches(dataset)) tidy(() => optimizer.step({ loss: model.loss(batch) }));
  expect(engine.steps).toBe(2);
  engine.close();
}

test.each(CASES.map(([name]) => name))(
  '%s passes the checks of the first step, dropout included, and trains',
  async (name) => {
    const model = (await load(name)).train();
    const before = values(model);
    trainPrivately(model, name);
    for (const [path, after] of values(model)) expect([path, after]).not.toEqual([path, before.get(path)]);
    model.dispose();
  },
);

test.each([
  ['gpt2-lm', ['qkv', 'in']],
  ['llama-grouped', ['query', 'value', 'gate']],
])('%s: low-rank additions train alone, and are merged into what is saved', async (name, targets) => {
  const model = (await load(name)) as CausalLM;
  const before = values(model);
  lora(model, { rank: 2, targets });
  trainPrivately(model, name);
  const after = values(model);
  for (const [path, own] of before) expect([path, after.get(path)]).toEqual([path, own]);
  const folder = await mkdtemp(join(tmpdir(), 'phantomgrad-'));
  try {
    await model.savePretrained(folder);
    const merged = await fromPretrained(folder, { task: 'causal-lm' });
    const batch = tokenBatch(expectedOf(name).examples);
    tidy(() =>
      noGrad(() => {
        const [trained, read] = [numbers(model.eval().logits(batch)), numbers(merged.eval().logits(batch))];
        trained.forEach((logit, i) => expect(read[i]).toBeCloseTo(logit, 4));
      }),
    );
    merged.dispose();
  } finally {
    await rm(folder, { recursive: true });
  }
  model.dispose();
});

test('biases alone train, and what is frozen has no part in the norm', async () => {
  const model = (await load('gpt2-lm')).eval();
  const trained = new Set(biasesOnly(model));
  const { parameters } = perSampleNorms(model, () => model.loss(tokenBatch(expectedOf('gpt2-lm').examples)));
  expect(new Set(parameters.keys())).toEqual(trained);
  const before = values(model);
  trainPrivately(model.train(), 'gpt2-lm');
  for (const [path, after] of values(model)) {
    if (trained.has(path)) expect([path, after]).not.toEqual([path, before.get(path)]);
    else expect([path, after]).toEqual([path, before.get(path)]);
  }
  model.dispose();
});

test('a new head starts afresh on the backbone of another task, and equally for equal seeds', async () => {
  const open = (seed: number): Promise<SequenceClassifier> =>
    fromPretrained(folderOf('gpt2-lm'), { task: 'sequence-classification', newHead: true, labels: 5, seed });
  const [model, same, other] = await Promise.all([open(1), open(1), open(2)]);
  const lm = await load('gpt2-lm');
  const body = (of: Model): [string, number[]][] => [...values(of)].filter(([path]) => path.startsWith('backbone.'));
  expect(body(model)).toEqual(body(lm));
  const head = (of: Model): number[] => values(of).get('head.weight')!;
  expect(model.head.parameters()[0]!.shape).toEqual([5, 8]);
  expect(head(model)).toEqual(head(same));
  expect(head(model)).not.toEqual(head(other));
  expect(Math.max(...head(model).map(Math.abs))).toBeLessThan(0.1);
  for (const own of [model, same, other, lm]) own.dispose();
});

test('the backbone alone gives the rows that the head of a language model reads, packed or padded', async () => {
  const batch = tokenBatch(expectedOf('gpt2-lm').examples);
  const features = (await fromPretrained(folderOf('gpt2-lm'), { task: 'features' })).eval();
  const lm = (await load('gpt2-lm')).eval() as CausalLM;
  tidy(() =>
    noGrad(() => {
      const hidden = features.hidden(batch);
      const logits = hidden.matmul(lm.backbone.words.weight.t());
      numbers(lm.logits(batch)).forEach((logit, i) => expect(numbers(logits)[i]).toBeCloseTo(logit, 4));
      const padded = features.hidden(batch, { padded: true });
      expect(padded.shape).toEqual([3, 5, 8]);
      expect(numbers(padded.narrow(0, 2, 1).narrow(1, 0, 3).reshape([3, 8]))).toEqual(numbers(hidden.narrow(0, 10, 3)));
      expect(numbers(padded.narrow(0, 2, 1).narrow(1, 3, 2)).every((value) => value === 0)).toBe(true);
    }),
  );
  expect(() => features.loss(batch)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
  features.dispose();
  lm.dispose();
});

test.each(CASES.map(([name]) => name))('%s takes a batch into which nothing was drawn', async (name) => {
  const model = await load(name);
  const batches = new ExampleDataset(expectedOf(name).examples).pack(Int32Array.of(), { rowBudget: 8 });
  expect(batches.map(({ samples, completesStep }) => [samples, completesStep])).toEqual([[0, true]]);
  const { norm } = perSampleNorms(model, () => model.loss(batches[0]!));
  expect(Array.from(norm)).toEqual([]);
  model.dispose();
});

describe('the loss of an example', () => {
  const config = { model_type: 'llama', vocab_size: 11, hidden_size: 8, intermediate_size: 8, num_hidden_layers: 1 };
  const small = { ...config, num_attention_heads: 2, max_position_embeddings: 8 };
  const model = (): CausalLM => fromConfig(small, { task: 'causal-lm', dtype: 'float64' });
  const losses = (of: CausalLM, batch: TokenBatch, options = {}): number[] =>
    tidy(() => noGrad(() => Array.from(of.loss(batch, options).toTypedArray() as Float64Array)));

  test('does not depend on its neighbours, and is 0 where nothing is asked or one token stands alone', () => {
    const lm = model();
    const all = [[3, 4, 5], [6], [7, 8, 9, 10], [2, 3]].map((inputIds) => ({ inputIds, labels: [...inputIds] }));
    all[3]!.labels.fill(-100);
    const together = losses(lm, tokenBatch(all));
    expect(together[1]).toBe(0);
    expect(together[3]).toBe(0);
    all.forEach((example, b) => expect(losses(lm, tokenBatch([example]))[0]).toBeCloseTo(together[b]!, 12));
    const sums = losses(lm, tokenBatch(all), { reduction: 'sum' });
    expect(sums[0]).toBeCloseTo(2 * together[0]!, 12);
    expect(sums[2]).toBeCloseTo(3 * together[2]!, 12);
    lm.dispose();
  });

  test('has norm 0 where nothing is asked', () => {
    const lm = model();
    const batch = tokenBatch([
      { inputIds: [3, 4], labels: [3, 4] },
      { inputIds: [5, 6], labels: [-100, -100] },
    ]);
    const { norm } = perSampleNorms(lm, () => lm.loss(batch));
    expect(norm[0]).toBeGreaterThan(0);
    expect(norm[1]).toBe(0);
    lm.dispose();
  });

  test('weighs tokens and choice of a double-headed model', async () => {
    const heads = (await load('gpt2-double-heads')) as DoubleHeads;
    heads.eval();
    const batch = tokenBatch(expectedOf('gpt2-double-heads').examples);
    const loss = (options: object): number[] => tidy(() => noGrad(() => numbers(heads.loss(batch, options))));
    const [both, tokens, choice] = [loss({}), loss({ choice: 0 }), loss({ tokens: 0 })];
    loss({ tokens: 2, choice: 0.5 }).forEach((value, b) =>
      expect(value).toBeCloseTo(2 * tokens[b]! + 0.5 * choice[b]!, 5),
    );
    both.forEach((value, b) => expect(value).toBeCloseTo(tokens[b]! + choice[b]!, 5));
    heads.dispose();
  });

  test('of a double-headed model does not depend on how many choices others have', async () => {
    const heads = (await load('openai-double-heads')) as DoubleHeads;
    heads.eval();
    const text = (...inputIds: number[]): { inputIds: number[]; labels: number[] } => ({ inputIds, labels: inputIds });
    const all = [
      { choices: [text(3, 4), text(5, 6, 7), text(8)], label: 2 },
      { choices: [text(9, 10), text(11)], label: 0 },
      { choices: [text(12, 13, 14)], label: 0 },
    ];
    const { norm } = perSampleNorms(heads, () => heads.loss(tokenBatch(all)));
    all.forEach((example, b) => {
      const alone = perSampleNorms(heads, () => heads.loss(tokenBatch([example]))).norm[0]!;
      expect(norm[b]! / alone).toBeCloseTo(1, 5);
    });
    heads.dispose();
  });
});
