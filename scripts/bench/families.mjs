// npm run bench -- gpt2 bert: models of the Hugging Face families, private and plain, beside Python's transformers without privacy, and by Opacus.
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const still = { resid_pdrop: 0, embd_pdrop: 0, attn_pdrop: 0 };
const calm = { hidden_dropout_prob: 0, attention_probs_dropout_prob: 0 };

/** GPT-2 small, and RoBERTa-base with a head of two classes; weights are new, so nothing is downloaded. Nothing is dropped on any side. */
export const families = {
  gpt2: {
    task: 'causal-lm',
    tied: true,
    config: {
      model_type: 'gpt2',
      vocab_size: 50257,
      n_positions: 1024,
      n_embd: 768,
      n_layer: 12,
      n_head: 12,
      ...still,
    },
    quick: { vocab_size: 64, n_embd: 16, n_layer: 1, n_head: 2 },
  },
  bert: {
    task: 'sequence-classification',
    config: {
      ...{ model_type: 'roberta', vocab_size: 50265, hidden_size: 768, num_hidden_layers: 12, num_attention_heads: 12 },
      ...{ intermediate_size: 3072, max_position_embeddings: 514, type_vocab_size: 1, pad_token_id: 1, num_labels: 2 },
      ...calm,
    },
    quick: { vocab_size: 64, hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 32 },
  },
};

const median = (list) => [...list].sort((a, b) => a - b)[Math.floor((list.length - 1) / 2)];

/** What Opacus can do with a model: store a gradient for each sample (hooks), or take two backward passes (ghost). */
const OPACUS = {
  'opacus hooks': { sample: 'hooks' },
  'opacus ghost': { sample: 'ghost' },
  'opacus ghost, untied': { sample: 'ghost', untied: true },
};

/** Runs every side in processes of its own, in turn, and prints a table; the last line is JSON if asked for. */
export function benchFamilies(names, { quick, json, python, ...values }) {
  const steps = Number(values.steps ?? (quick ? 1 : 5));
  const rounds = Number(values.rounds ?? (quick ? 1 : 2));
  const batches = values.batch?.map(Number) ?? [4];
  const length = quick ? 16 : 128;
  const [torch, transformers] = versionsOf(python, 'torch', 'transformers') ?? [null, null];
  const [opacus] = (torch === null ? null : versionsOf(python, 'opacus')) ?? [null];
  const missing = torch === null ? 'torch with transformers' : opacus === null ? 'opacus' : null;
  if (missing !== null) process.stderr.write(`bench: ${python} has no ${missing}: its rows are left out.\n`);
  const rows = names.flatMap((name) =>
    batches.map((batch) => {
      const { task, tied = false, config, quick: small } = families[name];
      const job = { task, config: quick ? { ...config, ...small } : config, batch, length, steps };
      const sides = [
        ...['plain', 'private', ...(torch === null ? [] : ['eager'])],
        ...Object.keys(opacus === null ? {} : OPACUS).filter((side) => tied || OPACUS[side].untied !== true),
      ];
      const results = Object.fromEntries(sides.map((side) => [side, []]));
      for (let round = 0; round < rounds; round++) {
        for (const side of sides) {
          // What was refused once is not tried again.
          if (results[side][0]?.refused !== undefined) continue;
          results[side].push(run(side, job, python));
          process.stderr.write(`bench: ${name} ${batch}, ${side}: ${said(results[side].at(-1))}\n`);
        }
      }
      return {
        family: name,
        batch,
        length,
        ...Object.fromEntries(sides.map((side) => [side, total(results[side], job)])),
      };
    }),
  );
  print(rows, { torch, transformers, opacus });
  if (json) console.log(JSON.stringify({ steps, rounds, torch, transformers, opacus, rows }));
}

function versionsOf(python, ...packages) {
  const program = `import ${packages.join(', ')}; print(*(p.__version__ for p in (${packages.join(', ')},)))`;
  const { status, stdout } = spawnSync(python, ['-c', program], { encoding: 'utf8' });
  return status === 0 ? stdout.trim().split(' ') : null;
}

function run(side, job, python) {
  const [command, script, more] =
    side === 'eager'
      ? [python, 'families.py', {}]
      : side in OPACUS
        ? [python, 'private_families.py', OPACUS[side]]
        : [process.execPath, 'family.mjs', { mode: side }];
  const { status, signal, stdout, stderr } = spawnSync(command, [join(here, script)], {
    input: JSON.stringify({ ...job, ...more }),
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  });
  // A gradient for every sample may be more than the machine has: that is a result, too.
  if (side in OPACUS && signal !== null) return { refused: `ended by ${signal}, as when memory is full` };
  if (status !== 0) throw new Error(`bench: ${side} failed: ${stderr}`);
  return JSON.parse(stdout);
}

const said = ({ refused, secondsPerStep, peakRssMb }) =>
  refused === undefined
    ? `${median(secondsPerStep).toFixed(3)} s a step, ${peakRssMb.toFixed(0)} MB`
    : `cannot: ${refused}`;

function total(results, { batch, length }) {
  const [{ refused }] = results;
  if (refused !== undefined) return { refused };
  const seconds = median(results.flatMap(({ secondsPerStep }) => secondsPerStep));
  const peakRssMb = Math.max(...results.map((result) => result.peakRssMb));
  return { seconds, tokensPerSecond: (batch * length) / seconds, peakRssMb };
}

function print(rows, { torch, transformers, opacus }) {
  const beside =
    torch === null ? '' : `, beside transformers ${transformers} on PyTorch ${torch} eager without privacy`;
  const against = opacus === null ? '' : ` and Opacus ${opacus} on it`;
  console.log(
    `\nModels of Hugging Face families, full texts${beside}${against}; medians, and the most memory of a process\n`,
  );
  console.log(
    'family  batch  length  side                   s a step  tokens a s        MB  to plain  to eager  MB to hooks',
  );
  for (const { family, batch, length, ...sides } of rows) {
    for (const [side, { refused, seconds, tokensPerSecond, peakRssMb }] of Object.entries(sides)) {
      const begin = family.padEnd(7) + String(batch).padStart(6) + String(length).padStart(8) + `  ${side}`.padEnd(22);
      const to = (value, other) => (other === undefined ? '-' : (value / other).toFixed(2)).padStart(10);
      if (refused !== undefined) console.log(`${begin}   cannot: ${refused}`);
      else
        console.log(
          begin,
          seconds.toFixed(3).padStart(9) + tokensPerSecond.toFixed(0).padStart(12) + peakRssMb.toFixed(0).padStart(10),
          to(seconds, sides.plain.seconds) + to(seconds, sides.eager?.seconds),
          `  ${to(peakRssMb, sides['opacus hooks']?.peakRssMb)}`,
        );
    }
  }
}
