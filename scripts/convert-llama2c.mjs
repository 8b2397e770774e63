// A model of llama2.c as a folder that Hugging Face libraries read: MODEL.bin and TOKENIZER.bin become OUT/{config.json,…}.
//   node scripts/convert-llama2c.mjs MODEL.bin TOKENIZER.bin OUT
// MODEL.bin: seven int32 (width, hidden width, layers, heads, key heads, vocabulary, length), then float32 weights, all layers of a
// kind together. A vocabulary below zero says that the softmax head has a table of its own.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { isMain, main, StepError } from './shell.mjs';

const [UNKNOWN, BEGIN, END] = [0, 1, 2];
const BYTES = 3; // the piece of byte b has the id b + 3
const SPECIALS = ['<unk>', '<s>', '</s>'];

/** Weights by their Hugging Face names, and config.json. */
export function readModel(file) {
  const bytes = readFileSync(file);
  if (bytes.length < 28)
    throw new StepError(`${file}: ${bytes.length} bytes, too short for the header of a llama2.c model.`);
  const header = Array.from({ length: 7 }, (_, k) => bytes.readInt32LE(4 * k));
  const [dim, inner, layers, heads, keyHeads, signed, length] = header;
  const [vocabulary, tied] = [Math.abs(signed), signed > 0];
  if (header.some((value, k) => k !== 5 && value < 1) || vocabulary < 1 || dim % heads !== 0 || heads % keyHeads !== 0)
    throw new StepError(`${file}: not the header of a llama2.c model: ${header.join(', ')}.`);
  const width = dim / heads;
  const tensors = new Map();
  let at = 28;
  const take = (...shape) => {
    const count = shape.reduce((a, b) => a * b, 1);
    if (at + 4 * count > bytes.length) throw new StepError(`${file}: ends before its last weight.`);
    const values = Float32Array.from({ length: count }, (_, k) => bytes.readFloatLE(at + 4 * k));
    at += 4 * count;
    return { shape, values };
  };
  const each = (name, shape, change = (weight) => weight) => {
    for (let layer = 0; layer < layers; layer++)
      tensors.set(`model.layers.${layer}.${name}.weight`, change(take(...shape)));
  };
  tensors.set('model.embed_tokens.weight', take(vocabulary, dim));
  each('input_layernorm', [dim]);
  each('self_attn.q_proj', [dim, dim], (weight) => halves(weight, width));
  each('self_attn.k_proj', [width * keyHeads, dim], (weight) => halves(weight, width));
  each('self_attn.v_proj', [width * keyHeads, dim]);
  each('self_attn.o_proj', [dim, dim]);
  each('post_attention_layernorm', [dim]);
  each('mlp.gate_proj', [inner, dim]);
  each('mlp.down_proj', [dim, inner]);
  each('mlp.up_proj', [inner, dim]);
  tensors.set('model.norm.weight', take(dim));
  take(length, width); // cosines and sines of the rotary angles: everybody computes them anew
  if (!tied) tensors.set('lm_head.weight', take(vocabulary, dim));
  if (at !== bytes.length)
    throw new StepError(`${file}: ${bytes.length - at} bytes are left over behind the last weight.`);
  const config = {
    architectures: ['LlamaForCausalLM'],
    model_type: 'llama',
    vocab_size: vocabulary,
    hidden_size: dim,
    intermediate_size: inner,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    num_key_value_heads: keyHeads,
    max_position_embeddings: length,
    rms_norm_eps: 1e-5,
    tie_word_embeddings: tied,
    bos_token_id: BEGIN,
    eos_token_id: END,
    torch_dtype: 'float32',
  };
  return { config, tensors };
}

/** llama2.c turns neighbours (2k, 2k + 1) of a head, Hugging Face its halves (k, k + width / 2): rows move accordingly. */
function halves({ shape, values }, width) {
  const [rows, columns] = shape;
  const moved = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    const within = row % width;
    const from = row - within + (within < width / 2 ? 2 * within : 2 * (within - width / 2) + 1);
    moved.set(values.subarray(from * columns, (from + 1) * columns), row * columns);
  }
  return { shape, values: moved };
}

/** TOKENIZER.bin: one int32, then a float32 score, an int32 length and the bytes of each piece; ids in order. */
export function readPieces(file) {
  const bytes = readFileSync(file);
  const pieces = [];
  for (let at = 4; at < bytes.length;) {
    const end = at + 8 + (at + 8 <= bytes.length ? bytes.readInt32LE(at + 4) : 0);
    if (!(end >= at + 8 && end <= bytes.length)) throw new StepError(`${file}: piece ${pieces.length} is cut off.`);
    pieces.push({ score: bytes.readFloatLE(at), text: bytes.toString('utf8', at + 8, end) });
    at = end;
  }
  if (pieces[BYTES]?.text !== '<0x00>')
    throw new StepError(`${file}: not a tokenizer of llama2.c: piece 3 is not <0x00>.`);
  return pieces;
}

/**
 * tokenizer.json. llama2.c joins the neighbours whose union has the highest score, BPE those whose rule comes first: a rule for every way
 * to cut a piece in two, in the order of scores, is the same. A space is U+2581 here, as in SentencePiece.
 */
export function tokenizerJson(pieces) {
  const spelled = pieces.map(({ text }, id) => SPECIALS[id] ?? text.replaceAll(' ', '\u2581'));
  const vocab = Object.fromEntries(spelled.map((piece, id) => [piece, id]));
  const known = new Set(spelled.slice(BYTES + 256));
  const merges = [...known]
    .sort((a, b) => pieces[vocab[b]].score - pieces[vocab[a]].score)
    .flatMap((piece) => {
      const letters = [...piece];
      return letters
        .slice(1)
        .map((_, k) => [letters.slice(0, k + 1).join(''), letters.slice(k + 1).join('')])
        .filter((pair) => pair.every((part) => known.has(part)));
    });
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  const begin = { SpecialToken: { id: SPECIALS[BEGIN], type_id: 0 } };
  const sequence = (id) => ({ Sequence: { id, type_id: 0 } });
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: SPECIALS.map((content, id) => ({ id, content, ...flags })),
    normalizer: {
      type: 'Sequence',
      normalizers: [
        { type: 'Prepend', prepend: '\u2581' },
        { type: 'Replace', pattern: { String: ' ' }, content: '\u2581' },
      ],
    },
    pre_tokenizer: null,
    post_processor: {
      type: 'TemplateProcessing',
      single: [begin, sequence('A')],
      pair: [begin, sequence('A'), begin, sequence('B')],
      special_tokens: { '<s>': { id: SPECIALS[BEGIN], ids: [BEGIN], tokens: [SPECIALS[BEGIN]] } },
    },
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: '\u2581' }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        { type: 'Strip', content: ' ', start: 1, stop: 0 },
      ],
    },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: SPECIALS[UNKNOWN],
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: true,
      byte_fallback: true,
      vocab,
      merges: merges.map((pair) => pair.join(' ')),
    },
  };
}

/** Writes the folder. @throws for files that are not llama2.c's, or do not belong together */
export function convert(model, tokenizer, out) {
  const { config, tensors } = readModel(model);
  const pieces = readPieces(tokenizer);
  if (pieces.length !== config.vocab_size)
    throw new StepError(`${tokenizer}: ${pieces.length} pieces, but ${model} has ${config.vocab_size}.`);
  const [bos_token, eos_token, unk_token] = [SPECIALS[BEGIN], SPECIALS[END], SPECIALS[UNKNOWN]];
  const settings = {
    ...{ tokenizer_class: 'PreTrainedTokenizerFast', bos_token, eos_token, unk_token },
    ...{ clean_up_tokenization_spaces: false, model_max_length: config.max_position_embeddings },
  };
  mkdirSync(out, { recursive: true });
  const json = (name, value) => writeFileSync(join(out, name), `${JSON.stringify(value, null, 2)}\n`);
  json('config.json', config);
  json('tokenizer.json', tokenizerJson(pieces));
  json('tokenizer_config.json', settings);
  writeFileSync(join(out, 'model.safetensors'), safetensors(tensors));
}

/** Eight bytes with the length of a JSON header, the header, the numbers. */
function safetensors(tensors) {
  let end = 0;
  const entries = [...tensors].map(([name, { shape, values }]) => {
    const begin = end;
    end += values.byteLength;
    return [name, { dtype: 'F32', shape, data_offsets: [begin, end] }];
  });
  const text = JSON.stringify({ __metadata__: { format: 'pt' }, ...Object.fromEntries(entries) });
  const header = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  const numbers = [...tensors.values()].map(({ values }) => Buffer.from(values.buffer));
  return Buffer.concat([length, header, ...numbers]);
}

if (isMain(import.meta)) {
  await main(() => {
    const [model, tokenizer, out, ...rest] = process.argv.slice(2);
    if (out === undefined || rest.length > 0)
      throw new StepError('Usage: node scripts/convert-llama2c.mjs MODEL.bin TOKENIZER.bin OUT');
    convert(model, tokenizer, out);
    console.log(`${out}: config.json, model.safetensors, tokenizer.json, tokenizer_config.json`);
  });
}
