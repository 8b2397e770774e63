// Laws of measuring accuracy in the middle of training: it changes nothing, comes when it is due, and the last one is the report's.

import { readFileSync } from 'node:fs';

import { interactions } from '../../../../lib/data';
import { SequentialTransformer } from '../../../../lib/models';
import { frequencies, normalize, poisson, PrivacyEngine } from '../../../../lib/privacy';
import { trainRecommender, type RunEvent } from '../../../../lib/tasks';
import { accuracyCurve } from '../../../../lib/tasks/run/curve';
import { evaluateRanking } from '../../../../lib/tasks/ranking';
import { fit } from '../../../../lib/tasks/run/fit';
import { logFile, path, small } from './fixture';

const data = logFile();

/** Six seeded steps, with dropout and Re-Attention; the weights at the end and where accuracy was measured. */
async function trained(every?: number): Promise<{ weights: number[]; at: [step: number, epoch: number][] }> {
  const { train, test } = (await interactions(data)).split();
  const options = { items: train.itemCount, dim: 8, blocks: 1, maxLength: 6, dropout: 0.3, reAttention: true, seed: 1 };
  const model = new SequentialTransformer(options);
  const engine = new PrivacyEngine(model, {
    records: train.length,
    steps: 6,
    noiseMultiplier: 1,
    sampler: poisson({ batchSize: 20 }),
    clip: normalize({ maxGradNorm: 1 }),
    frequencies: frequencies.uniform(),
    insecureSeed: 5,
  });
  const at: [number, number][] = [];
  const run = (step: number, epoch: number): void => {
    evaluateRanking(model, test);
    at.push([step, epoch]);
  };
  const steady = { role: 'private', steps: 6, epochs: 2, learningRate: 0.01, weightDecay: 0 } as const;
  await fit(model, engine, train, {
    ...{ ...steady, onStep: () => undefined },
    ...(every === undefined ? {} : { evaluation: { every, run } }),
  });
  engine.close();
  const weights = model.parameters().flatMap((p) => Array.from(p.detach().toTypedArray() as Float32Array));
  model.dispose();
  return { weights, at };
}

test('measuring between steps changes no bit of the model', async () => {
  const [without, often] = [await trained(), await trained(1 / 3)];
  expect(often.weights).toEqual(without.weights);
  expect(often.at.map(([step]) => step)).toEqual([1, 2, 3, 4, 5, 6]);
});

test.each([
  [1, [3, 6]],
  [0.5, [2, 3, 5, 6]], // whole steps
  [1.5, [5, 6]], // the last step, whatever is due
  [100, [6]],
])('every %p epochs of three steps: after steps %p', async (every, steps) => {
  const { at } = await trained(every);
  expect(at).toEqual(steps.map((step) => [step, step / 3]));
});

test('a run tells and logs what it measures, and its last measurement is that of the report', async () => {
  const out = path('measured');
  const events: RunEvent[] = [];
  const { rows } = await trainRecommender(small(data), { out, evaluateEvery: 1, onEvent: (one) => events.push(one) });
  const told = events.filter((event) => event.kind === 'accuracy');
  expect(told.map(({ step, epoch }) => [step, epoch])).toEqual([[3, 1], [6, 2]]); // prettier-ignore
  const [{ hit, ndcg, includingSeen }] = rows as [(typeof rows)[number]];
  expect(told[1]).toMatchObject({ excludingSeen: { hit, ndcg }, includingSeen });
  const log = path('measured', 'metrics.jsonl');
  expect(accuracyCurve(log)).toEqual(
    told.map(({ epoch, excludingSeen, includingSeen }) => ({ epoch, excludingSeen, includingSeen })),
  );
  expect(readFileSync(log, 'utf8')).toContain('not publish this file');
});

test('never and backwards are refused', async () => {
  for (const evaluateEvery of [0, -1, NaN]) {
    const run = trainRecommender(small(data), { evaluateEvery });
    await expect(run).rejects.toMatchObject({ code: 'ERR_INVALID_ARGUMENT' });
  }
});
