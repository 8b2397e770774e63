// How often items occur, with the reason why a model may know it: raw counts of private data cannot be written here.

import * as check from '../check';
import { raise } from '../errors';
import { type DpEvent, gaussian, type Neighbours } from './accounting/events';

export interface PublicFrequencies {
  readonly provenance: 'public';
  /** `probability[i]` for item i; index 0 is padding. */
  readonly probability: Float64Array;
}

/** Released by the engine when it first sees the data, and charged to its ledger. */
export interface PrivateHistogram {
  readonly provenance: 'privateHistogram';
  /** Noise of standard deviation noiseMultiplier · √maxItems on every count. */
  readonly noiseMultiplier: number;
  /** A record of n > maxItems distinct items counts √(maxItems/n) for each of them. */
  readonly maxItems: number;
}

export type HistogramOptions = Partial<Omit<PrivateHistogram, 'provenance'>>;

export interface UniformFrequencies {
  readonly provenance: 'uniform';
}

export type Frequencies = PublicFrequencies | PrivateHistogram | UniformFrequencies;

// Objects that the functions below made: their arguments were checked, and somebody chose the word `public`.
const made = new WeakSet<Frequencies>();

function own<F extends Frequencies>(value: F): F {
  made.add(value);
  return Object.freeze(value);
}

/**
 * Frequencies that are known without the training data: catalogue popularity, an older public snapshot, a law of ranks.
 *
 * @param probability  Share of sequences that contain item i, at index i; index 0 (padding) is not read. Items + 1 numbers in
 *   [0, 1]. Do not put counts of the private data here: the model that is published depends on these numbers.
 * @throws ERR_INVALID_ARGUMENT for a number outside [0, 1], such as a count.
 */
function publicFrequencies(probability: ArrayLike<number>): PublicFrequencies {
  check.row('frequencies.public', { probability });
  const values = Float64Array.from(probability);
  const wrong = values.findIndex((value, i) => i > 0 && !(value >= 0 && value <= 1));
  if (wrong >= 0) {
    raise(
      'ERR_INVALID_ARGUMENT',
      `frequencies.public: probability[${wrong}] must be a share from 0 to 1, got ${String(values[wrong])}. Counts of private ` +
        `data would leak; use frequencies.privateHistogram() for them.`,
    );
  }
  return own({ provenance: 'public', probability: values });
}

/**
 * One Gaussian histogram of document frequency: in how many records each item occurs. It is charged as one Gaussian event, and
 * with a target ε the noise of training rises by what it costs (about 1 % at the default of 5).
 *
 * @param options.maxItems  Default 20; about the number of distinct items of a usual record. @throws ERR_INVALID_ARGUMENT
 */
function privateHistogram(options: HistogramOptions = {}): PrivateHistogram {
  check.onlyKnown('frequencies.privateHistogram', options, ['noiseMultiplier', 'maxItems']);
  const { noiseMultiplier = 5, maxItems = 20 } = options;
  check.positive('frequencies.privateHistogram', { noiseMultiplier });
  check.integer('frequencies.privateHistogram', { maxItems }, 1);
  return own({ provenance: 'privateHistogram', noiseMultiplier, maxItems });
}

/** Nothing is known: every row counts as noisy as a weight, so that the first layer corrects nothing. */
function uniform(): UniformFrequencies {
  return own({ provenance: 'uniform' });
}

export const frequencies = { public: publicFrequencies, privateHistogram, uniform } as const;

/** @throws ERR_INVALID_ARGUMENT for anything that the functions above did not make, above all for plain arrays of counts. */
export function checkFrequencies(value: Frequencies): Frequencies {
  if (typeof value === 'object' && value !== null && made.has(value)) return value;
  return raise(
    'ERR_INVALID_ARGUMENT',
    'PrivacyEngine: frequencies must say where they come from: frequencies.public(shares), frequencies.privateHistogram() or ' +
      'frequencies.uniform(). Raw counts of the private data are not accepted: they would leak into the model.',
  );
}

/** What releasing them is charged; null for what is free. */
export function frequencyEvent(value: Frequencies, neighbours: Neighbours): DpEvent | null {
  return value.provenance === 'privateHistogram' ? gaussian(value.noiseMultiplier, 1, neighbours) : null;
}
