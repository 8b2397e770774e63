// Prefixes before every text: those of Python's peft, their private training, and folders that go there and back.

import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { ExampleDataset, tokenBatch } from '../../../../lib/data';
import { type CausalLM, fromPretrained, generate, type Prefix, prefixTuning } from '../../../../lib/models';
import { lora } from '../../../../lib/nn';
import { adam } from '../../../../lib/optim';
import { abadi, checkIndependence, perSampleNorms, poisson, PrivacyEngine } from '../../../../lib/privacy';
import { noGrad, setNumThreads, tensor, tidy } from '../../../../lib/tensor';
import { thrown } from '../../data/support';
import { expectedOf, folderOf } from './fixtures';
import { expectNear, flat, numbers } from './truth';

beforeAll(() => setNumThreads(1));

/** The cases of scripts/fixtures/adapters.py. */
const CASES = [
  ['gpt2-prefix', 'gpt2-lm'],
  ['opt-prefix', 'opt-lm'],
  ['llama-prefix-projected', 'llama-grouped'],
] as const;

interface Trained {
  readonly parameters: Readonly<Record<string, readonly number[] | readonly number[][]>>;
  readonly norms: readonly Readonly<Record<string, number>>[];
  readonly prompts: readonly (readonly number[])[];
  readonly greedy: readonly (readonly number[])[];
}

/** What peft calls the parts of a prefix. */
const NAMES: Readonly<Record<string, string>> = {
  'table.weight': 'embedding.weight',
  'inner.weight': 'transform.0.weight',
  'inner.bias': 'transform.0.bias',
  'outer.weight': 'transform.2.weight',
  'outer.bias': 'transform.2.bias',
};

const adapterOf = (name: string): string => join(__dirname, '../../../fixtures/adapters', name);
const truthOf = (name: string): number[] =>
  flat(JSON.parse(readFileSync(join(adapterOf(name), 'expected.json'), 'utf8')));
const trainedOf = (name: string): Trained =>
  JSON.parse(readFileSync(join(adapterOf(name), 'trained.json'), 'utf8')) as Trained;
const open = async (base: string, dtype: 'float32' | 'float64' = 'float64'): Promise<CausalLM> =>
  (await fromPretrained(base.includes('/') ? base : folderOf(base), { task: 'causal-lm', dtype })).eval();
const logits = (model: CausalLM, base: string): number[] =>
  tidy(() => noGrad(() => numbers(model.logits(tokenBatch(expectedOf(base).examples)))));

/** The prefix of a case as it was trained, its network included. */
function asTrained(model: CausalLM, name: string): Prefix {
  const { parameters } = trainedOf(name);
  const bias = parameters['transform.0.bias'];
  const length = parameters['embedding.weight']!.length;
  const prefix = prefixTuning(model, { length, ...(bias === undefined ? {} : { projection: bias.length }) });
  noGrad(() => {
    for (const [path, parameter] of prefix.namedParameters())
      parameter.copy_(tensor(parameters[NAMES[path]!] as number[][], { dtype: 'float64' }));
  });
  return prefix;
}

let folder: string;
beforeAll(async () => (folder = process.env.PHANTOMGRAD_SAVED ?? (await mkdtemp(join(tmpdir(), 'phantomgrad-')))));
afterAll(async () => {
  if (process.env.PHANTOMGRAD_SAVED === undefined) await rm(folder, { recursive: true });
});

describe.each(CASES)('%s', (name, base) => {
  test('logits are those of peft, in both types, and what is saved again is the same prefix', async () => {
    for (const [dtype, tolerance] of [
      ['float32', 1e-4],
      ['float64', 1e-9],
    ] as const) {
      const model = await open(base, dtype);
      const plain = logits(model, base);
      const { maxLength } = model.backbone;
      await model.loadAdapter(adapterOf(name));
      expect(model.backbone.maxLength).toBe(maxLength - model.backbone.prefix!.length);
      expectNear(logits(model, base), truthOf(name), tolerance);
      expect(Math.abs(plain[0]! - truthOf(name)[0]!)).toBeGreaterThan(1e-3);
      if (dtype === 'float64') {
        await model.saveAdapter(join(folder, name), { base });
        await model.savePretrained(join(folder, `${name}-whole`));
      }
      model.dispose();
    }
    const again = await open(base);
    await again.loadAdapter(join(folder, name));
    const whole = await open(join(folder, `${name}-whole`));
    for (const model of [again, whole]) {
      expectNear(logits(model, base), truthOf(name), 1e-9);
      expect(model.trainableParameters()).toEqual(model.backbone.prefix!.parameters());
      model.dispose();
    }
    const config = JSON.parse(await readFile(join(folder, name, 'adapter_config.json'), 'utf8')) as object;
    const theirs = JSON.parse(await readFile(join(adapterOf(name), 'adapter_config.json'), 'utf8')) as object;
    // What made it is not in the file: who reads one has keys and values.
    const own = { peft_version: undefined, prefix_projection: false, encoder_hidden_size: expect.any(Number) };
    expect({ ...config, peft_version: undefined }).toEqual({ ...theirs, ...own });
  });

  test('norms of each part of the prefix are those of autograd in Python, one example at a time', async () => {
    const model = await open(base);
    asTrained(model, name);
    expectNear(logits(model, base), truthOf(name), 1e-5); // peft runs its network in float32
    const { norms } = trainedOf(name);
    const { norm, bound, parameters } = perSampleNorms(model, () => model.loss(tokenBatch(expectedOf(base).examples)));
    const totals = norms.map((own) => Math.hypot(...Object.values(own)));
    expectNear(Array.from(norm), totals, 1e-9);
    totals.forEach((total, b) => expect(bound[b]).toBeGreaterThanOrEqual(total * (1 - 1e-12)));
    expect(parameters.size).toBe(Object.keys(norms[0]!).length);
    for (const [path, own] of parameters) {
      const their = NAMES[path.replace('backbone.prefix.', '')]!;
      expectNear(
        Array.from(own),
        norms.map((example) => example[their]!),
        1e-9,
      );
    }
    model.dispose();
  });

  test('greedy texts are those of peft, side by side, and the same when beams are one', async () => {
    const model = await open(base);
    await model.loadAdapter(adapterOf(name));
    const { prompts, greedy } = trainedOf(name);
    const written = generate(model, prompts, { maxNewTokens: 5, doSample: false, numBeams: 1 });
    expect(written).toEqual(greedy);
    const [first] = generate(model, [prompts[0]!, prompts[0]!], { maxNewTokens: 5, doSample: false, numBeams: 3 });
    expect(first!.length).toBeGreaterThan(0);
    model.dispose();
  });
});

test.each([null, 6])('a prefix trains privately alone, dropout included (width of its network: %s)', async (width) => {
  const model = await fromPretrained(folderOf('gpt2-lm'), { task: 'causal-lm' });
  const prefix = prefixTuning(model, { length: 3, ...(width === null ? {} : { projection: width }) });
  const before = new Map([...model.namedParameters()].map(([path, p]) => [path, numbers(p)]));
  const { examples } = expectedOf('gpt2-lm');
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
  const own = new Set([...prefix.namedParameters()].map(([path]) => `backbone.prefix.${path}`));
  expect(own.size).toBe(width === null ? 1 : 5);
  for (const [path, p] of model.namedParameters()) {
    if (own.has(path)) expect([path, numbers(p)]).not.toEqual([path, before.get(path)]);
    else expect([path, numbers(p)]).toEqual([path, before.get(path)]);
  }
  model.dispose();
});

test('a text has the same loss whatever stands beside it', async () => {
  const model = await open('llama-grouped');
  await model.loadAdapter(adapterOf('llama-prefix-projected'));
  const { examples } = expectedOf('llama-grouped');
  const together = tidy(() => noGrad(() => numbers(model.loss(tokenBatch(examples)))));
  const apart = examples.map((example) => tidy(() => noGrad(() => numbers(model.loss(tokenBatch([example])))))[0]!);
  expectNear(together, apart, 1e-12);
  expect(() => checkIndependence(model, tokenBatch(examples))).not.toThrow();
  model.dispose();
});

test('a prefix is refused where it cannot stand, and nothing changes', async () => {
  const invalid = { code: 'ERR_INVALID_ARGUMENT' };
  const classifier = await fromPretrained(folderOf('gpt2-classifier'), { task: 'sequence-classification' });
  const old = await fromPretrained(folderOf('openai-lm'), { task: 'causal-lm' });
  const model = await open('gpt2-lm');
  expect(await thrown(() => prefixTuning(classifier, { length: 2 }))).toMatchObject(invalid);
  expect(await thrown(() => prefixTuning(old, { length: 2 }))).toMatchObject(invalid);
  for (const options of [
    { length: 0 },
    { length: 1.5 },
    { length: model.backbone.maxLength },
    { length: 1, projection: 0 },
  ])
    expect(await thrown(() => prefixTuning(model, options))).toMatchObject(invalid);
  expect(model.backbone.prefix).toBeNull();
  expect(model.parameters().every(({ requiresGrad }) => requiresGrad)).toBe(true);
  // Of another model, or with an option that is not known.
  expect(await thrown(() => model.loadAdapter(adapterOf('llama-prefix-projected')))).toMatchObject({
    code: 'ERR_MODEL_WEIGHTS',
  });
  const strange = join(folder, 'strange');
  await cp(adapterOf('gpt2-prefix'), strange, { recursive: true });
  const config = JSON.parse(await readFile(join(strange, 'adapter_config.json'), 'utf8')) as object;
  for (const fields of [{ num_transformer_submodules: 2 }, { rotate: true }]) {
    await writeFile(join(strange, 'adapter_config.json'), JSON.stringify({ ...config, ...fields }));
    expect(await thrown(() => model.loadAdapter(strange))).toMatchObject({ code: 'ERR_MODEL_CONFIG' });
  }
  expect(model.backbone.prefix).toBeNull();
  prefixTuning(model, { length: 2 });
  expect(await thrown(() => prefixTuning(model, { length: 2 }))).toMatchObject(invalid);
  lora(model, { rank: 1, targets: ['qkv'] });
  expect(await thrown(() => model.saveAdapter(strange))).toMatchObject(invalid);
  for (const own of [classifier, old, model]) own.dispose();
});

test('the prefix beside the weights is read with them, refused for other tasks, and goes when the weights are replaced', async () => {
  const own = join(folder, 'beside');
  const model = await open('gpt2-lm', 'float32');
  await model.loadAdapter(adapterOf('gpt2-prefix'));
  await model.savePretrained(own);
  expect((await open(own)).backbone.prefix).not.toBeNull();
  const other = fromPretrained(own, { task: 'sequence-classification', newHead: true });
  await expect(other).rejects.toMatchObject({ code: 'ERR_MODEL_WEIGHTS' });
  const plain = await open('gpt2-lm', 'float32');
  await plain.savePretrained(own);
  expect((await open(own)).backbone.prefix).toBeNull();
  [model, plain].forEach((one) => one.dispose());
});
