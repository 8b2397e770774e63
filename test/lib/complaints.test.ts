// What users of other libraries have complained about, one test each: here it works, and this is what «works» means.

import { ExampleDataset, seq2seqBatch } from '../../lib/data';
import { fromConfig, type SequenceClassifier } from '../../lib/models';
import { crossEntropy } from '../../lib/nn';
import { adam, sgd } from '../../lib/optim';
import {
  abadi,
  accounting,
  perSampleNorms,
  poisson,
  PrivacyEngine,
  type PrivacyEngineOptions,
} from '../../lib/privacy';
import { fineTune, planMemory } from '../../lib/tasks';
import { fromTypedArray, type Tensor, tidy } from '../../lib/tensor';
import { config, CONFIGS, path, sentiment, SHORT, wordTokenizer } from './tasks/fine-tune/fixture';

jest.setTimeout(300_000);

const RECORDS = 24;
const examples = Array.from({ length: RECORDS }, (_, k) => ({
  inputIds: Array.from({ length: 4 }, (_, at) => (k * 5 + at * 3) % 11),
  label: k % 2,
}));

const distilbert = (seed = 0): SequenceClassifier =>
  fromConfig({ ...CONFIGS.distilbert, vocab_size: 11 }, { task: 'sequence-classification', seed });

const engineOf = (model: SequenceClassifier, options: Partial<PrivacyEngineOptions> = {}): PrivacyEngine =>
  new PrivacyEngine(model, {
    ...{ records: RECORDS, steps: 3, noiseMultiplier: 1, delta: 1e-3 },
    ...{ sampler: poisson({ batchSize: 6 }), clip: abadi({ maxGradNorm: 0.1 }), ...options },
  });

type Loss = (model: SequenceClassifier, batch: Parameters<SequenceClassifier['loss']>[0]) => Tensor;

function trained(
  model: SequenceClassifier,
  options: Partial<PrivacyEngineOptions> = {},
  { data = examples, loss = (one, batch) => one.loss(batch) }: { data?: typeof examples; loss?: Loss } = {},
): { weights: number[]; sizes: number[]; engine: PrivacyEngine } {
  const engine = engineOf(model, options);
  const optimizer = engine.attach(sgd(model.parameters(), { lr: 1 }));
  const sizes: number[] = [];
  for (const batch of engine.batches(new ExampleDataset(data))) {
    sizes.push(batch.samples);
    tidy(() => optimizer.step({ loss: loss(model, batch as never) }));
  }
  engine.detach();
  return {
    weights: model.parameters().flatMap((one) => Array.from(one.detach().toTypedArray(), Number)),
    sizes,
    engine,
  };
}

test('«BART with tied weights cannot be trained with ghost norms»: one table thrice in use, and norms are those of each text alone', () => {
  const width = {
    d_model: 8,
    encoder_ffn_dim: 8,
    decoder_ffn_dim: 8,
    encoder_attention_heads: 2,
    decoder_attention_heads: 2,
  };
  const shape = {
    model_type: 'bart',
    vocab_size: 23,
    max_position_embeddings: 12,
    encoder_layers: 1,
    decoder_layers: 1,
    dropout: 0,
  };
  const model = fromConfig({ ...shape, ...width }, { task: 'conditional-generation', seed: 3 });
  const texts = [
    { inputIds: [3, 4, 5, 3, 2], labels: [13, 3, 4, 2] },
    { inputIds: [10, 11, 2], labels: [3, 3, 2] },
    { inputIds: [12], labels: [5, 2] },
  ];
  const table = model.wordTable!;
  expect(model.parameters().filter(({ shape: [rows] }) => rows === 23)).toEqual([table]); // no copy in encoder, decoder or head
  const { norm } = perSampleNorms(model, () => model.loss(seq2seqBatch(texts)));
  texts.forEach((text, b) => {
    for (const parameter of model.parameters()) parameter.grad = null;
    tidy(() =>
      model
        .loss(seq2seqBatch([text]))
        .sum()
        .backward(),
    );
    const squares = model.parameters().map(({ grad }) => (grad === null ? 0 : grad.square().sum().item()));
    expect(norm[b]! / Math.sqrt(squares.reduce((sum, one) => sum + one))).toBeCloseTo(1, 4);
  });
  model.dispose();
});

test('«the seed changes nothing»: seeds change the model, and noise never repeats unless that is asked for by name', () => {
  const first = (seed: number): number[] =>
    Array.from(distilbert(seed).parameters()[0]!.detach().toTypedArray(), Number);
  expect(first(1)).toEqual(first(1));
  expect(first(1)).not.toEqual(first(2));
  expect(trained(distilbert()).weights).not.toEqual(trained(distilbert()).weights);
  expect(trained(distilbert(), { insecureSeed: 5 }).weights).toEqual(
    trained(distilbert(), { insecureSeed: 5 }).weights,
  );
});

test('«I cannot use my own loss»: any loss of one entry a sample, with a penalty on what the model says of that sample', () => {
  const own: Loss = (model, batch) => {
    const logits = model.logits(batch); // [B, classes]
    const smoothed = crossEntropy(logits, fromTypedArray(BigInt64Array.from(batch.label!, BigInt)));
    return smoothed.add(logits.square().mean([1]).mul(0.1));
  };
  const model = distilbert();
  const [batch] = new ExampleDataset(examples).pack(Int32Array.of(0, 1, 2), { rowBudget: 100 });
  const fast = perSampleNorms(model, () => own(model, batch!)).norm;
  const slow = perSampleNorms(model, () => own(model, batch!), { gradients: 'materialize' }).norm;
  fast.forEach((norm, b) => expect(norm).toBeCloseTo(slow[b]!, 5));
  const plain = perSampleNorms(model, () => model.loss(batch!)).norm;
  expect(fast[0]).not.toBeCloseTo(plain[0]!, 4); // the penalty counts
  const penalised = trained(distilbert(), { insecureSeed: 1 }, { loss: own }).weights;
  expect(penalised).not.toEqual(trained(distilbert(), { insecureSeed: 1 }).weights);
});

test('«batches must have one size»: Poisson batches vary, an empty one is a step of noise, and all divide by one constant', () => {
  const { sizes, engine } = trained(distilbert(), { steps: 40, sampler: poisson({ batchSize: 2 }), insecureSeed: 1 });
  expect(new Set(sizes).size).toBeGreaterThan(2);
  expect(sizes).toContain(0); // an eighth of the steps, on average
  expect(engine.steps).toBe(40);
  expect(engine.plan.expectedBatchSize).toBe(2);
});

test('«max_compositions must be set»: a hundred thousand steps are accounted for with nothing to set', () => {
  const event = accounting.poissonGaussian(1e-3, 2, 100_000);
  const epsilon = accounting.pld().epsilon([event], 1e-6);
  expect(epsilon).toBeGreaterThan(accounting.exact().epsilon([event], 1e-6) * (1 - 1e-9));
  expect(epsilon).toBeLessThan(accounting.exact().epsilon([event], 1e-6) * 1.001);
});

test('«epsilon = 0.1 fails»: there is a noise for it, it keeps the target, and the user is told what it can reach', () => {
  const engine = engineOf(distilbert(), { ...unset, target: { epsilon: 0.1, delta: 1e-5 } });
  const { noiseMultiplier } = engine.plan;
  expect(noiseMultiplier).toBeGreaterThan(5);
  expect(noiseMultiplier).toBeLessThan(100);
  const model = distilbert();
  const { engine: spent } = trained(model, { ...unset, target: { epsilon: 0.1, delta: 1e-5 } });
  expect(spent.privacySpent().epsilon).toBeLessThanOrEqual(0.1);
});

const unset = { noiseMultiplier: undefined, delta: undefined } as unknown as Partial<PrivacyEngineOptions>;

test('«the private gradient is overwritten»: another record gives another update, by no more than one record may change it', () => {
  const changed = examples.map((example, k) => (k === 0 ? { ...example, label: 1 - example.label } : example));
  const options = { steps: 1, insecureSeed: 3, sampler: poisson({ batchSize: RECORDS }) };
  const [one, other] = [examples, changed].map((data) => trained(distilbert(), options, { data }).weights) as [
    number[],
    number[],
  ];
  const moved = Math.sqrt(one.reduce((sum, weight, k) => sum + (weight - other[k]!) ** 2, 0));
  expect(moved).toBeGreaterThan(0);
  expect(moved).toBeLessThanOrEqual(((2 * 0.1) / RECORDS) * 1.01); // lr 1, C = 0.1, and the grid of the release
});

test('«epsilon at the end is not the target»: the noise is the least that keeps it, under the very accountant that states it', () => {
  const { engine } = trained(distilbert(), { ...unset, steps: 20, target: { epsilon: 3, delta: 1e-4 } });
  const { epsilon, delta, steps } = engine.privacySpent();
  expect({ delta, steps }).toEqual({ delta: 1e-4, steps: 20 });
  expect(epsilon).toBeLessThanOrEqual(3);
  expect(epsilon).toBeGreaterThan(3 * 0.999);
});

test('«large models do not fit»: the plan says so beforehand, and low-rank additions make room', async () => {
  const xl = config('gpt2', { n_embd: 1600, n_layer: 48, n_head: 25, n_positions: 1024 });
  const { full, lora } = await planMemory({ config: xl, length: 100, memory: 1024 });
  expect(full.total / 2 ** 30).toBeGreaterThan(25);
  expect(lora.total / 2 ** 30).toBeLessThan(8);
});

test('«the data folder is not in the repository»: the message names the path, and says that data are the user’s to bring', async () => {
  const run = fineTune('classifier', { data: path('glue/SST-2'), tokenizer: path('none') });
  await expect(run).rejects.toMatchObject({
    code: 'ERR_DATA_FORMAT',
    message: expect.stringMatching(/glue\/SST-2: there is no file or folder.*yours to bring/),
  });
});

test('«DistilBERT is not supported»: it trains as any other, all of it', async () => {
  const options = { ...SHORT, data: sentiment(), config: config('distilbert'), tokenizer: wordTokenizer(), epochs: 1 };
  const { rows, privacy } = await fineTune('classifier', options);
  expect(rows[0]!.metrics.accuracy).toBeGreaterThanOrEqual(0);
  expect(privacy.epsilon).toBeLessThanOrEqual(SHORT.epsilon);
  const model = distilbert();
  const before = model.parameters().map((one) => Array.from(one.detach().toTypedArray(), Number));
  const optimizer = adam(model.parameters(), { lr: 1e-2 });
  const engine = engineOf(model);
  const attached = engine.attach(optimizer);
  for (const batch of engine.batches(new ExampleDataset(examples))) attached.step({ loss: model.loss(batch) });
  engine.detach();
  model
    .parameters()
    .forEach((one, k) => expect(Array.from(one.detach().toTypedArray(), Number)).not.toEqual(before[k]));
});
