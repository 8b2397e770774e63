// Token records under a privacy engine: what the sampler draws is trained on once, and a run is bound to its data.

import { type TokenBatch, TokenDataset } from '../../../../lib/data';
import { normalize, poisson, PrivacyEngine } from '../../../../lib/privacy';
import { sgd } from '../../../../lib/optim';
import { fromConfig } from '../../../../lib/models';

const RECORDS = Array.from({ length: 40 }, (_, k) => ({
  sequences: [1, 2].map((first) => ({
    ids: Array.from({ length: 2 + (k % 4) }, (_, at) => 1 + ((first + k + at) % 29)),
  })),
}));

test('a causal model trains on token records with several sequences each, empty draws included', () => {
  const data = new TokenDataset(RECORDS, { objective: 'causal', vocabularySize: 31 });
  const model = fromConfig(
    { model_type: 'gpt2', vocab_size: 31, n_positions: 8, n_embd: 8, n_layer: 1, n_head: 2 },
    { task: 'causal-lm' },
  );
  const engine = new PrivacyEngine(model, {
    records: data.length,
    steps: 30,
    noiseMultiplier: 1,
    sampler: poisson({ batchSize: 1 }), // e^-1 of the draws are empty
    clip: normalize({ maxGradNorm: 1 }),
    insecureSeed: 4,
  });
  const optimizer = engine.attach(sgd(model.trainableParameters(), { lr: 0.1 }));
  const steps = new Map<number, TokenBatch[]>();
  for (const batch of engine.batches(data)) {
    steps.set(batch.step, [...(steps.get(batch.step) ?? []), batch]);
    optimizer.step({ loss: model.loss(batch) });
  }
  expect(engine.steps).toBe(30);
  const empty = [...steps.values()].filter(([first]) => first!.samples === 0);
  expect(empty.length).toBeGreaterThan(0);
  for (const [step, batches] of steps) {
    for (const batch of batches) {
      batch.recordIds!.forEach((record, b) => {
        const ids = data.ids(record, data.sequenceAt(record, step));
        const rows = batch.ids.subarray(Number(batch.offsets[b]), Number(batch.offsets[b + 1]));
        expect(Array.from(rows, Number)).toEqual([...ids]);
      });
    }
  }
  engine.detach();
});
