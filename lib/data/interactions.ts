// The door to interaction data: from a file or an array to one time-ordered sequence per user.

import * as check from '../check';
import { raise } from '../errors';
import { preprocess, type Preprocessed } from './preprocess';
import { readLog } from './readers';
import type { Columns } from './readers/columns';
import type { Format } from './readers/formats';
import { ActionLog } from './readers/log';
import { readRows, rowsAreTimed, type Row } from './readers/rows';
import { EvaluationSet, SequenceDataset } from './sequences';

export interface InteractionsOptions {
  /** Default: found by content, then by name. */
  readonly format?: Format;
  /** Names (files with a header, JSONL, Parquet) or positions from 0 (files without a header). */
  readonly columns?: Columns;
  /** Users with fewer actions are left out. Default 5, as SASRec. */
  readonly minActions?: number;
  /** Items with fewer actions are left out, before users are counted. Default 1. */
  readonly minItemActions?: number;
  /** The public list of item ids. Without it the vocabulary is taken from the private data, which no privacy budget covers. */
  readonly catalogue?: readonly (string | number)[];
}

export interface Split {
  readonly train: SequenceDataset;
  /** With `validation: true`: the second to last item of each user. */
  readonly validation?: EvaluationSet;
  /** The last item of each user, after everything before it. */
  readonly test: EvaluationSet;
}

/**
 * Reads interactions and brings them into one time-ordered sequence per user.
 *
 * Formats: MovieLens `ratings.dat` and `u.data`, CSV, JSON lines, Parquet, SASRec text (`user item`), each also gzipped; or an array
 * of `{ user, item, timestamp }` or `[user, item, timestamp]`. Ids may be any text or number. Equal times keep the file's order.
 *
 * Privacy: the vocabulary (which items exist, how many) comes from the data unless `catalogue` is given, and the filters look at
 * all users; neither is covered by ε. With a public `catalogue` and `minItemActions: 1` each sequence depends on its user alone.
 *
 * @throws ERR_DATA_FORMAT (file, line, expected, found) for unreadable, empty or malformed data or an item outside the catalogue.
 * @throws ERR_INVALID_ARGUMENT for options out of range.
 * @example const users = await interactions('ratings.dat'); const { train, test } = users.split();
 */
export async function interactions(
  source: string | readonly Row[],
  options: InteractionsOptions = {},
): Promise<Interactions> {
  check.onlyKnown('interactions', options, ['format', 'columns', 'minActions', 'minItemActions', 'catalogue']);
  const { minActions = 5, minItemActions = 1, format, columns } = options;
  check.integer('interactions', { minActions }, 1);
  check.integer('interactions', { minItemActions }, 1);
  const catalogue = checkCatalogue(options.catalogue);
  if (catalogue !== undefined && minItemActions > 1) {
    raise(
      'ERR_INVALID_ARGUMENT',
      'interactions: minItemActions above 1 and a catalogue contradict each other. The catalogue is the vocabulary: leave minItemActions out.',
    );
  }
  let log: ActionLog;
  if (typeof source === 'string') {
    log = await readLog(source, { format, columns, catalogue });
  } else {
    if (!Array.isArray(source))
      raise(
        'ERR_INVALID_ARGUMENT',
        `interactions: the source must be a path or an array of rows, got ${typeof source}.`,
      );
    if (format !== undefined || columns !== undefined)
      raise('ERR_INVALID_ARGUMENT', 'interactions: format and columns are for files, got an array of rows.');
    log = new ActionLog('rows', catalogue, rowsAreTimed(source));
    readRows(source, log);
  }
  return new Interactions(
    preprocess(log, { minActions, minItemActions }),
    catalogue === undefined ? 'data' : 'catalogue',
  );
}

/** Everybody's sequence, with the way back to the original ids. */
export class Interactions {
  readonly #data: Preprocessed;
  #numbers: Map<string, number> | undefined;

  constructor(
    data: Preprocessed,
    /** Where the list of items comes from: private data, or a public catalogue. */
    readonly vocabulary: 'data' | 'catalogue',
  ) {
    check.object('Interactions', { data });
    check.row('Interactions', { offsets: data.offsets });
    check.oneOf('Interactions', { vocabulary }, ['data', 'catalogue']);
    this.#data = data;
  }

  /** Number of users, which is the number of training records. */
  get users(): number {
    return this.#data.offsets.length - 1;
  }

  /** Items are numbered 1..itemCount; 0 is padding. */
  get itemCount(): number {
    return this.#data.itemCount;
  }

  get actions(): number {
    return this.#data.items.length;
  }

  /** What `minActions` and `minItemActions` left out. */
  get dropped(): Preprocessed['dropped'] {
    return this.#data.dropped;
  }

  /** Original id of item n at index n - 1. */
  get itemIds(): readonly string[] {
    return this.#data.itemIds;
  }

  /** Original id of the user of record i at index i. */
  get userIds(): readonly string[] {
    return this.#data.userIds;
  }

  /** Number of an original item id. @throws ERR_INVALID_ARGUMENT for an item that is not in the vocabulary. */
  itemNumber(id: string | number): number {
    this.#numbers ??= new Map(this.itemIds.map((known, k) => [known, k + 1]));
    return (
      this.#numbers.get(String(id)) ??
      raise('ERR_INVALID_ARGUMENT', `itemNumber: ${JSON.stringify(id)} is not one of the ${this.itemCount} items.`)
    );
  }

  /** Whole sequences, nothing held out. */
  all(): SequenceDataset {
    return new SequenceDataset(this.#data);
  }

  /**
   * Leave one out, as SASRec: the last item of each user is the test item; with `validation` the one before it is held out too.
   * The training history is what remains, so that test histories hold every item before the test item.
   *
   * @throws ERR_DATA_FORMAT when a user would have no training history (1 action, or 2 with `validation`).
   */
  split({ validation = false }: { validation?: boolean } = {}): Split {
    const { offsets } = this.#data;
    const heldOut = validation ? 2 : 1;
    for (let i = 0; i < this.users; i++) {
      const length = (offsets[i + 1] as number) - (offsets[i] as number);
      if (length <= heldOut) {
        raise(
          'ERR_DATA_FORMAT',
          `split: user ${JSON.stringify(this.userIds[i])} has ${length === 1 ? 'a history of one item' : 'only two items'}, which leaves nothing to train on. Read the data with minActions of at least ${heldOut + 1}.`,
        );
      }
    }
    const train = new SequenceDataset(this.#data, heldOut);
    const test = new EvaluationSet(this.#data);
    return validation ? { train, validation: new EvaluationSet(this.#data, 1), test } : { train, test };
  }
}

function checkCatalogue(catalogue: InteractionsOptions['catalogue']): readonly string[] | undefined {
  if (catalogue === undefined) return undefined;
  check.list('interactions', { catalogue });
  const ids = catalogue.map(String);
  if (ids.length === 0)
    raise('ERR_INVALID_ARGUMENT', 'interactions: the catalogue must list at least one item, got none.');
  if (new Set(ids).size !== ids.length)
    raise('ERR_INVALID_ARGUMENT', 'interactions: the catalogue must list each item once.');
  return ids;
}
