// npm run bench -- re-attention: what Re-Attention costs. Private steps with and without it, in turn, on the MovieLens shape.
import { createRequire } from 'node:module';
import { performance } from 'node:perf_hooks';

import { lengthsOf, shapes } from './shapes.mjs';

const require = createRequire(import.meta.url);
const { data, models, optim, privacy } = require('../../dist/index.js');

/** Users of MovieLens-1M: an epoch is so many divided by the batch steps. */
const USERS = 6040;
const median = (list) => [...list].sort((a, b) => a - b)[Math.floor((list.length - 1) / 2)];

/** A private run that takes a logical step each time it is asked, and says how long it took. */
function run(train, shape, steps, reAttention) {
  const { items, maxLength, dim, blocks } = shape;
  const model = new models.SequentialTransformer({ items, maxLength, dim, blocks, dropout: 0.2, reAttention });
  const engine = new privacy.PrivacyEngine(model, {
    records: train.length,
    steps,
    sampler: privacy.poisson({ batchSize: train.length }), // a rate of 1 draws every record: the same batch for both
    noiseMultiplier: 1,
    clip: privacy.normalize({ maxGradNorm: 1 }),
    attributionCheck: false,
    ...(reAttention ? { frequencies: privacy.frequencies.privateHistogram() } : {}),
  });
  const optimizer = engine.attach(optim.adam(model.parameters(), { lr: 1e-3 }));
  const batches = engine.batches(train);
  return () => {
    const start = performance.now();
    for (;;) {
      const { value: batch } = batches.next();
      const loss = model.loss(batch);
      optimizer.step({ loss });
      loss.dispose();
      if (batch.completesStep) return (performance.now() - start) / 1e3;
    }
  };
}

/** @param options.quick A small batch and few steps. @param options.json One JSON object on the last line. */
export function benchReAttention({ quick, json, steps: asked }) {
  const shape = shapes.movielens;
  const [batch, steps] = [quick ? 32 : 1024, Number(asked ?? (quick ? 3 : 9))];
  let state = 7;
  const item = () => 1 + ((state = (state * 48271) % 2147483647) % shape.items);
  const sequences = lengthsOf(shape, batch).map((rows) => Int32Array.from({ length: rows + 1 }, item));
  const train = data.SequenceDataset.from(sequences, shape.items);
  const [without, with_] = [false, true].map((reAttention) => run(train, shape, steps + 1, reAttention));
  without(); // the first step pays for allocations
  with_();
  const times = { without: [], with: [] };
  for (let step = 0; step < steps; step++) {
    times.without.push(without());
    times.with.push(with_());
  }
  const [plain, corrected] = [median(times.without), median(times.with)];
  // Of neighbouring steps: what else the machine does hits both alike.
  const ratio = median(times.with.map((seconds, k) => seconds / times.without[k]));
  const epoch = (corrected * USERS) / batch;
  console.log(
    `MovieLens shape, batch ${batch}, ${steps} steps each: ${plain.toFixed(3)} s a private step, ${corrected.toFixed(3)} s with Re-Attention; ` +
      `ratio of neighbouring steps ${ratio.toFixed(3)} (median); an epoch of ${USERS} users with it ${epoch.toFixed(1)} s`,
  );
  if (json)
    console.log(
      JSON.stringify({ batch, steps, seconds: plain, secondsWith: corrected, ratio, secondsPerEpoch: epoch }),
    );
}
