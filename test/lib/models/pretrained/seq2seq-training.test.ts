// Encoder-decoder families while they are trained: private steps, dropout, partial fine-tuning, and what is refused.

import { seq2seqBatch, Seq2SeqDataset, type Seq2SeqExample } from '../../../../lib/data';
import { type ConditionalGeneration, fromConfig, fromPretrained } from '../../../../lib/models';
import { biasesOnly, lora } from '../../../../lib/nn';
import { sgd } from '../../../../lib/optim';
import { abadi, checkIndependence, perSampleNorms, poisson, PrivacyEngine } from '../../../../lib/privacy';
import { noGrad, setNumThreads, tidy } from '../../../../lib/tensor';
import { thrown } from '../../data/support';
import { folderOf } from './fixtures';
import { expectedPairsOf, PAIR_MODELS } from './seq2seq-cases';
import { numbers } from './truth';

beforeAll(() => setNumThreads(1));

describe.each(PAIR_MODELS)('%s', (name) => {
  const { examples } = expectedPairsOf(name);
  const open = (dtype: 'float32' | 'float64' = 'float32'): Promise<ConditionalGeneration> =>
    fromPretrained(folderOf(name), { task: 'conditional-generation', dtype, seed: 4 });

  test('trains privately with dropout, every parameter moves, and empty batches are steps too', async () => {
    const model = await open();
    const data = new Seq2SeqDataset([...examples, ...examples, ...examples]);
    const engine = new PrivacyEngine(model, {
      records: data.length,
      steps: 6,
      noiseMultiplier: 1,
      sampler: poisson({ batchSize: 1 }),
      clip: abadi({ maxGradNorm: 1 }),
      insecureSeed: 11,
    });
    const before = model.parameters().map(numbers);
    const constant = [...model.constants().values()].map(numbers);
    const optimizer = engine.attach(sgd(model.parameters(), { lr: 0.1 }));
    let empty = 0;
    for (const batch of engine.batches(data)) {
      empty += batch.samples === 0 ? 1 : 0;
      tidy(() => optimizer.step({ loss: model.loss(batch) }));
    }
    expect(engine.remainingSteps).toBe(0);
    expect(empty).toBeGreaterThan(0);
    model.parameters().forEach((parameter, k) => expect(numbers(parameter)).not.toEqual(before[k]));
    expect([...model.constants().values()].map(numbers)).toEqual(constant);
    engine.detach();
    model.dispose();
  });

  test('no example changes the loss of another', async () => {
    const model = (await open('float64')).eval();
    const batch = seq2seqBatch(examples);
    const shifted = (ids: ArrayLike<number>): number[] => Array.from(ids, (id) => (id < 0 ? id : (id + 1) % 23));
    const change = (_: typeof batch, b: number): typeof batch =>
      seq2seqBatch(
        examples.map((example, k) => {
          const { inputIds, labels } = example;
          return k === b ? { ...example, inputIds: shifted(inputIds), labels: shifted(labels) } : example;
        }),
      );
    checkIndependence(model, batch, { change });
    model.dispose();
  });

  test('what dropout drops of an example depends on its record and step alone, not on its neighbours', async () => {
    const model = (await open('float64')).train();
    const losses = (chosen: readonly Seq2SeqExample[], recordIds: number[], step: number): number[] =>
      tidy(() =>
        noGrad(() => numbers(model.loss(seq2seqBatch(chosen, { recordIds: Int32Array.from(recordIds), step })))),
      );
    const together = losses(examples, [5, 6, 7], 3);
    examples.forEach((example, b) => expect(losses([example], [5 + b], 3)[0]).toBeCloseTo(together[b]!, 12));
    expect(losses([examples[0]!], [8], 3)[0]).not.toBeCloseTo(together[0]!, 6);
    expect(losses([examples[0]!], [5], 4)[0]).not.toBeCloseTo(together[0]!, 6);
    model.dispose();
  });

  test('low-rank additions and biases alone have the norms that they have among all parameters', async () => {
    const batch = seq2seqBatch(examples);
    const norms = (model: ConditionalGeneration): ReturnType<typeof perSampleNorms> =>
      perSampleNorms(model.eval(), () => model.loss(batch));
    const [whole, biased, thin] = [await open('float64'), await open('float64'), await open('float64')];
    const all = norms(whole).parameters;
    if (name.startsWith('t5')) {
      expect(await thrown(() => biasesOnly(biased))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    } else {
      const chosen = biasesOnly(biased);
      const { norm, parameters } = norms(biased);
      expect([...parameters.keys()].sort()).toEqual([...chosen].sort());
      for (const [path, own] of parameters)
        own.forEach((value, b) => expect(Math.abs(value - all.get(path)![b]!)).toBeLessThan(1e-9 * norm[b]!));
    }
    const layers = lora(thin, { rank: 2, targets: ['query', 'cross.key', /decoder\..*\.value$/] });
    const adapted = norms(thin);
    expect(adapted.parameters.size).toBe(2 * layers.size);
    adapted.norm.forEach((value) => expect(value).toBeGreaterThan(0));
    examples.forEach((example, b) => {
      const alone = perSampleNorms(thin, () => thin.loss(seq2seqBatch([example]))).norm[0]!;
      expect(adapted.norm[b]! / alone).toBeCloseTo(1, 9);
    });
    [whole, biased, thin].forEach((model) => model.dispose());
  });

  test('tokens, labels and lengths that the model does not know are refused', async () => {
    const model = (await open()).eval();
    const long = Array.from({ length: 13 }, () => 3);
    const wrong: Seq2SeqExample[] = [
      { inputIds: [23], labels: [3] },
      { inputIds: [3], labels: [23] },
      ...(name.startsWith('bart')
        ? [
            { inputIds: long, labels: [3] },
            { inputIds: [3], labels: long },
          ]
        : []),
    ];
    for (const example of wrong) {
      expect(await thrown(() => tidy(() => model.loss(seq2seqBatch([example]))))).toMatchObject({
        code: 'ERR_INVALID_ARGUMENT',
      });
    }
    model.dispose();
  });
});

test('an example of which nothing is asked has loss and norm 0, and every other keeps its own', async () => {
  const model = (
    await fromPretrained(folderOf('t5-tied'), { task: 'conditional-generation', dtype: 'float64' })
  ).eval();
  const { examples, losses } = expectedPairsOf('t5-tied');
  const silent = { inputIds: [3, 4], labels: [-100, -100, -100] };
  const { norm } = perSampleNorms(model, () => model.loss(seq2seqBatch([silent, ...examples])));
  const all = tidy(() => noGrad(() => numbers(model.loss(seq2seqBatch([silent, ...examples])))));
  expect([norm[0], all[0]]).toEqual([0, 0]);
  losses.forEach((loss, b) => expect(all[b + 1]).toBeCloseTo(loss, 9));
  model.dispose();
});

test.each([
  [{ model_type: 'bart', encoder_layerdrop: 0.1 }, 'encoder_layerdrop'],
  [{ model_type: 'bart', d_model: 8, encoder_attention_heads: 3 }, 'encoder_attention_heads'],
  [{ model_type: 't5', feed_forward_proj: 'gated-swish' }, 'feed_forward_proj'],
  [{ model_type: 't5', vocab_size: 7, pad_token_id: 9 }, 'pad_token_id'],
])('a configuration that is not built here is refused: %j', async (config, field) => {
  const small = { d_model: 8, d_ff: 8, d_kv: 4, num_layers: 1, num_heads: 2, ...config };
  const error = await thrown(() => fromConfig(small, { task: 'conditional-generation' }));
  expect(error).toMatchObject({ code: 'ERR_MODEL_CONFIG', message: expect.stringContaining(field) as string });
});

test('a fresh model starts with the spread of transformers, and its loss is near that of guessing', () => {
  const config = { d_model: 64, d_kv: 16, d_ff: 128, num_layers: 2, num_heads: 4, vocab_size: 200 };
  const model = fromConfig({ model_type: 't5', ...config }, { task: 'conditional-generation', seed: 3 }).eval();
  const spread = new Map(
    Array.from(model.namedParameters(), ([path, parameter]) => {
      const own = numbers(parameter);
      return [path, Math.sqrt(own.reduce((sum, x) => sum + x * x, 0) / own.length)] as const;
    }),
  );
  const expected: [string, number][] = [
    ['backbone.words.weight', 1],
    ['backbone.encoder.0.attention.query.weight', 1 / Math.sqrt(64 * 16)],
    ['backbone.decoder.1.cross.key.weight', 1 / 8],
    ['backbone.decoder.0.feedForward.out.weight', 1 / Math.sqrt(128)],
    ['backbone.decoder.0.attention.out.weight', 1 / 8],
  ];
  for (const [path, std] of expected) expect(spread.get(path)! / std).toBeCloseTo(1, 1);
  const labels = Array.from({ length: 40 }, (_, k) => (k * 7) % 200);
  const [loss] = tidy(() => noGrad(() => numbers(model.loss(seq2seqBatch([{ inputIds: [3, 4, 5], labels }])))));
  expect(loss).toBeGreaterThan(Math.log(200) - 1);
  expect(loss).toBeLessThan(Math.log(200) + 2);
  model.dispose();
});

describe('pairs as records', () => {
  const pair = (inputIds: number[], labels: number[]): Seq2SeqExample => ({ inputIds, labels });

  test('both sides count in a physical batch, and every record of a draw is in one of them', () => {
    const data = new Seq2SeqDataset([pair([1, 2, 3], [4]), pair([5], [6, 7]), pair([8, 9], [1, 2])]);
    const batches = data.pack(Int32Array.of(0, 1, 2), { rowBudget: 8 });
    for (const { rows, targets, recordIds } of batches) {
      expect(rows + targets.labels.length).toBeLessThanOrEqual(8);
      expect(targets.offsets).toHaveLength(recordIds!.length + 1);
    }
    expect(batches.flatMap(({ recordIds }) => Array.from(recordIds!)).sort()).toEqual([0, 1, 2]);
    expect(batches.map(({ completesStep }) => completesStep)).toEqual([false, true]);
    expect(data.pack(new Int32Array(0), { rowBudget: 8 }).map(({ samples }) => samples)).toEqual([0]);
  });

  test('texts of no tokens, and labels that are none, are refused before anything is drawn', async () => {
    for (const wrong of [pair([], [1]), pair([1], []), pair([1], [-1]), pair([1], [0.5])])
      expect(await thrown(() => new Seq2SeqDataset([wrong]))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    const data = new Seq2SeqDataset([pair([1], [1, 2, 3])]);
    const cut = await thrown(() => data.pack(Int32Array.of(0), { rowBudget: 8, maxLength: 2 }));
    expect(cut).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
  });

  test('the fingerprint changes with any token of either side', () => {
    const prints = [pair([1, 2], [3]), pair([1], [2, 3]), pair([1, 2], [4])].map((one) =>
      new Seq2SeqDataset([one]).fingerprint(),
    );
    expect(new Set(prints).size).toBe(3);
  });
});
