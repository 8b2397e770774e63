// Texts as numbers: examples of tokens, and their rows packed without padding.

import * as check from '../../check';
import { raise } from '../../errors';

/** Labels with this number do not count in a loss. */
export const IGNORED_LABEL = -100;

/** One text. All lists are as long as `inputIds`. */
export interface TokenExample {
  readonly inputIds: ArrayLike<number>;
  /** 0 marks padding, on whatever side: those tokens are left out, and positions count the others from 0. Default: all count. */
  readonly attentionMask?: ArrayLike<number>;
  /** Segment of each token, for models that embed it. */
  readonly tokenTypeIds?: ArrayLike<number>;
  /** What each token is to be recognised as, not shifted: usually `inputIds` itself, with −100 where nothing is asked. */
  readonly labels?: ArrayLike<number>;
  /** What the whole text is to be recognised as: its class, its value, or one 0 or 1 for each label. */
  readonly label?: number | ArrayLike<number>;
}

/** Several texts of which one is right; together they are one example, and one record. */
export interface ChoiceExample {
  readonly choices: readonly TokenExample[];
  /** Which one is right, counted from 0. */
  readonly label?: number;
}

/** Some examples side by side, without padding. All 64-bit fields are ready for LibTorch. */
export interface TokenRows {
  /** Number of examples, B. */
  readonly samples: number;
  /** Number of rows of all examples together, N. */
  readonly rows: number;
  /** `[N]` token of each row. */
  readonly ids: BigInt64Array;
  /** `[N]` position of each row in its text, from 0. */
  readonly positions: BigInt64Array;
  /** `[B + 1]` rows `offsets[b] .. offsets[b + 1]` belong to example b. */
  readonly offsets: BigInt64Array;
  /** Where each text begins and ends: the same as `offsets`, unless examples have choices. */
  readonly texts: BigInt64Array;
  /** `[N]` where each row stood among the tokens that were given, padding included. */
  readonly columns: BigInt64Array;
  /** Tokens of the longest text as given, padding included. */
  readonly width: number;
  /** `[N]`; absent where no example has any. */
  readonly tokenTypeIds?: BigInt64Array;
}

/** Rows with what is to be learnt from them. */
export interface TokenBatch extends TokenRows {
  /** `[N]` −100 where nothing is asked. */
  readonly labels?: BigInt64Array;
  /** `[B × k]` k numbers for each example. */
  readonly label?: Float64Array;
  /** `[B]` record of each example: dropout is keyed by it. */
  readonly recordIds?: Int32Array;
  /** True for the last physical batch of its logical batch. */
  readonly completesStep: boolean;
  /** Logical step, the other half of the key of dropout. */
  readonly step?: number;
}

export type TokenBatchOptions = Partial<Pick<TokenBatch, 'recordIds' | 'completesStep' | 'step'>>;

/**
 * Lays examples out as one physical batch.
 *
 * @throws ERR_INVALID_ARGUMENT for an example without tokens, lists of different lengths, ids that are no whole numbers of at least
 *   0, and labels or token types that only some of the texts have.
 * @example model.logits(tokenBatch([{ inputIds: [5, 6, 7] }, { inputIds: [8, 9, 0], attentionMask: [1, 1, 0] }]))
 */
export function tokenBatch(
  examples: readonly (TokenExample | ChoiceExample)[],
  given: TokenBatchOptions = {},
): TokenBatch {
  check.objects('tokenBatch', { examples });
  check.onlyKnown('tokenBatch', given, ['recordIds', 'completesStep', 'step']);
  const { completesStep = true, ...options } = given;
  checkAlike(examples);
  const groups = examples.map((example, b) => textsOf(example, b));
  const texts = groups.flat();
  const rows = texts.reduce((sum, { kept }) => sum + kept.length, 0);
  const make = (): BigInt64Array => new BigInt64Array(rows);
  const [ids, positions, columns, types, labels] = [make(), make(), make(), make(), make()];
  let row = 0;
  for (const { example, kept } of texts) {
    kept.forEach((column, k) => {
      ids[row] = BigInt(example.inputIds[column] as number);
      positions[row] = BigInt(k);
      columns[row] = BigInt(column);
      types[row] = BigInt(example.tokenTypeIds?.[column] ?? 0);
      labels[row++] = BigInt(example.labels?.[column] ?? IGNORED_LABEL);
    });
  }
  const withTypes = texts[0]?.example.tokenTypeIds !== undefined;
  const withLabels = texts[0]?.example.labels !== undefined;
  const label = labelsOf(examples);
  return {
    samples: examples.length,
    rows,
    ids,
    positions,
    columns,
    width: texts.reduce((most, { example }) => Math.max(most, example.inputIds.length), 0),
    offsets: offsetsOf(groups.map((group) => group.reduce((sum, { kept }) => sum + kept.length, 0))),
    texts: offsetsOf(texts.map(({ kept }) => kept.length)),
    ...(withTypes ? { tokenTypeIds: types } : {}),
    ...(withLabels ? { labels } : {}),
    ...(label === null ? {} : { label }),
    ...options,
    completesStep,
  };
}

/** Tokens of an example that are not padding: rows of its batch. */
export function rowsOf(example: TokenExample | ChoiceExample): number {
  return ('choices' in example ? example.choices : [example]).reduce((sum, text) => sum + keptOf(text).length, 0);
}

/** The longest text of an example, without padding. */
export function longestOf(example: TokenExample | ChoiceExample): number {
  return Math.max(...('choices' in example ? example.choices : [example]).map((text) => keptOf(text).length));
}

interface Text {
  readonly example: TokenExample;
  /** Columns that are not padding. */
  readonly kept: readonly number[];
}

function keptOf({ inputIds, attentionMask }: TokenExample): number[] {
  const columns = Array.from(inputIds, (_, column) => column);
  return attentionMask === undefined ? columns : columns.filter((column) => attentionMask[column] !== 0);
}

/** @param b  Number of the example, for messages. */
function textsOf(example: TokenExample | ChoiceExample, b: number): Text[] {
  const texts = 'choices' in example ? example.choices : [example];
  const refuse = (what: string): never => raise('ERR_INVALID_ARGUMENT', `tokens: example ${b} ${what}.`);
  if (texts.length === 0) return refuse('has no choices');
  return texts.map((text) => {
    const { inputIds } = text;
    check.row('tokens', { [`inputIds of example ${b}`]: inputIds });
    for (const name of ['attentionMask', 'tokenTypeIds', 'labels'] as const) {
      const list = text[name];
      if (list !== undefined && list.length !== inputIds.length)
        return refuse(`has ${inputIds.length} inputIds and ${list.length} ${name}`);
    }
    const kept = keptOf(text);
    if (kept.length === 0) return refuse('is empty: it has no token that is not padding');
    for (const column of kept) {
      const [id, type, label] = [inputIds[column], text.tokenTypeIds?.[column] ?? 0, text.labels?.[column] ?? 0];
      if (!isIndex(id)) return refuse(`has the token ${String(id)}, which is no whole number of at least 0`);
      if (!isIndex(type)) return refuse(`has the token type ${String(type)}, which is no whole number of at least 0`);
      if (label !== IGNORED_LABEL && !isIndex(label))
        return refuse(`has the label ${String(label)}: labels are tokens, or ${IGNORED_LABEL} to be ignored`);
    }
    return { example: text, kept };
  });
}

/**
 * @internal Refuses examples that differ in what they have: what becomes of one must not depend on what stands beside it.
 *
 * @throws ERR_INVALID_ARGUMENT
 */
export function checkAlike(examples: readonly (TokenExample | ChoiceExample)[]): void {
  labelsOf(examples);
  const texts = examples.flatMap((example) => ('choices' in example ? example.choices : [example]));
  for (const name of ['tokenTypeIds', 'labels'] as const) {
    const having = texts.filter((text) => text[name] !== undefined).length;
    if (having !== 0 && having !== texts.length)
      raise(
        'ERR_INVALID_ARGUMENT',
        `tokens: ${having} of ${texts.length} texts have ${name}; give them to all, or to none.`,
      );
  }
}

function labelsOf(examples: readonly (TokenExample | ChoiceExample)[]): Float64Array | null {
  const given = examples.map(({ label }) => (typeof label === 'number' ? [label] : Array.from(label ?? [])));
  const width = given[0]?.length ?? 0;
  const odd = given.findIndex((numbers) => numbers.length !== width);
  if (odd >= 0) {
    raise(
      'ERR_INVALID_ARGUMENT',
      `tokens: example ${odd} has ${given[odd]!.length} numbers as its label, the first example has ${width}.`,
    );
  }
  return width === 0 ? null : Float64Array.from(given.flat());
}

function isIndex(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function offsetsOf(lengths: readonly number[]): BigInt64Array {
  const offsets = new BigInt64Array(lengths.length + 1);
  lengths.forEach((length, k) => (offsets[k + 1] = (offsets[k] as bigint) + BigInt(length)));
  return offsets;
}
