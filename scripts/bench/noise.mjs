// npm run bench -- noise: what noise costs. The fused update (Adam and noise) beside Adam alone, and its share of a training step.
import { createRequire } from 'node:module';
import { performance } from 'node:perf_hooks';

const require = createRequire(import.meta.url);
const { data, models, numThreads, optim, privacy, torch, zeros } = require('../../dist/index.js');
const ops = torch.ops.phantomgrad;

const median = (list) => [...list].sort((a, b) => a - b)[Math.floor((list.length - 1) / 2)];

/** Median seconds of one update of `count` parameters: with noise, and without. Interleaved, so that both see the same machine. */
function update(count, rounds) {
  const [parameters, first, second] = ['float32', 'float32', 'float32'].map((dtype) => zeros([count], { dtype }));
  const sum = zeros([count], { dtype: 'float64' });
  const source = ops.noise_source_create();
  let step = 0;
  const once = (std) => {
    const start = performance.now();
    ops.private_adam_(
      parameters, first, second, sum, source, std, std === 0 ? 0 : 2 ** -8, 64, 1e-3, 0.9, 0.999, 1e-8, 0, false, ++step,
    ); // prettier-ignore
    return (performance.now() - start) / 1e3;
  };
  once(0);
  once(1);
  const times = { alone: [], noisy: [] };
  for (let round = 0; round < rounds; round++) {
    times.alone.push(once(0));
    times.noisy.push(once(1));
  }
  ops.noise_source_release(source);
  for (const tensor of [parameters, first, second, sum]) tensor.dispose();
  return { alone: median(times.alone), noisy: median(times.noisy) };
}

/** Median seconds of a private step of a model of about a million parameters, on full histories. */
function trainingStep(batch, steps) {
  const [items, maxLength] = [14_000, 50];
  const model = new models.SequentialTransformer({ items, dim: 64, blocks: 2, maxLength, dropout: 0 });
  const count = model.parameters().reduce((total, { numel }) => total + numel, 0);
  let state = 7;
  const item = () => 1 + ((state = (state * 48271) % 2147483647) % items);
  const train = data.SequenceDataset.from(
    Array.from({ length: batch }, () => Int32Array.from({ length: maxLength + 1 }, item)),
    items,
  );
  const engine = new privacy.PrivacyEngine(model, {
    records: batch,
    steps: steps + 1,
    noiseMultiplier: 1,
    sampler: privacy.poisson({ batchSize: batch }), // a rate of 1: every record, every time
    clip: privacy.normalize({ maxGradNorm: 1 }),
    attributionCheck: false,
  });
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
  engine.close();
  model.dispose();
  return { parameters: count, seconds: median(seconds.slice(1)) };
}

/** Rows of the table; the last line on standard output is JSON if asked for. */
export function benchNoise({ quick, json }) {
  const cores = numThreads();
  const rows = (quick ? [1e6] : [1e6, 1e8]).map((parameters) => {
    const { alone, noisy } = update(parameters, parameters > 1e7 ? 5 : 41);
    return { parameters, alone, noisy, nsPerParameterAndCore: ((noisy - alone) * 1e9 * cores) / parameters };
  });
  const batch = quick ? 64 : 256;
  const step = trainingStep(batch, quick ? 2 : 3);
  const [million] = rows;
  const share = ((million.noisy - million.alone) * step.parameters) / million.parameters / step.seconds;
  console.log(`\n${cores} threads; medians\n`);
  console.log('parameters   Adam ms  with noise ms   noise ns a parameter and core');
  for (const { parameters, alone, noisy, nsPerParameterAndCore } of rows) {
    console.log(
      parameters.toExponential(0).padStart(10),
      (alone * 1e3).toFixed(3).padStart(9),
      (noisy * 1e3).toFixed(3).padStart(14),
      nsPerParameterAndCore.toFixed(2).padStart(31),
    );
  }
  console.log(
    `\nNoise is ${(100 * share).toFixed(2)} % of a private step of ${step.parameters} parameters (${batch} histories of 50, ` +
      `${step.seconds.toFixed(3)} s).`,
  );
  if (json) console.log(JSON.stringify({ cores, rows, step: { ...step, batch, share } }));
}
