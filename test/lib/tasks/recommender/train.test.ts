// A whole run on a small log: what it spends, writes, says, and gives back.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { VERSION } from '../../../../lib/version';
import { Recommender, trainRecommender, type RunEvent } from '../../../../lib/tasks';
import { settledMemory } from '../../../fixtures/collect';
import { entries, logFile, path, small } from './fixture';

jest.setTimeout(300_000);

const data = logFile();

test('a run stays within its budget, and its folder says what the report says', async () => {
  const out = path('whole');
  const events: RunEvent[] = [];
  const report = await trainRecommender(small(data), { out, onEvent: (event) => events.push(event) });
  expect(report.privacy.epsilon).toBeLessThanOrEqual(5);
  expect(report.privacy.epsilon).toBeGreaterThan(4.9);
  expect(report.privacy.steps).toBe(6); // ceil(2 * 60 / 20)
  expect(report.interrupted).toBe(false);
  expect(report.rows.map(({ name }) => name)).toEqual(['private', 'popularity', 'markov']);
  expect(report.rows[2]).toMatchObject({ hit: 1, ndcg: 1 }); // on a circle the last item tells the next

  expect(entries(out)).toEqual(['config.json', 'metrics.jsonl', 'model.safetensors', 'privacy.json', 'report.html']);
  const statement = JSON.parse(readFileSync(path('whole', 'privacy.json'), 'utf8')) as Record<string, unknown>;
  expect(statement).toMatchObject({ epsilon: report.privacy.epsilon, delta: 1e-3 });
  const config = JSON.parse(readFileSync(path('whole', 'config.json'), 'utf8')) as Record<string, unknown>;
  expect(config).toMatchObject({
    phantomgrad: VERSION,
    model_type: 'sequential-transformer',
    model: { items: 20, dim: 8, blocks: 1, maxLength: 6 },
    data: { kind: 'file', name: 'log.csv', minActions: 5 },
    training: { epochs: 2, steps: 6, batchSize: 20 },
    vocabulary: { source: 'data' },
  });

  const steps = events.filter((event) => event.kind === 'step');
  expect(steps.map(({ step }) => step)).toEqual([1, 2, 3, 4, 5, 6]);
  expect(steps.map(({ role }) => role)).toEqual(Array(6).fill('private'));
  expect(events.map(({ kind }) => kind)).toEqual(
    expect.arrayContaining(['data', 'plan', 'saved', 'evaluation', 'warning']),
  );
});

test.each([true, false])('configuration and statement say what was used of the items (%p)', async (used) => {
  const folder = `attentive-${used}`;
  const off = { reAttention: false, outputBias: false, groupScale: 1, rowStep: false };
  await trainRecommender({ ...small(data), ...(used ? {} : off) }, { out: path(folder) });
  const read = (name: string): unknown => JSON.parse(readFileSync(path(folder, name), 'utf8'));
  const correction = { correction: 'logit', error: 'paper', maxPenalty: 20 };
  expect(read('config.json')).toMatchObject({
    model: { reAttention: used ? correction : false, outputBias: used },
    training: { groupScale: used ? 0.2 : 1, rowStep: used },
  });
  const histogram = { kind: 'gaussian', noiseMultiplier: 8, count: 1 }; // 40 / ε
  const steps = { kind: 'poissonGaussian', count: 6 };
  expect(read('privacy.json')).toMatchObject({
    frequencies: used ? { provenance: 'privateHistogram', noiseMultiplier: 8, maxItems: 20 } : null,
    ledger: { events: used ? [histogram, steps] : [steps] },
    rowSteps: used ? { tables: ['items'], exponent: 0.5 } : null,
    clipping: { scales: used ? [{ prefixes: ['positions', 'blocks'], scale: 0.2 }] : null },
  });
});

test.each([{ outputBias: true }, { rowStep: true }])('%p alone pays for one histogram', async (own) => {
  const off = { reAttention: false, outputBias: false, groupScale: 1, rowStep: false };
  const folder = path(`alone-${Object.keys(own)[0]}`);
  await trainRecommender({ ...small(data), ...off, ...own }, { out: folder });
  const { ledger } = JSON.parse(readFileSync(`${folder}/privacy.json`, 'utf8')) as { ledger: { events: unknown[] } };
  expect(ledger.events).toMatchObject([
    { kind: 'gaussian', count: 1 },
    { kind: 'poissonGaussian', count: 6 },
  ]);
});

test('with validation nobody looks at the last items: other last items change nothing that is measured', async () => {
  const text = readFileSync(data, 'utf8');
  const other = path('other.csv');
  // Everybody's sixth action becomes the same item, which others have, too.
  writeFileSync(other, text.replace(/,i\d+,1005$/gm, ',i1,1005'));
  const short = { ...small(data), epochs: 0.3, epsilon: 8 };
  const measured = async (file: string, validation: boolean): Promise<unknown[]> => {
    const out = path(`held-${validation}-${file === other}`);
    const { rows } = await trainRecommender({ ...short, data: file, validation }, { out });
    const config = JSON.parse(readFileSync(join(out, 'config.json'), 'utf8')) as { training: object };
    expect('validation' in config.training).toBe(validation);
    return rows.filter(({ name }) => name !== 'private'); // counted, so without noise
  };
  expect(await measured(other, true)).toEqual(await measured(data, true));
  expect(await measured(other, false)).not.toEqual(await measured(data, false));
});

test('the metrics log has a line a step and marks itself as not private', () => {
  const lines = readFileSync(path('whole', 'metrics.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(lines[0]).toMatchObject({ event: 'run', note: expect.stringContaining('do not publish') });
  expect(lines.filter(({ event }) => event === 'step')).toHaveLength(6);
  expect(lines.filter(({ event }) => event === 'accuracy').map(({ scorer }) => scorer)).toEqual([
    'private',
    'popularity',
    'markov',
  ]);
});

test('a loaded model ranks as the trained one did, also on a file with items of users that were left out', async () => {
  const report = await trainRecommender(small(data), { out: path('again') });
  const recommender = await Recommender.load(path('again'));
  const rows = await recommender.evaluate(data);
  recommender.dispose();
  expect(rows).toEqual(report.rows);
});

test('recommendations are original ids, best first, without the history, as many as asked for or as there are', async () => {
  const recommender = await Recommender.load(path('whole'));
  const history = ['i3', 'i4'];
  const three = recommender.recommend(history, { top: 3 });
  const all = recommender.recommend(history, { top: 100 });
  expect(three).toEqual(all.slice(0, 3));
  expect(all).toHaveLength(18);
  expect(new Set(all.map(({ item }) => item)).size).toBe(18);
  for (const { item } of all) expect(history).not.toContain(item);
  const scores = all.map(({ score }) => score);
  expect(scores).toEqual([...scores].sort((a, b) => b - a));
  for (const bad of [[], ['i3', 'nowhere']]) {
    expect(() => recommender.recommend(bad)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
  }
  recommender.dispose();
});

test('an item that the model does not know is named, and data must be named for a run on a file', async () => {
  const recommender = await Recommender.load(path('whole'));
  const rows = ['user,item,timestamp', ...Array.from({ length: 6 }, (_, k) => `u,x${k},${k}`)];
  writeFileSync(path('other.csv'), `${rows.join('\n')}\n`);
  await expect(recommender.evaluate(path('other.csv'))).rejects.toMatchObject({
    code: 'ERR_DATA_FORMAT',
    message: expect.stringContaining('x0'),
  });
  await expect(recommender.evaluate()).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
  recommender.dispose();
});

test('a signal ends the run after the step at hand: saved, with what was spent and no more', async () => {
  const out = path('stopped');
  const stop = new AbortController();
  const report = await trainRecommender(small(data), {
    out,
    signal: stop.signal,
    onEvent: (event) => event.kind === 'step' && event.step === 2 && stop.abort(),
  });
  expect(report).toMatchObject({ interrupted: true, rows: [], privacy: { steps: 2 } });
  expect(report.privacy.epsilon).toBeGreaterThan(0);
  expect(report.privacy.epsilon).toBeLessThan(4.9);
  expect(entries(out)).toEqual(['checkpoint', 'config.json', 'metrics.jsonl', 'model.safetensors', 'privacy.json']);
  const recommender = await Recommender.load(out);
  expect(recommender.privacy).toMatchObject({ epsilon: report.privacy.epsilon });
  expect(recommender.recommend(['i1'], { top: 1 })).toHaveLength(1);
  recommender.dispose();
});

test('a run and a loaded model leave no tensors behind', async () => {
  const before = settledMemory().tensors;
  await trainRecommender(small(data));
  const recommender = await Recommender.load(path('whole'));
  recommender.recommend(['i1']);
  recommender.dispose();
  expect(settledMemory().tensors).toBeLessThanOrEqual(before);
});

test('the model without privacy is trained on request', async () => {
  const { rows } = await trainRecommender({ ...small(data), plain: true });
  expect(rows.map(({ name }) => name)).toEqual(['private', 'plain', 'popularity', 'markov']);
});
