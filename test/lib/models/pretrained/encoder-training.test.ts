// Encoder families while they are trained: private steps, partial fine-tuning, dropout, and what is refused.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type TokenBatch, ExampleDataset, tokenBatch, type TokenExample } from '../../../../lib/data';
import { fromConfig, fromPretrained, loadWeights, saveWeights } from '../../../../lib/models';
import { biasesOnly, Dropout, lora } from '../../../../lib/nn';
import { sgd } from '../../../../lib/optim';
import { abadi, checkIndependence, perSampleNorms, poisson, PrivacyEngine } from '../../../../lib/privacy';
import { noGrad, type Tensor, tidy } from '../../../../lib/tensor';
import { thrown } from '../../data/support';
import { ENCODERS } from './encoder-cases';
import { expectedOf, folderOf } from './fixtures';
import { numbers } from './truth';

const SHAPE = {
  vocab_size: 19,
  hidden_size: 8,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  intermediate_size: 12,
  max_position_embeddings: 10,
};

describe.each(ENCODERS)('%s', (name, task) => {
  const { examples } = expectedOf(name);
  const open = (dtype: 'float32' | 'float64' = 'float32') => fromPretrained(folderOf(name), { task, dtype, seed: 4 });

  test('trains privately with dropout, every parameter moves, and empty batches are steps too', async () => {
    const model = await open();
    const data = new ExampleDataset([...examples, ...examples, ...examples]);
    const engine = new PrivacyEngine(model, {
      records: data.length,
      steps: 6,
      noiseMultiplier: 1,
      sampler: poisson({ batchSize: 1 }),
      clip: abadi({ maxGradNorm: 1 }),
      insecureSeed: 11,
    });
    const before = model.parameters().map(numbers);
    const optimizer = engine.attach(sgd(model.parameters(), { lr: 0.1 }));
    let empty = 0;
    for (const batch of engine.batches(data)) {
      empty += batch.samples === 0 ? 1 : 0;
      tidy(() => optimizer.step({ loss: model.loss(batch) }));
    }
    expect(engine.remainingSteps).toBe(0);
    expect(empty).toBeGreaterThan(0);
    model.parameters().forEach((parameter, k) => expect(numbers(parameter)).not.toEqual(before[k]));
    engine.detach();
    model.dispose();
  });

  test('no example changes the loss of another', async () => {
    const model = (await open('float64')).eval();
    const batch = tokenBatch(examples);
    const change = (_: typeof batch, b: number): typeof batch =>
      tokenBatch(
        examples.map((example, k) => {
          const { inputIds } = example as TokenExample;
          return k === b ? { ...example, inputIds: Array.from(inputIds, (id) => (id + 1) % 19) } : example;
        }),
      );
    checkIndependence(model, batch, { change });
    model.dispose();
  });

  test('low-rank additions and biases alone have the norms that they have among all parameters', async () => {
    const batch = tokenBatch(examples);
    const norms = (model: Awaited<ReturnType<typeof open>>): ReturnType<typeof perSampleNorms> =>
      perSampleNorms(model.eval(), () => model.loss(batch));
    const [whole, biased, thin] = [await open('float64'), await open('float64'), await open('float64')];
    const all = norms(whole).parameters;
    const chosen = biasesOnly(biased);
    const { norm, parameters } = norms(biased);
    expect([...parameters.keys()].sort()).toEqual([...chosen].sort());
    for (const [path, own] of parameters)
      own.forEach((value, b) => expect(Math.abs(value - all.get(path)![b]!)).toBeLessThan(1e-9 * norm[b]!));

    const layers = lora(thin, { rank: 2, targets: ['query', 'value'] });
    const adapted = norms(thin);
    expect([...adapted.parameters.keys()].every((path) => /\.lora[AB]$/.test(path))).toBe(true);
    expect(adapted.parameters.size).toBe(2 * layers.size);
    adapted.norm.forEach((value) => expect(value).toBeGreaterThan(0));
    [whole, biased, thin].forEach((model) => model.dispose());
  });

  test('tokens, types, labels and lengths that the model does not know are refused', async () => {
    const model = (await open()).eval();
    const inputIds = Array.from({ length: 11 }, () => 3);
    const ask = task === 'masked-lm' ? { labels: [5] } : { label: (examples[0] as TokenExample).label! };
    const wrong: TokenExample[] = [
      { inputIds: [19], ...ask },
      { inputIds, ...ask, ...(task === 'masked-lm' ? { labels: inputIds } : {}) },
      ...(name.startsWith('bert') || name.startsWith('albert') ? [{ inputIds: [3], tokenTypeIds: [2], ...ask }] : []),
      ...(task === 'masked-lm' ? [{ inputIds: [3], labels: [19] }] : []),
      ...(name === 'bert-classifier'
        ? [
            { inputIds: [3], label: 3 },
            { inputIds: [3], label: 0.5 },
          ]
        : []),
      ...(name === 'albert-groups' ? [{ inputIds: [3], label: [1, 0, 2] }] : []),
      { inputIds: [3] },
    ];
    for (const example of wrong)
      expect(await thrown(() => tidy(() => model.loss(tokenBatch([example]))))).toMatchObject({
        code: 'ERR_INVALID_ARGUMENT',
      });
    expect(await thrown(() => tokenBatch([{ inputIds: [] }]))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
    model.dispose();
  });
});

test.each([
  ['bert-masked-lm', 'bert-classifier'],
  ['roberta-masked-lm', 'roberta-regression'],
  ['distilbert-masked-lm', 'distilbert-sinusoidal'],
  ['albert-masked-lm', 'albert-groups'],
])(
  '%s with a new head classifies: its backbone is that of the file, its head is fresh, so is a pooler',
  async (name) => {
    const task = 'sequence-classification';
    const file = await fromPretrained(folderOf(name), { task: 'masked-lm' });
    const model = await fromPretrained(folderOf(name), { task, newHead: true, labels: 4, seed: 5 });
    const theirs = new Map<string, Tensor>(file.namedParameters());
    let fresh = 0;
    for (const [path, parameter] of model.namedParameters()) {
      const same = path.startsWith('backbone.') ? theirs.get(path) : undefined;
      if (same !== undefined) expect(parameter.equal(same)).toBe(true);
      else fresh += 1;
      if (same === undefined && parameter.shape.length === 2) {
        const weights = numbers(parameter);
        const std = Math.sqrt(weights.reduce((sum, x) => sum + x * x, 0) / weights.length);
        expect(std).toBeGreaterThan(0.01);
        expect(std).toBeLessThan(0.03);
      }
    }
    expect(fresh).toBe(4);
    expect(await thrown(() => fromPretrained(folderOf(name), { task }))).toMatchObject({ code: 'ERR_MODEL_WEIGHTS' });
    file.dispose();
    model.dispose();
  },
);

test('every use of an ALBERT layer drops something else, at every step', () => {
  const config = { ...SHAPE, model_type: 'albert', embedding_size: 8, hidden_dropout_prob: 0.5, num_hidden_layers: 3 };
  const model = fromConfig(config, { task: 'features' });
  const batch = tokenBatch([{ inputIds: [3, 4, 5, 6] }], { recordIds: Int32Array.of(7) });
  const masks: string[] = [];
  const { forward } = Dropout.prototype;
  const watch = jest.spyOn(Dropout.prototype, 'forward').mockImplementation(function (this: Dropout, x: Tensor) {
    if (this.p > 0) masks.push(String(numbers(forward.call(this, x.onesLike()))));
    return forward.call(this, x);
  });
  try {
    for (const step of [0, 1, 2]) {
      const drawn: TokenBatch = { ...batch, step };
      tidy(() => void model.hidden(drawn));
    }
  } finally {
    watch.mockRestore();
  }
  // The embeddings, then three uses of the layer, in each of three steps.
  expect(masks).toHaveLength(12);
  expect(new Set(masks).size).toBe(12);
  model.dispose();
});

test('a fresh DistilBERT with sinusoidal positions begins with the table of transformers', async () => {
  const shape = { model_type: 'distilbert', vocab_size: 19, dim: 8, n_layers: 1, n_heads: 2, hidden_dim: 12 };
  const config = { ...shape, max_position_embeddings: 10, sinusoidal_pos_embds: true };
  const fresh = fromConfig(config, { task: 'features' });
  const { tensors } = await loadWeights(join(folderOf('distilbert-sinusoidal'), 'model.safetensors'));
  const theirs = tensors.get('distilbert.embeddings.position_embeddings.weight')!;
  const ours = new Map<string, Tensor>(fresh.namedParameters()).get('backbone.embeddings.positions.weight')!;
  expect(noGrad(() => tidy(() => ours.sub(theirs).abs().max().item()))).toBeLessThan(1e-7);
  for (const tensor of tensors.values()) tensor.dispose();
  fresh.dispose();
});

test('old names of BERT, its tied copies and the head for sentence pairs are read, a copy that differs is refused', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'phantomgrad-'));
  try {
    const model = await fromPretrained(folderOf('bert-masked-lm'), { task: 'masked-lm' });
    await model.savePretrained(folder);
    const file = join(folder, 'model.safetensors');
    const { tensors } = await loadWeights(file);
    const table = tensors.get('bert.embeddings.word_embeddings.weight')!;
    const old = [...tensors].map(([path, tensor]): [string, Tensor] => [
      path.replace('LayerNorm.weight', 'LayerNorm.gamma').replace('LayerNorm.bias', 'LayerNorm.beta'),
      tensor,
    ]);
    const extra: [string, Tensor][] = [
      ['cls.predictions.decoder.weight', table],
      ['cls.seq_relationship.bias', table],
      ['bert.pooler.dense.weight', table],
    ];
    await saveWeights(file, [...old, ...extra]);
    const again = await fromPretrained(folder, { task: 'masked-lm' });
    const loaded = new Map<string, Tensor>(again.namedParameters());
    for (const [path, parameter] of model.namedParameters()) expect(loaded.get(path)!.equal(parameter)).toBe(true);
    using other = noGrad(() => table.add(1));
    await saveWeights(file, [...old, ['cls.predictions.decoder.weight', other]]);
    const error = await thrown(() => fromPretrained(folder, { task: 'masked-lm' }));
    expect(error).toMatchObject({ code: 'ERR_MODEL_WEIGHTS' });
    for (const tensor of tensors.values()) tensor.dispose();
    model.dispose();
    again.dispose();
  } finally {
    await rm(folder, { recursive: true });
  }
});

test.each([
  [{ model_type: 'bert', ...SHAPE, is_decoder: true }],
  [{ model_type: 'bert', ...SHAPE, position_embedding_type: 'relative_key' }],
  [{ model_type: 'bert', ...SHAPE, num_attention_heads: 3 }],
  [{ model_type: 'bert', ...SHAPE, tie_word_embeddings: false }],
  [{ model_type: 'roberta', ...SHAPE, pad_token_id: null }],
  [{ model_type: 'roberta', ...SHAPE, max_position_embeddings: 2 }],
  [{ model_type: 'albert', ...SHAPE, num_hidden_groups: 3 }],
])('a configuration that is not built here is refused: %j', async (config) => {
  const error = await thrown(() => fromConfig(config, { task: 'masked-lm' }));
  expect(error).toMatchObject({ code: 'ERR_MODEL_CONFIG' });
});
