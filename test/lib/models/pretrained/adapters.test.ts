// Low-rank additions in a folder of their own: those of Python's peft are read, ours are read by it, and model cards.

import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type Seq2SeqExample, seq2seqBatch, tokenBatch } from '../../../../lib/data';
import { fromPretrained, type PretrainedModel, type TaskName } from '../../../../lib/models';
import { lora } from '../../../../lib/nn';
import { sgd } from '../../../../lib/optim';
import { abadi, perSampleNorms, poisson, PrivacyEngine, privacyStatement } from '../../../../lib/privacy';
import { noGrad, setNumThreads, type Tensor, tidy } from '../../../../lib/tensor';
import { thrown } from '../../data/support';
import { expectedOf, folderOf } from './fixtures';

beforeAll(() => setNumThreads(1));

/** The cases of scripts/fixtures/adapters.py. */
const CASES: readonly (readonly [string, string, TaskName])[] = [
  ['gpt2-two-ranks', 'gpt2-lm', 'causal-lm'],
  ['t5-root', 't5-tied', 'conditional-generation'],
  ['bert-head', 'bert-classifier', 'sequence-classification'],
];

type Any = PretrainedModel & { logits(batch: unknown): Tensor; loss(batch: unknown): Tensor };
const adapterOf = (name: string): string => join(__dirname, '../../../fixtures/adapters', name);
const open = async (base: string, task: TaskName, from = folderOf(base)): Promise<Any> =>
  (await fromPretrained(from, { task, dtype: 'float64' })).eval() as unknown as Any;
const batchOf = (base: string): unknown => {
  const { examples } = expectedOf(base);
  return base.startsWith('t5') ? seq2seqBatch(examples as Seq2SeqExample[]) : tokenBatch(examples);
};
const flat = (values: unknown): number[] => (Array.isArray(values) ? values.flatMap(flat) : [Number(values)]);
const logits = (model: Any, base: string): number[] =>
  tidy(() => noGrad(() => flat(model.logits(batchOf(base)).toArray())));

let folder: string;
beforeAll(async () => (folder = process.env.PHANTOMGRAD_SAVED ?? (await mkdtemp(join(tmpdir(), 'phantomgrad-')))));
afterAll(async () => {
  if (process.env.PHANTOMGRAD_SAVED === undefined) await rm(folder, { recursive: true });
});

describe.each(CASES)('%s', (name, base, task) => {
  const truth = flat(JSON.parse(readFileSync(join(adapterOf(name), 'expected.json'), 'utf8')));
  const expectTruth = (got: readonly number[]): void => {
    expect(got).toHaveLength(truth.length);
    got.forEach((value, i) =>
      expect(Math.abs(value - truth[i]!)).toBeLessThan(1e-9 * Math.max(1, Math.abs(truth[i]!))),
    );
  };

  test('logits are those of peft, and what is saved again is the same adapter', async () => {
    const model = await open(base, task);
    const plain = logits(model, base);
    await model.loadAdapter(adapterOf(name));
    expectTruth(logits(model, base));
    expect(Math.abs(plain[0]! - truth[0]!)).toBeGreaterThan(1e-3);
    await model.saveAdapter(join(folder, name), { base });
    const again = await open(base, task);
    await again.loadAdapter(join(folder, name));
    expectTruth(logits(again, base));
    const merged = join(folder, `${name}-merged`);
    await again.savePretrained(merged);
    const whole = await open(base, task, merged);
    expectTruth(logits(whole, base));
    [model, again, whole].forEach((own) => own.dispose());
  });

  test('additions alone are trained on, with layers that were saved whole', async () => {
    const model = await open(base, task);
    await model.loadAdapter(adapterOf(name));
    const { norm, parameters } = perSampleNorms(model, () => model.loss(batchOf(base)));
    norm.forEach((value) => expect(value).toBeGreaterThan(0));
    const others = [...parameters.keys()].filter((path) => !/\.lora[AB]$/.test(path));
    expect(others.sort()).toEqual(name === 'bert-head' ? ['head.out.bias', 'head.out.weight'] : []);
    model.dispose();
  });
});

test('an adapter of another model, of another kind, or with an option that is not built here is refused, and nothing changes', async () => {
  const model = await open('gpt2-untied', 'causal-lm');
  const paths = [...model.namedParameters()].map(([path]) => path);
  const changed = async (fields: object): Promise<string> => {
    const own = await mkdtemp(join(tmpdir(), 'phantomgrad-'));
    await cp(adapterOf('gpt2-two-ranks'), own, { recursive: true });
    const file = join(own, 'adapter_config.json');
    const config = JSON.parse(await readFile(file, 'utf8')) as object;
    await writeFile(file, JSON.stringify({ ...config, ...fields }));
    return own;
  };
  for (const fields of [
    { peft_type: 'IA3' },
    { use_dora: true },
    { bias: 'all' },
    { layer_replication: [[0, 1]] },
    { alpha_pattern: { '(': 2 } },
    { alpha_pattern: { c_fc: 'x' } },
  ]) {
    const own = await changed(fields);
    expect(await thrown(() => model.loadAdapter(own))).toMatchObject({ code: 'ERR_MODEL_CONFIG' });
    await rm(own, { recursive: true });
  }
  // Its inner layers are wider, and those of T5 are called otherwise.
  for (const name of ['gpt2-two-ranks', 't5-root'])
    expect(await thrown(() => model.loadAdapter(adapterOf(name)))).toMatchObject({ code: 'ERR_MODEL_WEIGHTS' });
  expect([...model.namedParameters()].map(([path]) => path)).toEqual(paths);
  expect(model.parameters().every(({ requiresGrad }) => requiresGrad)).toBe(true);
  expect(await thrown(() => model.saveAdapter(folder))).toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
  lora(model, { rank: 2, targets: ['qkv'] });
  model.parameters()[0]!.requiresGrad_();
  expect(await thrown(() => model.saveAdapter(folder))).toMatchObject({ code: 'ERR_MODEL_WEIGHTS' });
  model.dispose();
});

test('a model card says what was promised, in numbers and in words, and an insecure run says that it promises nothing', async () => {
  const model = (await open('gpt2-lm', 'causal-lm')).train();
  lora(model, { rank: 2, targets: ['qkv'] });
  const engine = new PrivacyEngine(model, {
    records: 100,
    steps: 3,
    noiseMultiplier: 2,
    sampler: poisson({ batchSize: 5 }),
    clip: abadi({ maxGradNorm: 1 }),
  });
  engine.attach(sgd(model.trainableParameters(), { lr: 0.1 }));
  const statement = privacyStatement(engine, { unit: 'one letter' });
  engine.detach();
  const read = async (own: string): Promise<string> => readFile(join(own, 'README.md'), 'utf8');
  const card = { title: 'Letters', license: 'mit', results: { 'public perplexity': 12.5 }, statement };
  await model.savePretrained(join(folder, 'card'), { card });
  const whole = await read(join(folder, 'card'));
  expect(whole).toMatch(
    /^---\nlibrary_name: "transformers"\npipeline_tag: "text-generation"\nlicense: "mit"\ntags:\n {2}- differential-privacy\n---\n/,
  );
  for (const part of ['# Letters', statement.text, '| one record | one letter |', '| public perplexity | 12.5 |'])
    expect(whole).toContain(part);
  for (const what of statement.notCovered) expect(whole).toContain(`- ${what}`);
  await model.saveAdapter(join(folder, 'card-adapter'), { base: 'gpt2', card: { statement } });
  expect(await read(join(folder, 'card-adapter'))).toMatch(/^---\nlibrary_name: "peft"\n(.*\n)base_model: "gpt2"\n/);
  const insecure = { ...statement, insecure: true, text: 'This run gives no privacy.' };
  await model.savePretrained(join(folder, 'card'), { card: { statement: insecure } });
  const warned = await read(join(folder, 'card'));
  expect(warned).not.toContain('differential-privacy');
  expect(warned).toContain('| ε | none |');
  const broken = { statement: { ...statement, text: undefined as unknown as string } };
  expect(await thrown(() => model.savePretrained(join(folder, 'card'), { card: broken }))).toMatchObject({
    code: 'ERR_INVALID_ARGUMENT',
  });
  model.dispose();
});
