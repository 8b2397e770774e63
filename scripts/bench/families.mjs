// npm run bench -- gpt2 bert: models of the Hugging Face families, private and plain, beside Python's transformers without privacy.
import { execFileSync, spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const still = { resid_pdrop: 0, embd_pdrop: 0, attn_pdrop: 0 };
const calm = { hidden_dropout_prob: 0, attention_probs_dropout_prob: 0 };

/** GPT-2 small, and RoBERTa-base with a head of two classes; weights are new, so nothing is downloaded. Nothing is dropped on any side. */
export const families = {
  gpt2: {
    task: 'causal-lm',
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

/** Runs every side in processes of its own, in turn, and prints a table; the last line is JSON if asked for. */
export function benchFamilies(names, { quick, json, python, ...values }) {
  const steps = Number(values.steps ?? (quick ? 1 : 5));
  const rounds = Number(values.rounds ?? (quick ? 1 : 2));
  const batches = values.batch?.map(Number) ?? [4];
  const length = quick ? 16 : 128;
  const versions = spawnSync(
    python,
    ['-c', 'import torch, transformers; print(torch.__version__, transformers.__version__)'],
    {
      encoding: 'utf8',
    },
  );
  const there = versions.status === 0 ? versions.stdout.trim().split(' ') : null;
  if (there === null)
    process.stderr.write(`bench: ${python} has no torch with transformers: its columns stay empty.\n`);
  const rows = names.flatMap((name) =>
    batches.map((batch) => {
      const { task, config, quick: small } = families[name];
      const job = { task, config: quick ? { ...config, ...small } : config, batch, length, steps };
      const sides = there === null ? ['plain', 'private'] : ['plain', 'private', 'eager'];
      const results = Object.fromEntries(sides.map((side) => [side, []]));
      for (let round = 0; round < rounds; round++)
        for (const side of sides) results[side].push(run(side, { ...job, mode: side }, python));
      const row = { family: name, batch, length };
      for (const side of sides) {
        const seconds = median(results[side].flatMap(({ secondsPerStep }) => secondsPerStep));
        const peakRssMb = Math.max(...results[side].map((result) => result.peakRssMb));
        row[side] = { seconds, tokensPerSecond: (batch * length) / seconds, peakRssMb };
      }
      return row;
    }),
  );
  print(rows, there);
  if (json)
    console.log(JSON.stringify({ steps, rounds, torch: there?.[0] ?? null, transformers: there?.[1] ?? null, rows }));
}

function run(side, job, python) {
  const [command, script] = side === 'eager' ? [python, 'families.py'] : [process.execPath, 'family.mjs'];
  const input = JSON.stringify(job);
  return JSON.parse(execFileSync(command, [join(here, script)], { input, encoding: 'utf8' }));
}

function print(rows, there) {
  const beside = there === null ? '' : `, beside transformers ${there[1]} on PyTorch ${there[0]} eager without privacy`;
  console.log(`\nModels of Hugging Face families, full texts${beside}; medians, and the most memory of a process\n`);
  console.log('family  batch  length  side       s a step  tokens a s        MB  to plain  to eager');
  for (const { family, batch, length, ...sides } of rows) {
    for (const [side, { seconds, tokensPerSecond, peakRssMb }] of Object.entries(sides)) {
      const to = (other) => (other === undefined ? '-' : (seconds / other.seconds).toFixed(2)).padStart(10);
      console.log(
        family.padEnd(7) + String(batch).padStart(6) + String(length).padStart(8) + `  ${side}`.padEnd(11),
        seconds.toFixed(3).padStart(9) + tokensPerSecond.toFixed(0).padStart(12) + peakRssMb.toFixed(0).padStart(10),
        to(sides.plain) + to(sides.eager),
      );
    }
  }
}
