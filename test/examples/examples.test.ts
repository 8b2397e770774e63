// Every example and every command of the README runs as printed, in an empty folder, against the compiled library.

import { spawnSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import { transformSync } from '@swc/core';

import {
  byteTokenizer,
  path as made,
  pictures,
  sentiment,
  tables,
  wordTokenizer,
} from '../lib/tasks/fine-tune/fixture';

// Real runs in processes of their own: seconds on an idle machine, more on a busy one.
jest.setTimeout(300_000);

const root = resolve(__dirname, '../..');
const home = mkdtempSync(join(tmpdir(), 'phantomgrad-examples-'));
mkdirSync(join(home, 'node_modules'));
symlinkSync(root, join(home, 'node_modules', 'phantomgrad'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

const readme = readFileSync(join(root, 'README.md'), 'utf8');
const examples = join(root, 'examples');

// 1,100 users walk along a circle of 40 items, in the form of MovieLens-1M.
const ratings = Array.from({ length: 1100 * 6 }, (_, n) => {
  const [user, k] = [Math.floor(n / 6), n % 6];
  return `${user + 1}::${1 + ((user + k) % 40)}::5::${978_300_000 + k}\n`;
});
writeFileSync(join(home, 'ratings.dat'), ratings.join(''));

function run(args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: home, encoding: 'utf8' });
  if (status !== 0) throw new Error(`node ${args.join(' ')} ended with ${status}:\n${stdout}\n${stderr}`);
  return stdout;
}

/** The example as JavaScript; `shorter` replaces text that would take minutes. */
function runExample(name: string, shorter: Readonly<Record<string, string>> = {}): string {
  let source = readFileSync(join(examples, name), 'utf8');
  for (const [long, short] of Object.entries(shorter)) {
    expect(source).toContain(long);
    source = source.replace(long, short);
  }
  const script = join(home, name.replace('.mts', '.mjs'));
  const { code } = transformSync(source, {
    filename: name,
    swcrc: false,
    jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
    module: { type: 'es6' },
  });
  writeFileSync(script, code);
  return run([script]);
}

test('every example is run below', () => {
  expect(readdirSync(examples).sort()).toEqual([
    'classification.mts',
    'custom-model.mts',
    'images.mts',
    'language-model.mts',
    'recommender.mts',
    'resume.mts',
    'table-to-text.mts',
  ]);
});

test('a language model is trained on a text, measured, and writes', () => {
  writeFileSync(join(home, 'input.txt'), 'To be, or not to be, that is the question.\n'.repeat(400));
  const printed = runExample('language-model.mts', { 'epochs: 30': 'epochs: 3', 'batchSize: 512': 'batchSize: 64' });
  const perplexity = Number(/perplexity a byte: ([\d.]+)/.exec(printed)?.[1]);
  expect(perplexity).toBeGreaterThan(1);
  expect(perplexity).toBeLessThan(256); // of a model that knows nothing
  expect(printed).toMatch(/epsilon: [67]\.\d+/);
});

// Tables, sentences and pictures of the tests of fine-tuning, in the folder in which the examples run.
function material(): void {
  sentiment();
  renameSync(wordTokenizer('tokenizer'), join(home, 'tokenizer'));
  renameSync(made('sst2'), join(home, 'sst2'));
  renameSync(tables('e2e'), join(home, 'e2e'));
  renameSync(byteTokenizer('gpt2'), join(home, 'gpt2'));
  renameSync(pictures('pictures'), join(home, 'pictures'));
}

test('a classifier, a writer about tables and a classifier of images are trained as whole jobs', () => {
  material();
  const delta = { 'epsilon: 8,': 'epsilon: 8, delta: 1e-3, batchSize: 15,' };
  const classified = runExample('classification.mts', { ...delta, 'epochs: 20': 'epochs: 1' });
  expect(classified).toMatch(/name: 'private',\s+metrics: { accuracy: [\d.]+/);
  expect(classified).toContain('differentially private for adding or removing one line of the file');
  expect(readdirSync(join(home, 'private-classifier'))).toContain('model.safetensors');
  const wrote = runExample('table-to-text.mts', { ...delta, 'epochs: 15': 'epochs: 1, tables: 2' });
  expect(wrote).toMatch(/name: 'retrieval'[^]*epsilon: [67]\.\d+[^]*\S/);
  const seen = runExample('images.mts', { ...delta, 'epochs: 30': 'epochs: 1' });
  expect(seen).toMatch(/name: 'majority'[^]*epsilon: [67]\.\d+/);
});

test('the dozen lines of the README are the example, and they train a recommender', () => {
  const source = readFileSync(join(examples, 'recommender.mts'), 'utf8');
  expect(readme).toContain(`\`\`\`ts\n${source}\`\`\``);
  const printed = runExample('recommender.mts', { 'epochs: 100': 'epochs: 2' });
  expect(printed).toMatch(/epsilon: 7\.9\d+/);
  expect(printed).toMatch(/hit: \d/);
});

test('a model of own layers learns privately over own batches', () => {
  const { accuracy, epsilon } = JSON.parse(runExample('custom-model.mts')) as Record<string, number>;
  expect(accuracy).toBeGreaterThan(0.85);
  expect(epsilon).toBeLessThanOrEqual(4);
  expect(epsilon).toBeGreaterThan(3.9);
});

test('the scalar of that model may go through perSample as well; used bare it is refused', () => {
  const scaled = (how: string) => () =>
    runExample('custom-model.mts', { 'nn.affine(scores, this.temperature)': how, 'steps: 60': 'steps: 2' });
  expect(scaled('scores.mul(nn.perSample(this.temperature, scores.shape[0]))')()).toContain('epsilon');
  expect(scaled('scores.mul(this.temperature)')).toThrow(/ERR_NO_GRADIENT_RULE/);
});

test('a run that is killed and started again goes on, with the lost steps paid for', () => {
  const crash = { 'checkpoint.close();': '', 'tidy(() =>': 'if (engine.steps === 7) process.exit();\n  tidy(() =>' };
  expect(runExample('resume.mts', crash)).toContain('begins after step 0 of 20; 0 were lost');
  const printed = runExample('resume.mts');
  expect(printed).toMatch(/begins after step 5 of 20; [23] were lost/);
  expect(JSON.parse(printed.trimEnd().split('\n').at(-1) as string)).toMatchObject({ steps: 20 });
});

test('the commands of the README run in the order in which they are printed', () => {
  const lines = [...readme.matchAll(/^npx phantomgrad (.*)$/gm)].map(([, line]) => line as string);
  expect(lines.length).toBeGreaterThan(4);
  for (const line of lines) {
    // Set-up downloads half a gigabyte where LibTorch is missing: test/lib/native runs it against a small stand-in.
    if (line.startsWith('setup')) continue;
    run([join(root, 'dist', 'cli', 'main.js'), ...line.replace(/ +#.*$/, '').split(' ')]);
  }
});

test('the code of the guide, one block after another, is a program that the compiler accepts', () => {
  const guide = readFileSync(join(root, 'docs', 'guide.md'), 'utf8');
  const blocks = [...guide.matchAll(/^```ts\n([^]*?)^```$/gm)].map(([, code]) => code as string);
  expect(blocks.length).toBeGreaterThan(4);
  const prelude = `import { data, evaluate, models, optim, privacy, Recommender, tidy } from 'phantomgrad';
    declare const skus: string[];
    const model = new models.SequentialTransformer({ items: skus.length });\n`;
  writeFileSync(join(home, 'guide.mts'), prelude + blocks.join('\n'));
  const flags = '--noEmit --strict --target es2022 --module node16 --skipLibCheck --types node --typeRoots';
  run([
    join(root, 'node_modules/typescript/bin/tsc'),
    ...flags.split(' '),
    join(root, 'node_modules/@types'),
    'guide.mts',
  ]);
});
