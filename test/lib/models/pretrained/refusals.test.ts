// What is refused, and what the error says: configurations, files, tensors and batches that do not fit.

import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { type ChoiceExample, tokenBatch, ExampleDataset, type TokenExample } from '../../../../lib/data';
import {
  type CausalLM,
  fromConfig,
  fromPretrained,
  hubCache,
  loadWeights,
  modelFolder,
  saveWeights,
} from '../../../../lib/models';
import { ones, type Tensor } from '../../../../lib/tensor';
import { folderOf } from './fixtures';

let folder: string;
beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'phantomgrad-'))));
afterEach(() => rm(folder, { recursive: true }));

const refusal = (code: string, ...parts: string[]): Error =>
  expect.objectContaining({
    code,
    message: expect.stringMatching(
      new RegExp(parts.map((part) => part.replace(/[.*+?^$()|[\]\\]/g, '\\$&')).join('[^]*')),
    ),
  });

/** A copy of a fixture with changed fields, and changed tensors. */
async function changed(
  name: string,
  fields: Record<string, unknown>,
  change: (tensors: Map<string, Tensor>) => void = () => undefined,
): Promise<string> {
  await cp(folderOf(name), folder, { recursive: true });
  const config = JSON.parse(await readFile(join(folder, 'config.json'), 'utf8')) as object;
  await writeFile(join(folder, 'config.json'), JSON.stringify({ ...config, ...fields }));
  const { tensors } = await loadWeights(join(folder, 'model.safetensors'));
  const own = new Map(tensors);
  change(own);
  await saveWeights(join(folder, 'model.safetensors'), own);
  return folder;
}

const lm = (from: string): Promise<CausalLM> => fromPretrained(from, { task: 'causal-lm' });

test.each<[string, Record<string, unknown>, string[]]>([
  ['an unknown model_type', { model_type: 'mamba' }, ['"mamba" is not known', 'gpt2, openai-gpt, opt, llama']],
  ['an option that is not built', { add_cross_attention: true }, ['add_cross_attention = true is not supported']],
  ['a number that is none', { n_embd: '8' }, ['n_embd must be a whole number', '"8"']],
  ['heads that do not divide the width', { n_head: 3 }, ['n_head = 3 does not divide n_embd = 8']],
  [
    'an unknown activation',
    { activation_function: 'mish' },
    ['activation_function must be one of', 'gelu_new', '"mish"'],
  ],
  ['more layers than any memory holds', { n_layer: 1e9 }, ['n_layer must be a whole number', 'at most 10000']],
  ['dropout of everything', { attn_pdrop: 1 }, ['attn_pdrop must be at least 0 and below 1']],
])('config.json: %s', async (_what, fields, parts) => {
  await expect(lm(await changed('gpt2-lm', fields))).rejects.toThrow(
    refusal('ERR_MODEL_CONFIG', 'config.json', ...parts),
  );
});

test('config.json that is no JSON', async () => {
  await writeFile(join(folder, 'config.json'), '{');
  await expect(lm(folder)).rejects.toThrow(refusal('ERR_MODEL_CONFIG', 'JSON'));
});

test('every missing, extra and wrongly shaped tensor is named at once, with its shape', async () => {
  const from = await changed('gpt2-lm', {}, (tensors) => {
    tensors.delete('transformer.h.0.ln_1.bias');
    tensors.delete('transformer.wpe.weight');
    tensors.set('transformer.h.7.extra', ones([2, 3]));
    tensors.set('transformer.ln_f.weight', ones([9]));
  });
  await expect(lm(from)).rejects.toThrow(
    refusal(
      'ERR_MODEL_WEIGHTS',
      'GPT2LMHeadModel',
      '2 missing: transformer.h.0.ln_1.bias [8], transformer.wpe.weight [16, 8]',
      '1 not of this model: transformer.h.7.extra [2, 3]',
      '1 of another shape: transformer.ln_f.weight [9] instead of [8]',
    ),
  );
});

test('masks, equal duplicates of a tied table and names without a prefix are welcome; unequal duplicates are not', async () => {
  const from = await changed('gpt2-lm', {}, (tensors) => {
    for (const [name, tensor] of [...tensors]) {
      tensors.delete(name);
      tensors.set(name.replace('transformer.', ''), tensor);
    }
    tensors.set('h.0.attn.bias', ones([1, 1, 16, 16]));
    tensors.set('h.0.attn.masked_bias', ones([]));
    tensors.set('lm_head.weight', tensors.get('wte.weight')!);
  });
  const [plain, model] = [await lm(folderOf('gpt2-lm')), await lm(from)];
  const loaded = new Map<string, Tensor>(model.namedParameters());
  for (const [path, parameter] of plain.namedParameters()) expect(loaded.get(path)!.equal(parameter)).toBe(true);
  expect(model.head).toBeNull();
  model.dispose();
  const { tensors } = await loadWeights(join(from, 'model.safetensors'));
  await saveWeights(join(from, 'model.safetensors'), new Map(tensors).set('lm_head.weight', ones([23, 8])));
  await expect(lm(from)).rejects.toThrow(refusal('ERR_MODEL_WEIGHTS', 'should repeat', 'lm_head.weight'));
});

test('a tied table under the name of the head alone is found', async () => {
  const from = await changed('gpt2-lm', {}, (tensors) => {
    tensors.set('lm_head.weight', tensors.get('transformer.wte.weight')!);
    tensors.delete('transformer.wte.weight');
  });
  const [plain, model] = [await lm(folderOf('gpt2-lm')), await lm(from)];
  expect(model.backbone.words.weight.equal(plain.backbone.words.weight)).toBe(true);
  model.dispose();
  plain.dispose();
});

test('a checkpoint of another task needs newHead, and labels need it too', async () => {
  const classifier = { task: 'sequence-classification' } as const;
  await expect(fromPretrained(folderOf('gpt2-lm'), classifier)).rejects.toThrow(
    refusal('ERR_MODEL_WEIGHTS', 'missing: score.weight [2, 8]', 'newHead'),
  );
  await expect(lm(folderOf('gpt2-classifier'))).rejects.toThrow(
    refusal('ERR_MODEL_WEIGHTS', 'not of this model: score.weight'),
  );
  await expect(fromPretrained(folderOf('gpt2-lm'), { ...classifier, labels: 3 })).rejects.toThrow(
    refusal('ERR_INVALID_ARGUMENT', 'newHead'),
  );
  await expect(fromPretrained(folderOf('opt-lm'), { task: 'double-heads' })).rejects.toThrow(
    refusal('ERR_INVALID_ARGUMENT', 'no task "double-heads"', 'causal-lm'),
  );
});

test('pickle files are not read: the error says how to convert them', async () => {
  await cp(join(folderOf('gpt2-lm'), 'config.json'), join(folder, 'config.json'));
  await expect(lm(folder)).rejects.toThrow(refusal('ERR_DATA_FORMAT', 'there is no model.safetensors'));
  await writeFile(join(folder, 'pytorch_model.bin'), 'no');
  await expect(lm(folder)).rejects.toThrow(
    refusal('ERR_DATA_FORMAT', 'pytorch_model.bin', 'program', 'save_pretrained'),
  );
});

test('an index of shards names files of its own folder, and nothing else', async () => {
  await cp(folderOf('llama-grouped'), folder, { recursive: true });
  await writeFile(
    join(folder, 'model.safetensors.index.json'),
    JSON.stringify({ weight_map: { 'lm_head.weight': '../secret.safetensors' } }),
  );
  await expect(lm(folder)).rejects.toThrow(refusal('ERR_DATA_FORMAT', 'same folder'));
});

test('a name is found in the hub cache by branch and commit; without it the error says where was looked', async () => {
  const snapshot = join(folder, 'models--some--gpt2/snapshots/abc');
  await mkdir(join(folder, 'models--some--gpt2/refs'), { recursive: true });
  await cp(folderOf('gpt2-lm'), snapshot, { recursive: true });
  await writeFile(join(folder, 'models--some--gpt2/refs/main'), 'abc\n');
  expect(modelFolder('some/gpt2', 'main', folder)).toBe(snapshot);
  expect(modelFolder('some/gpt2', 'abc', folder)).toBe(snapshot);
  expect(() => modelFolder('some/other', 'main', folder)).toThrow(
    refusal('ERR_MODEL_NOT_FOUND', 'some/other', 'models--some--other', 'download'),
  );
  expect(() => modelFolder('../x', '../..', folder)).toThrow(refusal('ERR_MODEL_NOT_FOUND'));
  expect(hubCache({ HF_HUB_CACHE: '/a', HF_HOME: '/b' })).toBe('/a');
  expect(hubCache({ HF_HOME: '/b', XDG_CACHE_HOME: '/c' })).toBe(join('/b', 'hub'));
  expect(hubCache({ XDG_CACHE_HOME: '/c' })).toBe(join('/c', 'huggingface', 'hub'));
});

const config = { model_type: 'gpt2', vocab_size: 11, n_embd: 8, n_layer: 1, n_head: 2, n_positions: 4 };

test.each<[string, TokenExample | ChoiceExample, string[]]>([
  ['a token beyond the vocabulary', { inputIds: [11], labels: [1] }, ['11 is no token', '0 to 10']],
  ['a text beyond the position table', { inputIds: [1, 2, 3, 4, 5], labels: [1, 2, 3, 4, 5] }, ['more than 4 tokens']],
  ['a label beyond the vocabulary', { inputIds: [1, 2], labels: [1, 11] }, ['label 11', '0 to 10']],
  ['a token type beyond the vocabulary', { inputIds: [1], labels: [1], tokenTypeIds: [11] }, ['types 0 to 10, got 11']],
  ['no labels', { inputIds: [1, 2] }, ['no labels']],
])('a language model refuses %s', (_what, example, parts) => {
  const model = fromConfig(config, { task: 'causal-lm' }).eval();
  expect(() => model.loss(tokenBatch([example]))).toThrow(refusal('ERR_INVALID_ARGUMENT', ...parts));
  model.dispose();
});

test.each<[string, TokenExample, string[]]>([
  ['a class that is none', { inputIds: [1], label: 2 }, ['label 2', '0 to 1']],
  ['half a class', { inputIds: [1], label: 0.5 }, ['label 0.5']],
  ['several numbers', { inputIds: [1], label: [0, 1] }, ['needs 1 number', 'got 2']],
  ['no label', { inputIds: [1] }, ['got none']],
])('a classifier refuses %s', (_what, example, parts) => {
  const model = fromConfig(config, { task: 'sequence-classification' }).eval();
  expect(() => model.loss(tokenBatch([example]))).toThrow(refusal('ERR_INVALID_ARGUMENT', ...parts));
  model.dispose();
});

test('a model without token types refuses them', async () => {
  const model = await lm(folderOf('opt-lm'));
  const batch = tokenBatch([{ inputIds: [3], labels: [3], tokenTypeIds: [0] }]);
  expect(() => model.logits(batch)).toThrow(refusal('ERR_INVALID_ARGUMENT', 'reads no token types'));
  model.dispose();
});

test('a double-headed model refuses a choice that is none', () => {
  const model = fromConfig(config, { task: 'double-heads' }).eval();
  const text = { inputIds: [1, 2], labels: [1, 2] };
  for (const label of [2, -1, undefined]) {
    const example = { choices: [text, text], ...(label === undefined ? {} : { label }) };
    expect(() => model.loss(tokenBatch([example]))).toThrow(refusal('ERR_INVALID_ARGUMENT', '2 choices'));
  }
  model.dispose();
});

test.each<[string, (TokenExample | ChoiceExample)[], string[]]>([
  ['without tokens', [{ inputIds: [1] }, { inputIds: [] }], ['example 1 is empty']],
  ['of padding alone', [{ inputIds: [1, 2], attentionMask: [0, 0] }], ['example 0 is empty']],
  ['with a mask of another length', [{ inputIds: [1, 2], attentionMask: [1] }], ['2 inputIds and 1 attentionMask']],
  ['with half a token', [{ inputIds: [1.5] }], ['token 1.5']],
  ['with a token below 0', [{ inputIds: [-1] }], ['token -1']],
  ['with a label below 0', [{ inputIds: [1], labels: [-1] }], ['label -1', '-100']],
  ['without choices', [{ choices: [] }], ['no choices']],
  [
    'with labels of several sizes',
    [
      { inputIds: [1], label: 1 },
      { inputIds: [1], label: [1, 0] },
    ],
    ['example 1 has 2'],
  ],
])('examples %s are refused before anything is drawn', (_what, examples, parts) => {
  expect(() => tokenBatch(examples)).toThrow(refusal('ERR_INVALID_ARGUMENT', ...parts));
  expect(() => new ExampleDataset(examples)).toThrow(
    refusal('ERR_INVALID_ARGUMENT', parts.at(-1)!.replace(/^example 1 is/, 'is')),
  );
});

test('a dataset with one text that is too long is refused whichever records are drawn', () => {
  const dataset = new ExampleDataset([{ inputIds: [1] }, { inputIds: [1, 2, 3] }]);
  expect(() => dataset.pack(Int32Array.of(0), { rowBudget: 8, maxLength: 2 })).toThrow(
    refusal('ERR_INVALID_ARGUMENT', '3 tokens', '2'),
  );
});
