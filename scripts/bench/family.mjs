// One side of `npm run bench -- gpt2 bert` in a process of its own: a few steps, private or plain. Reads a job on standard input.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { performance } from 'node:perf_hooks';

const require = createRequire(import.meta.url);
const { data, models, optim, privacy } = require('../../dist/index.js');

const { task, config, batch, length, mode, steps } = JSON.parse(readFileSync(0, 'utf8'));
let state = 7;
// Ids from 2: RoBERTa's padding token is 1, and every text is full.
const token = () => 2 + ((state = (state * 48271) % 2147483647) % (config.vocab_size - 2));
const examples = Array.from({ length: batch }, (_, k) => {
  const inputIds = Int32Array.from({ length }, token);
  return task === 'causal-lm' ? { inputIds, labels: inputIds } : { inputIds, label: k % 2 };
});
const model = models.fromConfig(config, { task });
// A rate of 1 draws every record: the logical batch is the same on all sides. Python takes it as a whole, so it gets room as a whole here.
const common = {
  records: batch,
  sampler: privacy.poisson({ batchSize: batch }),
  performance: { memoryBudget: 2 ** 30 },
};
const engine =
  mode === 'private'
    ? new privacy.PrivacyEngine(model, {
        ...{ ...common, steps: steps + 1, noiseMultiplier: 1, attributionCheck: false },
        clip: privacy.normalize({ maxGradNorm: 1 }),
      })
    : new privacy.PlainEngine(model, { ...common, epochs: steps + 1 });
const optimizer = engine.attach(optim.adam(model.trainableParameters(), { lr: 1e-4 }));
const seconds = [];
let start = performance.now();
for (const part of engine.batches(new data.ExampleDataset(examples))) {
  const loss = model.loss(part);
  optimizer.step({ loss });
  loss.dispose();
  if (!part.completesStep) continue;
  seconds.push((performance.now() - start) / 1e3);
  start = performance.now();
}
// The first step pays for allocations that no later step needs.
console.log(JSON.stringify({ secondsPerStep: seconds.slice(1), peakRssMb: process.resourceUsage().maxRSS / 1024 }));
