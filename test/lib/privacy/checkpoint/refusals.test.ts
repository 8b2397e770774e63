// What a resume refuses, each with its code and the file or value that is wrong; and that a refusal changes nothing.

import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';

import { adam, sgd } from '../../../../lib/optim';
import {
  abadi,
  automatic,
  ballsAndBins,
  external,
  frequencies,
  frequencySteps,
  groupScales,
  normalize,
  perLayer,
  poisson,
  type PrivacyEngineOptions,
  readCheckpoint,
  shuffle,
  truncatedPoisson,
} from '../../../../lib/privacy';
import { rdp } from '../../../../lib/privacy/accounting';
import { hash } from '../../../../lib/privacy/checkpoint/ledger-file';
import { engineFor, histories, smallModel, weights } from '../fixture';
import { fresh, kill, open } from './fixture';

const good = fresh();
beforeAll(() => {
  const run = open(good, {}, { configuration: { schedule: 'linear' } });
  run.train(7);
  run.checkpoint.close();
});

const copy = (): string => {
  const folder = fresh();
  cpSync(good, folder, { recursive: true });
  return folder;
};
const same = { configuration: { schedule: 'linear' } };

/** Everything in a folder, as text. */
const everything = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => `${entry.name} ${hash(readFileSync(join(entry.parentPath, entry.name)))}`)
    .sort();

function refused(folder: string, code: string, message: RegExp, attempt: () => unknown): void {
  const before = everything(folder);
  expect(attempt).toThrow(expect.objectContaining({ code, message: expect.stringMatching(message) }));
  expect(everything(folder)).toEqual(before);
}

const otherPlans: [string, Partial<PrivacyEngineOptions>, RegExp][] = [
  ['another batch size', { sampler: poisson({ batchSize: 12 }) }, /plan\.sampler\.batchSize: 10 .* 12 now/],
  ['another sampler', { sampler: external({ batchSize: 10 }) }, /plan\.sampler\.kind: "poisson" .* "external" now/],
  ['another σ', { noiseMultiplier: 1.1 }, /plan\.noiseMultiplier: 1 .* 1\.1 now/],
  ['another C', { clip: normalize({ maxGradNorm: 2 }) }, /clip\.maxGradNorm: 1 .* 2 now/],
  ['another clipping rule', { clip: abadi({ maxGradNorm: 1 }) }, /clip\.kind: "normalize" .* "abadi" now/],
  ['a rule with another constant', { clip: automatic({ maxGradNorm: 1 }) }, /clip\.settings\.gamma: absent/],
  ['other groups', { clip: normalize({ maxGradNorm: 1, groups: perLayer() }) }, /clip\.groups/],
  ['other steps', { steps: 13 }, /plan\.steps: 12 .* 13 now/],
  ['other recovery steps', { recoverySteps: 1 }, /plan\.recoverySteps: 0 .* 1 now/],
  ['another δ', { delta: 1e-5 }, /plan\.delta/],
  [
    'scales',
    { scales: groupScales([{ prefixes: ['items'], scale: 2 }]) },
    /plan\.scales\.groups\.0\.scale: absent .* 2 now/,
  ],
  [
    'row steps',
    { frequencies: frequencies.uniform(), rowSteps: frequencySteps({ tables: ['items'] }) },
    /plan\.rowSteps\.exponent: absent .* 0\.5 now/,
  ],
  ['another accountant', { accountant: rdp() }, /plan\.accountant: "pld" .* "rdp" now/],
];

test.each(otherPlans)('%s is refused', (_, plan, message) => {
  refused(good, 'ERR_CHECKPOINT_MISMATCH', message, () => open(good, plan, { ...same, resume: true }));
});

test.each(
  [ballsAndBins({ batchSize: 10 }), shuffle({ batchSize: 10 })].map((sampler) => [sampler.kind, sampler] as const),
)('a run with the sampler %s cannot be continued, and says so before anything is written', (_kind, sampler) => {
  const model = smallModel();
  const engine = engineFor(model, { sampler });
  engine.attach(adam(model.parameters(), { lr: 0.01 }));
  const folder = fresh();
  expect(() => engine.checkpoint(folder, { data: histories() })).toThrow(
    expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }),
  );
  expect(existsSync(folder) ? readdirSync(folder) : []).toEqual([]);
  engine.close();
});

test('another scale, and another exponent of row steps, are refused', () => {
  const plan = (scale: number, exponent: number): Partial<PrivacyEngineOptions> => ({
    scales: groupScales([{ prefixes: ['positions', 'blocks'], scale }]),
    frequencies: frequencies.uniform(),
    rowSteps: frequencySteps({ tables: ['items'], exponent }),
  });
  const folder = fresh();
  const run = open(folder, plan(0.2, 0.5));
  run.train(3);
  run.checkpoint.close();
  refused(folder, 'ERR_CHECKPOINT_MISMATCH', /plan\.scales\.groups\.0\.scale: 0\.2 .* 0\.3 now/, () =>
    open(folder, plan(0.3, 0.5), { resume: true }),
  );
  refused(folder, 'ERR_CHECKPOINT_MISMATCH', /plan\.rowSteps\.exponent: 0\.5 .* 1 now/, () =>
    open(folder, plan(0.2, 1), { resume: true }),
  );
});

test('another largest batch of samples that are cut is refused', () => {
  const plan = (maxBatchSize: number): Partial<PrivacyEngineOptions> => ({
    sampler: truncatedPoisson({ batchSize: 10, maxBatchSize }),
  });
  const folder = fresh();
  const run = open(folder, plan(25));
  run.train(3);
  run.checkpoint.close();
  refused(folder, 'ERR_CHECKPOINT_MISMATCH', /plan\.sampler\.maxBatchSize: 25 .* 12 now/, () => open(folder, plan(12)));
  const again = open(folder, plan(25));
  expect(again.train()).toBe(9);
  again.checkpoint.close();
});

test('all differences are listed at once', () => {
  const plan = { steps: 20, noiseMultiplier: 2, delta: 1e-4 };
  refused(good, 'ERR_CHECKPOINT_MISMATCH', /plan\.steps[^]*plan\.noiseMultiplier[^]*plan\.delta/, () =>
    open(good, plan, same),
  );
});

test.each([
  ['another width', smallModel({ dim: 4 }), /model\.config\.dim: 8 .* 4 now/],
  ['another dropout, which no shape shows', smallModel({ dropout: 0.5 }), /model\.config\.dropout: 0 .* 0\.5 now/],
])('a model with %s is refused', (_, model, message) => {
  const before = weights(model);
  refused(good, 'ERR_CHECKPOINT_MISMATCH', message, () => open(good, {}, same, model));
  expect(weights(model)).toEqual(before);
});

test('a frozen parameter, other data, another configuration and another optimizer are refused', () => {
  const model = smallModel();
  const attempt =
    (options: object, make = adam as (p: never, o: { lr: number }) => ReturnType<typeof adam>) =>
    () => {
      const engine = engineFor(model, { steps: 12 });
      engine.attach(make(model.trainableParameters() as never, { lr: 0.01 }));
      try {
        engine.checkpoint(good, { data: histories(), resume: true, ...same, ...options });
      } finally {
        engine.close();
      }
    };
  const refuse = (message: RegExp, run: () => unknown): void => refused(good, 'ERR_CHECKPOINT_MISMATCH', message, run);
  refuse(/data: /, attempt({ data: { fingerprint: () => 'other' } }));
  refuse(/configuration\.schedule: "linear" .* "cosine" now/, attempt({ configuration: { schedule: 'cosine' } }));
  refuse(/optimizer\.kind: "adam" .* "sgd" now/, attempt({}, sgd as never));
  refuse(
    /optimizer\.eps/,
    attempt({}, (p: never, o: { lr: number }) => adam(p, { ...o, eps: 1e-4 })),
  );
  model.blocks[0]!.parameters()[0]!.requiresGrad_(false);
  refuse(/model\.parameters\..*frozen/, attempt({}));
});

test('another number of records is refused', () => {
  const model = smallModel();
  const engine = engineFor(model, { steps: 12, records: 41 });
  engine.attach(adam(model.parameters(), { lr: 0.01 }));
  refused(good, 'ERR_CHECKPOINT_MISMATCH', /plan\.records: 40 .* 41 now[^]*data: /, () =>
    engine.checkpoint(good, { data: histories(41), resume: true, ...same }),
  );
  engine.close();
});

test('another version of the library is refused', () => {
  const folder = copy();
  const state = join(
    folder,
    readdirSync(folder)
      .filter((name) => name.startsWith('state'))
      .at(-1) as string,
  );
  const path = join(state, 'state.json');
  const text = readFileSync(path, 'utf8').replace(
    /"phantomgrad": "[^"]*",\n {4}"plan"/,
    '"phantomgrad": "0.0.1",\n    "plan"',
  );
  writeFileSync(path, text);
  reseal(state);
  refused(folder, 'ERR_CHECKPOINT_MISMATCH', /phantomgrad: "0\.0\.1" in the checkpoint/, () => open(folder, {}, same));
  writeFileSync(path, text.replace('"format": 1', '"format": 2'));
  reseal(state);
  refused(folder, 'ERR_CHECKPOINT_MISMATCH', /is of format 2/, () => readCheckpoint(folder));
});

/** Makes the checksums fit again, as somebody would who knows how. */
function reseal(state: string): void {
  const path = join(state, 'SHA256SUMS');
  const names = ['state.json', 'weights.safetensors', 'optimizer.safetensors'];
  const sums = names.map((name) => `${hash(readFileSync(join(state, name)))}  ${name}\n`).join('');
  writeFileSync(path, `${sums}# ${hash(sums)}\n`);
}

const files = ['state.json', 'weights.safetensors', 'optimizer.safetensors', 'SHA256SUMS'];
const damages: [string, (path: string) => void][] = [
  ['missing', (path) => rmSync(path)],
  ['empty', (path) => writeFileSync(path, '')],
  ['cut short', (path) => writeFileSync(path, readFileSync(path).subarray(0, -1))],
  ['longer', (path) => writeFileSync(path, Buffer.concat([readFileSync(path), Buffer.from([10])]))],
  ['changed in one bit', (path) => flip(path, 0.5)],
  ['changed in its first bit', (path) => flip(path, 0)],
];

function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  const k = Math.floor(at * bytes.length);
  bytes[k] = (bytes[k] as number) ^ 1;
  writeFileSync(path, bytes);
}

test.each(files.flatMap((file) => damages.map(([how, damage]) => [file, how, damage] as const)))(
  '%s that is %s is refused by name, and the state before it can be used instead',
  (file, _, damage) => {
    const folder = copy();
    const names = readdirSync(folder).filter((name) => name.startsWith('state'));
    expect(names).toHaveLength(2);
    const newest = join(folder, names.at(-1) as string);
    damage(join(newest, file));
    refused(
      folder,
      'ERR_CHECKPOINT_DAMAGED',
      new RegExp(`${names.at(-1) ?? ''}/${file}.*remove .* continue from ${names[0] ?? ''}`),
      () => open(folder, {}, same),
    );
    rmSync(newest, { recursive: true });
    const run = open(folder, {}, same);
    expect(run.engine.privacySpent()).toMatchObject({ steps: 4, lostSteps: 3 });
    kill(run);
  },
);

test.each(damages.map(([how, damage]) => [how, damage] as const))('a ledger that is %s is refused', (_, damage) => {
  const folder = copy();
  damage(join(folder, 'ledger.log'));
  refused(folder, 'ERR_CHECKPOINT_DAMAGED', /ledger\.log/, () => open(folder, {}, same));
});

const ledgerOf = (folder: string): string[] => readFileSync(join(folder, 'ledger.log'), 'utf8').trimEnd().split('\n');

test('a ledger with a smaller count, a record less, or cut to an earlier seal is refused', () => {
  const rows = ledgerOf(good);
  const reserve = rows.findIndex((row) => row.includes('"reserve"'));
  const bad: [string[], RegExp][] = [
    [rows.map((row) => row.replace('"noiseMultiplier":1', '"noiseMultiplier":9')), /line \d+ was changed/],
    [rows.filter((_, k) => k !== reserve), /line \d+ was changed/],
    [rows.slice(0, reserve + 1), /cut off/],
    [[...rows.slice(0, 3), `end 2 ${rows[2]!.slice(0, 64)}`], /lacks what .* says was spent/], // resealed by hand
    [['phantomgrad ledger 2', ...rows.slice(1)], /first line/],
  ];
  for (const [changed, message] of bad) {
    const folder = copy();
    writeFileSync(join(folder, 'ledger.log'), `${changed.join('\n')}\n`);
    refused(folder, 'ERR_CHECKPOINT_DAMAGED', message, () => open(folder, {}, same));
    refused(folder, 'ERR_CHECKPOINT_DAMAGED', message, () => readCheckpoint(folder));
  }
});

test('an older copy of the ledger, and the ledger of another run, are refused beside a newer state', () => {
  const folder = fresh();
  const run = open(folder, {}, same);
  run.train(2);
  cpSync(join(folder, 'ledger.log'), `${folder}.old`);
  run.train(4);
  run.checkpoint.close();
  cpSync(`${folder}.old`, join(folder, 'ledger.log'));
  refused(folder, 'ERR_CHECKPOINT_DAMAGED', /lacks what .* says was spent/, () => open(folder, {}, same));
  cpSync(join(good, 'ledger.log'), join(folder, 'ledger.log'));
  refused(folder, 'ERR_CHECKPOINT_DAMAGED', /belongs to another run/, () => open(folder, {}, same));
});

test('an older copy of the states beside the newest ledger costs what the ledger says', () => {
  const folder = copy();
  const run = open(folder, {}, same);
  run.train(4);
  run.checkpoint.close();
  for (const name of readdirSync(folder)) if (name.startsWith('state')) rmSync(join(folder, name), { recursive: true });
  cpSync(join(good, 'state-000003'), join(folder, 'state-000003'), { recursive: true });
  const next = open(folder, {}, same);
  expect(next.engine.privacySpent()).toMatchObject({ steps: 7, lostSteps: 4 });
  kill(next);
});

test('where there is none: resume refuses, auto begins, and a new one never overwrites', () => {
  const folder = fresh();
  expect(() => open(folder, {}, { resume: true })).toThrow(
    expect.objectContaining({ code: 'ERR_CHECKPOINT_NOT_FOUND' }),
  );
  expect(() => readCheckpoint(folder)).toThrow(expect.objectContaining({ code: 'ERR_CHECKPOINT_NOT_FOUND' }));
  kill(open(folder, {}, { resume: 'auto' }));
  refused(folder, 'ERR_CHECKPOINT_WRITE', /holds a checkpoint already/, () => open(folder, {}, { resume: false }));
  mkdirSync(`${folder}-mine`);
  writeFileSync(join(`${folder}-mine`, 'thesis.txt'), 'all of it');
  refused(`${folder}-mine`, 'ERR_CHECKPOINT_WRITE', /no checkpoint can be made/, () => open(`${folder}-mine`));
});

test('an engine that has released something, or has a checkpoint, is refused; so is one without an optimizer', () => {
  const model = smallModel();
  const engine = engineFor(model, { steps: 12 });
  const options = { data: histories(), resume: true, ...same };
  const state = expect.objectContaining({ code: 'ERR_ENGINE_STATE' });
  expect(() => engine.checkpoint(good, options)).toThrow(state);
  const optimizer = engine.attach(adam(model.parameters(), { lr: 0.01 }));
  optimizer.step({ loss: model.loss(engine.batches(histories()).next().value as never) });
  expect(() => engine.checkpoint(good, options)).toThrow(state);
  engine.close();
  const run = open(fresh());
  expect(() => run.engine.checkpoint(fresh(), { data: histories() })).toThrow(state);
  kill(run);
});

test.each([{ every: 0 }, { reserve: 0 }, { every: 1.5 }, { resume: 'never' }, { often: true }])(
  'options %j are refused before anything is written',
  (bad) => {
    const folder = fresh();
    expect(() => open(folder, {}, bad as never)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
    expect(() => readdirSync(folder)).toThrow('ENOENT');
  },
);

test('one process at a time: a second engine is refused, a dead holder is not', () => {
  const folder = copy();
  const run = open(folder, {}, same);
  refused(folder, 'ERR_CHECKPOINT_BUSY', /trains from this checkpoint/, () => open(folder, {}, same));
  run.checkpoint.close();
  const dead = spawnSync(process.execPath, ['-e', '']).pid;
  for (const holder of [`m ${hostname()} ${dead} 1`, `m ${hostname()} ${process.pid} 1`, `m ${hostname()} 1 1`]) {
    writeFileSync(join(folder, 'lock'), holder);
    kill(open(folder, {}, same));
  }
  writeFileSync(join(folder, 'lock'), `m elsewhere.example ${dead} 1`);
  refused(folder, 'ERR_CHECKPOINT_BUSY', /elsewhere\.example.*remove this file/, () => open(folder, {}, same));
});

test('a ledger that another process has written to stops the step before it is taken', () => {
  const folder = copy();
  const run = open(folder, {}, same);
  run.train(1);
  cpSync(join(good, 'ledger.log'), join(folder, 'ledger.log'));
  const before = weights(run.model);
  expect(() => run.train(1)).toThrow(expect.objectContaining({ code: 'ERR_CHECKPOINT_BUSY' }));
  expect(weights(run.model)).toEqual(before);
  run.engine.close();
});
