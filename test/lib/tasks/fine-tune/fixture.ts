// Made-up data of each task, tokenizers of a few tokens, and models so small that a run takes a second.

import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const home = mkdtempSync(join(tmpdir(), 'phantomgrad-fine-tune-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

export const path = (...parts: string[]): string => join(home, ...parts);
export const entries = (folder: string): string[] => readdirSync(folder).sort();
export const json = (...parts: string[]): Record<string, unknown> =>
  JSON.parse(readFileSync(join(...parts), 'utf8')) as Record<string, unknown>;

const GOOD = ['good', 'great', 'fine'];
const BAD = ['bad', 'poor', 'dull'];
const OTHER = ['a', 'film', 'plot', 'and', 'the', 'it'];

function write(name: string, content: string | Uint8Array): string {
  const parts = name.split('/');
  mkdirSync(path(...parts.slice(0, -1)), { recursive: true });
  writeFileSync(path(...parts), content);
  return path(...parts);
}

/** A WordPiece vocabulary of the words that occur. */
export function wordTokenizer(name = 'words'): string {
  const tokens = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', ...GOOD, ...BAD, ...OTHER, 'was', '.', 'terrible'];
  write(`${name}/vocab.txt`, `${tokens.join('\n')}\n`);
  return path(name);
}

/** GPT-2's byte-level tokenizer without any merge: 256 bytes and the end of a text. */
export function byteTokenizer(name = 'byte-level'): string {
  const printable = (byte: number): boolean =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  let next = 256;
  const symbols = Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(printable(byte) ? byte : next++));
  const vocabulary = Object.fromEntries([...symbols, '<|endoftext|>'].map((symbol, id) => [symbol, id]));
  write(`${name}/encoder.json`, JSON.stringify(vocabulary));
  write(`${name}/vocab.bpe`, '#version: 0.2\n');
  return path(name);
}

/** One word among others decides the class. */
function sentence(k: number): string {
  const [words, other] = [k % 2 === 0 ? BAD : GOOD, (at: number) => OTHER[at % OTHER.length]!];
  return `${k % 2}\t${other(k)} ${other(k * 5 + 1)} ${words[k % 3]!} ${other(k * 7 + 2)}\n`;
}

/** A folder with train.tsv and dev.tsv in the layout of SST-2. */
export function sentiment(name = 'sst2', count = 240): string {
  const lines = (from: number, to: number): string =>
    `label\tsentence\n${Array.from({ length: to - from }, (_, k) => sentence(from + k)).join('')}`;
  write(`${name}/train.tsv`, lines(0, count));
  write(`${name}/dev.tsv`, lines(count, count + 40));
  return path(name);
}

/** Tables with the official names of E2E's files. */
export function tables(name = 'e2e', count = 60): string {
  const places = ['Eagle', 'Mill', 'Vaults', 'Punter', 'Wrestlers'];
  const row = (k: number): string => {
    const [place, kind] = [places[k % 5]!, k % 2 === 0 ? 'pub' : 'restaurant'];
    return `"name[The ${place}], eatType[${kind}]","The ${place} is a ${kind}."\n`;
  };
  const csv = (from: number, to: number): string =>
    `mr,ref\n${Array.from({ length: to - from }, (_, k) => row(from + k)).join('')}`;
  write(`${name}/trainset.csv`, csv(0, count));
  write(`${name}/testset_w_refs.csv`, csv(count, count + 10));
  return path(name);
}

/** Images of 8 × 8 in two folders of classes: bright above, or bright below. */
export function pictures(name = 'pictures', count = 60): string {
  const image = (k: number): Buffer => {
    const pixels = Array.from({ length: 64 }, (_, at) => {
      const bright = (k % 2 === 0) === at < 32;
      return [bright ? 220 - ((k * 7 + at) % 40) : (k * 5 + at) % 60, 128, 128];
    });
    return Buffer.concat([Buffer.from('P6 8 8 255\n'), Buffer.from(pixels.flat())]);
  };
  for (const [part, from, to] of [
    ['train', 0, count],
    ['test', count, count + 20],
  ] as const) {
    for (let k = from; k < to; k++) write(`${name}/${part}/${k % 2 === 0 ? 'above' : 'below'}/${k}.ppm`, image(k));
  }
  return path(name);
}

/** A text of one sentence over and over. */
export function text(name = 'input.txt', times = 120): string {
  return write(name, 'To be, or not to be, that is the question.\n'.repeat(times));
}

/** Configurations of models of a few thousand parameters. */
export const CONFIGS = {
  gpt2: {
    model_type: 'gpt2',
    n_positions: 64,
    n_embd: 16,
    n_layer: 1,
    n_head: 2,
    resid_pdrop: 0,
    embd_pdrop: 0,
    attn_pdrop: 0,
  },
  bert: {
    ...{ model_type: 'bert', hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 16 },
    ...{ max_position_embeddings: 32, hidden_dropout_prob: 0, attention_probs_dropout_prob: 0 },
  },
  distilbert: {
    ...{ model_type: 'distilbert', dim: 16, n_layers: 1, n_heads: 2, hidden_dim: 16, max_position_embeddings: 32 },
    ...{ dropout: 0, attention_dropout: 0, seq_classif_dropout: 0, initializer_range: 0.02 },
  },
  vit: {
    ...{ model_type: 'vit', patch_size: 4, hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2 },
    ...{ intermediate_size: 16, hidden_dropout_prob: 0, attention_probs_dropout_prob: 0 },
  },
} as const;

export function config(name: keyof typeof CONFIGS, changes: Readonly<Record<string, unknown>> = {}): string {
  return write(
    `configs/${name}-${Object.keys(changes).join('-')}.json`,
    JSON.stringify({ ...CONFIGS[name], ...changes }),
  );
}

/** Options under which a run is short and gives some privacy. */
export const SHORT = { epsilon: 5, delta: 1e-3, epochs: 2, batchSize: 20 } as const;
