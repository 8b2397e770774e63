// npm run bench: what privacy costs. Private against plain with the same kernels, and against PyTorch eager where Python has it.
//   gpt2 bert    GPT-2 small and RoBERTa-base through lib/models, beside Python's transformers and Opacus (--quick: narrow ones)
//   noise        what noise costs instead: Adam with and without it, and its share of a step (--quick, --json)
//   accounting   how long the privacy commands think (--quick, --json, --steps k settings)
//   re-attention what Re-Attention costs: private steps with and without it, in turn (--quick, --json, --steps k)
//   --quick      one small batch, few steps        --json      one JSON object on the last line of standard output
//   --shape s    movielens | games | charlm | gpt2 (default all)    --batch n   logical batch (default: the shape's own)
//   --steps k    timed steps a process (default 5) --rounds r  processes a side, interleaved (default 2)
import { execFileSync, spawnSync } from 'node:child_process';
import { cpus } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { benchFamilies, families } from './bench/families.mjs';
import { isLanguageModel, lengthsOf, shapes } from './bench/shapes.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    shape: { type: 'string', multiple: true },
    batch: { type: 'string', multiple: true },
    steps: { type: 'string' },
    rounds: { type: 'string' },
    python: { type: 'string', default: process.env.PHANTOMGRAD_PYTHON ?? 'python3' },
  },
});
const parts = {
  accounting: async () => (await import('./bench/accounting.mjs')).benchAccounting(values),
  noise: async () => (await import('./bench/noise.mjs')).benchNoise(values),
  're-attention': async () => (await import('./bench/re-attention.mjs')).benchReAttention(values),
};
const known = [...Object.keys(families), ...Object.keys(parts)];
const stranger = positionals.find((name) => !known.includes(name));
if (stranger !== undefined) throw new Error(`bench: there is no part ${stranger}; known are ${known.join(', ')}.`);
if (positionals.length > 0) {
  if (values.shape !== undefined) throw new Error('bench: --shape belongs to the bench without parts.');
  const named = positionals.filter((name) => Object.hasOwn(families, name));
  if (named.length > 0) benchFamilies(named, values);
  for (const name of positionals) await parts[name]?.();
  process.exit();
}
const steps = Number(values.steps ?? (values.quick ? 2 : 5));
const rounds = Number(values.rounds ?? (values.quick ? 1 : 2));
const names = values.shape ?? Object.keys(shapes);
const batchesOf = (shape) =>
  values.batch?.map(Number) ?? (values.quick ? [Math.min(64, shape.batches[0])] : shape.batches);
// A physical batch has at least one sample: language models take one, a few or all of theirs at once.
const budgetsOf = (shape) =>
  (isLanguageModel(shape) ? (values.quick ? [512] : [128, 256, 1024]) : values.quick ? [32] : [16, 32, 64]).map(
    (mib) => mib * 2 ** 20,
  );

const median = (list) => [...list].sort((a, b) => a - b)[Math.floor((list.length - 1) / 2)];
const note = (text) => process.stderr.write(`${text}\n`);

function ours(job) {
  return JSON.parse(
    execFileSync(process.execPath, [join(here, 'bench', 'ours.mjs'), JSON.stringify(job)], { encoding: 'utf8' }),
  );
}

const python = spawnSync(values.python, ['-c', 'import torch; print(torch.__version__)'], { encoding: 'utf8' });
const torch = python.status === 0 ? python.stdout.trim() : null;
if (torch === null) note(`bench: ${values.python} has no torch: the columns of PyTorch eager stay empty.`);

function eager(shape, batch, head, physical) {
  const { items, maxLength, dim, blocks, heads = 0 } = shape;
  const job = {
    lengths: lengthsOf(shape, batch),
    items,
    maxLength,
    dim,
    blocks,
    heads,
    physical,
    steps: steps + 1,
    head,
  };
  const run = spawnSync(values.python, [join(here, 'bench', 'eager.py')], {
    input: `${JSON.stringify(job)}\n`,
    encoding: 'utf8',
  });
  if (run.status !== 0) throw new Error(`bench: PyTorch failed: ${run.stderr}`);
  const { secondsPerStep, peakRssMb } = JSON.parse(run.stdout);
  return { seconds: median(secondsPerStep.slice(1)), peakRssMb, physical };
}

/** The fastest of the physical batch sizes; each side is allowed its own. */
const fastest = (list) => list.reduce((best, one) => (one.seconds < best.seconds ? one : best));

function measure(name, batch) {
  const shape = shapes[name];
  const sides = { plain: [], private: [] };
  for (const memoryBudget of budgetsOf(shape)) {
    const times = { plain: [], private: [] };
    const peaks = { plain: 0, private: 0 };
    for (let round = 0; round < rounds; round++) {
      for (const mode of ['plain', 'private']) {
        const result = ours({ shape: name, batch, mode, memoryBudget, steps });
        times[mode].push(...result.secondsPerStep);
        peaks[mode] = Math.max(peaks[mode], result.peakRssMb);
      }
    }
    for (const mode of ['plain', 'private']) {
      sides[mode].push({
        seconds: median(times[mode]),
        peakRssMb: peaks[mode],
        memoryBudgetMib: memoryBudget / 2 ** 20,
      });
    }
    note(
      `bench: ${name} ${batch}, ${memoryBudget / 2 ** 20} MiB: plain ${sides.plain.at(-1).seconds.toFixed(3)} s, private ${sides.private.at(-1).seconds.toFixed(3)} s`,
    );
  }
  const plain = fastest(sides.plain);
  const secret = fastest(sides.private);
  const row = {
    shape: name,
    batch,
    plain,
    private: secret,
    timeRatio: secret.seconds / plain.seconds,
    memoryRatio: secret.peakRssMb / plain.peakRssMb,
  };
  if (torch === null) return row;
  const sizes = isLanguageModel(shape) ? [1, 4, 8] : values.quick ? [32] : [16, 64];
  const physical = sizes.filter((size) => size <= batch);
  for (const head of isLanguageModel(shape) ? ['padded'] : ['padded', 'valid']) {
    const best = fastest(physical.map((size) => eager(shape, batch, head, size)));
    row[head] = { ...best, privateToEager: secret.seconds / best.seconds };
    note(`bench: ${name} ${batch}, PyTorch ${torch} eager, ${head} head: ${best.seconds.toFixed(3)} s`);
  }
  return row;
}

const rows = names.flatMap((name) => batchesOf(shapes[name]).map((batch) => measure(name, batch)));
const cell = (value, digits) => (value === undefined ? '-' : value.toFixed(digits)).padStart(9);
console.log(
  `\n${cpus().length} cores, ${cpus()[0].model}, Node ${process.version}${torch ? `, PyTorch ${torch} eager without privacy` : ''}; medians\n`,
);
console.log(
  'shape      batch  plain s  private s    ratio  plain MB private MB    ratio  eager s private/eager  eager valid head private/eager',
);
for (const row of rows) {
  console.log(
    row.shape.padEnd(10),
    String(row.batch).padStart(5),
    cell(row.plain.seconds, 3),
    cell(row.private.seconds, 3),
    cell(row.timeRatio, 2),
    cell(row.plain.peakRssMb, 0),
    cell(row.private.peakRssMb, 0),
    cell(row.memoryRatio, 2),
    cell(row.padded?.seconds, 3),
    cell(row.padded?.privateToEager, 3),
    cell(row.valid?.seconds, 3),
    cell(row.valid?.privateToEager, 3),
  );
}
if (values.json) console.log(JSON.stringify({ cores: cpus().length, torch, steps, rounds, rows }));
