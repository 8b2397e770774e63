// How text is generated: options of the call, over generation_config.json, over the model's own configuration.

import * as check from '../../check';
import { raise } from '../../errors';
import type { CausalLM } from '../pretrained/causal-lm';
import { ConditionalGeneration } from '../pretrained/conditional-generation';
import type { Json } from '../pretrained/config';

export interface GenerateOptions {
  /** Tokens after the prompt, at most. Default 20. */
  readonly maxNewTokens?: number;
  /** No text is complete before it has this many of them. Default 0. */
  readonly minNewTokens?: number;
  /** The first token of what an encoder-decoder model writes. Default: what the model says, mostly null. */
  readonly forcedBosTokenId?: number | null;
  /** The last token of a text that reaches `maxNewTokens`. Default: what the model says, mostly null. */
  readonly forcedEosTokenId?: number | null;
  /** Draw the next token instead of taking the likeliest. Default false. */
  readonly doSample?: boolean;
  /** Logits are divided by it before drawing. Default 1. */
  readonly temperature?: number;
  /** Draw from the likeliest k tokens alone; 0: from all. Default 50. */
  readonly topK?: number;
  /** Draw from the fewest likeliest tokens that have this probability together. Default 1. */
  readonly topP?: number;
  /** Continuations that are followed side by side; 1 (default): no beam search. */
  readonly numBeams?: number;
  /** Beams are compared by their log probability over length to this power. Default 1. */
  readonly lengthPenalty?: number;
  /**
   * When beam search ends: true, as soon as `numBeams` texts are complete; false (default), when none of the open ones looks better;
   * `never`, when none of them can become better.
   */
  readonly earlyStopping?: boolean | 'never';
  /** Above 1: tokens of the text so far become less likely (Keskar et al. 2019). Default 1. */
  readonly repetitionPenalty?: number;
  /** No sequence of this many tokens comes twice; 0 (default): no limit. */
  readonly noRepeatNgramSize?: number;
  /** A text is complete with any of these. Default: what the model says. */
  readonly eosTokenId?: number | readonly number[] | null;
  /** Of what is drawn: its low 32 bits count. Default 0. */
  readonly seed?: number;
}

/** Everything decided. */
export interface Generation extends Required<Omit<GenerateOptions, 'eosTokenId'>> {
  readonly eos: ReadonlySet<number>;
  /** The token before the first that an encoder-decoder model writes. */
  readonly start: number;
}

const DEFAULTS = {
  maxNewTokens: 20,
  minNewTokens: 0,
  forcedBosTokenId: null,
  forcedEosTokenId: null,
  doSample: false,
  temperature: 1,
  topK: 50,
  topP: 1,
  numBeams: 1,
  lengthPenalty: 1,
  earlyStopping: false,
  repetitionPenalty: 1,
  noRepeatNgramSize: 0,
  seed: 0,
} as const;

/** Fields of generation_config.json that do not choose tokens. (`max_length` counts prompts as well: `maxNewTokens` stands for it.) */
const SILENT =
  /^(_.*|transformers_version|use_cache|(bos|pad|decoder_start)_token_id|output_.*|return_dict_in_generate|max_length)$/;

/** Fields that are not known here, with the value that changes nothing. */
const NEUTRAL: Json = {
  num_return_sequences: 1,
  num_beam_groups: 1,
  min_length: 0,
  typical_p: 1,
  diversity_penalty: 0,
  encoder_repetition_penalty: 1,
  encoder_no_repeat_ngram_size: 0,
  epsilon_cutoff: 0,
  eta_cutoff: 0,
};

/**
 * @throws ERR_INVALID_ARGUMENT for options out of range, ERR_MODEL_CONFIG for a field of generation_config.json that would change the
 *   text and is not known here.
 */
export function resolveGeneration(model: CausalLM | ConditionalGeneration, options: GenerateOptions): Generation {
  check.onlyKnown('generate', options, [...Object.keys(DEFAULTS), 'eosTokenId']);
  const { generation, config } = model.origin;
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const writes = model instanceof ConditionalGeneration;
  const file = fromFile(writes ? countedFromStart(generation ?? legacy(config)) : (generation ?? {}));
  const merged = { ...DEFAULTS, ...file, ...given } as Required<GenerateOptions>;
  const { maxNewTokens, doSample, temperature, topK, topP, numBeams, seed, ...rest } = merged;
  const { minNewTokens, forcedBosTokenId, forcedEosTokenId } = rest;
  const last = model.backbone.vocabulary - 1;
  const { lengthPenalty, earlyStopping, repetitionPenalty, noRepeatNgramSize } = rest;
  check.integer('generate', { maxNewTokens }, 1);
  check.integer('generate', { minNewTokens });
  if (forcedBosTokenId !== null) {
    check.integer('generate', { forcedBosTokenId }, 0, last);
    if (!writes)
      raise('ERR_INVALID_ARGUMENT', 'generate: forcedBosTokenId is for models that write one text from another.');
  }
  if (forcedEosTokenId !== null) check.integer('generate', { forcedEosTokenId }, 0, last);
  check.oneOf('generate', { doSample }, [true, false]);
  check.positive('generate', { temperature });
  check.integer('generate', { topK });
  check.within('generate', { topP }, 0, 1);
  check.integer('generate', { numBeams }, 1);
  if (!Number.isFinite(lengthPenalty))
    raise('ERR_INVALID_ARGUMENT', 'generate: lengthPenalty must be a finite number.');
  check.oneOf<boolean | string>('generate', { earlyStopping }, [true, false, 'never']);
  check.positive('generate', { repetitionPenalty });
  check.integer('generate', { noRepeatNgramSize });
  check.integer('generate', { seed });
  if (doSample && numBeams > 1)
    raise('ERR_INVALID_ARGUMENT', 'generate: doSample and numBeams above 1 exclude each other here.');
  const said =
    options.eosTokenId === undefined ? (generation?.eos_token_id ?? config.eos_token_id) : options.eosTokenId;
  const eos = new Set<number>();
  for (const eosTokenId of [said ?? []].flat() as number[]) {
    check.integer('generate', { eosTokenId }, 0, last);
    eos.add(eosTokenId);
  }
  const decoderStart = (generation?.decoder_start_token_id ?? (writes ? model.frame.start : 0)) as number;
  check.integer('generate', { decoderStart }, 0, last);
  return { maxNewTokens, doSample, temperature, topK, topP, numBeams, seed, ...rest, eos, start: decoderStart };
}

/** Lengths of such models count the start token. */
function countedFromStart({ max_length: most, min_length: least, ...file }: Json): Json {
  return {
    ...(typeof most === 'number' ? { max_new_tokens: most - 1 } : {}),
    ...(typeof least === 'number' && least > 1 ? { min_new_tokens: least - 1 } : {}),
    ...file,
  };
}

/** Before there was a generation_config.json, config.json said what ends a text. */
function legacy({ forced_bos_token_id: first, forced_eos_token_id: last }: Json): Json {
  return { forced_bos_token_id: first ?? null, forced_eos_token_id: last ?? null };
}

function fromFile(file: Json): Partial<GenerateOptions> {
  const found: Record<string, unknown> = {};
  for (const [field, value] of Object.entries(file)) {
    const name = field.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
    if (value === null || value === false || value === NEUTRAL[field]) continue;
    if (SILENT.test(field) || field === 'eos_token_id') continue;
    if (Object.hasOwn(DEFAULTS, name)) found[name] = value;
    else
      raise(
        'ERR_MODEL_CONFIG',
        `generation_config.json: ${field} is not known here, and would change the text. Remove it, or set it to null.`,
      );
  }
  return found;
}
