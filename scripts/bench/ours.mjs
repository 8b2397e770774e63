// One side of the benchmark in a process of its own: a few logical steps, private or plain. Reads a job, prints a result.
import { createRequire } from 'node:module';
import { performance } from 'node:perf_hooks';

import { makeGpt } from './gpt.mjs';
import { isLanguageModel, lengthsOf, shapes } from './shapes.mjs';

const require = createRequire(import.meta.url);
const library = require('../../dist/index.js');
const { data, models, optim, privacy } = library;

const { shape: name, batch, mode, memoryBudget, steps } = JSON.parse(process.argv[2]);
const shape = shapes[name];
let state = 7;
const item = () => 1 + ((state = (state * 48271) % 2147483647) % shape.items);
const sequences = lengthsOf(shape, batch).map((rows) => Int32Array.from({ length: rows + 1 }, item));
const train = data.SequenceDataset.from(sequences, shape.items);

const { items, maxLength, dim, blocks } = shape;
const model = isLanguageModel(shape)
  ? makeGpt(library, shape)
  : new models.SequentialTransformer({ items, maxLength, dim, blocks, dropout: 0 });
// A rate of 1 draws every record: the logical batch is the same on both sides.
const common = { records: batch, sampler: privacy.poisson({ batchSize: batch }), performance: { memoryBudget } };
const engine =
  mode === 'private'
    ? new privacy.PrivacyEngine(model, {
        ...common,
        steps: steps + 1,
        noiseMultiplier: 1,
        clip: privacy.normalize({ maxGradNorm: 1 }),
        attributionCheck: false,
      })
    : new privacy.PlainEngine(model, { ...common, epochs: steps + 1 });
const optimizer = engine.attach(optim.adam(model.parameters(), { lr: 1e-3 }));

const seconds = [];
let start = performance.now();
for (const part of engine.batches(train)) {
  const loss = model.loss(part);
  optimizer.step({ loss });
  loss.dispose();
  if (!part.completesStep) continue;
  seconds.push((performance.now() - start) / 1e3);
  start = performance.now();
}
const rows = sequences.reduce((sum, sequence) => sum + sequence.length - 1, 0);
// The first step pays for allocations and code paths that no later step needs.
console.log(
  JSON.stringify({ secondsPerStep: seconds.slice(1), peakRssMb: process.resourceUsage().maxRSS / 1024, rows }),
);
