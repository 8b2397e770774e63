// The paper's baselines go the whole way that its model goes: training, run folder, loading.

import { appendFileSync } from 'node:fs';

import { Recommender, type RecommenderOptions, trainRecommender } from '../../../../lib/tasks';
import { readRun } from '../../../../lib/tasks/recommender/run-folder';
import { logFile, path, small } from './fixture';

const data = logFile();

test.each([
  ['gru', { model: 'gru' }, { model_type: 'sequential-recurrent', architectures: ['SequentialRecurrent'] }],
  ['lstm', { model: 'lstm', tied: false, blocks: 2 }, { model_type: 'sequential-recurrent' }],
  ['untied', { tied: false, reAttention: false }, { model_type: 'sequential-transformer' }],
] as [string, RecommenderOptions, object][])('%s is trained, saved and loaded', async (name, options, config) => {
  const out = path(name);
  const { privacy, rows, interrupted } = await trainRecommender({ ...small(data), ...options }, { out });
  expect(interrupted).toBe(false);
  expect(privacy.epsilon).toBeLessThanOrEqual(5);
  const run = await readRun(out);
  expect(run.config).toMatchObject(config);
  expect(run.model.config.tied).toBe(options.tied ?? true);
  const [first, second] = [run.model.scores(Int32Array.of(1, 2)), run.model.scores(Int32Array.of(1, 2))];
  expect(first).toEqual(second);
  run.model.dispose();
  const recommender = await Recommender.load(out);
  expect((await recommender.evaluate(data))[0]).toMatchObject({ hit: rows[0]!.hit, ndcg: rows[0]!.ndcg });
  recommender.dispose();
});

test.each([
  ['Re-Attention in a model without attention', { model: 'gru', reAttention: true }],
  ['heads in a model without attention', { model: 'lstm', heads: 2 }],
  ['a model that there is not', { model: 'rnn' }],
])('%s is refused', async (_name, options) => {
  const run = trainRecommender({ ...small(data), ...(options as RecommenderOptions) });
  await expect(run).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
});

test('items with too few actions are left out in training, and again when the run is evaluated on its file', async () => {
  const rare = logFile('rare.csv');
  const out = path('rare');
  appendFileSync(rare, Array.from({ length: 3 }, (_, k) => `u${k},once-${k},900\n`).join(''));
  const { rows } = await trainRecommender({ ...small(rare), minItemActions: 2, reAttention: false }, { out });
  const recommender = await Recommender.load(out);
  expect(recommender.config.vocabulary.items).toHaveLength(20);
  expect((await recommender.evaluate(rare))[0]).toMatchObject({ hit: rows[0]!.hit, ndcg: rows[0]!.ndcg });
  recommender.dispose();
});
