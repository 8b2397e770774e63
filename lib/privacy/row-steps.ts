// Steps of a table's rows by how often the rows are used: a row that few samples move collects noise at every step all the same.

import * as check from '../check';
import { raise } from '../errors';
import type { Tensor } from '../tensor';
import { isPrefixes, within } from './prefixes';

/** Which tables take steps by frequency. Frozen. */
export interface RowSteps {
  readonly kind: 'frequencySteps';
  /** Dotted prefixes of the tables' names. */
  readonly tables: readonly string[];
  /** a of p^a. */
  readonly exponent: number;
}

export interface RowStepOptions {
  /** Dotted prefixes of the names of tables with one row an item, row 0 for padding, such as `['items']`. */
  readonly tables: readonly string[];
  /** a, above 0. Default 0.5. */
  readonly exponent?: number;
}

// The steps in use are those that the checkpoint describes.
const made = new WeakSet<RowSteps>();

/**
 * Multiplies the update of row i by p_i^a, normalised to mean 1 under p, where p are the frequencies that the engine was given: public, or
 * released as a private histogram. It changes what is done with a released gradient, and so neither σ nor ε. Row 0 (padding) keeps 1.
 *
 * @throws ERR_INVALID_ARGUMENT
 * @example new PrivacyEngine(model, { …, frequencies: frequencies.privateHistogram(), rowSteps: frequencySteps({ tables: ['items'] }) })
 */
export function frequencySteps(options: RowStepOptions): RowSteps {
  check.onlyKnown('frequencySteps', options, ['tables', 'exponent']);
  const { tables, exponent = 0.5 } = options;
  if (!isPrefixes(tables)) {
    raise('ERR_INVALID_ARGUMENT', 'frequencySteps: tables must be a list of at least one dotted prefix, none empty.');
  }
  check.within('frequencySteps', { exponent }, 0, 4);
  const steps: RowSteps = Object.freeze({ kind: 'frequencySteps', tables: Object.freeze([...tables]), exponent });
  made.add(steps);
  return steps;
}

/** @throws ERR_INVALID_ARGUMENT for anything that {@link frequencySteps} did not make, above all for lists of numbers. */
export function checkRowSteps(value: RowSteps): RowSteps {
  if (typeof value === 'object' && value !== null && made.has(value)) return value;
  return raise(
    'ERR_INVALID_ARGUMENT',
    'PrivacyEngine: rowSteps must be made by frequencySteps({ tables }); the frequencies themselves come from frequencies, which ' +
      'says why they may be used.',
  );
}

/**
 * `[rows]` factors r_i = k p_i^a with Σ p_i r_i = Σ p_i over the rows behind the first, which is padding and gets 1.
 *
 * @throws ERR_INVALID_ARGUMENT when all frequencies are 0: then there is no mean under them.
 */
export function rowFactors(probability: Float64Array, exponent: number): Float64Array {
  const items = probability.subarray(1);
  const mass = items.reduce((sum, p) => sum + p, 0);
  const weighted = items.reduce((sum, p) => sum + p * p ** exponent, 0);
  if (!(weighted > 0)) {
    raise('ERR_INVALID_ARGUMENT', 'frequencySteps: all frequencies are 0; no row could move.');
  }
  return probability.map((p, i) => (i === 0 ? 1 : (mass / weighted) * p ** exponent));
}

/**
 * The tables that `steps` names, of those that are trained.
 *
 * @param rows  Number of frequencies, that of padding included.
 * @throws ERR_PARAMETER_GROUPS for a prefix without a parameter. ERR_INVALID_ARGUMENT for a table with another number of rows.
 */
export function steppedTables(steps: RowSteps, parameters: ReadonlyMap<string, Tensor>, rows: number): string[] {
  return steps.tables.flatMap((prefix) => {
    const names = [...parameters.keys()].filter((name) => within(prefix, name));
    if (names.length === 0) {
      raise(
        'ERR_PARAMETER_GROUPS',
        `frequencySteps: the prefix «${prefix}» matches no trained parameter. Trained are ${[...parameters.keys()].join(', ')}.`,
      );
    }
    for (const name of names) {
      const has = parameters.get(name)?.shape[0] ?? 0;
      if (has === rows) continue;
      raise('ERR_INVALID_ARGUMENT', `frequencySteps: ${name} has ${has} rows, the frequencies are of ${rows}.`);
    }
    return names;
  });
}
