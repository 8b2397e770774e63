// A run folder is complete or recognisably not: every way in which its files may be wrong is named.

import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';

import { saveWeights, SequentialTransformer } from '../../../../lib/models';
import { readRun, type RunDescription, writeRun } from '../../../../lib/tasks/recommender/run-folder';
import { noGrad, type Tensor, tensor } from '../../../../lib/tensor';
import { makeRunFolder } from '../../../../lib/tasks/run/folder';
import { path } from './fixture';

const model = new SequentialTransformer({ items: 3, dim: 4, blocks: 1, maxLength: 5, seed: 7 });
const description: RunDescription = {
  phantomgrad: '0.0.0',
  data: { kind: 'synthetic', users: 10 },
  training: { epochs: 1 },
  vocabulary: { source: 'catalogue', items: ['a', 'b', 'c'] },
};

beforeAll(async () => {
  await makeRunFolder(path('good'));
  await writeRun(path('good'), model, description, { epsilon: 1 });
});

test('what is written is read back: configuration, statement, and every weight bit by bit', async () => {
  const run = await readRun(path('good'));
  expect(run.config).toMatchObject({ ...description, model: model.config });
  expect(run.privacy).toEqual({ epsilon: 1 });
  expect(run.model.training).toBe(false);
  const written = [...model.namedParameters()].map(([name, weight]) => [name, weight.toTypedArray()]);
  expect([...run.model.namedParameters()].map(([name, weight]) => [name, weight.toTypedArray()])).toEqual(written);
  expect(run.model.scores(Int32Array.of(1, 2))).toEqual(model.scores(Int32Array.of(1, 2)));
  run.model.dispose();
});

/** A copy of the good folder with one file changed. */
function spoiled(name: string, file: string, change: (text: string) => string | null): string {
  const folder = path(name.replace(/\W/g, '-'));
  cpSync(path('good'), folder, { recursive: true });
  const changed = change(readFileSync(`${folder}/${file}`, 'latin1'));
  if (changed === null) rmSync(`${folder}/${file}`);
  else writeFileSync(`${folder}/${file}`, changed, 'latin1');
  return folder;
}

const wrong: [string, string, (text: string) => string | null, RegExp][] = [
  ['no configuration', 'config.json', () => null, /config\.json.*no run folder/],
  ['no statement', 'privacy.json', () => null, /privacy\.json/],
  ['no weights', 'model.safetensors', () => null, /model\.safetensors/],
  ['a configuration cut short', 'config.json', (text) => text.slice(0, 50), /config\.json: is not JSON/],
  ['a configuration that is a number', 'config.json', () => '7', /not a JSON object/],
  [
    'another kind of model',
    'config.json',
    (text) => text.replace('sequential-transformer', 'bert'),
    /model_type.*"bert"/,
  ],
  ['a width that is no number', 'config.json', (text) => text.replace('"dim": 4', '"dim": "4"'), /dim/],
  ['fewer ids than items', 'config.json', (text) => text.replace(/,\s*"c"/, ''), /must list 3 ids.*has 2/],
  ['an id twice', 'config.json', (text) => text.replace('"b"', '"a"'), /each once/],
  ['an unknown source of data', 'config.json', (text) => text.replace('"synthetic"', '"dream"'), /histories/],
  [
    'another width than the weights',
    'config.json',
    (text) => text.replace('"dim": 4', '"dim": 8'),
    /must be float32 \[4, 8\], is float32 \[4, 4\]/,
  ],
  ['one block more', 'config.json', (text) => text.replace('"blocks": 1', '"blocks": 2'), /blocks\.1\..* is missing/],
  ['weights cut short', 'model.safetensors', (text) => text.slice(0, -1), /not a safetensors file/],
  [
    'a weight too many',
    'model.safetensors',
    (text) => text.replace('"items.weight"', '"extra.weight"').replace('  ', ''),
    /safetensors/,
  ],
];

test.each(wrong)('%s is refused with the file that is wrong', async (name, file, change, message) => {
  const folder = spoiled(name, file, change);
  await expect(readRun(folder)).rejects.toMatchObject({
    code: 'ERR_RUN_FOLDER',
    message: expect.stringMatching(message),
  });
});

test('one block less than the weights is refused too', async () => {
  const two = new SequentialTransformer({ items: 3, dim: 4, blocks: 2, maxLength: 5 });
  const folder = path('two');
  await makeRunFolder(folder);
  await writeRun(folder, two, description, {});
  const text = readFileSync(`${folder}/config.json`, 'utf8').replace('"blocks": 2', '"blocks": 1');
  writeFileSync(`${folder}/config.json`, text);
  await expect(readRun(folder)).rejects.toMatchObject({
    code: 'ERR_RUN_FOLDER',
    message: expect.stringMatching(/blocks\.1\..*not a parameter/),
  });
});

test('saving does not change the model, and what is changed later is not in the file', async () => {
  const before = model.items.weight.toTypedArray();
  const folder = path('frozen');
  await makeRunFolder(folder);
  await writeRun(folder, model, description, {});
  expect(model.items.weight.toTypedArray()).toEqual(before);
  noGrad(() => model.items.weight.add_(1));
  const run = await readRun(folder);
  expect(run.model.items.weight.toTypedArray()).toEqual(before);
  noGrad(() => model.items.weight.sub_(1));
  run.model.dispose();
});

describe('a model with Re-Attention', () => {
  const attentive = new SequentialTransformer({
    items: 3,
    dim: 4,
    blocks: 1,
    maxLength: 5,
    seed: 7,
    reAttention: true,
  });
  attentive.noiseVariance = { weight: 0.25, rows: Float64Array.of(0, 4, 1, 9) };

  test('scores after loading as it did before', async () => {
    await makeRunFolder(path('attentive'));
    await writeRun(path('attentive'), attentive, description, { epsilon: 1 });
    const { model: loaded } = await readRun(path('attentive'));
    expect(loaded.noiseVariance).toEqual(attentive.noiseVariance);
    expect(loaded.scores(Int32Array.of(1, 2, 3))).toEqual(attentive.scores(Int32Array.of(1, 2, 3)));
    loaded.dispose();
  });

  const copy = (name: string): string => {
    cpSync(path('attentive'), path(name), { recursive: true });
    return path(name);
  };

  test('its noise is refused by a model that was made without', async () => {
    const folder = copy('inattentive');
    const config = readFileSync(`${folder}/config.json`, 'utf8');
    writeFileSync(`${folder}/config.json`, config.replace(/"reAttention": \{[^}]*\}/, '"reAttention": false'));
    await expect(readRun(folder)).rejects.toMatchObject({
      code: 'ERR_RUN_FOLDER',
      message: expect.stringMatching('reAttention') as string,
    });
  });

  test.each([
    ['another number of items', [0, 1, 2], [0]],
    ['a negative variance', [0, 1, -2, 3], [0]],
    ['no variance of the weights', [0, 1, 2, 3], []],
  ])('%s is refused', async (name, rows, weight) => {
    const folder = copy(name.replace(/\W/g, '-'));
    const stored: [string, Tensor][] = [['noiseVariance.rows', tensor(rows, { dtype: 'float64' })]];
    if (weight.length > 0) stored.push(['noiseVariance.weight', tensor(weight, { dtype: 'float64' })]);
    await saveWeights(`${folder}/model.safetensors`, [...attentive.namedParameters(), ...stored]);
    await expect(readRun(folder)).rejects.toMatchObject({
      code: 'ERR_RUN_FOLDER',
      message: expect.stringMatching('noiseVariance') as string,
    });
  });
});

describe('a model with an output bias', () => {
  const options = { items: 3, dim: 4, blocks: 1, maxLength: 5, seed: 7, outputBias: true };
  const biased = new SequentialTransformer(options);
  biased.outputBias = Float32Array.of(0, -1, -3, 2);
  const write = async (name: string, own = biased): Promise<string> => {
    await makeRunFolder(path(name));
    await writeRun(path(name), own, description, { epsilon: 1 });
    return path(name);
  };

  test('scores after loading as it did before, also when it was told nothing', async () => {
    for (const [name, own] of [
      ['biased', biased],
      ['untold', new SequentialTransformer(options)],
    ] as const) {
      const { model: loaded } = await readRun(await write(name, own));
      expect(loaded.scores(Int32Array.of(1, 2, 3))).toEqual(own.scores(Int32Array.of(1, 2, 3)));
      loaded.dispose();
    }
  });

  test.each([
    ['missing', null],
    ['of another length', [0, 1, 2]],
    ['not finite', [0, 1, NaN, 2]],
  ])('a bias that is %s is refused', async (name, values) => {
    const folder = await write(`bias-${name.replace(/ /g, '-')}`);
    const stored: [string, Tensor][] = values === null ? [] : [['outputBias', tensor(values)]];
    await saveWeights(`${folder}/model.safetensors`, [...biased.namedParameters(), ...stored]);
    await expect(readRun(folder)).rejects.toMatchObject({
      code: 'ERR_RUN_FOLDER',
      message: expect.stringMatching('outputBias') as string,
    });
  });
});
